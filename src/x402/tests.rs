//! Payments from the x402 specification, and what no input may do.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::authorization::Authorization;
use super::header::{Resource, decode, payment_required, payment_response};
use super::registry::{AssetRow, Assets, Network, Networks, Registry};
use super::requirements::Wanted;
use super::{facilitator, verify::verify};
use crate::eip712;
use crate::error::Error;
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::integer::U256;
use crate::evm::keccak::keccak256;

const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
/// A second at which the specification's payment can be used.
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
    let verdict = verify(payment, &requirements.to_string(), rows.registry(), now).unwrap();
    match (verdict.is_valid(), verdict.refusal) {
        (Some(true), None) => ("valid".to_owned(), String::new()),
        (_, Some(refusal)) => (refusal.reason.name().to_owned(), refusal.message),
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
fn a_permit2_payload_is_not_an_authorization() {
    let mut payment = payment();
    let payload = payment["payload"].as_object_mut().unwrap();
    let authorization = payload.remove("authorization").unwrap();
    payload.insert("permit2Authorization".to_owned(), authorization);
    assert_eq!(reason(&payment, THEN), "invalid_payload");
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
    invalid_requirements(&offer, "A requirement has maxAmountRequired");
    for (name, wrong, place) in [
        ("scheme", json!("upto"), "scheme:"),
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
            json!({"assetTransferMethod": "permit2"}),
            "extra.assetTransferMethod:",
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
    let network = rows.0.find("base-sepolia").unwrap();
    assert_eq!(rows.1.get(network, "usdc").unwrap().name, "USD Coin");
    let spoiled = Rows::with(&[own(json!(format!("0x{}", "11".repeat(32))))]);
    assert_eq!(spoiled.1.get(network, address).unwrap().name, "USDC");
}

#[test]
fn headers_say_what_they_are_given() {
    let rows = Rows::new();
    let header = |requirements: &Value, resource: &Resource| {
        payment_required(
            &requirements.to_string(),
            resource,
            Some("Payment required"),
            rows.registry(),
        )
    };
    let read = |header: String| serde_json::from_str::<Value>(&decode(&header).unwrap()).unwrap();
    let mut guide = requirements();
    guide.as_object_mut().unwrap().remove("network");
    assert_eq!(
        read(header(&guide, &Resource::default()).unwrap()),
        json!({"x402Version": 1, "error": "Payment required", "accepts": [requirements()]})
    );
    let mut second = requirements();
    let members = second.as_object_mut().unwrap();
    let amount = members.remove("maxAmountRequired").unwrap();
    members.insert("amount".to_owned(), amount);
    members.insert("network".to_owned(), json!("eip155:84532"));
    let resource = Resource {
        url: Some("https://api.example.com"),
        ..Resource::default()
    };
    assert_eq!(
        read(header(&second, &resource).unwrap()),
        json!({"x402Version": 2, "error": "Payment required", "resource": {"url": "https://api.example.com"}, "accepts": [second]})
    );
    assert!(header(&second, &Resource::default()).is_err());
    assert!(header(&requirements(), &resource).is_err());
    assert!(header(&json!([requirements(), second]), &resource).is_err());

    let hash = format!("0x{}", "Ab".repeat(32));
    for (network, expected) in [
        ("base-sepolia", "base-sepolia"),
        ("xlayer", "eip155:196"),
        ("eip155:84532", "eip155:84532"),
    ] {
        assert_eq!(
            read(payment_response(&hash, network, PAY_TO, rows.registry()).unwrap()),
            json!({"success": true, "transaction": hash.to_lowercase(), "network": expected, "payer": PAY_TO.to_lowercase()})
        );
    }
    assert_eq!(
        payment_response("0x", "xlayer", PAY_TO, rows.registry()),
        Err(Error::InvalidTransactionHash)
    );
}

#[test]
fn requirements_are_built_for_both_versions() {
    let rows = Rows::new();
    let wanted = |version, amount, pay_to, resource| {
        Wanted {
            pay_to,
            amount,
            resource,
            description: "",
            asset: "USDG",
            network: "xlayer",
            max_timeout_seconds: 300,
            mime_type: "application/json",
            version,
        }
        .requirements(rows.registry())
    };
    let resource = Some("https://api.example.com/report");
    // As the guide's buildPaymentRequirements() has them, and the network.
    assert_eq!(
        serde_json::from_str::<Value>(&wanted(1, "1", PAY_TO, resource).unwrap()).unwrap(),
        json!({"scheme": "exact", "network": "eip155:196", "maxAmountRequired": "1", "resource": "https://api.example.com/report",
               "description": "", "mimeType": "application/json", "payTo": PAY_TO.to_lowercase(), "maxTimeoutSeconds": 300,
               "asset": "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8", "extra": {"name": "Global Dollar", "version": "1"}})
    );
    assert_eq!(
        serde_json::from_str::<Value>(&wanted(2, "0007", PAY_TO, None).unwrap()).unwrap(),
        json!({"scheme": "exact", "network": "eip155:196", "amount": "7", "payTo": PAY_TO.to_lowercase(), "maxTimeoutSeconds": 300,
               "asset": "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8", "extra": {"name": "Global Dollar", "version": "1"}})
    );
    let zero = "0x0000000000000000000000000000000000000000";
    for (version, amount, pay_to, resource) in [
        (1, "1", PAY_TO, None),
        (3, "1", PAY_TO, resource),
        (1, "0", PAY_TO, resource),
        (1, "1.5", PAY_TO, resource),
        (1, "", PAY_TO, resource),
        (1, "1", zero, resource),
        (1, "1", "me", resource),
    ] {
        assert!(matches!(
            wanted(version, amount, pay_to, resource),
            Err(Error::InvalidRequirements { .. })
        ));
    }
}

#[test]
fn facilitators_get_the_payment_unchanged() {
    let rows = Rows::new();
    let request = |payment: &str, requirements: &Value, facilitator| {
        let text = facilitator::request(
            payment,
            &requirements.to_string(),
            facilitator,
            rows.registry(),
        )?;
        Ok::<Value, Error>(serde_json::from_str(&text).unwrap())
    };
    // A member that we do not know, and a number that a float would round.
    let payment = payment()
        .to_string()
        .replacen('{', "{\"more\": 9007199254740993,", 1);
    let payload: Value = serde_json::from_str(&payment).unwrap();
    let mut without_network = requirements();
    without_network.as_object_mut().unwrap().remove("network");
    assert_eq!(
        request(&payment, &requirements(), "okx").unwrap(),
        json!({"x402Version": 1, "chainIndex": "84532", "syncSettle": true, "paymentPayload": payload, "paymentRequirements": without_network})
    );
    assert_eq!(
        request(&STANDARD.encode(&payment), &without_network, "x402").unwrap(),
        json!({"x402Version": 1, "paymentPayload": payload, "paymentRequirements": requirements()})
    );
    let text = facilitator::request(
        &payment,
        &requirements().to_string(),
        "x402",
        rows.registry(),
    )
    .unwrap();
    assert!(text.contains("9007199254740993"));

    let mut second = requirements();
    let members = second.as_object_mut().unwrap();
    let amount = members.remove("maxAmountRequired").unwrap();
    members.insert("amount".to_owned(), amount);
    members.insert("network".to_owned(), json!("eip155:84532"));
    let paid = json!({"x402Version": 2, "accepted": second, "payload": payload["payload"]});
    assert_eq!(
        request(&paid.to_string(), &second, "okx").unwrap(),
        json!({"x402Version": 2, "syncSettle": true, "paymentPayload": paid, "paymentRequirements": second})
    );
    assert!(matches!(
        request(&paid.to_string(), &requirements(), "okx"),
        Err(Error::InvalidRequirements { .. })
    ));
    assert!(matches!(
        request(&payment, &json!([second, second]), "okx"),
        Err(Error::InvalidRequirements { .. })
    ));
    assert!(matches!(
        request(&payment, &requirements(), "OKX"),
        Err(Error::UnknownFacilitator { .. })
    ));
    assert!(matches!(
        request("{}", &requirements(), "okx"),
        Err(Error::InvalidHeader { .. })
    ));
}

/// JSON in which any member of a payment or a requirement may be anything.
fn mutated(whole: Value) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
        "[0-9]{0,90}".prop_map(Value::from),
        "0x[0-9a-fA-F]{0,140}".prop_map(Value::from),
    ];
    let places = vec![
        "",
        "/x402Version",
        "/scheme",
        "/network",
        "/payload",
        "/payload/signature",
        "/payload/authorization",
        "/payload/authorization/from",
        "/payload/authorization/value",
        "/payload/authorization/nonce",
        "/accepted",
        "/accepted/amount",
        "/asset",
        "/payTo",
        "/extra",
        "/extra/name",
        "/maxAmountRequired",
        "/maxTimeoutSeconds",
    ];
    (prop::sample::select(places), leaf).prop_map(move |(place, value)| {
        let mut whole = whole.clone();
        if let Some(member) = whole.pointer_mut(place) {
            *member = value;
        }
        whole
    })
}

proptest! {
    #[test]
    fn no_input_panics(payment in mutated(payment()), offer in mutated(requirements()), text in "\\PC*", now in any::<u64>()) {
        let rows = Rows::new();
        for payment in [payment.to_string(), STANDARD.encode(payment.to_string()), text.clone()] {
            for offer in [offer.to_string(), text.clone()] {
                let _ = verify(&payment, &offer, rows.registry(), now);
                let _ = facilitator::request(&payment, &offer, "okx", rows.registry());
                let _ = payment_required(&offer, &Resource::default(), None, rows.registry());
            }
        }
        let _ = payment_response(&text, "xlayer", &text, rows.registry());
    }
}
