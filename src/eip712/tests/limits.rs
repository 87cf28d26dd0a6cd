//! The limits of documents, and a test that nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{of_mail, refused};
use crate::eip712::{MAX_DEPTH, MAX_DOCUMENT, digest, domain_separator, encode_type};
use crate::json::tests::any_scalar;

/// A type that contains lists of itself.
fn tree(depth: usize) -> String {
    let node = (1..depth).fold("{\"nodes\": []}".to_owned(), |inner, _| {
        format!("{{\"nodes\": [{inner}]}}")
    });
    format!(
        r#"{{"types": {{"Node": [{{"name": "nodes", "type": "Node[]"}}]}}, "primaryType": "Node", "domain": {{}}, "message": {node}}}"#
    )
}

#[test]
fn nesting_is_bounded() {
    assert!(digest(&tree(MAX_DEPTH / 2)).is_ok());
    let invalid = digest(&tree(MAX_DEPTH)).unwrap_err();
    assert!(
        invalid.problem.contains("nested") && invalid.path.starts_with("message.nodes[0].nodes[0]")
    );
    assert!(digest(&tree(10_000)).is_err());
    let brackets = "[]".repeat(100_000);
    refused(
        &of_mail("/types/Mail/2/type", json!(format!("string{brackets}"))),
        "types",
        "more than",
    );
}

#[test]
fn the_number_and_size_of_types_are_bounded() {
    let chain = |length: usize| {
        let types: serde_json::Map<String, Value> = (0..length)
            .map(|index| {
                (
                    format!("T{index}"),
                    json!([{"name": "next", "type": format!("T{}[]", index + 1)}]),
                )
            })
            .chain([(format!("T{length}"), json!([]))])
            .collect();
        encode_type(&Value::Object(types).to_string(), "T0")
    };
    assert!(chain(99).is_ok());
    assert_eq!(chain(100).unwrap_err().path, "types");
    let wide = |count: usize| {
        let members: Vec<Value> = (0..count)
            .map(|index| json!({"name": format!("member{index}"), "type": "string"}))
            .collect();
        encode_type(&json!({"T": members}).to_string(), "T")
    };
    assert!(wide(1_000).is_ok());
    assert_eq!(wide(10_000).unwrap_err().path, "types");
}

#[test]
fn the_size_of_a_document_is_bounded() {
    let long = "x".repeat(MAX_DOCUMENT);
    assert!(
        digest(&of_mail("/message/contents", json!(long)))
            .unwrap_err()
            .problem
            .contains("bytes")
    );
    assert!(digest(&of_mail("/message/contents", json!(long[1_000..]))).is_ok());
}

/// JSON of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any_scalar(),
        prop::sample::select(vec![
            "T",
            "T[]",
            "uint8",
            "int",
            "bytes3",
            "address",
            "string[2]",
            "0x",
            "-1",
            "0xff"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let names = prop::sample::select(vec![
            "T",
            "U",
            "name",
            "type",
            "x",
            "chainId",
            "salt",
            "EIP712Domain",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(names.prop_map(str::to_owned), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_input_panics(types in any_json(), domain in any_json(), message in any_json(), text in "\\PC*", name in "T|U|\\PC*") {
        let typed_data = json!({"types": types, "primaryType": name, "domain": domain, "message": message});
        let _ = digest(&typed_data.to_string());
        let _ = digest(&text);
        let _ = domain_separator(&domain.to_string());
        let _ = encode_type(&text, &name);
    }

    #[test]
    fn no_member_of_a_real_message_can_panic(place in 0..6_usize, value in any_json()) {
        let places = ["/message/from", "/message/to/wallet", "/types/Person/1/type", "/types/Person", "/domain/chainId", "/domain"];
        let _ = digest(&of_mail(places[place], value));
    }
}
