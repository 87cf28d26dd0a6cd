//! Reservations: keys, operators, deliveries, mocks.

use super::shop::Shop;
use super::*;

#[test]
fn a_key_is_held_while_its_authorization_may_land() {
    let mut shop = Shop::new();
    let refused_with = |error: postgres::Error| refused(&error).code().code().to_owned();
    for (answer, may_pay_again_later) in [
        (None, true),
        (
            Some(json!({"success": false, "errorReason": "insufficient_funds"})),
            true,
        ),
        (Some(Value::Null), true),
        (
            Some(json!({"success": true, "transaction": hash(500)})),
            false,
        ),
    ] {
        let key = format!("{answer:?}");
        let first = shop.buyer.pay().0;
        let (id, is_new) = shop.reserve(&first, Some(&key)).unwrap();
        assert!(is_new);
        assert_eq!(
            shop.reserve(&first, Some(&key)).unwrap(),
            (id.clone(), false)
        );
        assert_eq!(
            shop.reserve(&first, None).map(drop).map_err(refused_with),
            Err("23505".to_owned())
        );
        assert_eq!(
            shop.reserve(&first, Some("another"))
                .map(drop)
                .map_err(refused_with),
            Err("23505".to_owned())
        );
        if let Some(answer) = &answer {
            shop.settle(&id, answer);
        }
        let second = shop.buyer.pay().0;
        assert_eq!(
            shop.reserve(&second, Some(&key))
                .map(drop)
                .map_err(refused_with),
            Err("23505".to_owned())
        );
        shop.expire(&id);
        let later = shop.reserve(&second, Some(&key)).map(|(_, is_new)| is_new);
        assert_eq!(later.is_ok(), may_pay_again_later, "{answer:?}");
        if may_pay_again_later {
            // The first may have moved anyway, and stays in the list.
            let is_failed = matches!(&answer, Some(answer) if answer.is_object());
            assert_eq!(shop.is_listed(&id), !is_failed);
        }
    }
}

#[test]
fn the_buyers_own_name_for_the_request_is_the_key() {
    let mut shop = Shop::new();
    let with_name = |shop: &mut Shop, name: Value| -> Result<bool, postgres::Error> {
        let header = shop.buyer.pay().0;
        let mut payment: Value = shop
            .client
            .query_one(
                "SELECT insforge_integrations.x402_decode_header($1)",
                &[&header],
            )
            .unwrap()
            .get(0);
        payment["extensions"] =
            json!({"payment-identifier": {"info": {"required": true, "id": name}}});
        shop.reserve(&payment.to_string(), None)
            .map(|(_, is_new)| is_new)
    };
    assert!(with_name(&mut shop, json!("pay_0123456789abcdef")).unwrap());
    let error = with_name(&mut shop, json!("pay_0123456789abcdef")).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    assert!(with_name(&mut shop, json!("pay_0123456789abcdeg")).unwrap());
    for name in [json!("short"), json!(7), json!("with spaces in its name")] {
        let error = with_name(&mut shop, name).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INVALID_TEXT_REPRESENTATION));
    }
}

#[test]
fn a_payment_that_does_not_fit_is_not_reserved() {
    let mut shop = Shop::new();
    let payment = shop.buyer.pay().0;
    shop.buyer.requirements["maxAmountRequired"] = json!("10001");
    let error = shop.reserve(&payment, None).unwrap_err();
    assert_eq!(refused(&error).code().code(), "28000");
    assert!(
        refused(&error)
            .detail()
            .unwrap()
            .starts_with("invalid_exact_evm_payload_authorization_value: ")
    );
    let error = shop.reserve("not a payment", None).unwrap_err();
    assert_eq!(refused(&error).code().code(), "22P02");
}

