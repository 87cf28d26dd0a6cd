//! Permits for Permit2. The payments are `@x402/evm` 2.27's own, and its facilitator's verify()
//! accepts them and refuses each change with the reason given here.

use serde_json::{Value, json};

use super::{PAY_TO, Rows, THEN};
use crate::eip712;
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::keccak::keccak256;
use crate::x402::Scheme;
use crate::x402::authorization::{PERMIT2, permit2_separator, spender};
use crate::x402::payment::Payment;
use crate::x402::reservable::Reservable;
use crate::x402::verify::{Payer, verify};

const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub(super) const FACILITATOR: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
pub(super) const OTHER: &str = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub(super) fn exact() -> Value {
    let extra = json!({"name": "USDC", "version": "2", "assetTransferMethod": "permit2"});
    json!({
        "x402Version": 2,
        "accepted": {"scheme": "exact", "network": "eip155:84532", "amount": "10000", "asset": USDC, "payTo": PAY_TO,
                     "maxTimeoutSeconds": 300, "extra": extra},
        "payload": {
            "signature": "0xaf29798caf3b5eef3ed8507d8eccb6fd380c1a063593fe58c0ed9f596784021b079640773b5a3f5e0d3c2a53efecde9ba3055f0b845a6b4a0120b89ff07a72741b",
            "permit2Authorization": {
                "from": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F", "permitted": {"token": USDC, "amount": "10000"},
                "spender": "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
                "nonce": "51346218059428132148536996850248138258616819934414425941920483363657243608937",
                "deadline": "1740672400", "witness": {"to": PAY_TO, "validAfter": "0"}
            }
        }
    })
}

pub(super) fn upto() -> Value {
    let mut payment = exact();
    payment["accepted"]["scheme"] = json!("upto");
    payment["accepted"]["extra"]["facilitatorAddress"] = json!(FACILITATOR);
    payment["payload"] = json!({
        "signature": "0xcb33c81428cd4978764d5b6428b022ec0ef55ccb5bcd7eab0b6b635cae5f211733970a4659c672f995998be969efae001482d56349b0f9ce18d107683526caf81c",
        "permit2Authorization": {
            "from": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F", "permitted": {"token": USDC, "amount": "10000"},
            "spender": "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002",
            "nonce": "98200209221261964548800484847998602155983261332962110305519164825472514281524",
            "deadline": "1740672400",
            "witness": {"to": PAY_TO, "facilitator": FACILITATOR, "validAfter": "0"}
        }
    });
    payment
}

/// The usual rows, and mUSD without EIP-3009.
pub(super) fn rows() -> Rows {
    Rows::with(&[json!({
        "network": "eip155:84532", "address": OTHER, "symbol": "mUSD", "name": null, "version": null,
        "domain_separator": null, "transfer_method": "permit2", "is_builtin": true
    })])
}

pub(super) fn verdict_of(
    payment: &Value,
    offers: &Value,
    now: u64,
    payer: Payer,
) -> (String, String) {
    let rows = rows();
    let (payment, offers) = (payment.to_string(), offers.to_string());
    let verdict = verify(&payment, &offers, rows.registry(), now, payer).unwrap();
    match (verdict.is_valid(), verdict.refusal()) {
        (Some(true), None) => ("valid".to_owned(), String::new()),
        (_, Some(refusal)) => (refusal.reason.name().to_owned(), refusal.message.clone()),
        _ => panic!("no verdict"),
    }
}

fn reason(payment: &Value) -> (String, String) {
    verdict_of(payment, &payment["accepted"], THEN, Payer::Unknown)
}

