//! Several payments in one transaction, from facilitators that batch (x402 #1805: four in one).

use super::shop::Shop;
use super::*;

/// A settled payment, and another one in the same transaction.
fn batched(shop: &mut Shop) -> (String, [String; 2]) {
    let hash = shop.new_hash();
    let answer = json!({"success": true, "transaction": hash});
    let ids = [(); 2].map(|()| {
        let (id, _) = shop.reserved();
        shop.settle(&id, &answer);
        id
    });
    assert_eq!(
        shop.resolve(&ids[1], "conflict", Some(&hash)).unwrap(),
        "settled"
    );
    (hash, ids)
}

fn count(client: &mut Client, query: &str) -> i64 {
    client
        .query_one(&format!("SELECT count(*) FROM {query}"), &[])
        .unwrap()
        .get(0)
}

#[test]
fn each_payment_of_a_transaction_is_shown_delivered_and_answered() {
    let mut shop = Shop::new();
    let (hash, ids) = batched(&mut shop);
    // One row of the ledger for the transaction, and one of the view for each payment.
    assert_eq!(
        count(
            &mut shop.superuser,
            "insforge_integrations.x402_settlements"
        ),
        1
    );
    let rows = shop
        .client
        .query(
            "SELECT DISTINCT id, tx_hash, amount, status, chain, explorer_url, endpoint, is_batched
             FROM x402_payments WHERE NOT is_mock ORDER BY is_batched",
            &[],
        )
        .unwrap();
    assert_eq!(rows.len(), 2);
    for (row, is_batched) in rows.iter().zip([false, true]) {
        let texts = ["tx_hash", "amount", "status", "chain", "endpoint"]
            .map(|column| row.get::<_, &str>(column));
        assert_eq!(
            texts,
            [hash.as_str(), "10000", "settled", "xlayer", ENDPOINT]
        );
        assert!(row.get::<_, &str>("explorer_url").ends_with(&hash));
        assert_eq!(row.get::<_, bool>("is_batched"), is_batched);
    }
    for id in &ids {
        assert!(!shop.is_listed(id));
        let undelivered = format!(
            "insforge_integrations.undelivered_x402_reservations WHERE reservation_id = '{id}' AND tx_hash = '{hash}'"
        );
        assert_eq!(count(&mut shop.client, &undelivered), 1);
        for is_new in [true, false] {
            let row = shop
                .client
                .query_one(
                    "SELECT is_new, state FROM mark_x402_delivered($1::text::uuid)",
                    &[id],
                )
                .unwrap();
            assert_eq!((row.get(0), row.get(1)), (is_new, "settled"));
        }
        assert_eq!(count(&mut shop.client, &undelivered), 0);
        let header: Value = shop
            .client
            .query_one(
                "SELECT insforge_integrations.x402_decode_header(insforge_integrations.x402_payment_response_header($1::text::uuid))",
                &[id],
            )
            .unwrap()
            .get(0);
        assert_eq!(
            (&header["success"], &header["transaction"]),
            (&json!(true), &json!(hash))
        );
    }
}

#[test]
fn a_payer_sees_its_own_payment_in_anothers_transaction() {
    let mut shop = Shop::new();
    let claims = |user: &str| json!({"sub": user}).to_string();
    let hash = shop.new_hash();
    let answer = json!({"success": true, "transaction": hash});
    // Alice is known by her claims, and Bob, who pays from another address, by his mapping.
    let mut bob = Buyer::new(&mut shop.client);
    let (of_bob, address) = bob.pay();
    let (of_alice, _) = shop.buyer.pay();
    shop.superuser
        .execute(
            "SELECT insforge_integrations.map_x402_payer($1, 'bob'),
                    insforge_integrations.publish_x402_payments('authenticated', 'own')",
            &[&address],
        )
        .unwrap();
    let first = shop.reserved().0;
    shop.settle(&first, &answer);
    for (user, payment) in [("alice", of_alice), ("carol", of_bob)] {
        shop.client
            .execute(
                "SELECT set_config('request.jwt.claims', $1, false)",
                &[&claims(user)],
            )
            .unwrap();
        let (id, _) = shop.reserve(&payment, None).unwrap();
        assert_eq!(shop.settle(&id, &answer).state, "conflict");
        shop.resolve(&id, "conflict", Some(&hash)).unwrap();
    }
    for (user, seen) in [("alice", 1), ("bob", 1), ("carol", 1), ("mallory", 0)] {
        let mut transaction = shop.superuser.transaction().unwrap();
        transaction
            .execute(
                "SELECT set_config('request.jwt.claims', $1, true)",
                &[&claims(user)],
            )
            .unwrap();
        transaction
            .batch_execute("SET LOCAL ROLE authenticated")
            .unwrap();
        let rows = transaction
            .query("SELECT tx_hash FROM x402_payments WHERE is_batched", &[])
            .unwrap();
        assert_eq!(rows.len(), seen, "{user}");
        assert_eq!(
            transaction
                .query("SELECT FROM x402_payments", &[])
                .unwrap()
                .len(),
            seen,
            "{user}"
        );
    }
}

