//! What sellers ask of their books: revenue, and receipts for buyers.

use super::permits::{UPTO, selling};
use super::shop::Shop;
use super::*;

const USDG: &str = "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8";
/// 18 decimals.
const MUSD: &str = "0xdd468a1ddc392dcdbef6db6e34e89aa338f9f186";

/// Rows of view x402_revenue, without those columns that others imply.
fn revenue(client: &mut Client) -> Vec<Value> {
    let rows = client.query(
        "SELECT jsonb_build_array(day - current_date, endpoint, chain, symbol, payments, amount::text, refunded::text, dropped::text, net::text,
                                  amount_in_units::text, net_in_units::text)
         FROM x402_revenue",
        &[],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// A settlement as of a time before now.
fn settled(
    superuser: &mut Client,
    number: u64,
    ago: &str,
    endpoint: &str,
    amount: &str,
    of: [&str; 2],
) {
    let insert = "INSERT INTO insforge_integrations.x402_settlements
                    (id, created_at, tx_hash, payer_address, endpoint, amount, network, asset, is_mock)
                  VALUES (gen_random_uuid(), date_trunc('day', now(), 'UTC') - $2::text::interval, $1::text, lower($3), $4, $5::text::numeric, $6, $7::text, $8)";
    let values: [&(dyn postgres::types::ToSql + Sync); 8] = [
        &hash(number),
        &ago,
        &PAYER,
        &endpoint,
        &amount,
        &of[0],
        &of[1],
        &(endpoint == "/mock"),
    ];
    superuser.execute(insert, &values).unwrap();
}

#[test]
fn revenue_has_a_row_for_each_day_endpoint_and_asset() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    let xlayer = ["eip155:196", USDG];
    let mezo = ["eip155:31612", MUSD];
    for (number, ago, endpoint, amount, of) in [
        (1, "0", "/report", "10000", xlayer),
        (2, "0", "/report", "5", xlayer),
        (3, "0", "/report", "12345678901234567890", mezo),
        (4, "0", "/other", "1", xlayer),
        // A moment before this day began, in UTC.
        (5, "1 microsecond", "/report", "20000", xlayer),
        (6, "0", "/mock", "7", xlayer),
        (7, "0", "=cmd|' /C calc'!A0", "1", xlayer),
    ] {
        settled(&mut superuser, number, ago, endpoint, amount, of);
    }
    // The session's time zone does not matter.
    client
        .batch_execute("SET timezone = 'Pacific/Auckland'")
        .unwrap();
    let today = "SELECT (now() AT TIME ZONE 'UTC')::date - current_date";
    let today: i32 = client.query_one(today, &[]).unwrap().get(0);
    let row = |day: i32, endpoint: &str, chain, symbol, payments, amount: &str, units: &str| {
        json!([
            today + day,
            endpoint,
            chain,
            symbol,
            payments,
            amount,
            "0",
            "0",
            amount,
            units,
            units
        ])
    };
    let expected = [
        row(
            0,
            "'=cmd|' /C calc'!A0",
            "xlayer",
            "USDG",
            1,
            "1",
            "0.000001",
        ),
        row(0, "/other", "xlayer", "USDG", 1, "1", "0.000001"),
        row(0, "/report", "xlayer", "USDG", 2, "10005", "0.010005"),
        row(
            0,
            "/report",
            "mezo",
            "mUSD",
            1,
            "12345678901234567890",
            "12.345678901234567890",
        ),
        row(-1, "/report", "xlayer", "USDG", 1, "20000", "0.020000"),
    ];
    let mut found = revenue(&mut client);
    found.sort_by_key(|row| {
        (
            -row[0].as_i64().unwrap(),
            row[1].to_string(),
            row[5].to_string(),
        )
    });
    let mut expected = expected.to_vec();
    expected.sort_by_key(|row| {
        (
            -row[0].as_i64().unwrap(),
            row[1].to_string(),
            row[5].to_string(),
        )
    });
    assert_eq!(found, expected);
}