fn typed_data(payment: &Value) -> Value {
    let members = |members: &[(&str, &str)]| -> Vec<Value> {
        members
            .iter()
            .map(|(name, of_type)| json!({"name": name, "type": of_type}))
            .collect()
    };
    let witness = match payment["accepted"]["scheme"] == "upto" {
        false => members(&[("to", "address"), ("validAfter", "uint256")]),
        true => members(&[
            ("to", "address"),
            ("facilitator", "address"),
            ("validAfter", "uint256"),
        ]),
    };
    json!({
        "types": {
            "PermitWitnessTransferFrom": members(&[("permitted", "TokenPermissions"), ("spender", "address"),
                ("nonce", "uint256"), ("deadline", "uint256"), ("witness", "Witness")]),
            "TokenPermissions": members(&[("token", "address"), ("amount", "uint256")]),
            "Witness": witness,
        },
        "primaryType": "PermitWitnessTransferFrom",
        "domain": {"name": "Permit2", "chainId": 84532, "verifyingContract": "0x000000000022D473030F116dDEE9F6B43aC78BA3"},
        "message": payment["payload"]["permit2Authorization"],
    })
}

#[test]
fn a_permit_hashes_as_its_typed_data() {
    let separator = permit2_separator("84532").unwrap();
    for payment in [exact(), upto()] {
        let typed = typed_data(&payment);
        assert_eq!(
            separator,
            eip712::domain_separator(&typed["domain"].to_string()).unwrap()
        );
        let text = payment.to_string();
        let signed = Payment::read(&text).unwrap().signed.unwrap();
        assert_eq!(
            signed.authorization.digest(&separator),
            eip712::digest(&typed.to_string()).unwrap()
        );
        let token = Address::parse(USDC).unwrap();
        assert_eq!(signed.authorization.nonce_contract(token), PERMIT2);
    }
    assert_eq!(permit2_separator("solana"), None);
    // The addresses are those of the specification (specs/schemes/{exact,upto}).
    assert_eq!(
        [spender(Scheme::Exact), spender(Scheme::Upto), PERMIT2].map(Address::checksummed),
        [
            "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
            "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002",
            "0x000000000022D473030F116dDEE9F6B43aC78BA3"
        ]
    );
    // Permit2's PermitHash.sol: the stub, the witness's type string of x402's contracts.
    let of_type = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)";
    assert_eq!(
        hexadecimal(&keccak256(of_type.as_bytes())),
        "0xebc156cd23678a74c94df13d772ef5478420637f0c94bd10d509e1dc98f521c7"
    );
}

#[test]
fn the_clients_permits_are_valid_in_their_window_only() {
    for payment in [exact(), upto()] {
        let at = |now| verdict_of(&payment, &payment["accepted"], now, Payer::Unknown).0;
        assert_eq!([at(0), at(THEN), at(1_740_672_394)], ["valid"; 3]);
        assert_eq!(at(1_740_672_395), "permit2_deadline_expired");
        // The nonce may be written with 0x, as in the specification's example of scheme upto.
        let rows = Rows::new();
        let mut same = payment.clone();
        let text = payment.to_string();
        let kept = Reservable::read(
            &text,
            &payment["accepted"].to_string(),
            rows.registry(),
            THEN,
            Payer::Unknown,
        );
        let kept = kept.unwrap();
        assert!(kept.is_signature_verified);
        let nonce = hexadecimal(&kept.authorization.nonce);
        same["payload"]["permit2Authorization"]["nonce"] = json!(nonce);
        assert_eq!(reason(&same).0, "valid");
    }
}