#[test]
fn totals_count_each_payment_of_a_transaction_once() {
    let mut shop = Shop::new();
    let (hash, ids) = batched(&mut shop);
    let totals = |shop: &mut Shop| -> Vec<(String, i64, String, String)> {
        shop.client
            .query(
                "SELECT symbol, payments, amount::text, corrections::text FROM insforge_integrations.x402_totals",
                &[],
            )
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
            .collect()
    };
    let expected = |payments, amount: &str, corrections: &str| {
        [(
            "USDG".to_owned(),
            payments,
            amount.to_owned(),
            corrections.to_owned(),
        )]
    };
    assert_eq!(totals(&mut shop), expected(2, "20000", "0"));
    // If operator and facilitator repeat it, nothing changes.
    shop.resolve(&ids[1], "conflict", Some(&hash)).unwrap();
    shop.settle(&ids[1], &json!({"success": true, "transaction": hash}));
    assert_eq!(totals(&mut shop), expected(2, "20000", "0"));
    let another = shop.new_hash();
    for (outcome, hash) in [
        ("conflict", Some(another.as_str())),
        ("settled", Some(&another)),
        ("failed", None),
    ] {
        let error = shop.resolve(&ids[1], outcome, hash).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
        assert!(error.message().ends_with("is settled, and that is final"));
        assert!(
            error
                .detail()
                .unwrap()
                .contains(&hash_of(&ids[1], &mut shop))
        );
    }
    // The chain drops a transaction with all its payments.
    shop.client
        .query_one(
            "SELECT FROM correct_x402_settlement($1, 'reorg', 'gone')",
            &[&hash],
        )
        .unwrap();
    assert_eq!(totals(&mut shop), expected(2, "20000", "-20000"));
}

fn hash_of(id: &str, shop: &mut Shop) -> String {
    let stored =
        "SELECT tx_hash::text FROM insforge_integrations.x402_reservations WHERE id::text = $1";
    shop.superuser.query_one(stored, &[&id]).unwrap().get(0)
}

#[test]
fn whoever_listens_is_told_of_each_payment_of_a_transaction() {
    let mut shop = Shop::new();
    shop.superuser
        .batch_execute(
            "SELECT insforge_integrations.configure('realtime', 'on');
             CREATE SCHEMA realtime;
             CREATE TABLE realtime.heard (place serial, event text, payload jsonb);
             CREATE FUNCTION realtime.publish(text, text, jsonb) RETURNS uuid LANGUAGE sql AS
               'INSERT INTO realtime.heard (event, payload) VALUES ($2, $3); SELECT NULL::uuid'",
        )
        .unwrap();
    let (hash, ids) = batched(&mut shop);
    let heard = shop
        .superuser
        .query(
            "SELECT event, payload #>> '{new, tx_hash}', payload #>> '{new, id}', payload #>> '{new, amount}'
             FROM realtime.heard ORDER BY place",
            &[],
        )
        .unwrap();
    assert_eq!(heard.len(), 2);
    for row in &heard {
        assert_eq!(
            [row.get::<_, &str>(0), row.get(1), row.get(3)],
            ["INSERT_x402_payments", hash.as_str(), "10000"]
        );
    }
    assert_ne!(heard[0].get::<_, &str>(2), ids[1]);
    assert_eq!(heard[1].get::<_, &str>(2), ids[1]);
}