#[test]
fn a_row_that_the_server_recorded_first_is_adopted_once() {
    let mut shop = Shop::new();
    let recorded = |shop: &mut Shop, payer: &str, amount: &str| {
        let hash = shop.new_hash();
        shop.client
            .query_one(
                "SELECT FROM record_x402_settlement($1, $2, $3, $4)",
                &[&hash, &payer, &ENDPOINT, &amount],
            )
            .unwrap();
        hash
    };
    let (id, payer) = shop.reserved();
    let hash = recorded(&mut shop, &payer, "10000");
    let answer = json!({"success": true, "transaction": hash});
    assert_eq!(shop.settle(&id, &answer).state, "settled");
    assert_eq!(shop.ledger(&hash), 1);
    let (id, _) = shop.reserved();
    let state = shop.settle(&id, &answer);
    assert_eq!(
        (state.state.as_str(), state.reason.as_deref()),
        ("conflict", Some("transaction_taken"))
    );
    assert_eq!(state.tx_hash.as_deref(), Some(hash.as_str()));
    // If a transaction carried both, the operator enters it, and the totals count both; see
    // batches.rs.
    shop.client
        .query_one(
            "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, 'conflict', $2, 'one batch')",
            &[&id, &hash],
        )
        .unwrap();
    assert!(!shop.is_listed(&id));
    let another = shop.new_hash();
    for (outcome, hash, accepted) in [
        ("conflict", &hash, true),
        ("settled", &another, false),
        ("conflict", &another, false),
    ] {
        let again = shop.client.query_one(
            "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, $2, $3, 'once more')",
            &[&id, &outcome, hash],
        );
        assert_eq!(again.is_ok(), accepted, "{outcome}");
    }
    let late = json!({"success": true, "transaction": another});
    assert_eq!(
        (
            shop.settle(&id, &late).state.as_str(),
            shop.ledger(&another)
        ),
        ("settled", 0)
    );
    let total: String = shop
        .client
        .query_one(
            "SELECT sum(amount + corrections)::text FROM insforge_integrations.x402_totals",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(total, "20000");
    let (id, payer) = shop.reserved();
    let hash = recorded(&mut shop, &payer, "9999");
    assert_eq!(
        shop.settle(&id, &json!({"success": true, "transaction": hash}))
            .state,
        "conflict"
    );
}

/// As record_x402_settlement() finds it: at READ COMMITTED and REPEATABLE READ alike.
#[test]
fn a_row_that_was_recorded_after_the_transaction_had_begun_is_adopted() {
    let mut shop = Shop::new();
    for isolation in [
        postgres::IsolationLevel::ReadCommitted,
        postgres::IsolationLevel::RepeatableRead,
    ] {
        let (id, payer) = shop.reserved();
        let hash = shop.new_hash();
        let mut config = shop.config();
        let mut client = config
            .user("project_admin")
            .connect(postgres::NoTls)
            .unwrap();
        let mut transaction = client
            .build_transaction()
            .isolation_level(isolation)
            .start()
            .unwrap();
        transaction.query("SELECT 1", &[]).unwrap();
        shop.client
            .query_one(
                "SELECT FROM record_x402_settlement($1, $2, $3, '10000')",
                &[&hash, &payer, &ENDPOINT],
            )
            .unwrap();
        let answer = json!({"success": true, "transaction": hash});
        let row = transaction
            .query_one(
                "SELECT state, tx_hash FROM settle_x402_reservation($1::text::uuid, $2)",
                &[&id, &answer],
            )
            .unwrap();
        assert_eq!([row.get::<_, &str>(0), row.get(1)], ["settled", &hash]);
        transaction.commit().unwrap();
        assert_eq!(shop.ledger(&hash), 1);
    }
}

#[test]
fn an_operator_enters_what_is_on_chain() {
    let mut shop = Shop::new();
    let resolve = |shop: &mut Shop,
                   id: &str,
                   outcome: &str,
                   hash: Option<&str>,
                   note: Option<&str>| {
        shop.client
            .query_one(
                "SELECT state FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, $2, $3, $4)",
                &[&id, &outcome, &hash, &note],
            )
            .map(|row| row.get::<_, String>(0))
            .map_err(|error| refused(&error).code().code().to_owned())
    };
    let (id, payer) = shop.reserved();
    let row = shop
        .client
        .query_one(
            "SELECT authorization_state_call, payer_address, nonce FROM insforge_integrations.unsettled_x402_reservations",
            &[],
        )
        .unwrap();
    // What viem's encodeFunctionData makes of authorizationState(address,bytes32).
    let call: Value = row.get(0);
    let (listed, nonce): (String, String) = (row.get(1), row.get(2));
    assert_eq!(listed, payer.to_lowercase());
    assert_eq!(
        call["params"][0]["data"],
        insforge_integrations_tests::node::run("authorization_state.mjs", &[&payer, &nonce])
            .unwrap()
            .trim()
    );
    let landed = shop.new_hash();
    for (outcome, hash, note) in [
        ("landed", Some(landed.as_str()), None),
        ("settled", None, None),
        ("settled", Some("0x12"), None),
        ("failed", None, None),
        ("failed", Some(landed.as_str()), Some("x")),
        ("conflict", Some(landed.as_str()), None),
    ] {
        assert_eq!(
            resolve(&mut shop, &id, outcome, hash, note),
            Err("22023".to_owned())
        );
    }
    for _ in 0..2 {
        assert_eq!(
            resolve(&mut shop, &id, "settled", Some(&landed), None).unwrap(),
            "settled"
        );
    }
    assert_eq!(
        resolve(&mut shop, &id, "failed", None, Some("no")),
        Err("55000".to_owned())
    );
    let (id, _) = shop.reserved();
    assert_eq!(
        resolve(&mut shop, &id, "settled", Some(&landed), None),
        Err("23505".to_owned())
    );
    shop.expire(&id);
    assert_eq!(
        resolve(&mut shop, &id, "failed", None, Some("nonce unused")).unwrap(),
        "failed"
    );
    assert!(!shop.is_listed(&id));
    let landed = shop.new_hash();
    assert_eq!(
        shop.settle(&id, &json!({"success": true, "transaction": landed}))
            .state,
        "settled"
    );
    assert_eq!(
        resolve(
            &mut shop,
            "00000000-0000-0000-0000-000000000000",
            "settled",
            Some(&landed),
            None
        ),
        Err("22023".to_owned())
    );
}

#[test]
fn what_is_paid_is_delivered_once_and_nothing_else_is() {
    let mut shop = Shop::new();
    let (id, _) = shop.reserved();
    let deliver = |shop: &mut Shop| {
        shop.client
            .query_one(
                "SELECT is_new FROM mark_x402_delivered($1::text::uuid)",
                &[&id],
            )
            .map(|row| row.get::<_, bool>(0))
            .map_err(|error| refused(&error).code().code().to_owned())
    };
    let header = |shop: &mut Shop| {
        shop.client
            .query_one(
                "SELECT insforge_integrations.x402_decode_header(insforge_integrations.x402_payment_response_header($1::text::uuid))",
                &[&id],
            )
            .map(|row| row.get::<_, Value>(0))
    };
    assert_eq!(deliver(&mut shop), Err("55000".to_owned()));
    assert!(header(&mut shop).is_err());
    let request: Value = shop
        .client
        .query_one(
            "SELECT insforge_integrations.x402_facilitator_request($1::text::uuid)",
            &[&id],
        )
        .unwrap()
        .get(0);
    assert_eq!(
        (&request["chainIndex"], &request["x402Version"]),
        (&json!("196"), &json!(1))
    );
    let hash = shop.new_hash();
    shop.settle(&id, &json!({"success": true, "transaction": hash}));
    let undelivered = "SELECT FROM insforge_integrations.undelivered_x402_reservations";
    assert_eq!(shop.client.query(undelivered, &[]).unwrap().len(), 1);
    assert_eq!(
        (deliver(&mut shop), deliver(&mut shop)),
        (Ok(true), Ok(false))
    );
    assert_eq!(shop.client.query(undelivered, &[]).unwrap().len(), 0);
    assert_eq!(header(&mut shop).unwrap()["transaction"], hash);
}

#[test]
fn mocks_are_allowed_by_the_operator_alone_and_count_in_no_total() {
    let mut shop = Shop::new();
    let (id, _) = shop.reserved();
    let mock = |shop: &mut Shop| {
        shop.client
            .query_one(
                "SELECT state, is_mock FROM mock_x402_settlement($1::text::uuid)",
                &[&id],
            )
            .map(|row| (row.get::<_, String>(0), row.get::<_, bool>(1)))
            .map_err(|error| refused(&error).code().code().to_owned())
    };
    assert_eq!(mock(&mut shop), Err("55000".to_owned()));
    shop.superuser
        .execute(
            "SELECT insforge_integrations.configure('allow_mock_settlements', 'on')",
            &[],
        )
        .unwrap();
    for _ in 0..2 {
        assert_eq!(mock(&mut shop), Ok(("settled".to_owned(), true)));
    }
    let row = shop
        .client
        .query_one(
            "SELECT payments, amount::text, mock_payments, mock_amount::text, symbol FROM insforge_integrations.x402_totals",
            &[],
        )
        .unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, String>(1)),
        (0, "0".to_owned())
    );
    assert_eq!(
        (row.get::<_, i64>(2), row.get::<_, String>(3)),
        (1, "10000".to_owned())
    );
    assert_eq!(row.get::<_, String>(4), "USDG");
}

