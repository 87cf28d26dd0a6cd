//! Hostile payments: no stored row raises an error later, and no honest payment is blocked.

use std::sync::{Arc, Mutex};

use postgres::NoTls;

use super::shop::Shop;
use super::*;

/// A made-up signature, with a length that only the chain can check.
fn junk() -> Value {
    json!(format!("0x{}", "ab".repeat(66)))
}

/// A payment that nobody signed, with one member of its authorization changed.
fn unsigned(shop: &mut Shop, name: &str, value: &str) -> String {
    let header = shop.buyer.pay().0;
    let mut payment = shop.decoded(&header);
    payment["payload"]["signature"] = junk();
    payment["payload"]["authorization"][name] = json!(value);
    payment.to_string()
}

/// Everything that a server and its operator do with reservations.
fn use_everything(shop: &mut Shop) {
    for view in [
        "insforge_integrations.unsettled_x402_reservations",
        "insforge_integrations.undelivered_x402_reservations",
        "insforge_integrations.x402_totals",
        "x402_payments",
        "insforge_integrations.advise()",
    ] {
        let query = format!("SELECT * FROM {view}");
        shop.client
            .query(&query, &[])
            .unwrap_or_else(|error| panic!("{view}: {error:?}"));
    }
}

#[test]
fn no_time_of_a_payment_makes_anything_raise() {
    let mut shop = Shop::new();
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    for valid_before in [
        "9224318015701",
        "9224318015999",
        "9224318016000",
        "9223372036854775807",
        "18446744073709551616",
        largest,
    ] {
        let payment = unsigned(&mut shop, "validBefore", valid_before);
        let error = shop.reserve(&payment, None).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code().code(), "28000", "{valid_before}");
        assert!(
            error
                .detail()
                .unwrap()
                .starts_with("invalid_exact_evm_payload_authorization_valid_before: "),
            "{error:?}"
        );
        // Verification raises no error, whatever the payment contains.
        let row = shop
            .client
            .query_one(
                "SELECT invalid_reason, valid_before::text FROM insforge_integrations.verify_x402_payment($1, $2)",
                &[&payment, &shop.buyer.requirements],
            )
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), "needs_facilitator");
    }
    let payment = unsigned(&mut shop, "validBefore", "9224318015700");
    let (id, is_new) = shop.reserve(&payment, Some("the last one")).unwrap();
    assert!(is_new && shop.is_listed(&id));
    use_everything(&mut shop);
    let another = unsigned(&mut shop, "value", "10000");
    let error = shop.reserve(&another, Some("the last one")).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    assert_eq!(shop.resolve(&id, "failed", None).unwrap(), "failed");
    assert!(!shop.is_listed(&id));
}

#[test]
fn no_row_makes_a_view_or_a_function_raise() {
    let mut shop = Shop::new();
    for time in [
        "infinity",
        "-infinity",
        "294276-12-31 23:59:59.999999+00",
        "294276-12-31 23:55:00+00",
        "4714-11-24 00:00:00+00 BC",
    ] {
        for column in [
            "valid_before",
            "valid_after",
            "created_at",
            "settled_at",
            "delivered_at",
        ] {
            let key = format!("{time} {column}");
            let payment = shop.buyer.pay().0;
            let (id, _) = shop.reserve(&payment, Some(&key)).unwrap();
            let (settled, _) = shop.reserved();
            let hash = shop.new_hash();
            shop.settle(&settled, &json!({"success": true, "transaction": hash}));
            for id in [&id, &settled] {
                shop.superuser
                    .execute(
                        &format!("UPDATE insforge_integrations.x402_reservations SET {column} = '{time}' WHERE id = '{id}'"),
                        &[],
                    )
                    .unwrap();
            }
            use_everything(&mut shop);
            assert_eq!(
                shop.reserve(&payment, Some(&key)).unwrap(),
                (id.clone(), false)
            );
            let other = shop.buyer.pay().0;
            // Whether another may be reserved depends on the time; nothing else is raised.
            if let Err(error) = shop.reserve(&other, Some(&key)) {
                assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{key}");
            }
            assert_eq!(shop.resolve(&id, "failed", None).unwrap(), "failed");
        }
    }
}

