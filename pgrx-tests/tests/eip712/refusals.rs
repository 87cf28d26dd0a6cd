//! What viem, ethers or both refuse.

use serde_json::{Value, json};

use super::{changed, document, refused};

#[test]
fn refuses_a_missing_member() {
    refused(
        &changed("/message/to/1/wallet", None),
        "message.to[1].wallet",
    );
    refused(&changed("/message/to/1/name", None), "message.to[1].name");
}

#[test]
fn refuses_a_missing_struct() {
    refused(&changed("/message/to", None), "message.to");
}

#[test]
fn refuses_null() {
    refused(
        &changed("/message/to/1/name", Some(Value::Null)),
        "message.to[1].name",
    );
    refused(
        &changed("/message/to/1", Some(Value::Null)),
        "message.to[1]",
    );
}

#[test]
fn refuses_a_signed_integer_out_of_its_range() {
    refused(
        &changed("/message/offset", Some(json!(-129))),
        "message.offset",
    );
    refused(
        &changed("/message/offset", Some(json!(128))),
        "message.offset",
    );
}

#[test]
fn refuses_an_unsigned_integer_out_of_its_range() {
    refused(
        &changed("/message/count", Some(json!(256))),
        "message.count",
    );
    refused(&changed("/message/count", Some(json!(-1))), "message.count");
    refused(
        &changed("/message/total", Some(json!("-1"))),
        "message.total",
    );
    let two_to_256 =
        "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    refused(
        &changed("/message/total", Some(json!(two_to_256))),
        "message.total",
    );
}

#[test]
fn refuses_the_alias_uint() {
    refused(
        &changed("/types/Message/3/type", Some(json!("uint"))),
        "types.Message[3].type",
    );
}

#[test]
fn refuses_a_width_that_there_is_not() {
    refused(
        &changed("/types/Message/3/type", Some(json!("uint7"))),
        "types.Message[3].type",
    );
    refused(
        &changed("/types/Message/4/type", Some(json!("bytes33"))),
        "types.Message[4].type",
    );
}

#[test]
fn refuses_bytes_of_another_length() {
    refused(
        &changed("/message/id", Some(json!("0x010203"))),
        "message.id",
    );
    refused(
        &changed("/message/id", Some(json!("0x0102030405"))),
        "message.id",
    );
}

#[test]
fn refuses_half_a_byte() {
    refused(
        &changed("/message/data", Some(json!("0x010"))),
        "message.data",
    );
}

#[test]
fn refuses_bytes_that_are_not_hexadecimal() {
    refused(
        &changed("/message/data", Some(json!("bytes"))),
        "message.data",
    );
    refused(
        &changed("/message/data", Some(json!("0xgg"))),
        "message.data",
    );
}

#[test]
fn refuses_a_bool_that_is_a_string() {
    refused(
        &changed("/message/isUrgent", Some(json!("false"))),
        "message.isUrgent",
    );
}

#[test]
fn refuses_an_address_with_a_wrong_checksum() {
    let wrong = json!("0xBbBBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB");
    refused(
        &changed("/message/to/0/wallet", Some(wrong)),
        "message.to[0].wallet",
    );
    let upper = json!("0xBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB");
    refused(
        &changed("/message/to/0/wallet", Some(upper)),
        "message.to[0].wallet",
    );
}

#[test]
fn refuses_a_short_address() {
    refused(
        &changed("/message/to/0/wallet", Some(json!("0x10"))),
        "message.to[0].wallet",
    );
    refused(
        &changed("/domain", Some(json!({"verifyingContract": "0x10"}))),
        "domain.verifyingContract",
    );
}

#[test]
fn refuses_a_fixed_array_of_another_length() {
    let one = document()["message"]["to"][0].clone();
    refused(&changed("/message/to", Some(json!([one]))), "message.to");
}

#[test]
fn refuses_an_undefined_type() {
    refused(
        &changed("/types/Message/5/type", Some(json!("Data"))),
        "types.Message[5].type",
    );
}

#[test]
fn refuses_an_atomic_type_that_the_types_define() {
    let mut typed_data = document();
    typed_data["types"]["bytes4"] = json!([{"name": "x", "type": "bool"}]);
    refused(&typed_data, "types.Message[4].type");
}

#[test]
fn refuses_a_member_named_twice() {
    refused(
        &changed("/types/Message/2/name", Some(json!("count"))),
        "types.Message[2].name",
    );
}

#[test]
fn refuses_a_recursion_that_ends_in_null() {
    let typed_data = json!({
        "types": {"Node": [{"name": "next", "type": "Node"}]},
        "primaryType": "Node", "domain": {}, "message": {"next": {"next": null}}
    });
    refused(&typed_data, "message.next.next");
}

#[test]
fn refuses_a_domain_with_another_member() {
    refused(
        &changed("/domain", Some(json!({"name": "Test", "chain": 1}))),
        "domain",
    );
}

#[test]
fn refuses_a_domain_type_that_is_not_the_domains() {
    let mut typed_data = document();
    typed_data["types"]["EIP712Domain"] = json!([{"name": "name", "type": "string"}]);
    refused(&typed_data, "types.EIP712Domain");
}