/// A correction counts on the day of its entry, so the days before keep what they had.
#[test]
fn refunds_and_dropped_transactions_are_taken_off() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    let xlayer = ["eip155:196", USDG];
    for (number, ago) in [(1, "1 day"), (2, "1 day"), (3, "0")] {
        settled(&mut superuser, number, ago, "/report", "10000", xlayer);
    }
    let correct = "SELECT FROM correct_x402_settlement($1, $2, 'a note', $3, reference => $4)";
    for _ in 0..2 {
        for (number, kind, amount, reference) in [
            (1, "refund", Some("4000"), Some("R1")),
            (1, "refund", Some("1000"), Some("R2")),
            (2, "reorg", None, None),
            (3, "refund", Some("10000"), Some("R3")),
        ] {
            client
                .query_one(correct, &[&hash(number), &kind, &amount, &reference])
                .unwrap();
        }
    }
    let expected = [
        json!([
            0,
            "/report",
            "xlayer",
            "USDG",
            1,
            "10000",
            "15000",
            "10000",
            "-15000",
            "0.010000",
            "-0.015000"
        ]),
        json!([
            -1, "/report", "xlayer", "USDG", 2, "20000", "0", "0", "20000", "0.020000", "0.020000"
        ]),
    ];
    assert_eq!(revenue(&mut client), expected);
    // The sum of the days is the total.
    let sums = client
        .query_one(
            "SELECT (SELECT sum(net)::text FROM x402_revenue), (SELECT sum(amount + corrections)::text FROM insforge_integrations.x402_totals)",
            &[],
        )
        .unwrap();
    assert_eq!([sums.get::<_, &str>(0), sums.get(1)], ["5000", "5000"]);
}

#[test]
fn revenue_counts_what_was_settled_of_each_payment_of_a_transaction() {
    let mut shop = selling(UPTO);
    let hash = shop.new_hash();
    for (place, charged) in ["1858", "0", "300"].into_iter().enumerate() {
        let (payment, payer) = shop.buyer.pay_with("core");
        let (id, _) = shop.reserve(&payment, None).unwrap();
        let ask = "SELECT FROM x402_settlement_request($1::text::uuid, $2, 'x402')";
        shop.client.query_one(ask, &[&id, &charged]).unwrap();
        // Nothing to pay has no transaction.
        let transaction = if charged == "0" { "" } else { hash.as_str() };
        let answer = json!({"success": true, "transaction": transaction, "network": "eip155:8453", "payer": payer, "amount": charged});
        let found = shop.settle(&id, &answer);
        if place == 2 {
            assert_eq!(found.state, "conflict");
            shop.resolve(&id, "conflict", Some(&hash)).unwrap();
        }
        shop.settle(&id, &answer);
    }
    assert_eq!(
        revenue(&mut shop.client),
        [json!([
            0, ENDPOINT, "base", "USDC", 2, "2158", "0", "0", "2158", "0.002158", "0.002158"
        ])]
    );
}

/// Revenue is of all payments, so scope own does not see it.
#[test]
fn revenue_is_for_the_admin_and_for_scope_all() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    record(&mut client, &hash(1)).unwrap();
    let mut seen = |scope: &str, role: &str| {
        let publish = "SELECT insforge_integrations.publish_x402_payments('authenticated', $1)";
        superuser.execute(publish, &[&scope]).unwrap();
        // What a restore does.
        superuser
            .batch_execute("SELECT insforge_integrations.grant_to_insforge_roles()")
            .unwrap();
        let mut reader = database.connect_as(role).unwrap();
        ["SELECT FROM x402_revenue", "SELECT FROM x402_receipt($1)"].map(|query| {
            let hash = hash(1);
            let values: &[&(dyn postgres::types::ToSql + Sync)] =
                if query.contains('$') { &[&hash] } else { &[] };
            reader
                .query(query, values)
                .map(|rows| rows.len())
                .map_err(|error| refused(&error).code().code().to_owned())
        })
    };
    let denied = || Err("42501".to_owned());
    assert_eq!(seen("all", "authenticated"), [Ok(1), Ok(1)]);
    assert_eq!(seen("own", "authenticated"), [denied(), Ok(0)]);
    assert_eq!(seen("none", "authenticated"), [denied(), denied()]);
    assert_eq!(seen("all", "anon"), [denied(), denied()]);
    assert_eq!(seen("none", "project_admin"), [Ok(1), Ok(1)]);
    // A privilege that somebody else gave shows no rows.
    superuser
        .batch_execute("GRANT SELECT ON x402_revenue, insforge_integrations.x402_receipts TO anon; GRANT EXECUTE ON FUNCTION x402_receipt TO anon")
        .unwrap();
    let mut anon = database.connect_as("anon").unwrap();
    assert_eq!(
        anon.query("SELECT FROM x402_revenue", &[]).unwrap().len(),
        0
    );
    let receipt = "SELECT FROM x402_receipt($1)";
    assert_eq!(anon.query(receipt, &[&hash(1)]).unwrap().len(), 0);
}

