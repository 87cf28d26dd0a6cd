//! EIP-712's own example, constants of contracts on chain, and refusals with their places.

use serde_json::{Value, json};

use super::{digest, domain_separator, encode_type, hash_struct};
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::keccak::keccak256;
use crate::evm::signature::Signature;

mod limits;

/// The example of EIP-712 (assets/eip-712/Example.js).
fn mail() -> Value {
    json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"}
            ],
            "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
            "Mail": [
                {"name": "from", "type": "Person"},
                {"name": "to", "type": "Person"},
                {"name": "contents", "type": "string"}
            ]
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail",
            "version": "1",
            "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
        },
        "message": {
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!"
        }
    })
}

/// The x402 specification's payment (specs/x402-specification-v1.md), with the name of its asset's
/// domain.
fn x402_example(name: &str) -> String {
    json!({
        "types": {"TransferWithAuthorization": [
            {"name": "from", "type": "address"},
            {"name": "to", "type": "address"},
            {"name": "value", "type": "uint256"},
            {"name": "validAfter", "type": "uint256"},
            {"name": "validBefore", "type": "uint256"},
            {"name": "nonce", "type": "bytes32"}
        ]},
        "primaryType": "TransferWithAuthorization",
        "domain": {
            "name": name,
            "version": "2",
            "chainId": 84532,
            "verifyingContract": "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
        },
        "message": {
            "from": "0x857b06519E91e3A54538791bDbb0E22373e36b66",
            "to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            "value": "10000",
            "validAfter": "1740672089",
            "validBefore": "1740672154",
            "nonce": "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"
        }
    })
    .to_string()
}

const X402_SIGNATURE: &str = "0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c";

fn of_mail(place: &str, value: Value) -> String {
    let mut typed_data = mail();
    *typed_data.pointer_mut(place).unwrap() = value;
    typed_data.to_string()
}

fn recover(typed_data: &str, signature: &str) -> Option<String> {
    let signer = Signature::parse(signature)
        .unwrap()
        .signer(&digest(typed_data).unwrap());
    signer.map(Address::checksummed)
}

#[track_caller]
fn refused(typed_data: &str, path: &str, problem: &str) {
    let invalid = digest(typed_data).expect_err(typed_data);
    assert_eq!(invalid.path, path, "{invalid}");
    assert!(invalid.problem.contains(problem), "{invalid}");
}

