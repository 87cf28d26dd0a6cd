//! Payments from the x402 specification, and their requirements.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};

use super::authorization::Authorization;
use super::header::decode;
use super::registry::{AssetRow, Assets, Network, Networks, Registry};
use super::requirements::RequirementsArguments;
use super::verify::{Payer, verify};
use crate::eip712;
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::integer::U256;
use crate::evm::keccak::keccak256;
use crate::x402::Error;

mod answers;
mod any_answer;
mod any_event;
mod any_input;
mod any_offer;
mod challenge;
mod permit_offers;
mod permits;
mod reservable;
mod sellers;

const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
/// A time at which the specification's payment is valid.
const THEN: u64 = 1_740_672_100;

/// Base Sepolia and X Layer with a token each.
struct Rows(Networks, Assets);

impl Rows {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(more: &[Value]) -> Self {
        let networks = json!([
            {"network": "eip155:84532", "name": "base-sepolia", "v1_network": "base-sepolia", "is_builtin": true},
            {"network": "eip155:196", "name": "xlayer", "v1_network": "eip155:196", "is_builtin": true}
        ]);
        let mut assets = vec![
            json!({"network": "eip155:84532", "address": "0x036cbd53842c5426634e7929541ec2318f3dcf7e", "symbol": "USDC", "name": "USDC",
                   "version": "2", "domain_separator": "0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818", "is_builtin": true}),
            json!({"network": "eip155:196", "address": "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8", "symbol": "USDG", "name": "Global Dollar",
                   "version": "1", "domain_separator": null, "is_builtin": true}),
        ];
        assets.extend_from_slice(more);
        for asset in &mut assets {
            let has_chain_id = asset.get("has_chain_id").cloned().unwrap_or(json!(true));
            asset["has_chain_id"] = has_chain_id;
            let method = asset
                .get("transfer_method")
                .cloned()
                .unwrap_or(json!("eip3009"));
            asset["transfer_method"] = method;
        }
        let networks: Vec<Network> = serde_json::from_value(networks).unwrap();
        let assets: Vec<AssetRow> = serde_json::from_value(json!(assets)).unwrap();
        Self(Networks::new(networks), Assets::new(assets))
    }

    fn registry(&self) -> Registry<'_> {
        Registry {
            networks: &self.0,
            assets: &self.1,
        }
    }
}

/// The payment in the specification's section on scheme `exact` (specs/x402-specification-v1.md).
fn payment() -> Value {
    json!({
        "x402Version": 1,
        "scheme": "exact",
        "network": "base-sepolia",
        "payload": {
            "signature": "0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c",
            "authorization": {
                "from": "0x857b06519E91e3A54538791bDbb0E22373e36b66",
                "to": PAY_TO,
                "value": "10000",
                "validAfter": "1740672089",
                "validBefore": "1740672154",
                "nonce": "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"
            }
        }
    })
}

/// A requirement of 10000 USDG in version 1.
const ARGUMENTS: RequirementsArguments = RequirementsArguments {
    pay_to: PAY_TO,
    amount: "10000",
    resource: None,
    description: "",
    asset: "USDG",
    network: "xlayer",
    max_timeout_seconds: 300,
    mime_type: "application/json",
    version: 1,
    scheme: "exact",
    transfer_method: None,
    facilitator_address: None,
};

fn requirements() -> Value {
    json!({
        "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000", "payTo": PAY_TO,
        "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2"}
    })
}

/// The reason's name, `valid` or `undecided`, and the message.
fn verdict(payment: &str, requirements: &Value, now: u64) -> (String, String) {
    let rows = Rows::new();
    let requirements = requirements.to_string();
    let verdict = verify(payment, &requirements, rows.registry(), now, Payer::Unknown).unwrap();
    match (verdict.is_valid(), verdict.refusal()) {
        (Some(true), None) => ("valid".to_owned(), String::new()),
        (_, Some(refusal)) => (refusal.reason.name().to_owned(), refusal.message.clone()),
        _ => panic!("no verdict"),
    }
}

fn reason(payment: &Value, now: u64) -> String {
    verdict(&payment.to_string(), &requirements(), now).0
}

