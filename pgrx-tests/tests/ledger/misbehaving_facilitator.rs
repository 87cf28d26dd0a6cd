//! A shop, a buyer and a facilitator with every kind of behaviour.

use insforge_integrations_tests::paid_endpoint::stored;

use super::*;

#[test]
fn nobody_pays_twice_and_nothing_is_delivered_twice() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    let socket = shared_cluster().socket_directory().to_str().unwrap();
    let mut shop = Process::start("x402_shop.mjs", &[socket, database.name()]).unwrap();
    for shape in ["okx_v1", "okx_v2", "x402"] {
        // The reservation's new state, and whether the money has moved.
        for (behaviour, state, moved) in [
            ("success", "settled", true),
            ("pending", "pending", true),
            ("timeout_then_landed", "pending", false),
            ("failure", "failed", false),
            ("used_nonce", "pending", true),
            ("duplicate_success", "settled", true),
            ("another_payment", "conflict", false),
            ("cut_after_settling", "pending", true),
        ] {
            let case = format!("{shape} {behaviour}");
            shop.ask(&json!({"behaviour": behaviour, "shape": shape}))
                .unwrap();
            let bought = shop.ask(&json!({"buy": case})).unwrap();
            let expected = if state == "settled" { 200 } else { 402 };
            assert_eq!(bought["status"], expected, "{case}: {bought}");
            let (id, found, transaction, is_listed) = stored(&mut superuser, &bought);
            assert_eq!(found, state, "{case}");
            let landed = shop.ask(&json!({"landed": bought["nonce"]})).unwrap();
            assert_eq!(landed["hash"].is_string(), moved, "{case}");
            // Money that moved is in the ledger, or in the list of payments to look up.
            assert_eq!(
                transaction.as_deref(),
                landed["hash"].as_str().filter(|_| state == "settled"),
                "{case}"
            );
            assert_eq!(is_listed, state != "settled", "{case}");

            // The same header again, with the key, without, and under another: nothing is
            // delivered.
            for key in [json!(case), Value::Null, json!("another")] {
                let again = shop
                    .ask(&json!({"replay": bought["header"], "key": key}))
                    .unwrap();
                assert_ne!(again["status"], 200, "{case} {key}: {again}");
            }
            // The buyer signs again for the same request, and the shop refuses it.
            let anew = shop.ask(&json!({"buy": case})).unwrap();
            assert_eq!(anew["status"], 409, "{case}: {anew}");
            let paid = shop.ask(&json!({"landed": anew["nonce"]})).unwrap();
            assert_eq!(paid["hash"], Value::Null, "{case}");

            // A payment that landed is entered and delivered once.
            shop.ask(&json!({"land": true})).unwrap();
            let landed = shop.ask(&json!({"landed": bought["nonce"]})).unwrap();
            if let (Some(hash), true) = (landed["hash"].as_str(), state == "pending") {
                client
                    .query_one(
                        "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, 'settled', $2)",
                        &[&id, &hash],
                    )
                    .unwrap();
                let replay = json!({"replay": bought["header"], "key": case});
                assert_eq!(shop.ask(&replay).unwrap()["status"], 200, "{case}");
                assert_eq!(shop.ask(&replay).unwrap()["status"], 409, "{case}");
            }
        }
    }
}