#[test]
fn only_a_transaction_of_another_payment_on_the_same_chain_carries_one() {
    let mut shop = Shop::new();
    let elsewhere = shop.new_hash();
    shop.client
        .query_one(
            "SELECT FROM record_x402_settlement($1, $2, $3, '10000', 'base')",
            &[&elsewhere, &PAYER, &ENDPOINT],
        )
        .unwrap();
    let (id, _) = shop.reserved();
    let unknown = shop.new_hash();
    for hash in [&elsewhere, &unknown] {
        let error = shop.resolve(&id, "conflict", Some(hash)).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE);
        assert_eq!(
            error.detail(),
            Some("tx_hash: The ledger has no such transaction on eip155:196.")
        );
    }
    assert!(shop.is_listed(&id));
    // A settled payment cannot also be in another transaction.
    let own = shop.new_hash();
    shop.settle(&id, &json!({"success": true, "transaction": own}));
    let error = shop.resolve(&id, "conflict", Some(&own)).unwrap_err();
    assert_eq!(
        refused(&error).code(),
        &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
    );
}

/// The whole way of a seller's server, by the calls of the data API: as many buyers as one
/// transaction carries.
#[test]
fn each_buyer_of_a_transaction_gets_its_header_and_is_served_once() {
    let mut shop = Shop::new();
    let (hash, buyers) = (shop.new_hash(), 4);
    let decoded =
        "SELECT insforge_integrations.x402_decode_header($1::jsonb ->> 'payment-response')";
    let answer = json!({"success": true, "transaction": hash});
    for place in 0..buyers {
        let (payment, payer) = shop.buyer.pay();
        let key = format!("request {place}");
        let (id, is_new) = shop.reserve(&payment, Some(&key)).unwrap();
        assert!(is_new);
        let settle = "SELECT state, deliver, response_headers FROM settle_x402_reservation($1::text::uuid, $2)";
        // The facilitator's answer arrives twice.
        for _ in 0..2 {
            let row = shop.client.query_one(settle, &[&id, &answer]).unwrap();
            let is_first = place == 0;
            let state = if is_first { "settled" } else { "conflict" };
            assert_eq!(
                (row.get::<_, &str>(0), row.get::<_, bool>(1)),
                (state, is_first)
            );
            assert_eq!(row.get::<_, Option<Value>>(2).is_some(), is_first);
        }
        let deliver = "SELECT is_new, response_headers FROM mark_x402_delivered($1::text::uuid)";
        if place > 0 {
            let error = shop.client.query_one(deliver, &[&id]).unwrap_err();
            assert_eq!(
                refused(&error).code(),
                &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
            );
            // An operator sees both transfers on chain, and enters that twice.
            for _ in 0..2 {
                assert_eq!(
                    shop.resolve(&id, "conflict", Some(&hash)).unwrap(),
                    "settled"
                );
            }
        }
        // The buyer sends the payment again, and the facilitator repeats its answer.
        let again = shop.reserve(&payment, Some(&key)).unwrap();
        assert_eq!(again, (id.clone(), false));
        let row = shop.client.query_one(settle, &[&id, &answer]).unwrap();
        assert_eq!(
            (row.get::<_, &str>(0), row.get::<_, bool>(1)),
            ("settled", true)
        );
        for is_new in [true, false] {
            let row = shop.client.query_one(deliver, &[&id]).unwrap();
            assert_eq!(row.get::<_, bool>(0), is_new);
            let header: Value = shop
                .client
                .query_one(decoded, &[&row.get::<_, Value>(1)])
                .unwrap()
                .get(0);
            let expected = json!({"success": true, "transaction": hash, "network": "eip155:196", "payer": payer});
            assert_eq!(header, expected);
        }
    }
    let books = shop
        .client
        .query_one(
            "SELECT (SELECT jsonb_agg(jsonb_build_array(payments, amount, corrections)) FROM insforge_integrations.x402_totals),
                    (SELECT jsonb_agg(jsonb_build_array(payments, amount, net)) FROM x402_revenue),
                    (SELECT count(*) FROM x402_payments), (SELECT count(*) FROM x402_receipt($1)),
                    (SELECT count(*) FROM insforge_integrations.undelivered_x402_reservations)",
            &[&hash],
        )
        .unwrap();
    assert_eq!(books.get::<_, Value>(0), json!([[4, 40000, 0]]));
    assert_eq!(books.get::<_, Value>(1), json!([[4, 40000, 40000]]));
    assert_eq!(
        [books.get::<_, i64>(2), books.get(3), books.get(4)],
        [4, 4, 0]
    );
}