#[test]
fn what_has_plainly_no_future_leaves_the_list() {
    let mut shop = Shop::new();
    for (reason, is_listed) in [
        ("invalid_exact_evm_payload_signature", false),
        ("invalid_exact_evm_signature", false),
        ("insufficient_funds", true),
        ("a reason of next year", true),
    ] {
        let payment = unsigned(&mut shop, "validBefore", "9224318015700");
        let (id, _) = shop.reserve(&payment, None).unwrap();
        assert!(shop.is_listed(&id));
        shop.settle(&id, &json!({"success": false, "errorReason": reason}));
        assert_eq!(shop.is_listed(&id), is_listed, "{reason}");
        // A signature that was verified here can be used, whatever the facilitator says.
        let (id, _) = shop.reserved();
        shop.settle(&id, &json!({"success": false, "errorReason": reason}));
        assert!(shop.is_listed(&id), "{reason}");
    }
}

#[test]
fn a_signature_that_was_not_verified_keeps_no_verified_payment_out() {
    let mut shop = Shop::new();
    let pay = |shop: &mut Shop| {
        let signed = shop.buyer.pay().0;
        let mut junked = shop.decoded(&signed);
        junked["payload"]["signature"] = junk();
        (signed, junked.to_string())
    };
    for (number, key) in [None, Some("a request")].into_iter().enumerate() {
        let (signed, junked) = pay(&mut shop);
        let (unverified, is_new) = shop.reserve(&junked, key).unwrap();
        assert!(is_new);
        let (verified, is_new) = shop.reserve(&signed, key).unwrap();
        assert!(is_new && verified != unverified);
        // Each is still reserved once.
        for payment in [&signed, &junked] {
            match (shop.reserve(payment, key), key) {
                (Ok((id, is_new)), Some(_)) => {
                    let expected = if payment == &signed {
                        &verified
                    } else {
                        &unverified
                    };
                    assert_eq!((&id, is_new), (expected, false));
                }
                (Err(error), None) => assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION)),
                other => panic!("{other:?}"),
            }
        }
        let hash = hash(900 + number as u64);
        let answer = json!({"success": true, "transaction": hash});
        assert_eq!(shop.settle(&verified, &answer).state, "settled");
        // The nonce is spent, so the other payment can never settle.
        assert!(!shop.is_listed(&unverified));
        assert_eq!(shop.settle(&unverified, &answer).state, "conflict");
        assert_eq!(shop.ledger(&hash), 1);
    }
    // In the other direction, a verified payment blocks an unverified one.
    let (signed, junked) = pay(&mut shop);
    shop.reserve(&signed, Some("another request")).unwrap();
    let error = shop.reserve(&junked, None).unwrap_err();
    assert_eq!(
        refused(&error).message(),
        "this authorization is reserved already"
    );
    let other = unsigned(&mut shop, "value", "10000");
    let error = shop.reserve(&other, Some("another request")).unwrap_err();
    assert_eq!(
        refused(&error).message(),
        "another authorization is reserved under this idempotency key"
    );
}

#[test]
fn a_payment_that_takes_an_unknown_offer_is_not_reserved() {
    let mut shop = Shop::new();
    let known = shop.buyer.requirements.clone();
    for (name, value, reason) in [
        ("scheme", json!("aggr_deferred"), "unsupported_scheme"),
        ("network", json!("eip155:56"), "invalid_network"),
    ] {
        let mut other = known.clone();
        other[name] = value.clone();
        shop.buyer.requirements = json!([other, known]);
        let header = shop.buyer.pay().0;
        let mut payment = shop.decoded(&header);
        assert!(shop.reserve(&payment.to_string(), None).unwrap().1);
        payment[name] = value;
        let error = shop.reserve(&payment.to_string(), None).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code().code(), "28000");
        assert!(
            error.detail().unwrap().starts_with(&format!("{reason}: ")),
            "{error:?}"
        );
    }
}

