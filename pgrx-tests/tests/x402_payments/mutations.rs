//! Each payment with one changed member, and each payment against other requirements.

use insforge_integrations_tests::node::Process;
use serde_json::{Value, json};

use super::{BUYERS, PAY_TO, database, pay, requirements, verify};

/// A payment with one member changed, and the specification's reason for refusing it.
fn mutations(payment: &Value) -> Vec<(&'static str, Value, &'static str)> {
    let is_second = payment["x402Version"] == 2;
    let authorization = &payment["payload"]["authorization"];
    let signature = payment["payload"]["signature"].as_str().unwrap();
    let flipped = format!(
        "{}{}",
        &signature[..130],
        if signature.ends_with("1b") {
            "1c"
        } else {
            "1b"
        }
    );
    let later = authorization["validBefore"]
        .as_str()
        .unwrap()
        .parse::<u64>()
        .unwrap()
        + 1;
    const SIGNATURE: &str = "invalid_exact_evm_payload_signature";
    let mut all = vec![
        (
            "/x402Version",
            json!(if is_second { 1 } else { 2 }),
            "invalid_payload",
        ),
        ("/x402Version", json!(3), "invalid_x402_version"),
        ("/x402Version", json!("1"), "invalid_x402_version"),
        // A changed member changes the message, so the signature is the first check that fails.
        ("/payload/authorization/from", json!(PAY_TO), SIGNATURE),
        (
            "/payload/authorization/to",
            json!("0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
            SIGNATURE,
        ),
        ("/payload/authorization/value", json!("10001"), SIGNATURE),
        ("/payload/authorization/validAfter", json!("1"), SIGNATURE),
        (
            "/payload/authorization/validBefore",
            json!(later.to_string()),
            SIGNATURE,
        ),
        (
            "/payload/authorization/nonce",
            json!(format!("0x{}", "11".repeat(32))),
            SIGNATURE,
        ),
        ("/payload/signature", json!(flipped), SIGNATURE),
        ("/payload/signature", json!(&signature[..130]), SIGNATURE),
        (
            "/payload/signature",
            json!(format!("{}25", &signature[..130])),
            SIGNATURE,
        ),
        ("/payload/signature", json!("0x"), SIGNATURE),
        ("/payload/signature", json!("signed"), "invalid_payload"),
        (
            "/payload/authorization/from",
            json!("0x1"),
            "invalid_payload",
        ),
        (
            "/payload/authorization/value",
            json!("0.01"),
            "invalid_payload",
        ),
        (
            "/payload/authorization/nonce",
            json!("0x11"),
            "invalid_payload",
        ),
        ("/payload", Value::Null, "invalid_payload"),
    ];
    if is_second {
        all.extend([
            ("/accepted/scheme", json!("upto"), "unsupported_scheme"),
            ("/accepted/network", json!("eip155:1"), "invalid_network"),
            (
                "/accepted/network",
                json!("eip155:987654321"),
                "invalid_network",
            ),
            (
                "/accepted/amount",
                json!("1"),
                "invalid_payment_requirements",
            ),
            (
                "/accepted/payTo",
                json!("0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
                "invalid_payment_requirements",
            ),
            (
                "/accepted/asset",
                json!("0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
                "invalid_payment_requirements",
            ),
            (
                "/accepted/maxTimeoutSeconds",
                json!(1),
                "invalid_payment_requirements",
            ),
            (
                "/accepted/extra/name",
                json!("USDG"),
                "invalid_payment_requirements",
            ),
            ("/accepted", json!("exact"), "invalid_payload"),
        ]);
    } else {
        all.extend([
            ("/scheme", json!("upto"), "unsupported_scheme"),
            ("/network", json!("ethereum"), "invalid_network"),
            ("/network", json!("nowhere"), "invalid_network"),
        ]);
    }
    all
}

#[test]
fn one_changed_member_is_refused_with_the_specifications_reason() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    for (buyer, version, network, asset) in BUYERS {
        let wanted = requirements(&mut client, version, network, asset);
        let paid = pay(&mut client, &mut buyers, buyer, &wanted);
        for (place, value, reason) in mutations(&paid["payment"]) {
            let mut payment = paid["payment"].clone();
            *payment.pointer_mut(place).unwrap() = value.clone();
            let verdict = verify(&mut client, &payment.to_string(), &wanted).unwrap();
            assert_eq!(verdict.is_valid, Some(false), "{buyer} {place} {value}");
            assert_eq!(
                verdict.reason.as_deref(),
                Some(reason),
                "{buyer} {place} {value}: {verdict:?}"
            );
            assert!(
                verdict
                    .message
                    .is_some_and(|message| message.ends_with('.'))
            );
        }
    }
}

#[test]
fn a_payment_for_other_requirements_is_refused_with_the_specifications_reason() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    for (buyer, version, network, asset) in BUYERS {
        let wanted = requirements(&mut client, version, network, asset);
        let paid = pay(&mut client, &mut buyers, buyer, &wanted);
        // Version 1 accepts more than the required amount, version 2 only that amount.
        let (amount, too_little, too_much) = match version {
            1 => (
                "maxAmountRequired",
                "invalid_exact_evm_payload_authorization_value",
                None,
            ),
            _ => (
                "amount",
                "invalid_exact_evm_payload_authorization_value_mismatch",
                Some("invalid_exact_evm_payload_authorization_value_mismatch"),
            ),
        };
        let other = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
        for (member, value, reason) in [
            (amount, "10001", Some(too_little)),
            (amount, "9999", too_much),
            (
                "payTo",
                other,
                Some("invalid_exact_evm_payload_recipient_mismatch"),
            ),
        ] {
            let mut offered = wanted.clone();
            offered[member] = json!(value);
            // In version 2, `accepted` is compared with the offer first, so it is made equal.
            let mut payment = paid["payment"].clone();
            if let Some(accepted) = payment.get_mut("accepted") {
                *accepted = offered.clone();
            }
            let verdict = verify(&mut client, &payment.to_string(), &offered).unwrap();
            assert_eq!(
                verdict.reason.as_deref(),
                reason,
                "{buyer} {member}: {verdict:?}"
            );
            assert_eq!(verdict.is_valid, Some(reason.is_none()));
        }
        let (network, asset) = if network == "xlayer" {
            ("base", "USDC")
        } else {
            ("xlayer", "USDG")
        };
        let elsewhere = requirements(&mut client, version, network, asset);
        let verdict = verify(&mut client, &paid["payment"].to_string(), &elsewhere).unwrap();
        assert_eq!(
            verdict.reason.as_deref(),
            Some("invalid_network"),
            "{buyer}: {verdict:?}"
        );
    }
}