#[test]
fn one_changed_member_is_refused_with_the_reference_implementations_reason() {
    for payment in [exact(), upto()] {
        for (place, value, expected) in [
            ("spender", json!(OTHER), "invalid_permit2_spender"),
            (
                "spender",
                json!(PERMIT2.to_string()),
                "invalid_permit2_spender",
            ),
            (
                "witness/to",
                json!(OTHER),
                "invalid_permit2_recipient_mismatch",
            ),
            (
                "deadline",
                json!((THEN + 5).to_string()),
                "permit2_deadline_expired",
            ),
            (
                "witness/validAfter",
                json!((THEN + 1).to_string()),
                "permit2_not_yet_valid",
            ),
            ("permitted/amount", json!("9999"), "permit2_amount_mismatch"),
            (
                "permitted/amount",
                json!("10001"),
                "permit2_amount_mismatch",
            ),
            ("permitted/token", json!(OTHER), "permit2_token_mismatch"),
            // Only the signature notices these.
            (
                "deadline",
                json!((THEN + 6).to_string()),
                "invalid_permit2_signature",
            ),
            (
                "witness/validAfter",
                json!("1"),
                "invalid_permit2_signature",
            ),
            ("nonce", json!("1"), "invalid_permit2_signature"),
            ("from", json!(OTHER), "invalid_permit2_signature"),
        ] {
            let mut changed = payment.clone();
            let place = format!("/payload/permit2Authorization/{place}");
            *changed.pointer_mut(&place).unwrap() = value;
            let (reason, message) = reason(&changed);
            assert_eq!(reason, expected, "{place}: {message}");
            let member = place.trim_start_matches('/').replace('/', ".");
            let is_named = message.starts_with(&member) || expected.ends_with("signature");
            assert!(is_named, "{place}: {message}");
        }
    }
    let mut changed = upto();
    changed["payload"]["permit2Authorization"]["witness"]["facilitator"] = json!(OTHER);
    assert_eq!(reason(&changed).0, "upto_facilitator_mismatch");
    // A permit of one scheme is none of the other.
    let mut swapped = exact();
    swapped["payload"] = upto()["payload"].clone();
    assert_eq!(reason(&swapped).0, "invalid_permit2_spender");
    let mut swapped = upto();
    swapped["payload"] = exact()["payload"].clone();
    let (reason, message) = reason(&swapped);
    assert_eq!(reason, "invalid_payload");
    assert!(message.starts_with("payload.permit2Authorization.witness.facilitator:"));
}

#[test]
fn each_part_of_a_permit_that_is_missing_or_of_another_kind_is_named() {
    for place in [
        "from",
        "permitted",
        "permitted.token",
        "permitted.amount",
        "spender",
        "nonce",
        "deadline",
        "witness",
        "witness.to",
        "witness.validAfter",
        "witness.facilitator",
    ] {
        let pointer = format!("/payload/permit2Authorization/{}", place.replace('.', "/"));
        for wrong in [
            Value::Null,
            json!(""),
            json!([]),
            json!(-1),
            json!("-1"),
            json!(true),
        ] {
            let mut payment = upto();
            *payment.pointer_mut(&pointer).unwrap() = wrong.clone();
            let (reason, message) = reason(&payment);
            assert_eq!(reason, "invalid_payload", "{place} {wrong}: {message}");
            let named = format!("payload.permit2Authorization.{place}:");
            assert!(message.starts_with(&named), "{place} {wrong}: {message}");
        }
    }
    let mut payment = exact();
    payment["payload"]["permit2Authorization"] = Value::Null;
    assert_eq!(reason(&payment).0, "invalid_payload");
}

#[test]
fn a_payment_moves_the_token_as_the_offer_says() {
    let mut offered = exact();
    offered["accepted"]["extra"]["assetTransferMethod"] = json!("eip3009");
    let (reason, message) = reason(&offered);
    assert_eq!(reason, "unsupported_payload_type");
    assert_eq!(
        message,
        "payload.permit2Authorization: The offer is for \"eip3009\"."
    );
    let mut authorized = exact();
    authorized["payload"] = super::payment()["payload"].clone();
    let offers = authorized["accepted"].clone();
    let (reason, _) = verdict_of(&authorized, &offers, THEN, Payer::Unknown);
    assert_eq!(reason, "unsupported_payload_type");
    // Offers of both ways side by side: each payment fits its own.
    let mut other = offers.clone();
    other["extra"]["assetTransferMethod"] = json!("eip3009");
    let both = json!([other, offers, upto()["accepted"]]);
    for payment in [exact(), upto()] {
        assert_eq!(verdict_of(&payment, &both, THEN, Payer::Unknown).0, "valid");
    }
    let (reason, message) = verdict_of(&upto(), &json!([other, offers]), THEN, Payer::Unknown);
    assert_eq!(reason, "unsupported_scheme");
    assert_eq!(message, "scheme: There is no offer with this scheme.");
    // The specification's example of an accepted offer leaves the facilitator out.
    let mut without = upto();
    without["accepted"]["extra"] = json!({"name": "USDC", "version": "2"});
    let offers = upto()["accepted"].clone();
    assert_eq!(
        verdict_of(&without, &offers, THEN, Payer::Unknown).0,
        "valid"
    );
    without["accepted"]["extra"]["facilitatorAddress"] = json!(OTHER);
    assert_eq!(
        verdict_of(&without, &offers, THEN, Payer::Unknown).0,
        "invalid_payment_requirements"
    );
}

