//! The server of docs/payments.md and the calls of a seller, over HTTP.

use insforge_integrations_tests::node::Process;
use insforge_integrations_tests::paid_endpoint::{Shop, buyers};
use serde_json::{Value, json};

use super::server::{Call, SECRET, Server, Setup, programs};
use super::{insforge_token, prepared};

const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const RESOURCE: &str = "https://api.example.com/report";
const SETUP: Setup = Setup {
    pre_request: None,
    pool: 10,
};

#[test]
fn every_buyer_pays_through_every_answer_and_the_books_agree() {
    for program in programs() {
        let (database, _) = prepared();
        let server = Server::start(program, &database, SETUP);
        let mut shop = Shop::start(&database, &[server.url(), SECRET]).unwrap();
        for (buyer, offers) in buyers() {
            shop.sell_through_every_answer(&buyer, &offers);
        }
        shop.check_books();
    }
}

/// PostgREST calls a function with the first element of an array and drops the others.
#[test]
fn several_settlements_in_one_call_are_refused() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        let server = Server::start(program, &database, SETUP);
        let admin = insforge_token("project_admin", None);
        let settlement = |number: u64| json!({"tx_hash": format!("0x{number:064x}"), "payer_address": PAY_TO, "endpoint": RESOURCE, "amount": "10000"});
        let mut record = |body: &Value| {
            let call = Call::post("/rpc/record_x402_settlement", body).bearer(&admin);
            let answer = server.answer(&call);
            let count = "SELECT count(*) FROM insforge_integrations.x402_settlements";
            let count: i64 = superuser.query_one(count, &[]).unwrap().get(0);
            (answer, count)
        };
        for several in [
            json!([settlement(1), settlement(2)]),
            json!([settlement(1), settlement(1), settlement(2)]),
        ] {
            let (answer, count) = record(&several);
            assert_eq!(
                answer.error(),
                (400, "22023"),
                "{}: {answer:?}",
                program.version
            );
            let detail = format!(
                "The request has an array of {}, and PostgREST would drop all but the first.",
                several.as_array().unwrap().len()
            );
            assert_eq!(answer.body["details"], detail);
            assert_eq!(count, 0);
        }
        let (answer, count) = record(&json!([settlement(1)]));
        assert_eq!((answer.status, count), (200, 1), "{answer:?}");
        let (answer, count) = record(&settlement(2));
        assert_eq!((answer.status, count), (200, 2), "{answer:?}");

        // An app's own function may call it for each element.
        superuser
            .batch_execute(
                "CREATE FUNCTION record_all(json) RETURNS bigint LANGUAGE sql AS $$
                   SELECT count(*) FROM json_to_recordset($1) AS s(tx_hash text, payer_address text, endpoint text, amount text),
                     record_x402_settlement(s.tx_hash, s.payer_address, s.endpoint, s.amount) $$;
                 CREATE FUNCTION record_each(json) RETURNS bigint LANGUAGE plpgsql AS $$
                   BEGIN RETURN (SELECT record_all($1)); END $$;
                 GRANT EXECUTE ON FUNCTION record_all(json), record_each(json) TO project_admin;
                 NOTIFY pgrst, 'reload schema'",
            )
            .unwrap();
        for (name, first) in [("record_all", 3), ("record_each", 5)] {
            let body = json!([settlement(first), settlement(first + 1)]);
            let call = Call::post(format!("/rpc/{name}"), &body).bearer(&admin);
            let answer = server.answer_when(&call, |answer| answer.status != 404);
            assert_eq!(
                (answer.status, &answer.body),
                (200, &json!(2)),
                "{answer:?}"
            );
        }
    }
}