#[test]
fn what_is_reserved_can_be_sent_on() {
    let mut shop = Shop::new();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (part, carried) in [
        ("\"\\u0000\"", None),
        ("{\"\\u0000\": 1}", None),
        ("\"\\ud800\"", None),
        ("1e999999", None),
        ("-1E-999999", None),
        (deep.as_str(), None),
        ("[1e300, \"\\ud83d\\ude00\", {\"a\": [[[]]]}]", Some(())),
    ] {
        let header = shop.buyer.pay().0;
        let payment = shop.decoded(&header).to_string();
        let payment = payment.replacen('{', &format!("{{\"more\": {part},"), 1);
        let reserved = shop.reserve(&payment, None);
        let Some(()) = carried else {
            let error = reserved.unwrap_err();
            let error = refused(&error);
            assert_eq!(
                error.code(),
                &SqlState::INVALID_TEXT_REPRESENTATION,
                "{part:.30}"
            );
            assert!(
                error.detail().unwrap().starts_with("invalid_payload: "),
                "{error:?}"
            );
            // The body of a request cannot be made of it by itself either, and says why.
            let error = shop
                .client
                .query_one(
                    "SELECT insforge_integrations.x402_facilitator_request($1, $2, 'okx')",
                    &[&payment, &shop.buyer.requirements],
                )
                .unwrap_err();
            assert_eq!(
                refused(&error).message(),
                "invalid x402 header",
                "{part:.30}"
            );
            continue;
        };
        for facilitator in ["okx", "x402"] {
            let row = shop
                .client
                .query_one(
                    "SELECT insforge_integrations.x402_facilitator_request($1::text::uuid, $2) #>> '{paymentPayload, more, 1}'",
                    &[&reserved.as_ref().unwrap().0, &facilitator],
                )
                .unwrap();
            assert_eq!(row.get::<_, &str>(0), "😀");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_is_kept_and_warned_of() {
    let mut shop = Shop::new();
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let mut client = shop
        .config()
        .user("project_admin")
        .notice_callback(move |notice| {
            assert_eq!(notice.severity(), "WARNING");
            heard
                .lock()
                .unwrap()
                .push(notice.detail().unwrap_or_default().to_owned());
        })
        .connect(NoTls)
        .unwrap();
    for (answer, detail) in [
        (
            json!({"success": true, "transaction": hash(0)}),
            "transaction: ",
        ),
        (
            json!({"success": true, "transaction": [hash(1)]}),
            "transaction: ",
        ),
        (
            json!({"success": true, "transaction": hash(1), "txHash": {}}),
            "txHash: ",
        ),
        (
            json!({"success": "yes", "transaction": hash(1)}),
            "success: ",
        ),
        (
            json!({"success": true, "transaction": hash(1), "status": true}),
            "status: ",
        ),
        (
            json!({"success": true, "transaction": hash(1), "network": ["eip155:196"]}),
            "network: ",
        ),
        (json!({"code": 0, "data": "settled"}), "data: "),
    ] {
        let (id, _) = shop.reserved();
        let row = client
            .query_one(
                "SELECT state FROM settle_x402_reservation($1::text::uuid, $2)",
                &[&id, &answer],
            )
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), "conflict", "{answer}");
        let warned = std::mem::take(&mut *warnings.lock().unwrap());
        assert!(
            warned.len() == 1 && warned[0].starts_with(detail),
            "{answer}: {warned:?}"
        );
        let kept: Value = shop
            .superuser
            .query_one(
                "SELECT answers -> 0 -> 'answer' FROM insforge_integrations.x402_reservations WHERE id::text = $1",
                &[&id],
            )
            .unwrap()
            .get(0);
        assert_eq!(kept, answer);
        assert!(shop.is_listed(&id));
    }
    assert_eq!(shop.ledger(&hash(1)), 0);
}
