//! The server of docs/payments.md: with nothing but @insforge/sdk and an admin key, it sells to other
//! people's clients through everything that a facilitator can answer.
//!
//! Here `clients/data_api.mjs` plays PostgREST. Suite `real_postgrest` has the same with a real one.

use insforge_integrations_tests::paid_endpoint::{Shop, buyers};
use insforge_integrations_tests::{Fixture, shared_cluster};
use serde_json::{Value, json};

fn shop() -> Shop {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    Shop::start(&database, &[]).unwrap()
}

#[test]
fn every_buyer_pays_through_every_answer_and_the_books_agree() {
    let mut shop = shop();
    for (buyer, offers) in buyers() {
        shop.sell_through_every_answer(&buyer, &offers);
    }
    shop.check_books();
}

#[test]
fn a_request_without_a_payment_is_told_what_to_pay() {
    let mut shop = shop();
    let pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
    let own = shop.open(&Value::Null);
    let requirement = json!({
        "scheme": "exact", "network": "eip155:196", "amount": "10000", "payTo": pay_to, "maxTimeoutSeconds": 300,
        "asset": "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8", "extra": {"name": "Global Dollar", "version": "1"},
    });
    let required = json!({
        "x402Version": 2, "resource": {"url": "https://api.example.com/report"}, "accepts": [lowered(requirement)],
    });
    assert_eq!(own["status"], 402);
    assert_eq!(own["header"], required);
    let body: Value = serde_json::from_str(own["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, required);
}

/// Addresses in lower case, as the extension writes them.
fn lowered(mut requirement: Value) -> Value {
    requirement["payTo"] = json!(requirement["payTo"].as_str().unwrap().to_lowercase());
    requirement
}

#[test]
fn a_developer_sells_without_money() {
    let mut shop = shop();
    shop.superuser
        .execute(
            "SELECT insforge_integrations.configure('allow_mock_settlements', 'on')",
            &[],
        )
        .unwrap();
    shop.ask(&json!({"open": true, "mock": true}));
    let buyer = json!({"client": "@x402/fetch"});
    let bought = shop.buy(&buyer, "mock");
    assert_eq!(bought["status"], 200, "{bought}");
    assert_eq!(bought["request"], Value::Null);
    assert_eq!(bought["receipts"][0]["success"], true);
    assert_eq!(shop.replay(&bought, &json!("mock"))["status"], 409);
    let row = shop
        .superuser
        .query_one(
            "SELECT payments, mock_payments FROM insforge_integrations.x402_totals",
            &[],
        )
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (0, 1));
}

/// The server died between the reservation and the facilitator, or the facilitator's answer could
/// not be entered. The buyer sends the same request again.
#[test]
fn a_buyer_who_comes_back_after_a_crash_is_served() {
    let mut shop = shop();
    shop.open(&Value::Null);
    let buyer = json!({"client": "@x402/fetch"});
    let forget_answer = "UPDATE insforge_integrations.x402_reservations
                         SET state = 'reserved', reason = NULL, message = NULL, answers = '[]' WHERE nonce = $1";
    let later = "UPDATE insforge_integrations.x402_reservations
                 SET request_given_at = request_given_at - interval '2 minutes 1 second' WHERE nonce = $1";
    // Whether the facilitator had the request before the crash.
    for (behaviour, status) in [("cut_before_settling", 200), ("cut_after_settling", 503)] {
        shop.ask(&json!({"behaviour": behaviour}));
        let bought = shop.buy(&buyer, behaviour);
        shop.superuser
            .execute(forget_answer, &[&bought["nonce"].as_str()])
            .unwrap();
        shop.ask(&json!({"behaviour": "success"}));
        let key = json!(behaviour);
        // The first call may still wait for the facilitator.
        let soon = shop.replay(&bought, &key);
        assert_eq!(
            (&soon["status"], &soon["request"]),
            (&json!(503), &Value::Null)
        );
        shop.superuser
            .execute(later, &[&bought["nonce"].as_str()])
            .unwrap();
        // Without the key it is another request.
        assert_eq!(shop.replay(&bought, &Value::Null)["status"], 409);
        let again = shop.replay(&bought, &key);
        assert_eq!(again["status"], status, "{behaviour}: {again}");
        assert_eq!(
            again["request"]["body"]["paymentPayload"],
            bought["request"]["body"]["paymentPayload"]
        );
        let third = shop.replay(&bought, &key);
        assert_eq!(third["request"], Value::Null, "{behaviour}: {third}");
        let (_, state, ledger, _) = shop.stored(&bought);
        // Money that moved before the crash is looked up on chain.
        let expected = if status == 200 { "settled" } else { "pending" };
        assert_eq!(
            (state.as_str(), ledger.is_some()),
            (expected, status == 200)
        );
    }
}

/// The guide's table of what each SQLSTATE becomes. Suite `real_postgrest` has PostgREST's statuses.
#[test]
fn what_each_error_becomes_for_the_buyer() {
    let mut shop = shop();
    let pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
    shop.open(&Value::Null);
    let buyer = json!({"client": "@x402/fetch"});
    shop.ask(&json!({"behaviour": "success"}));
    let bought = shop.buy(&buyer, "key");
    assert_eq!(bought["status"], 200);

    // 23505 and 22P02.
    assert_eq!(shop.replay(&bought, &Value::Null)["status"], 409);
    assert_eq!(shop.buy(&buyer, "key")["status"], 409);
    let malformed = shop.ask(&json!({"replay": ["x-payment", "?"]}));
    assert_eq!(malformed["status"], 400);
    assert!(
        malformed["body"]
            .as_str()
            .unwrap()
            .starts_with("invalid_payload: "),
        "{malformed}"
    );
    // 28000: the buyer gets the offers again, and the reason.
    let dearer = json!([{"pay_to": pay_to, "amount": "10001"}]);
    shop.open(&dearer);
    let refused = shop.replay(&bought, &json!("dearer"));
    assert_eq!(refused["status"], 402, "{refused}");
    assert_eq!(refused["challenge"]["accepts"][0]["amount"], "10001");
    let reason = refused["challenge"]["error"].as_str().unwrap();
    assert!(
        reason.starts_with("invalid_payment_requirements: "),
        "{reason}"
    );
    // 22023: the offers make no sense.
    let closed = shop.open(&json!([{"pay_to": pay_to, "price": "1"}]));
    assert_eq!(closed["status"], 503);
    // 42501: the key is not an admin key. Then: the data API does not answer.
    for environment in [
        json!({"INSFORGE_API_KEY": "anon"}),
        json!({"INSFORGE_URL": "http://127.0.0.1:9"}),
    ] {
        let closed = shop.ask(&json!({"open": true, "environment": environment}));
        assert_eq!(closed["status"], 503, "{environment}");
    }
    // 55000: mock settlements are off.
    shop.ask(&json!({"open": true, "mock": true}));
    assert_eq!(shop.buy(&buyer, "mock")["status"], 503);
    // 40001: another transaction is reserving. Nothing was stored, so the buyer's next try is new.
    shop.open(&Value::Null);
    let name = "CREATE FUNCTION public.busy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
                CREATE TRIGGER busy BEFORE INSERT ON insforge_integrations.x402_reservations
                  FOR EACH ROW EXECUTE FUNCTION public.busy()";
    shop.superuser.batch_execute(name).unwrap();
    let busy = shop.buy(&buyer, "busy");
    assert_eq!(
        (&busy["status"], &busy["request"]),
        (&json!(503), &Value::Null)
    );
    shop.superuser
        .batch_execute("DROP FUNCTION public.busy CASCADE")
        .unwrap();
    assert_eq!(shop.replay(&busy, &json!("busy"))["status"], 200);
}

/// A facilitator puts the payments of several buyers into one transaction. The first is served at
/// once, the others when an operator has seen their transfers on chain.
#[test]
fn every_buyer_of_one_transaction_is_served_once() {
    let mut shop = shop();
    shop.open(&Value::Null);
    let buyer = json!({"client": "@x402/fetch"});
    let mut hash = None;
    for (key, behaviour) in [("1", "success"), ("2", "batch"), ("3", "batch")] {
        shop.ask(&json!({"behaviour": behaviour}));
        let bought = shop.buy(&buyer, key);
        let first = hash.get_or_insert_with(|| shop.landed(&bought)).clone();
        assert!(first.is_some());
        assert_eq!(shop.landed(&bought), first);
        let mut served = bought.clone();
        if behaviour == "batch" {
            assert_eq!(bought["status"], 503, "{bought}");
            let (id, state, ledger, is_listed) = shop.stored(&bought);
            assert_eq!(
                (state.as_str(), ledger, is_listed),
                ("conflict", None, true)
            );
            let resolve = "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, 'conflict', $2, 'one batch')";
            shop.superuser.query_one(resolve, &[&id, &first]).unwrap();
            served = shop.replay(&bought, &json!(key));
        }
        assert_eq!(served["status"], 200, "{key}: {served}");
        let receipt = &served["receipts"][0];
        assert_eq!(receipt["success"], true);
        assert_eq!(receipt["transaction"].as_str(), first.as_deref());
        assert_eq!(shop.replay(&bought, &json!(key))["status"], 409);
    }
    shop.check_books();
    let counts = "SELECT (SELECT count(*) FROM x402_payments WHERE tx_hash = $1), (SELECT payments FROM insforge_integrations.x402_totals),
                         (SELECT payments FROM x402_revenue)";
    let counts = shop
        .superuser
        .query_one(counts, &[&hash.flatten()])
        .unwrap();
    assert_eq!(
        [counts.get::<_, i64>(0), counts.get(1), counts.get(2)],
        [3, 3, 3]
    );
}

#[test]
fn the_guide_shows_the_server_that_is_tested() {
    let read = |path: &str| {
        let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        std::fs::read_to_string(format!("{repository}{path}")).unwrap()
    };
    let server = read("docs/examples/x402_server.mjs");
    let (comment, code) = server.split_once('\n').unwrap();
    assert!(comment.starts_with("// "), "{comment}");
    assert!(read("docs/payments.md").contains(&format!("```js\n{code}```\n")));
}