#[test]
fn refused_calls_of_a_seller_have_their_status() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        let server = Server::start(program, &database, SETUP);
        let admin = insforge_token("project_admin", None);
        let call = |name: &str, body: &Value| {
            server.answer(&Call::post(format!("/rpc/{name}"), body).bearer(&admin))
        };
        let offers = json!([{"pay_to": PAY_TO, "amount": "10000", "version": 1}]);
        let challenge = call(
            "x402_challenge",
            &json!({"offers": offers, "resource": RESOURCE}),
        );
        assert_eq!(challenge.status, 200, "{challenge:?}");
        assert_eq!(challenge.body[0]["status"], 402);
        let header = challenge.body[0]["headers"]["payment-required"]
            .as_str()
            .unwrap();
        let mut buyer = Process::start("x402_clients.mjs", &[]).unwrap();
        let mut pay = || {
            buyer
                .ask(&json!({"client": "viem", "header": header}))
                .unwrap()
        };
        let paid = pay();
        let reserve = |payment: &Value, offers: &Value, key: Value| {
            call(
                "reserve_x402_payment",
                &json!({"payment": payment, "requirements": offers, "endpoint": RESOURCE, "idempotency_key": key}),
            )
        };
        let key = json!("request 1");
        let reserved = reserve(&paid["header"], &offers, key.clone());
        assert_eq!(reserved.status, 200, "{reserved:?}");
        let id = &reserved.body[0]["reservation_id"];
        let dearer = json!([{"pay_to": PAY_TO, "amount": "10001", "version": 1}]);
        let nonsense = json!([{"pay_to": PAY_TO, "price": "1"}]);
        for (answer, status, code, detail) in [
            (
                reserve(&pay()["header"], &dearer, Value::Null),
                403,
                "28000",
                "invalid_exact_evm_payload_authorization_value: ",
            ),
            (
                reserve(&json!("?"), &offers, Value::Null),
                400,
                "22P02",
                "invalid_payload: ",
            ),
            (
                reserve(&paid["header"], &offers, Value::Null),
                409,
                "23505",
                "Reservation ",
            ),
            (
                reserve(&pay()["header"], &offers, key),
                409,
                "23505",
                "Reservation ",
            ),
            (
                reserve(&paid["header"], &nonsense, Value::Null),
                400,
                "22023",
                "\"price\": ",
            ),
            (
                call(
                    "x402_challenge",
                    &json!({"offers": nonsense, "resource": RESOURCE}),
                ),
                400,
                "22023",
                "\"price\": ",
            ),
            (
                call("mark_x402_delivered", &json!({"reservation_id": id})),
                500,
                "55000",
                "It is reserved.",
            ),
            (
                call("mock_x402_settlement", &json!({"reservation_id": id})),
                500,
                "55000",
                "Setting allow_mock_settlements is off",
            ),
        ] {
            assert_eq!(answer.error(), (status, code), "{detail}: {answer:?}");
            assert!(
                answer.body["details"].as_str().unwrap().starts_with(detail),
                "{answer:?}"
            );
        }
        // Nobody else reaches the flow.
        let user = insforge_token("authenticated", Some("user_1"));
        for name in [
            "x402_challenge",
            "reserve_x402_payment",
            "settle_x402_reservation",
            "mark_x402_delivered",
            "mock_x402_settlement",
        ] {
            let body = match name {
                "x402_challenge" => json!({"offers": offers, "resource": RESOURCE}),
                "reserve_x402_payment" => {
                    json!({"payment": "", "requirements": offers, "endpoint": RESOURCE})
                }
                "settle_x402_reservation" => {
                    json!({"reservation_id": id, "facilitator_response": null})
                }
                _ => json!({"reservation_id": id}),
            };
            let request = Call::post(format!("/rpc/{name}"), &body);
            assert_eq!(server.answer(&request).error(), (401, "42501"), "{name}");
            assert_eq!(
                server.answer(&request.bearer(&user)).error(),
                (403, "42501"),
                "{name}"
            );
        }
        let states: Vec<String> = superuser
            .query(
                "SELECT state FROM insforge_integrations.x402_reservations",
                &[],
            )
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(states, ["reserved"]);
    }
}

