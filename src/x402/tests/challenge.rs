//! The answer to a request without a payment, and short offers.

use serde_json::{Value, json};

use super::{ARGUMENTS, PAY_TO, Rows};
use crate::x402::challenge::{Challenge, challenge, in_full};
use crate::x402::header::{Resource, decode};
use crate::x402::requirements::RequirementsArguments;

const URL: &str = "https://api.example.com/report";

fn resource() -> Resource<'static> {
    Resource {
        url: Some(URL),
        description: Some("A report"),
        mime_type: Some("application/json"),
    }
}

fn of(offers: &Value) -> Challenge {
    challenge(
        &offers.to_string(),
        &resource(),
        Some("Pay"),
        Rows::new().registry(),
    )
    .unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn refused(offers: &Value) -> String {
    let answer = challenge(
        &offers.to_string(),
        &resource(),
        None,
        Rows::new().registry(),
    );
    answer.unwrap_err().report().detail.to_string()
}

/// The requirement of the same arguments in full.
fn in_version(version: i32, asset: &str, network: &str) -> Value {
    let arguments = RequirementsArguments {
        resource: Some(URL),
        description: "A report",
        asset,
        network,
        version,
        ..ARGUMENTS
    };
    json(&arguments.requirements(Rows::new().registry()).unwrap())
}

/// Specification of x402 version 1 (the body) and of version 2 (header `PAYMENT-REQUIRED`).
#[test]
fn a_short_offer_is_made_in_both_versions() {
    let made = of(
        &json!({"pay_to": PAY_TO, "amount": "10000", "asset": "USDC", "network": "base-sepolia"}),
    );
    assert_eq!(
        json(&made.body),
        json!({"x402Version": 1, "error": "Pay", "accepts": [in_version(1, "USDC", "base-sepolia")]})
    );
    assert_eq!(
        json(&decode(&made.header).unwrap()),
        json!({
            "x402Version": 2, "error": "Pay",
            "resource": {"url": URL, "description": "A report", "mimeType": "application/json"},
            "accepts": [in_version(2, "USDC", "base-sepolia")],
        })
    );
}

/// `eip155:196` in a list makes npm's x402 1.2 refuse the whole list.
#[test]
fn a_chain_without_a_name_in_version_1_is_offered_in_version_2() {
    let xlayer = json!({"pay_to": PAY_TO, "amount": 10000});
    let sepolia =
        json!({"pay_to": PAY_TO, "amount": "10000", "asset": "USDC", "network": "base-sepolia"});
    let made = of(&json!([xlayer, sepolia]));
    assert_eq!(
        json(&made.body)["accepts"],
        json!([in_version(1, "USDC", "base-sepolia")])
    );
    assert_eq!(
        json(&decode(&made.header).unwrap())["accepts"],
        json!([
            in_version(2, "USDG", "xlayer"),
            in_version(2, "USDC", "base-sepolia")
        ])
    );
    let made = of(&xlayer);
    assert_eq!(made.body, decode(&made.header).unwrap());
}

#[test]
fn a_maximum_is_offered_in_version_2() {
    let facilitator = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
    let made = of(
        &json!({"pay_to": PAY_TO, "amount": "10000", "asset": "USDC", "network": "base-sepolia",
                          "scheme": "upto", "facilitator_address": facilitator}),
    );
    let offer = &json(&made.body)["accepts"][0];
    assert_eq!(offer["scheme"], "upto");
    assert_eq!(offer["extra"]["facilitatorAddress"], facilitator);
    assert_eq!(made.body, decode(&made.header).unwrap());
}

/// The mixture in InsForge's guide: version 1 in the header of version 2.
#[test]
fn an_offer_in_version_1_is_in_the_header_too() {
    let made = of(&json!({"pay_to": PAY_TO, "amount": "10000", "version": 1}));
    assert_eq!(
        json(&made.body),
        json!({"x402Version": 1, "error": "Pay", "accepts": [in_version(1, "USDG", "xlayer")]})
    );
    assert_eq!(made.body, decode(&made.header).unwrap());
}

#[test]
fn offers_in_full_stay_as_they_are() {
    let solana = json!({"scheme": "exact", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "amount": "5", "extra": {"n": 9007199254740993_u64}});
    let known = in_version(2, "USDG", "xlayer");
    let made = of(&json!([solana, known, {"pay_to": PAY_TO, "amount": "10000", "version": 1}]));
    assert_eq!(
        json(&decode(&made.header).unwrap())["accepts"],
        json!([solana, known])
    );
    assert!(decode(&made.header).unwrap().contains("9007199254740993"));
    assert_eq!(
        json(&made.body)["accepts"],
        json!([in_version(1, "USDG", "xlayer")])
    );
    let text = json!([solana, known]).to_string();
    let same = in_full(&text, URL, &resource(), Rows::new().registry()).unwrap();
    assert_eq!(same, text);
    // A scheme of its own tells no version.
    let other = json!({"scheme": "stream", "network": "eip155:196"});
    assert_eq!(json(&of(&other).body)["accepts"], json!([other]));
}

#[test]
fn a_short_offer_is_the_sellers_mistake() {
    let offer = |name: &str, value: Value| {
        let mut offer = json!({"pay_to": PAY_TO, "amount": "10000"});
        offer[name] = value;
        refused(&offer)
    };
    assert!(offer("price", json!("1")).starts_with("\"price\": A short offer has no such member."));
    assert!(offer("amount", json!("0.01")).starts_with("amount: "));
    assert!(offer("amount", json!(true)).starts_with("amount: It must be a string."));
    assert!(offer("amount", json!(1e30)).starts_with("amount: "));
    assert!(offer("pay_to", json!("0x12")).starts_with("pay_to: "));
    assert!(offer("max_timeout_seconds", json!("soon")).starts_with("max_timeout_seconds: "));
    assert!(offer("version", json!(3)).starts_with("version: "));
    assert!(refused(&json!([])).contains("empty"));
    assert!(refused(&json!("exact")).contains("object"));
    let nowhere = challenge("{}", &Resource::default(), None, Rows::new().registry());
    assert!(
        nowhere
            .unwrap_err()
            .report()
            .detail
            .starts_with("resource: ")
    );
}