/// A smart wallet's signature of 65 bytes looks like that of a key (Safe, EIP-7702).
#[test]
fn a_payer_with_code_may_sign_in_any_way() {
    for (payment, place, wrong_key) in [
        (exact(), "permit2Authorization", "invalid_permit2_signature"),
        (upto(), "permit2Authorization", "invalid_permit2_signature"),
    ] {
        let of = |payment: &Value, payer| verdict_of(payment, &payment["accepted"], THEN, payer);
        for signature in [
            "0x".to_owned(),
            format!("0x{}", "ab".repeat(65)),
            format!("0x{}00", "11".repeat(64)),
        ] {
            let mut changed = payment.clone();
            changed["payload"]["signature"] = json!(signature);
            assert_eq!(of(&changed, Payer::Unknown).0, wrong_key);
            assert_eq!(of(&changed, Payer::HasCode).0, "needs_facilitator");
            // Everything else must fit.
            changed["payload"][place]["deadline"] = json!("1");
            assert_eq!(of(&changed, Payer::HasCode).0, "permit2_deadline_expired");
        }
        // The payer's key proves the payment also at an address with code.
        assert_eq!(of(&payment, Payer::HasCode).0, "valid");
        let mut longer = payment.clone();
        longer["payload"]["signature"] = json!(format!("0x{}", "ab".repeat(66)));
        assert_eq!(of(&longer, Payer::Unknown).0, "needs_facilitator");
    }
    let (mut payment, offers) = (super::payment(), super::requirements());
    payment["payload"]["authorization"]["nonce"] = json!(format!("0x{}", "11".repeat(32)));
    let (reason, message) = verdict_of(&payment, &offers, THEN, Payer::Unknown);
    assert_eq!(reason, "invalid_exact_evm_payload_signature");
    assert!(message.contains("payer_is_contract => true"), "{message}");
    let (reason, _) = verdict_of(&payment, &offers, THEN, Payer::HasCode);
    assert_eq!(reason, "needs_facilitator");
    let rows = Rows::new();
    let (text, own) = (payment.to_string(), offers.to_string());
    let kept = Reservable::read(&text, &own, rows.registry(), THEN, Payer::HasCode).unwrap();
    assert!(!kept.is_signature_verified);
    // In version 1, the offer whose token the payer's key signed for is taken before another one.
    let rows = Rows::with(&[json!({
        "network": "eip155:84532", "address": OTHER, "symbol": "EURC", "name": "EURC", "version": "2",
        "domain_separator": null, "is_builtin": true
    })]);
    let mut euro = offers.clone();
    euro["asset"] = json!(OTHER);
    euro["extra"] = Value::Null;
    let text = super::payment().to_string();
    for both in [json!([euro, offers]), json!([offers, euro])] {
        let both = both.to_string();
        let kept = Reservable::read(&text, &both, rows.registry(), THEN, Payer::HasCode).unwrap();
        assert!(kept.is_signature_verified && kept.terms.asset.symbol == "USDC");
    }
}