#[test]
fn the_example_of_eip_712() {
    let mail = mail();
    let types = mail["types"].to_string();
    assert_eq!(
        encode_type(&types, "Mail").unwrap(),
        "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    );
    assert_eq!(
        hexadecimal(&domain_separator(&mail["domain"].to_string()).unwrap()),
        "0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    );
    assert_eq!(
        hexadecimal(&hash_struct(&types, "Mail", &mail["message"].to_string()).unwrap()),
        "0xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    );
    assert_eq!(
        hexadecimal(&digest(&mail.to_string()).unwrap()),
        "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    );
    let signature = "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c";
    assert_eq!(
        recover(&mail.to_string(), signature).as_deref(),
        Some("0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826")
    );
}

#[test]
fn the_type_hashes_that_tokens_have_on_chain() {
    let authorization = [
        ("from", "address"),
        ("to", "address"),
        ("value", "uint256"),
        ("validAfter", "uint256"),
        ("validBefore", "uint256"),
        ("nonce", "bytes32"),
    ];
    let of = |name: &str, members: &[(&str, &str)]| {
        let members: Vec<Value> = members
            .iter()
            .map(|(name, of_type)| json!({"name": name, "type": of_type}))
            .collect();
        hexadecimal(&keccak256(
            encode_type(&json!({name: members}).to_string(), name)
                .unwrap()
                .as_bytes(),
        ))
    };
    // Constants of FiatTokenV2 (EIP-3009) and of EIP-2612.
    assert_eq!(
        of("TransferWithAuthorization", &authorization),
        "0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"
    );
    assert_eq!(
        of("ReceiveWithAuthorization", &authorization),
        "0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8"
    );
    assert_eq!(
        of(
            "CancelAuthorization",
            &[("authorizer", "address"), ("nonce", "bytes32")]
        ),
        "0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429"
    );
    assert_eq!(
        of(
            "Permit",
            &[
                ("owner", "address"),
                ("spender", "address"),
                ("value", "uint256"),
                ("nonce", "uint256"),
                ("deadline", "uint256")
            ]
        ),
        "0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9"
    );
}

#[test]
fn the_payment_of_the_x402_specification() {
    assert_eq!(
        hexadecimal(&digest(&x402_example("USDC")).unwrap()),
        "0xf256992871671abcb27ff92885a7afa46218724e5fc0bac35d050115aa1d22e6"
    );
    let payer = Some("0x857b06519E91e3A54538791bDbb0E22373e36b66");
    assert_eq!(
        recover(&x402_example("USDC"), X402_SIGNATURE).as_deref(),
        payer
    );
    assert_ne!(
        recover(&x402_example("USD Coin"), X402_SIGNATURE).as_deref(),
        payer
    );
}

#[test]
fn numbers_hash_as_they_are_written() {
    let of = |value: &str| {
        hash_struct(
            r#"{"T": [{"name": "x", "type": "uint256"}]}"#,
            "T",
            &format!(r#"{{"x": {value}}}"#),
        )
        .unwrap()
    };
    // 2^53 + 1, 2^64 + 1 and 2^256 - 1.
    for digits in [
        "9007199254740993",
        "18446744073709551617",
        "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    ] {
        assert_eq!(of(digits), of(&format!("\"{digits}\"")));
    }
    assert_ne!(of("9007199254740993"), of("9007199254740992"));
    assert_eq!(of("18446744073709551617"), of("\"0x10000000000000001\""));
}

#[test]
fn what_is_missing_or_null_is_refused() {
    for name in ["types", "primaryType", "domain", "message"] {
        let mut typed_data = mail();
        typed_data.as_object_mut().unwrap().remove(name);
        refused(&typed_data.to_string(), name, "missing");
    }
    let mut typed_data = mail();
    typed_data["message"]["to"]
        .as_object_mut()
        .unwrap()
        .remove("wallet");
    refused(&typed_data.to_string(), "message.to.wallet", "missing");
    refused(
        &of_mail("/message/to/wallet", Value::Null),
        "message.to.wallet",
        "null",
    );
    refused(&of_mail("/message/to", Value::Null), "message.to", "null");
    refused(
        &of_mail("/message/contents", Value::Null),
        "message.contents",
        "null",
    );
    refused(&of_mail("/message", Value::Null), "message", "object");
    refused(
        &of_mail("/domain/name", Value::Null),
        "domain.name",
        "not a string",
    );
}

#[test]
fn a_path_leads_through_arrays() {
    let mut typed_data = mail();
    typed_data["types"]["Mail"][1]["type"] = json!("Person[]");
    let bob = typed_data["message"]["to"].clone();
    typed_data["message"]["to"] = json!([bob, bob, {"name": "Eve", "wallet": "0x10"}]);
    refused(
        &typed_data.to_string(),
        "message.to[2].wallet",
        "40 hexadecimal digits",
    );
    typed_data["types"]["Mail"][1]["type"] = json!("Person[2]");
    refused(
        &typed_data.to_string(),
        "message.to",
        "3 elements instead of 2",
    );
    typed_data["types"]["Mail"][1]["type"] = json!("Person[][]");
    refused(&typed_data.to_string(), "message.to[0]", "not an array");
}

#[test]
fn types_are_refused_where_they_are_wrong() {
    refused(
        &of_mail("/types/Mail/2/type", json!("uint")),
        "types.Mail[2].type",
        "alias",
    );
    refused(
        &of_mail("/types/Mail/2/type", json!("Letter")),
        "types.Mail[2].type",
        "not defined",
    );
    refused(
        &of_mail("/types/Mail/2/type", json!("bytes33")),
        "types.Mail[2].type",
        "width",
    );
    refused(
        &of_mail("/types/Mail/2/name", json!("to")),
        "types.Mail[2].name",
        "two members",
    );
    refused(
        &of_mail("/types/Mail/2/name", json!(1)),
        "types.Mail[2]",
        "two strings",
    );
    refused(
        &of_mail("/types/Person", json!("x")),
        "types.Person",
        "list of members",
    );
    refused(
        &of_mail("/primaryType", json!("Letter")),
        "primaryType",
        "one of the types",
    );
    refused(
        &of_mail("/primaryType", json!("Mail[]")),
        "primaryType",
        "one of the types",
    );
    refused(
        &of_mail("/primaryType", json!("EIP712Domain")),
        "primaryType",
        "domain is hashed separately",
    );
}

#[test]
fn the_type_of_the_domain_is_the_domains() {
    let mut typed_data = mail();
    let expected = digest(&typed_data.to_string());
    typed_data["types"]
        .as_object_mut()
        .unwrap()
        .remove("EIP712Domain");
    assert_eq!(digest(&typed_data.to_string()), expected);
    refused(
        &of_mail("/types/EIP712Domain/0/name", json!("salt")),
        "types.EIP712Domain",
        "does not fit the domain",
    );
    let mut typed_data = mail();
    typed_data["domain"]
        .as_object_mut()
        .unwrap()
        .remove("version");
    refused(
        &typed_data.to_string(),
        "types.EIP712Domain",
        "does not fit the domain",
    );
    let mut typed_data = mail();
    typed_data["types"]["EIP712Domain"]
        .as_array_mut()
        .unwrap()
        .swap(0, 1);
    refused(
        &typed_data.to_string(),
        "types.EIP712Domain",
        "in the order",
    );
}

#[test]
fn a_domain_has_five_members_at_most() {
    refused(
        &of_mail("/domain", json!({"name": "x", "chain": 1})),
        "domain",
        "can have only",
    );
    refused(&of_mail("/domain", json!([])), "domain", "object");
    refused(
        &of_mail("/domain/chainId", json!(-1)),
        "domain.chainId",
        "out of range",
    );
    refused(
        &of_mail("/domain/version", json!(1)),
        "domain.version",
        "not a string",
    );
    // viem and ethers alike: keccak256(keccak256("EIP712Domain()")).
    assert_eq!(
        domain_separator("{}").unwrap(),
        keccak256(&keccak256(b"EIP712Domain()"))
    );
}

#[test]
fn unused_types_and_members_that_no_type_names_are_nothing() {
    let expected = digest(&mail().to_string());
    let mut typed_data = mail();
    typed_data["types"]["Unused"] = json!([{"name": 1}, "x"]);
    typed_data["message"]["bcc"] = json!("Eve");
    assert_eq!(digest(&typed_data.to_string()), expected);
}

#[test]
fn a_name_given_twice_is_refused() {
    let typed_data = mail().to_string().replace(
        "\"contents\":\"Hello, Bob!\"",
        "\"contents\":\"Hello, Bob!\",\"contents\":\"x\"",
    );
    refused(&typed_data, "message", "no name twice");
}