#[track_caller]
fn invalid_requirements(requirements: &Value, place: &str) {
    let rows = Rows::new();
    match verify(
        &payment().to_string(),
        &requirements.to_string(),
        rows.registry(),
        THEN,
        Payer::Unknown,
    ) {
        Err(Error::InvalidRequirements { problem }) => {
            assert!(problem.starts_with(place), "{problem}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_authorization_hashes_as_its_typed_data() {
    let type_name = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
    let domain = json!({"name": "USDC", "version": "2", "chainId": 84532, "verifyingContract": "0x036cbd53842c5426634e7929541ec2318f3dcf7e"});
    let separator = eip712::domain_separator(&domain.to_string()).unwrap();
    let members: Vec<Value> = type_name[26..type_name.len() - 1]
        .split(',')
        .map(|member| member.split_once(' ').unwrap())
        .map(|(of_type, name)| json!({"name": name, "type": of_type}))
        .collect();
    let typed_data = json!({
        "types": {"TransferWithAuthorization": members},
        "primaryType": "TransferWithAuthorization",
        "domain": domain,
        "message": payment()["payload"]["authorization"],
    });
    let authorization = Authorization {
        from: Address::parse("0x857b06519E91e3A54538791bDbb0E22373e36b66").unwrap(),
        to: Address::parse(PAY_TO).unwrap(),
        value: U256::from_u64(10_000),
        valid_after: U256::from_u64(1_740_672_089),
        valid_before: U256::from_u64(1_740_672_154),
        nonce: crate::evm::fixed_bytes(
            "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480",
        )
        .unwrap(),
        permit: None,
    };
    assert_eq!(
        authorization.digest(&separator),
        eip712::digest(&typed_data.to_string()).unwrap()
    );
    // Computed from the specification's example by viem.
    assert_eq!(
        hexadecimal(&authorization.digest(&separator)),
        "0xf256992871671abcb27ff92885a7afa46218724e5fc0bac35d050115aa1d22e6"
    );
    assert_eq!(
        hexadecimal(&keccak256(type_name.as_bytes())),
        "0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"
    );
}

#[test]
fn the_payment_of_the_specification_is_valid_in_its_window_alone() {
    assert_eq!(reason(&payment(), THEN), "valid");
    // The window, with the reference implementation's six seconds.
    assert_eq!(reason(&payment(), 1_740_672_089), "valid");
    assert_eq!(
        reason(&payment(), 1_740_672_088),
        "invalid_exact_evm_payload_authorization_valid_after"
    );
    assert_eq!(reason(&payment(), 1_740_672_148), "valid");
    assert_eq!(
        reason(&payment(), 1_740_672_149),
        "invalid_exact_evm_payload_authorization_valid_before"
    );
    assert_eq!(
        reason(&payment(), u64::MAX),
        "invalid_exact_evm_payload_authorization_valid_before"
    );
}

#[test]
fn a_header_is_base64_with_or_without_padding_and_line_breaks() {
    let text = payment().to_string();
    let mut broken = STANDARD.encode(&text);
    broken.insert(76, '\n');
    for header in [
        STANDARD.encode(&text),
        STANDARD_NO_PAD.encode(&text),
        broken,
        format!(" {text}"),
    ] {
        assert_eq!(
            verdict(&header, &requirements(), THEN).0,
            "valid",
            "{header}"
        );
    }
    for header in [
        "",
        "e30",
        "%7B%7D",
        "bm90IEpTT04=",
        "gICAgA==",
        "{",
        "null",
        &"A".repeat(100_000),
    ] {
        assert_eq!(
            verdict(header, &requirements(), THEN).0,
            "invalid_payload",
            "{header}"
        );
    }
    assert!(decode("/w==").is_err());
}

#[test]
fn each_part_of_a_payment_that_is_missing_or_of_another_kind_is_named() {
    for (place, message) in [
        ("/payload", "payload:"),
        ("/payload/signature", "payload.signature:"),
        ("/payload/authorization", "payload.authorization:"),
        ("/payload/authorization/from", "payload.authorization.from:"),
        ("/payload/authorization/to", "payload.authorization.to:"),
        (
            "/payload/authorization/value",
            "payload.authorization.value:",
        ),
        (
            "/payload/authorization/validAfter",
            "payload.authorization.validAfter:",
        ),
        (
            "/payload/authorization/validBefore",
            "payload.authorization.validBefore:",
        ),
        (
            "/payload/authorization/nonce",
            "payload.authorization.nonce:",
        ),
        ("/scheme", "scheme:"),
        ("/network", "network:"),
    ] {
        for wrong in [
            Value::Null,
            json!(""),
            json!([]),
            json!(-1),
            json!(1.5),
            json!(true),
        ] {
            let mut payment = payment();
            *payment.pointer_mut(place).unwrap() = wrong.clone();
            let (reason, found) = verdict(&payment.to_string(), &requirements(), THEN);
            let is_other_value = wrong == json!("") && matches!(place, "/scheme" | "/network");
            assert!(found.starts_with(message), "{place} {wrong}: {found}");
            assert!(
                is_other_value || reason == "invalid_payload",
                "{place} {wrong}: {reason}"
            );
        }
    }
}

#[test]
fn times_may_be_numbers() {
    let mut payment = payment();
    payment["payload"]["authorization"]["validAfter"] = json!(1_740_672_089);
    payment["payload"]["authorization"]["validBefore"] = json!(1_740_672_154);
    assert_eq!(reason(&payment, THEN), "valid");
}

#[test]
fn one_of_several_offers_is_found_and_the_rest_are_not_mixed_with_it() {
    let mut dearer = requirements();
    dearer["maxAmountRequired"] = json!("10001");
    let usdg = json!({
        "scheme": "exact", "network": "eip155:196", "maxAmountRequired": "1", "payTo": PAY_TO,
        "asset": "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8"
    });
    let text = payment().to_string();
    for offers in [
        json!([usdg, dearer, requirements()]),
        json!({"x402Version": 1, "accepts": [usdg, requirements()]}),
    ] {
        assert_eq!(verdict(&text, &offers, THEN).0, "valid");
    }
    assert_eq!(
        verdict(&text, &json!([usdg, dearer]), THEN).0,
        "invalid_exact_evm_payload_authorization_value"
    );
    assert_eq!(verdict(&text, &json!([usdg]), THEN).0, "invalid_network");
}

#[test]
fn the_guides_requirements_name_no_network() {
    let mut offer = requirements();
    offer.as_object_mut().unwrap().remove("network");
    assert_eq!(verdict(&payment().to_string(), &offer, THEN).0, "valid");
    let mut unknown = offer.clone();
    unknown["asset"] = json!(PAY_TO);
    invalid_requirements(&unknown, "network:");
}

#[test]
fn requirements_that_make_no_sense_are_the_sellers_error() {
    let mut offer = requirements();
    offer["amount"] = json!("1");
    invalid_requirements(&offer, "A requirement must have maxAmountRequired");
    for (name, wrong, place) in [
        ("scheme", json!(7), "scheme:"),
        ("scheme", Value::Null, "scheme:"),
        ("payTo", json!("0x1"), "payTo:"),
        ("asset", json!("USDC"), "asset:"),
        ("maxAmountRequired", json!(10_000), "maxAmountRequired:"),
        ("maxAmountRequired", json!("0.01"), "maxAmountRequired:"),
        ("maxAmountRequired", json!("-1"), "maxAmountRequired:"),
        ("maxTimeoutSeconds", json!("60"), "maxTimeoutSeconds:"),
        (
            "extra",
            json!({"name": "USD Coin", "version": "2"}),
            "extra.name:",
        ),
        (
            "extra",
            json!({"name": "USDC", "version": "1"}),
            "extra.version:",
        ),
        (
            "extra",
            json!({"assetTransferMethod": 2}),
            "extra.assetTransferMethod:",
        ),
        (
            "extra",
            json!({"salt": format!("0x{}", "11".repeat(32))}),
            "extra.salt:",
        ),
        ("extra", json!("USDC"), "extra:"),
    ] {
        let mut offer = requirements();
        offer[name] = wrong;
        invalid_requirements(&offer, place);
    }
    for offers in [json!([]), json!({"accepts": []}), json!([1]), Value::Null] {
        invalid_requirements(&offers, "");
    }
}

#[test]
fn an_operators_row_stands_before_a_built_in_one_and_a_spoiled_row_is_none() {
    let address = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
    let own = |domain_separator: Value| {
        json!({"network": "eip155:84532", "address": address, "symbol": "USDC", "name": "USD Coin", "version": "2",
               "domain_separator": domain_separator, "is_builtin": false})
    };
    let rows = Rows::with(&[own(Value::Null)]);
    let name_of = |rows: &Rows, asset: &str| {
        let network = rows.0.find("base-sepolia").unwrap();
        let asset = rows.1.get(network, asset).unwrap();
        asset.domain.as_ref().unwrap().name.clone()
    };
    assert_eq!(name_of(&rows, "usdc"), "USD Coin");
    let spoiled = Rows::with(&[own(json!(format!("0x{}", "11".repeat(32))))]);
    assert_eq!(name_of(&spoiled, address), "USDC");
}

/// `ecrecover` accepts only 27 and 28 as v (Ethereum's Yellow Paper, appendix F), and so does
/// Circle's FiatToken (contracts/util/ECRecover.sol). Facilitators send v on unchanged (`@x402/evm`
/// 2.27).
#[test]
fn a_v_that_the_chain_refuses_is_refused() {
    let signature = payment()["payload"]["signature"]
        .as_str()
        .unwrap()
        .to_owned();
    for (v, expected) in [
        ("1c", "valid"),
        ("1b", "invalid_exact_evm_payload_signature"),
        ("01", "invalid_exact_evm_payload_signature"),
        ("00", "invalid_exact_evm_payload_signature"),
    ] {
        let mut payment = payment();
        payment["payload"]["signature"] = json!(format!("{}{v}", &signature[..130]));
        let (reason, message) = verdict(&payment.to_string(), &requirements(), THEN);
        assert_eq!(reason, expected, "{v}");
        assert_eq!(message.contains("Add 27 to it"), v.starts_with('0'));
    }
}