#[test]
fn what_the_server_and_an_operator_note_stays_with_the_reservation() {
    let mut shop = Shop::new();
    let (id, _) = shop.reserved();
    let settle = "SELECT state FROM settle_x402_reservation($1::text::uuid, $2, $3)";
    let noted = "SELECT concat_ws('|', response_summary, note, resolved_at IS NOT NULL, resolved_at = created_at)
                 FROM insforge_integrations.x402_reservations WHERE id::text = $1";
    let said = |shop: &mut Shop, answer: Value, summary: Option<&str>| -> (String, String) {
        let arguments: [&(dyn postgres::types::ToSql + Sync); 3] = [&id, &answer, &summary];
        let state = shop.client.query_one(settle, &arguments).unwrap().get(0);
        (
            state,
            shop.superuser.query_one(noted, &[&id]).unwrap().get(0),
        )
    };
    let is = |state: &str, noted: &str| (state.to_owned(), noted.to_owned());
    let unknown = said(&mut shop, Value::Null, Some("timed out"));
    assert_eq!(unknown, is("pending", "timed out|f"));
    assert!(shop.is_listed(&id));
    assert_eq!(shop.resolve(&id, "failed", None).unwrap(), "failed");
    // The authorization can still land, and somebody has looked.
    assert!(!shop.is_listed(&id));
    let refused = json!({"success": false, "errorReason": "insufficient_funds"});
    let later = said(&mut shop, refused, None);
    assert_eq!(later, is("failed", "timed out|looked up|t|f"));
    // What is found on chain later counts.
    let hash = shop.new_hash();
    assert_eq!(
        shop.resolve(&id, "settled", Some(&hash)).unwrap(),
        "settled"
    );
    let late = said(&mut shop, Value::Null, Some("too late"));
    assert_eq!(late, is("settled", "timed out|looked up|t|f"));
}

#[test]
fn whoever_pays_twice_is_told_when_the_first_was_delivered() {
    let mut shop = Shop::new();
    let payment = shop.buyer.pay().0;
    let (id, _) = shop.reserve(&payment, None).unwrap();
    let detail = |shop: &mut Shop| {
        let error = shop.reserve(&payment, Some("again")).unwrap_err();
        refused(&error).detail().unwrap().to_owned()
    };
    let answer = json!({"success": true, "transaction": shop.new_hash()});
    shop.settle(&id, &answer);
    assert_eq!(
        detail(&mut shop),
        format!("Reservation {id} is settled, not delivered.")
    );
    let mark = "SELECT delivered_at::text FROM mark_x402_delivered($1::text::uuid)";
    let time: String = shop.client.query_one(mark, &[&id]).unwrap().get(0);
    assert_eq!(
        detail(&mut shop),
        format!("Reservation {id} is settled, delivered at {time}.")
    );
}
