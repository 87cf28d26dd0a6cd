//! Payments that can be reserved. The payment is the specification's. The reasons are from its
//! section 9, in the order of the checks in specs/schemes/exact/scheme_exact_evm.md.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k256::ecdsa::SigningKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PAY_TO, Rows, THEN, payment, requirements};
use crate::eip712;
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::integer::digits;
use crate::json::Json;
use crate::x402::Error;
use crate::x402::facilitator::{self, Facilitator};
use crate::x402::reservable::Reservable;
use crate::x402::verify::Payer;

/// The stored parts of a payment, or the reason's name and its sentence.
fn read<T>(
    payment: &str,
    requirements: &Value,
    now: u64,
    kept: impl FnOnce(&Reservable) -> T,
) -> Result<T, (String, String)> {
    let rows = Rows::new();
    match Reservable::read(
        payment,
        &requirements.to_string(),
        rows.registry(),
        now,
        Payer::Unknown,
    ) {
        Ok(reservable) => Ok(kept(&reservable)),
        Err(Error::PaymentRejected(refusal)) => {
            Err((refusal.reason.name().to_owned(), refusal.message))
        }
        Err(other) => Err((format!("{other:?}"), String::new())),
    }
}

fn reason(payment: &Value, now: u64) -> String {
    match read(&payment.to_string(), &requirements(), now, |_| ()) {
        Ok(()) => "reserved".to_owned(),
        Err((reason, _)) => reason,
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The same payment in version 2, accepting `offer`.
fn second(mut offer: Value) -> (Value, Value) {
    let members = offer.as_object_mut().unwrap();
    let amount = members.remove("maxAmountRequired").unwrap();
    members.insert("amount".to_owned(), amount);
    members.insert("network".to_owned(), json!("eip155:84532"));
    let payment =
        json!({"x402Version": 2, "accepted": offer, "payload": payment()["payload"].clone()});
    (payment, offer)
}

#[test]
fn the_payment_of_the_specification_is_kept_as_it_came() {
    let (of_version_2, offer_2) = second(requirements());
    for (payment, offer) in [(payment(), requirements()), (of_version_2, offer_2)] {
        // A number that a float would round stays.
        let text = payment
            .to_string()
            .replacen('{', "{\"more\": 9007199254740993,", 1);
        for header in [text.clone(), STANDARD.encode(&text)] {
            read(&header, &offer, THEN, |kept| {
                assert_eq!(kept.payment, text);
                assert_eq!(parsed(kept.requirement.get()), offer);
                assert!(kept.is_signature_verified);
                assert_eq!(kept.identifier, None);
                let signed = &kept.authorization;
                assert_eq!(
                    signed.from.checksummed(),
                    "0x857b06519E91e3A54538791bDbb0E22373e36b66"
                );
                assert_eq!(signed.to.checksummed(), PAY_TO);
                assert_eq!(
                    [&signed.value, &signed.valid_after, &signed.valid_before].map(digits),
                    ["10000", "1740672089", "1740672154"]
                );
                assert_eq!(
                    hexadecimal(&signed.nonce),
                    "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"
                );
                assert_eq!(
                    (
                        kept.terms.network.network.as_str(),
                        kept.terms.asset.symbol.as_str()
                    ),
                    ("eip155:84532", "USDC")
                );
            })
            .unwrap();
        }
    }
}

#[test]
fn the_one_requirement_that_is_paid_is_kept_with_its_network() {
    let mut dearer = requirements();
    dearer["maxAmountRequired"] = json!("10001");
    let mut guides = requirements();
    guides.as_object_mut().unwrap().remove("network");
    guides["outputSchema"] = json!({"more": true});
    let mut named = guides.clone();
    named["network"] = json!("base-sepolia");
    let text = payment().to_string();
    for offers in [
        guides.clone(),
        json!([dearer, guides, requirements()]),
        json!({"x402Version": 1, "accepts": [dearer, guides]}),
    ] {
        let kept = read(&text, &offers, THEN, |kept| parsed(kept.requirement.get())).unwrap();
        assert_eq!(kept, named, "{offers}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_specifications_reason() {
    let longer = format!("{}00", payment()["payload"]["signature"].as_str().unwrap());
    for (place, wrong, expected) in [
        ("/x402Version", json!(3), "invalid_x402_version"),
        ("/scheme", json!("upto"), "unsupported_scheme"),
        ("/network", json!("eip155:196"), "invalid_network"),
        (
            "/payload/signature",
            json!("0x"),
            "invalid_exact_evm_payload_signature",
        ),
        (
            "/payload/authorization/value",
            json!("10001"),
            "invalid_exact_evm_payload_signature",
        ),
        (
            "/payload/authorization/nonce",
            json!("0x"),
            "invalid_payload",
        ),
        (
            "/payload/authorization/from",
            json!(PAY_TO),
            "invalid_exact_evm_payload_signature",
        ),
    ] {
        let mut payment = payment();
        *payment.pointer_mut(place).unwrap() = wrong;
        assert_eq!(reason(&payment, THEN), expected, "{place}");
    }
    // A contract's signature proves nothing here. Everything else is checked.
    for (place, wrong, expected) in [
        (
            "to",
            json!("0x857b06519E91e3A54538791bDbb0E22373e36b66"),
            "invalid_exact_evm_payload_recipient_mismatch",
        ),
        (
            "value",
            json!("9999"),
            "invalid_exact_evm_payload_authorization_value",
        ),
        (
            "validBefore",
            json!(THEN + 5),
            "invalid_exact_evm_payload_authorization_valid_before",
        ),
        (
            "validAfter",
            json!(THEN + 1),
            "invalid_exact_evm_payload_authorization_valid_after",
        ),
        (
            "from",
            json!("0x0000000000000000000000000000000000000000"),
            "invalid_exact_evm_payload_signature",
        ),
        ("value", json!("10000"), "reserved"),
        ("validBefore", json!(THEN + 6), "reserved"),
    ] {
        let mut payment = payment();
        payment["payload"]["signature"] = json!(longer);
        payment["payload"]["authorization"][place] = wrong.clone();
        assert_eq!(reason(&payment, THEN), expected, "{place} {wrong}");
    }
    assert_eq!(reason(&payment(), 1_740_672_089), "reserved");
    assert_eq!(
        reason(&payment(), 1_740_672_088),
        "invalid_exact_evm_payload_authorization_valid_after"
    );
    for text in ["", "{", "AAAA", "null"] {
        let (reason, _) = read(text, &requirements(), THEN, |_| ()).unwrap_err();
        assert_eq!(reason, "invalid_payload", "{text}");
    }
    // Faults of the requirements are the seller's, and not a reason to refuse a payment.
    let mut wrong = requirements();
    wrong["extra"]["name"] = json!("USD Coin");
    let (error, _) = read(&payment().to_string(), &wrong, THEN, |_| ()).unwrap_err();
    assert!(error.starts_with("InvalidRequirements"), "{error}");
}

#[test]
fn a_contracts_signature_is_kept_and_not_called_verified() {
    for (length, is_kept) in [(64, false), (65, false), (66, true), (1000, true)] {
        let mut payment = payment();
        payment["payload"]["signature"] = json!(format!("0x{}", "ab".repeat(length)));
        let kept = read(&payment.to_string(), &requirements(), THEN, |kept| {
            kept.is_signature_verified
        });
        assert_eq!(kept.ok(), is_kept.then_some(false), "{length}");
    }
}

/// Extension `payment-identifier`: `info.id`, 16 to 128 of `[A-Za-z0-9_-]`.
#[test]
fn the_buyers_name_for_the_request_is_read_or_refused() {
    let (of_version_2, offer_2) = second(requirements());
    let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
    for (payment, offer) in [(payment(), requirements()), (of_version_2, offer_2)] {
        let identifier = |extensions: &Value| {
            let mut payment = payment.clone();
            payment["extensions"] = extensions.clone();
            read(&payment.to_string(), &offer, THEN, |kept| {
                kept.identifier.clone()
            })
        };
        for id in ["pay_0123456789-A", "7d5d747be160e280", longest.as_str()] {
            for info in [json!({"id": id}), json!({"required": true, "id": id})] {
                let extensions = json!({"payment-identifier": {"info": info, "schema": {}}});
                assert_eq!(identifier(&extensions).unwrap().as_deref(), Some(id));
            }
        }
        for id in [
            json!("fifteen-letters"),
            json!(too_long),
            json!(""),
            json!("sixteen letters!"),
            json!("sechzehn-zeichen-ä"),
            json!("a-line-end-at-the\n"),
            json!(1_234_567_890_123_456_u64),
        ] {
            let (reason, message) =
                identifier(&json!({"payment-identifier": {"info": {"id": id}}})).unwrap_err();
            assert_eq!(reason, "invalid_payload", "{id}");
            assert!(message.starts_with("extensions.payment-identifier.info.id"));
        }
        for without in [json!({}), json!({"bazaar": {"info": {"id": "x"}}})] {
            assert_eq!(identifier(&without).unwrap(), None, "{without}");
        }
    }
}

/// A payment of `value` to PAY_TO, signed like a wallet over the typed data. The tests of `eip712`
/// compare its hash with viem's.
fn signed(key: &SigningKey, value: u64, valid_before: u64, nonce: [u8; 32]) -> Value {
    let public = key.verifying_key().to_sec1_point(false);
    let from = Address::of_public_key(&public.as_bytes()[1..]).checksummed();
    let authorization = json!({
        "from": from, "to": PAY_TO, "value": value.to_string(), "validAfter": "0",
        "validBefore": valid_before.to_string(), "nonce": hexadecimal(&nonce)
    });
    let member = |name, of_type| json!({"name": name, "type": of_type});
    let typed_data = json!({
        "types": {"TransferWithAuthorization": [
            member("from", "address"), member("to", "address"), member("value", "uint256"),
            member("validAfter", "uint256"), member("validBefore", "uint256"), member("nonce", "bytes32")]},
        "primaryType": "TransferWithAuthorization",
        "domain": {"name": "USDC", "version": "2", "chainId": 84532,
                   "verifyingContract": "0x036cbd53842c5426634e7929541ec2318f3dcf7e"},
        "message": authorization,
    });
    let digest = eip712::digest(&typed_data.to_string()).unwrap();
    let (signature, recovery) = key.sign_prehash_recoverable(&digest);
    let mut bytes = signature.to_bytes().to_vec();
    bytes.push(27 + recovery.to_byte());
    json!({"x402Version": 1, "scheme": "exact", "network": "base-sepolia",
           "payload": {"signature": hexadecimal(&bytes), "authorization": authorization}})
}

proptest! {
    #[test]
    fn whoever_signs_is_reserved_for_exactly_what_was_asked(
        key in any::<[u8; 32]>(), nonce in any::<[u8; 32]>(), price in 1u64.., more in -1i64..=1, left in 0u64..12,
    ) {
        let Ok(key) = SigningKey::from_slice(&key) else { return Ok(()) };
        let value = price.saturating_add_signed(more);
        let payment = signed(&key, value, THEN + left, nonce);
        let mut offer = requirements();
        offer["maxAmountRequired"] = json!(price.to_string());
        let kept = read(&payment.to_string(), &offer, THEN, |kept| {
            (digits(&kept.authorization.value), kept.authorization.from.checksummed(), kept.authorization.nonce)
        });
        let from = payment["payload"]["authorization"]["from"].as_str().unwrap().to_owned();
        let expected = match (value >= price, left >= 6) {
            (_, false) => Err("invalid_exact_evm_payload_authorization_valid_before".to_owned()),
            (false, true) => Err("invalid_exact_evm_payload_authorization_value".to_owned()),
            (true, true) => Ok((value.to_string(), from, nonce)),
        };
        prop_assert_eq!(kept.map_err(|(reason, _)| reason), expected);
    }

    /// Every reserved payment makes a facilitator's body that `jsonb` can hold, with any content in
    /// the parts that are not read.
    #[test]
    fn what_is_reserved_can_be_sent_on(
        text in r#"[a-z\\u08cd0"]{0,12}"#,
        number in "-?(0|[1-9][0-9]{0,4})([.][0-9]{1,4})?([eE][+-]?[0-9]{1,6})?",
        depth in 0usize..200,
    ) {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let more = format!("{{\"more\": [{open}{number}{close}, \"{text}\"],");
        let payment = payment().to_string().replacen('{', &more, 1);
        let rows = Rows::new();
        let offer = requirements().to_string();
        if let Ok(kept) = Reservable::read(&payment, &offer, rows.registry(), THEN, Payer::Unknown) {
            for name in ["okx", "x402"] {
                let facilitator = Facilitator::of_name(name).unwrap();
                let request = kept.request(facilitator).unwrap().unwrap();
                // Later calls make the same request from the stored texts.
                let later = facilitator::request(&kept.payment, kept.requirement.get(), name, None, rows.registry());
                prop_assert_eq!(&later.unwrap(), &request);
                let sent = Json::parse(&request.body).and_then(Json::members).unwrap()["paymentPayload"];
                prop_assert_eq!(sent.check_jsonb(), Ok(()));
            }
        }
    }

    /// Later calls use only the stored parts.
    #[test]
    fn what_is_kept_can_be_reserved_again_from_what_is_kept(
        place in 0usize..4, has_network in any::<bool>(), as_header in any::<bool>(),
    ) {
        let mut dearer = requirements();
        dearer["maxAmountRequired"] = json!("99999");
        let mut offers = vec![dearer; 3];
        let mut own = requirements();
        if !has_network {
            own.as_object_mut().unwrap().remove("network");
        }
        offers.insert(place, own);
        let text = payment().to_string();
        let header = if as_header { STANDARD.encode(&text) } else { text };
        let first = read(&header, &json!(offers), THEN, |kept| (kept.payment.clone(), kept.requirement.get().to_owned())).unwrap();
        let again = read(&first.0, &parsed(&first.1), THEN, |kept| (kept.payment.clone(), parsed(kept.requirement.get())));
        prop_assert_eq!(again, Ok((first.0, parsed(&first.1))));
    }
}

/// `timestamptz` ends with 294276-12-31, which is second 9224318015999, and a block may be five
/// minutes late.
#[test]
fn a_time_beyond_what_can_be_computed_with_is_refused() {
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let refused = "invalid_exact_evm_payload_authorization_valid_before";
    for (valid_before, expected) in [
        ("4102444800", "reserved"),
        ("9224318015700", "reserved"),
        ("9224318015701", refused),
        ("9224318015999", refused),
        ("9224318016000", refused),
        ("18446744073709551616", refused),
        (largest, refused),
    ] {
        let mut payment = payment();
        payment["payload"]["signature"] = json!(format!("0x{}", "ab".repeat(66)));
        payment["payload"]["authorization"]["validBefore"] = json!(valid_before);
        assert_eq!(reason(&payment, THEN), expected, "{valid_before}");
    }
}

/// Every reserved payment makes a facilitator's body that `jsonb` can hold, with any other content.
#[test]
fn what_jsonb_does_not_hold_is_refused() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (part, is_kept) in [
        ("\"\\u0000\"", false),
        ("\"\\ud800\"", false),
        ("1e999999", false),
        (deep.as_str(), false),
        ("{\"x\": [1e3, \"\\ud83d\\ude00\", null]}", true),
    ] {
        let text = payment()
            .to_string()
            .replacen('{', &format!("{{\"more\": {part},"), 1);
        for text in [text.clone(), STANDARD.encode(&text)] {
            let kept = read(&text, &requirements(), THEN, |_| ());
            let expected = if is_kept {
                Ok(())
            } else {
                Err("invalid_payload".to_owned())
            };
            assert_eq!(kept.map_err(|(reason, _)| reason), expected, "{part:.30}");
        }
    }
}
