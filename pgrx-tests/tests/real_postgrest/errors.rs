//! The ledger's errors over HTTP.

use serde_json::json;

use super::server::{Call, Server, Setup, programs};
use super::{insforge_token, prepared};

const RECORD: &str = "/rpc/record_x402_settlement";

#[test]
fn errors_of_the_ledger_have_their_status() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        let setup = Setup {
            pre_request: None,
            pool: 10,
        };
        let server = Server::start(program, &database, setup);
        let admin = insforge_token("project_admin", None);
        let payment = json!({
            "tx_hash": format!("0x{}", "ab".repeat(32)),
            "payer_address": "0x857b06519E91e3A54538791bDbb0E22373e36b66",
            "endpoint": "https://api.example.com/report",
            "amount": "10000",
        });
        let with = |name: &str, value: serde_json::Value| {
            let mut changed = payment.clone();
            changed[name] = value;
            Call::post(RECORD, &changed)
        };
        let as_admin = |call: Call| server.answer(&call.bearer(&admin));

        let recorded = as_admin(Call::post(RECORD, &payment));
        assert_eq!(recorded.status, 200, "{recorded:?}");
        let duplicate = as_admin(Call::post(RECORD, &payment));
        assert_eq!(duplicate.error(), (409, "23505"), "{duplicate:?}");
        let repeated = as_admin(with("idempotent", json!(true)));
        assert_eq!((repeated.status, &repeated.body), (200, &recorded.body));
        for (call, status, code) in [
            (with("tx_hash", json!("0x12")), 400, "22P02"),
            (with("payer_address", json!("nobody")), 400, "22P02"),
            (with("status", json!("pending")), 400, "22023"),
            (with("amount", json!("-1")), 400, "22023"),
            (with("unknown", json!(1)), 404, "PGRST202"),
        ] {
            let answer = as_admin(call.clone());
            assert_eq!(answer.error(), (status, code), "{call:?}: {answer:?}");
        }
        // A GET is a read-only transaction.
        let query = "tx_hash=0x12&payer_address=0x12&endpoint=x&amount=1";
        let by_get = as_admin(Call::get(format!("{RECORD}?{query}")));
        assert_eq!(
            by_get.status,
            if by_get.body["code"] == "25006" {
                405
            } else {
                400
            },
            "{by_get:?}"
        );

        let call = Call::post(RECORD, &payment);
        assert_eq!(server.answer(&call).error(), (401, "42501"));
        let user = insforge_token("authenticated", Some("user_1"));
        assert_eq!(server.answer(&call.bearer(&user)).error(), (403, "42501"));
        for path in ["/x402_payments", "/x402_payments?status=eq.settled"] {
            assert_eq!(server.answer(&Call::get(path)).error(), (401, "42501"));
            assert_eq!(
                server.answer(&Call::get(path).bearer(&user)).error(),
                (403, "42501")
            );
            let rows = as_admin(Call::get(path));
            assert_eq!(
                (rows.status, rows.body.as_array().map(Vec::len)),
                (200, Some(1))
            );
        }
        let change = json!({"status": "failed"});
        for method in ["PATCH", "DELETE"] {
            let call = Call::post("/x402_payments?status=eq.settled", &change).method(method);
            assert_eq!(as_admin(call).error(), (403, "42501"), "{method}");
        }
        let count = "SELECT count(*) FROM insforge_integrations.x402_settlements";
        assert_eq!(superuser.query_one(count, &[]).unwrap().get::<_, i64>(0), 1);
    }
}

/// The guide's server inserts into the view, in every form in which PostgREST inserts.
#[test]
fn the_guides_insert_goes_through_the_view() {
    for program in programs() {
        let (database, _superuser) = prepared();
        let setup = Setup {
            pre_request: None,
            pool: 10,
        };
        let server = Server::start(program, &database, setup);
        let admin = insforge_token("project_admin", None);
        let payment = |number: u32| {
            json!({
                "tx_hash": format!("0x{number:08X}{:056x}", 1),
                "payer_address": "0x857b06519E91e3A54538791bDbb0E22373e36b66",
                "endpoint": "/api/report", "amount": "1", "status": "settled", "response_summary": "a report",
            })
        };
        let insert = |query: &str, rows: &serde_json::Value| {
            Call::post(format!("/x402_payments{query}"), rows).bearer(&admin)
        };
        let silent = server.answer(&insert("", &json!([payment(1)])));
        assert_eq!(silent.status, 201, "{silent:?}");
        let both = json!([payment(10), payment(11)]);
        let both = insert("?select=tx_hash,chain", &both).header("prefer", "return=representation");
        let both = server.answer(&both);
        let stored = |number: u32| json!({"tx_hash": format!("0x{number:08x}{:056x}", 1), "chain": "xlayer"});
        assert_eq!(
            (both.status, &both.body),
            (201, &json!([stored(10), stored(11)]))
        );
        // Only the second row has an id: PostgREST gives the first NULL.
        let mut with_id = payment(13);
        with_id["id"] = json!("00000000-0000-4000-8000-000000000000");
        let columns = "?columns=id,tx_hash,payer_address,endpoint,amount";
        for (call, expected) in [
            (insert("", &payment(1)), (409, "23505")),
            (
                insert("", &json!([payment(12), payment(1)])),
                (409, "23505"),
            ),
            (
                insert(columns, &json!([payment(12), with_id])),
                (400, "22023"),
            ),
            (
                insert("?on_conflict=tx_hash", &payment(12))
                    .header("prefer", "resolution=ignore-duplicates"),
                (400, "42P10"),
            ),
            (
                insert("?on_conflict=tx_hash", &payment(1))
                    .header("prefer", "resolution=merge-duplicates"),
                (403, "42501"),
            ),
            (
                insert("?tx_hash=eq.0x", &json!({"amount": "0"})).method("PATCH"),
                (403, "42501"),
            ),
            (Call::post("/x402_payments", &payment(12)), (401, "42501")),
            (
                Call::post("/x402_payments", &payment(12))
                    .bearer(&insforge_token("authenticated", Some("alice"))),
                (403, "42501"),
            ),
        ] {
            let answer = server.answer(&call);
            assert_eq!(
                answer.error(),
                expected,
                "{} {call:?}: {answer:?}",
                program.version
            );
        }
        let all = server.answer(&Call::get("/x402_payments?select=tx_hash").bearer(&admin));
        assert_eq!(all.body.as_array().unwrap().len(), 3, "{all:?}");
    }
}
