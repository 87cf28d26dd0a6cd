//! The facilitator's request and its answer, as a server gets and gives them through the data API.

use std::sync::Barrier;

use super::permits::{EXACT, UPTO, selling};
use super::shop::{Shop, State};
use super::*;

/// 2^53 + 1, which a float cannot hold.
const LARGE: &str = "9007199254740993";

/// A buyer of something dear.
fn buyer_of_large_amounts(client: &mut Client) -> Buyer {
    let row = client
        .query_one(
            "SELECT r, insforge_integrations.x402_payment_required_header(r)
             FROM insforge_integrations.x402_payment_requirements($1, $2, $3) r",
            &[&PAYER, &LARGE, &ENDPOINT],
        )
        .unwrap();
    Buyer {
        process: Process::start("x402_clients.mjs", &[]).unwrap(),
        requirements: row.get(0),
        header: row.get(1),
    }
}

#[test]
fn the_request_for_the_facilitator_keeps_every_number() {
    let mut shop = Shop::new();
    let header = buyer_of_large_amounts(&mut shop.client).pay().0;
    let payment = shop.decoded(&header).to_string();
    let payment = payment.replacen(
        '{',
        r#"{"extensions": {"n": 9007199254740993, "price": 1.10},"#,
        1,
    );
    let offers = json!({"pay_to": PAYER, "amount": LARGE, "version": 1});
    let mut reserve = |payment: &str, facilitator: &str| {
        shop.client.query_one(
            "SELECT r.facilitator_request, r.facilitator_request ->> 'body',
                    (r.facilitator_request ->> 'body')::jsonb =
                      insforge_integrations.x402_facilitator_request(r.reservation_id, $5), r.deliver
             FROM reserve_x402_payment($1, $2, $3, $4, $5) r",
            &[&payment, &offers, &ENDPOINT, &"request", &facilitator],
        )
    };
    let error = reserve(&payment, "stripe").unwrap_err();
    assert_eq!(refused(&error).code(), &SqlState::INVALID_PARAMETER_VALUE);
    assert_eq!(
        refused(&error).detail(),
        Some("No facilitator is called \"stripe\".")
    );
    let row = reserve(&payment, "okx").unwrap();
    let (request, body): (Value, String) = (row.get(0), row.get(1));
    assert_eq!(request["url"], "https://web3.okx.com/api/v6/x402/settle");
    assert!(
        body.contains(r#""n": 9007199254740993, "price": 1.10"#)
            || body.contains(r#""n":9007199254740993,"price":1.10"#),
        "{body}"
    );
    assert!(body.contains(&format!(r#""value":"{LARGE}""#)), "{body}");
    assert!(
        body.contains(&format!(r#""maxAmountRequired":"{LARGE}""#)),
        "{body}"
    );
    assert!(row.get::<_, bool>(2), "{body}");
    assert!(!row.get::<_, bool>(3));
    // Another call for the same request must not send it.
    let again = reserve(&payment, "okx").unwrap();
    assert_eq!(again.get::<_, Option<Value>>(0), None);
}

#[test]
fn another_facilitator_has_its_own_address() {
    let mut shop = Shop::new();
    let (payment, _) = shop.buyer.pay();
    let request: Value = shop
        .client
        .query_one(
            "SELECT facilitator_request FROM reserve_x402_payment($1, $2, $3, facilitator => 'x402')",
            &[&payment, &shop.buyer.requirements, &ENDPOINT],
        )
        .unwrap()
        .get(0);
    assert_eq!(request["url"], Value::Null);
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["chainIndex"], Value::Null);
    assert_eq!(body["paymentPayload"], shop.decoded(&payment));
}

#[test]
fn an_answer_may_be_its_text() {
    let mut shop = Shop::new();
    let mut buyer = buyer_of_large_amounts(&mut shop.client);
    std::mem::swap(&mut shop.buyer, &mut buyer);
    let (id, payer) = shop.reserved();
    let hash = shop.new_hash();
    let text = format!(
        r#"{{"success": true, "transaction": "{hash}", "payer": "{payer}", "amount": {LARGE}}}"#
    );
    for _ in 0..2 {
        let settled = State {
            state: "settled".to_owned(),
            tx_hash: Some(hash.clone()),
            reason: None,
        };
        assert_eq!(shop.settle(&id, &json!(text)), settled);
    }
    let answers: Value = shop
        .superuser
        .query_one(
            "SELECT answers FROM insforge_integrations.x402_reservations WHERE id::text = $1",
            &[&id],
        )
        .unwrap()
        .get(0);
    assert_eq!(answers.as_array().map(Vec::len), Some(1));
    assert_eq!(
        answers[0]["answer"]["transaction"],
        hash.as_str(),
        "kept as JSON"
    );

    let nested = "[".repeat(100_000);
    let huge = format!(r#"{{"success": true, "amount": 1{}}}"#, "0".repeat(200_000));
    for (text, reason) in [
        ("<html>502 Bad Gateway</html>", "unreadable_answer"),
        ("", "unreadable_answer"),
        (r#"{"success": tr"#, "unreadable_answer"),
        (r#""success""#, "unreadable_answer"),
        (
            r#"{"success": false, "errorReason": "\u0000"}"#,
            "unreadable_answer",
        ),
        (&nested, "unreadable_answer"),
        (&huge, "unreadable_answer"),
        ("null", "no_answer"),
    ] {
        let (id, _) = shop.reserved();
        let state = shop.settle(&id, &json!(text));
        let start = &text[..text.len().min(40)];
        assert_eq!(
            (state.state.as_str(), state.reason.as_deref()),
            ("pending", Some(reason)),
            "{start}"
        );
        assert!(shop.is_listed(&id));
    }
}

/// Runs a query for a boolean on many connections at once, and counts the true ones.
fn count_at_once(
    shop: &Shop,
    query: &str,
    arguments: &[&(dyn postgres::types::ToSql + Sync)],
) -> usize {
    const CONNECTIONS: usize = 12;
    let barrier = Barrier::new(CONNECTIONS);
    let config = shop.config();
    let ask = || {
        let mut client = config
            .clone()
            .user("project_admin")
            .connect(postgres::NoTls)
            .unwrap();
        barrier.wait();
        client
            .query_one(query, arguments)
            .unwrap()
            .get::<_, bool>(0)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    })
}

/// The call that had the request died. One of those that come later gets the request again.
#[test]
fn one_of_many_calls_sends_the_request_again() {
    let mut shop = Shop::new();
    let (payment, _) = shop.buyer.pay();
    let (id, is_new) = shop.reserve(&payment, Some("key")).unwrap();
    assert!(is_new);
    let reserve =
        "SELECT facilitator_request IS NOT NULL FROM reserve_x402_payment($1, $2, $3, 'key')";
    let requirements = shop.buyer.requirements.clone();
    for expected in [0, 1, 1] {
        assert_eq!(
            count_at_once(&shop, reserve, &[&payment, &requirements, &ENDPOINT]),
            expected
        );
        assert_eq!(
            count_at_once(&shop, reserve, &[&payment, &requirements, &ENDPOINT]),
            0
        );
        let later = "UPDATE insforge_integrations.x402_reservations SET request_given_at = now() - interval '121 seconds' WHERE id::text = $1";
        shop.superuser.execute(later, &[&id]).unwrap();
    }
    // After an answer, nobody sends it again.
    shop.settle(&id, &Value::Null);
    assert_eq!(
        count_at_once(&shop, reserve, &[&payment, &requirements, &ENDPOINT]),
        0
    );
}

/// Every call that enters the answer may say that there is something to deliver. Only one may do it.
#[test]
fn one_of_many_calls_delivers() {
    let mut shop = Shop::new();
    for _ in 0..3 {
        let (id, payer) = shop.reserved();
        let answer = json!({"success": true, "transaction": shop.new_hash(), "payer": payer});
        let settle = "SELECT deliver FROM settle_x402_reservation($1::text::uuid, $2)";
        assert_eq!(count_at_once(&shop, settle, &[&id, &answer]), 12);
        let mark = "SELECT is_new FROM mark_x402_delivered($1::text::uuid)";
        assert_eq!(count_at_once(&shop, mark, &[&id]), 1);
        assert_eq!(count_at_once(&shop, settle, &[&id, &answer]), 0);
    }
}

#[test]
fn nothing_is_sent_before_the_amount_is_known() {
    let mut shop = selling(UPTO);
    let (payment, _) = shop.buyer.pay_with("core");
    let reserve =
        "SELECT reservation_id::text, facilitator_request FROM reserve_x402_payment($1, $2, $3)";
    let arguments: [&(dyn postgres::types::ToSql + Sync); 3] =
        [&payment, &shop.buyer.requirements, &ENDPOINT];
    let row = shop.client.query_one(reserve, &arguments).unwrap();
    assert_eq!(row.get::<_, Option<Value>>(1), None);
    let ask =
        "SELECT state, facilitator_request FROM x402_settlement_request($1::text::uuid, '1858')";
    let asked = shop.client.query_one(ask, &[&row.get::<_, String>(0)]);
    let asked = asked.unwrap();
    assert_eq!(asked.get::<_, String>(0), "reserved");
    let request: Value = asked.get(1);
    assert_eq!(
        request["url"],
        "https://web3.okx.com/api/v6/pay/x402/settle"
    );
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["paymentRequirements"]["amount"], "1858");
}

/// The names of headers in `response_headers`, and what is in the first.
fn headers(shop: &mut Shop, id: &str, answer: &Value) -> (Vec<String>, Value) {
    let settle = "SELECT response_headers, insforge_integrations.x402_decode_header(response_headers ->> 'payment-response')
         FROM settle_x402_reservation($1::text::uuid, $2)";
    let row = shop.client.query_one(settle, &[&id, answer]).unwrap();
    let headers: Value = row.get(0);
    let headers = headers.as_object().unwrap();
    assert!(
        headers
            .values()
            .all(|header| *header == headers["payment-response"])
    );
    (headers.keys().cloned().collect(), row.get(1))
}

#[test]
fn a_buyer_gets_the_headers_of_the_payments_version() {
    const V1: [&str; 2] = ["payment-response", "x-payment-response"];
    for (mut shop, client, network, expected) in [
        (Shop::new(), "viem", "eip155:196", V1.as_slice()),
        (selling(EXACT), "core", "eip155:31612", &V1[..1]),
    ] {
        let mut reserved = || {
            let (payment, payer) = shop.buyer.pay_with(client);
            (shop.reserve(&payment, None).unwrap().0, payer)
        };
        let ((settled, payer), (failed, other)) = (reserved(), reserved());
        let hash = shop.new_hash();
        let answer = json!({"success": true, "transaction": hash});
        let (names, receipt) = headers(&mut shop, &settled, &answer);
        assert_eq!(names, expected);
        let told =
            json!({"success": true, "transaction": hash, "network": network, "payer": payer});
        assert_eq!(receipt, told);
        let answer = json!({"success": false, "errorReason": "insufficient_funds"});
        let (names, receipt) = headers(&mut shop, &failed, &answer);
        assert_eq!(names, expected);
        let told = json!({"success": false, "errorReason": "insufficient_funds", "transaction": "",
                          "network": network, "payer": other});
        assert_eq!(receipt, told);
    }
}

#[test]
fn a_state_that_the_table_does_not_take_is_an_error() {
    let mut shop = Shop::new();
    let (id, _) = shop.reserved();
    let answer = json!({"success": true, "transaction": shop.new_hash()});
    shop.superuser
        .batch_execute(
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER swallow BEFORE UPDATE ON insforge_integrations.x402_reservations
               FOR EACH ROW EXECUTE FUNCTION public.swallow()",
        )
        .unwrap();
    let settle = "SELECT FROM settle_x402_reservation($1::text::uuid, $2)";
    let error = shop.client.query_one(settle, &[&id, &answer]).unwrap_err();
    let error = refused(&error);
    assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert_eq!(
        error.message(),
        format!("could not store x402 reservation {id}")
    );
    assert_eq!(shop.ledger(answer["transaction"].as_str().unwrap()), 0);
    shop.superuser
        .batch_execute("DROP FUNCTION public.swallow CASCADE")
        .unwrap();
    assert_eq!(shop.settle(&id, &answer).state, "settled");
}
