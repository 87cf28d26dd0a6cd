//! A seller's requirements, headers, and requests to facilitators.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{ARGUMENTS, PAY_TO, Rows, payment, requirements};
use crate::x402::Error;
use crate::x402::facilitator;
use crate::x402::header::{Resource, decode, payment_required, payment_response};
use crate::x402::requirements::RequirementsArguments;

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
            read(payment_response(&hash, network, PAY_TO, None, rows.registry()).unwrap()),
            json!({"success": true, "transaction": hash.to_lowercase(), "network": expected, "payer": PAY_TO.to_lowercase()})
        );
    }
    assert_eq!(
        payment_response("0x", "xlayer", PAY_TO, None, rows.registry()),
        Err(Error::Evm(crate::evm::Error::InvalidTransactionHash))
    );
}

#[test]
fn requirements_are_built_for_both_versions() {
    let rows = Rows::new();
    let wanted = |version, amount, pay_to, resource| {
        RequirementsArguments {
            pay_to,
            amount,
            resource,
            version,
            ..ARGUMENTS
        }
        .requirements(rows.registry())
    };
    let resource = Some("https://api.example.com/report");
    // The same as from the guide's buildPaymentRequirements(), plus the network.
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
        let made = facilitator::request(
            payment,
            &requirements.to_string(),
            facilitator,
            None,
            rows.registry(),
        )?;
        Ok::<Value, Error>(serde_json::from_str(&made.body).unwrap())
    };
    // An unknown member, and a number that a float would round.
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
    let made = facilitator::request(
        &payment,
        &requirements().to_string(),
        "x402",
        None,
        rows.registry(),
    )
    .unwrap();
    assert!(made.body.contains("9007199254740993"));

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
    let deferred = json!({"scheme": "aggr_deferred", "network": "eip155:196", "amount": "1"});
    let carried = json!({"x402Version": 2, "accepted": deferred, "payload": {"more": 1}});
    assert_eq!(
        request(&carried.to_string(), &deferred, "okx").unwrap(),
        json!({"x402Version": 2, "syncSettle": true, "paymentPayload": carried, "paymentRequirements": deferred})
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