fn receipts(client: &mut Client, hash: Option<&str>, id: Option<&str>) -> Vec<Value> {
    let receipt = "SELECT x402_receipt($1, $2::text::uuid)";
    client
        .query(receipt, &[&hash, &id])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[test]
fn a_receipt_says_what_was_paid_and_what_came_back() {
    let mut shop = Shop::new();
    let (id, payer) = shop.reserved();
    let hash = shop.new_hash();
    assert_eq!(
        receipts(&mut shop.client, None, Some(&id)),
        [] as [Value; 0]
    );
    shop.settle(&id, &json!({"success": true, "transaction": hash}));
    let deliver = "SELECT FROM mark_x402_delivered($1::text::uuid)";
    shop.client.query_one(deliver, &[&id]).unwrap();
    let back = shop.new_hash();
    let refund = "SELECT FROM correct_x402_settlement($1, 'refund', 'the seller''s own remark', '2500', other_hash => $2, reference => 'R-17')";
    shop.client.query_one(refund, &[&hash, &back]).unwrap();
    let upper = format!("0x{}", hash[2..].to_uppercase());
    let [mut receipt] = receipts(&mut shop.client, Some(&upper), None)
        .try_into()
        .unwrap();
    assert_eq!(
        receipts(&mut shop.client, None, Some(&id)),
        [receipt.clone()]
    );
    assert_eq!(
        receipts(&mut shop.client, Some(&hash), Some(&id)),
        [receipt.clone()]
    );
    // Times are checked for their presence.
    for name in ["id", "paid_at", "delivered_at"] {
        assert!(receipt[name].take().is_string(), "{name}");
    }
    assert!(receipt["refunds"][0]["refunded_at"].take().is_string());
    let explorer = "https://www.okx.com/web3/explorer/xlayer/tx/";
    assert_eq!(
        receipt,
        json!({
            "id": null, "paid_at": null, "delivered_at": null, "payer": payer, "pay_to": PAYER.to_lowercase(), "endpoint": ENDPOINT,
            "description": "", "network": "eip155:196", "chain": "xlayer", "asset": USDG, "symbol": "USDG", "decimals": 6,
            "amount": "10000", "amount_in_units": "0.010000", "tx_hash": hash, "explorer_url": format!("{explorer}{hash}"),
            "refunds": [{"refunded_at": null, "amount": "2500", "tx_hash": back, "explorer_url": format!("{explorer}{back}"), "reference": "R-17"}],
            "refunded": "2500", "is_dropped": false, "is_mock": false,
        })
    );
    for (hash, id) in [
        (None, None),
        (Some(back.as_str()), None),
        (Some(back.as_str()), Some(id.as_str())),
    ] {
        assert_eq!(receipts(&mut shop.client, hash, id), [] as [Value; 0]);
    }
    shop.client
        .query_one(
            "SELECT FROM correct_x402_settlement($1, 'reorg', 'gone')",
            &[&hash],
        )
        .unwrap();
    assert_eq!(
        receipts(&mut shop.client, None, Some(&id))[0]["is_dropped"],
        true
    );
}

/// Two buyers in one transaction. Each sees only its own receipt.
#[test]
fn a_buyer_gets_the_receipts_of_its_own_payments() {
    let mut shop = Shop::new();
    let hash = shop.new_hash();
    let answer = json!({"success": true, "transaction": hash});
    let claims = |user: &str| json!({"sub": user}).to_string();
    let ids = ["alice", "bob"].map(|user| {
        let set = "SELECT set_config('request.jwt.claims', $1, false)";
        shop.client.execute(set, &[&claims(user)]).unwrap();
        let (id, _) = shop.reserved();
        if shop.settle(&id, &answer).state == "conflict" {
            shop.resolve(&id, "conflict", Some(&hash)).unwrap();
        }
        id
    });
    // One of them gets money back.
    let refund = "SELECT FROM correct_x402_settlement($1, 'refund', 'a note', '10', reference => 'R1', reservation_id => $2::text::uuid)";
    shop.client.query_one(refund, &[&hash, &ids[1]]).unwrap();
    shop.superuser
        .batch_execute("SELECT insforge_integrations.publish_x402_payments('authenticated', 'own')")
        .unwrap();
    assert_eq!(receipts(&mut shop.client, Some(&hash), None).len(), 2);
    for (user, own, refunded) in [("alice", &ids[0], "0"), ("bob", &ids[1], "10")] {
        let mut reader = shop.database().connect_as("authenticated").unwrap();
        let set = "SELECT set_config('request.jwt.claims', $1, false)";
        reader.execute(set, &[&claims(user)]).unwrap();
        let found = receipts(&mut reader, Some(&hash), None);
        assert_eq!(found.len(), 1, "{user}");
        assert_eq!(found[0]["refunded"], refunded, "{user}");
        assert_eq!(receipts(&mut reader, None, Some(own)), found);
        let others = ids.iter().find(|id| *id != own).unwrap();
        assert_eq!(receipts(&mut reader, None, Some(others)), [] as [Value; 0]);
    }
}