/// The books as CSV, as a spreadsheet asks for them.
#[test]
fn the_books_are_read_as_csv() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        superuser
            .batch_execute(
                r#"INSERT INTO insforge_integrations.x402_settlements
                     (id, created_at, tx_hash, payer_address, endpoint, amount, network, asset, response_summary, is_mock)
                   SELECT gen_random_uuid(), '2026-01-31 23:59:59+00', '0x' || lpad(n::text, 64, '0'), '0x' || repeat('ab', 20), endpoint, amount,
                          'eip155:31612', '0xdd468a1ddc392dcdbef6db6e34e89aa338f9f186', 'says "yes", twice', false
                   FROM (VALUES (1, '/report', 12345678901234567890), (2, '=HYPERLINK("https://evil.example")', 1), (3, '@x', 1), (4, '+1', 1), (5, '-1', 1)) v (n, endpoint, amount);
                   SELECT correct_x402_settlement('0x' || lpad('1', 64, '0'), 'refund', 'a note', '12345678901234567889', reference => 'R-1')"#,
            )
            .unwrap();
        let server = Server::start(program, &database, SETUP);
        let admin = insforge_token("project_admin", None);
        let csv = |path: &str| {
            let call = Call::get(path).bearer(&admin).header("accept", "text/csv");
            let answer = server.answer(&call);
            assert_eq!(answer.status, 200, "{}: {answer:?}", program.version);
            answer.body.as_str().unwrap().to_owned()
        };
        assert_eq!(
            csv(
                "/x402_revenue?select=day,endpoint,chain,symbol,payments,amount,net,amount_in_units&day=eq.2026-01-31&order=endpoint"
            ),
            "day,endpoint,chain,symbol,payments,amount,net,amount_in_units\n\
             2026-01-31,'+1,mezo,mUSD,1,1,1,0.000000000000000001\n\
             2026-01-31,'-1,mezo,mUSD,1,1,1,0.000000000000000001\n\
             2026-01-31,\"'=HYPERLINK(\"\"https://evil.example\"\")\",mezo,mUSD,1,1,1,0.000000000000000001\n\
             2026-01-31,'@x,mezo,mUSD,1,1,1,0.000000000000000001\n\
             2026-01-31,/report,mezo,mUSD,1,12345678901234567890,12345678901234567890,12.345678901234567890"
        );
        // The ledger's own rows are as they were recorded.
        assert_eq!(
            csv(
                "/x402_payments?select=endpoint,amount,response_summary&endpoint=in.(/report,@x)&order=tx_hash"
            ),
            "endpoint,amount,response_summary\n\
             /report,12345678901234567890,\"says \"\"yes\"\", twice\"\n\
             @x,1,\"says \"\"yes\"\", twice\""
        );
        // In JSON, a cast keeps all digits for JavaScript.
        let call = Call::get("/x402_revenue?select=net::text&refunded=gt.0").bearer(&admin);
        assert_eq!(
            server.answer(&call).body,
            json!([{"net": "-12345678901234567889"}])
        );
        let call = Call::post(
            "/rpc/x402_receipt",
            &json!({"tx_hash": format!("0x{:064}", 1)}),
        )
        .bearer(&admin);
        let answer = server.answer(&call);
        assert_eq!(
            answer.body[0]["refunds"][0]["reference"], "R-1",
            "{answer:?}"
        );
        // Nobody else reads them.
        let user = insforge_token("authenticated", Some("user_1"));
        for path in ["/x402_revenue", "/rpc/x402_receipt?tx_hash=0x0"] {
            assert_eq!(
                server.answer(&Call::get(path)).error(),
                (401, "42501"),
                "{path}"
            );
            assert_eq!(
                server.answer(&Call::get(path).bearer(&user)).error(),
                (403, "42501"),
                "{path}"
            );
        }
    }
}
