//! Offers of permits, and requests to settle them.

use serde_json::{Value, json};

use super::permits::{FACILITATOR, OTHER, exact, rows, upto, verdict_of};
use super::{ARGUMENTS, Rows, THEN};
use crate::x402::requirements::RequirementsArguments;
use crate::x402::verify::{Payer, verify};
use crate::x402::{Error, facilitator};

#[test]
fn sellers_offer_permits() {
    let rows = rows();
    let wanted = |asset, version, scheme, transfer_method, facilitator_address| {
        let arguments = RequirementsArguments {
            resource: Some("https://api.example.com"),
            asset,
            network: "base-sepolia",
            version,
            scheme,
            transfer_method,
            facilitator_address,
            ..ARGUMENTS
        };
        let made = arguments.requirements(rows.registry());
        made.map(|made| serde_json::from_str::<Value>(&made).unwrap())
    };
    let lower = |mut offer: Value| {
        for name in ["asset", "payTo"] {
            offer[name] = json!(offer[name].as_str().unwrap().to_lowercase());
        }
        offer
    };
    assert_eq!(
        wanted("USDC", 2, "exact", Some("permit2"), None).unwrap(),
        lower(exact()["accepted"].clone())
    );
    for method in [None, Some("permit2")] {
        assert_eq!(
            wanted("USDC", 2, "upto", method, Some(FACILITATOR)).unwrap(),
            lower(upto()["accepted"].clone())
        );
    }
    let of_permit2_only = wanted("mUSD", 2, "exact", None, None).unwrap();
    assert_eq!(
        of_permit2_only["extra"],
        json!({"assetTransferMethod": "permit2"})
    );
    for (asset, version, scheme, method, facilitator, place) in [
        ("USDC", 1, "exact", Some("permit2"), None, "version:"),
        ("mUSD", 1, "exact", None, None, "version:"),
        ("USDC", 1, "upto", None, Some(FACILITATOR), "version:"),
        (
            "USDC",
            2,
            "upto",
            Some("eip3009"),
            Some(FACILITATOR),
            "transfer_method: Scheme upto",
        ),
        (
            "mUSD",
            2,
            "exact",
            Some("eip3009"),
            None,
            "transfer_method: The asset mUSD",
        ),
        (
            "USDC",
            2,
            "exact",
            Some("erc7710"),
            None,
            "transfer_method: It must be",
        ),
        ("USDC", 2, "batch-settlement", None, None, "scheme:"),
        ("USDC", 2, "upto", None, None, "facilitator_address: Give"),
        (
            "USDC",
            2,
            "upto",
            None,
            Some("0x0000000000000000000000000000000000000000"),
            "facilitator_address: Give",
        ),
        (
            "USDC",
            2,
            "exact",
            None,
            Some(FACILITATOR),
            "facilitator_address: Only",
        ),
    ] {
        match wanted(asset, version, scheme, method, facilitator) {
            Err(Error::InvalidRequirements { problem }) => {
                assert!(problem.starts_with(place), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    }
    // The same mistakes in a seller's own offers.
    for (changes, place) in [
        (
            json!({"scheme": "upto", "extra": {"facilitatorAddress": "0x1"}}),
            "extra.facilitatorAddress: An address",
        ),
        (
            json!({"asset": OTHER, "extra": {}}),
            "extra.assetTransferMethod: It must be \"permit2\".",
        ),
        (
            json!({"extra": {"assetTransferMethod": "permit2", "name": "USD Coin"}}),
            "extra.name:",
        ),
    ] {
        let mut offer = exact()["accepted"].clone();
        for (name, value) in changes.as_object().unwrap() {
            offer[name] = value.clone();
        }
        let (payment, offer) = (exact().to_string(), offer.to_string());
        match verify(&payment, &offer, rows.registry(), THEN, Payer::Unknown) {
            Err(Error::InvalidRequirements { problem }) => {
                assert!(problem.starts_with(place), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Nobody can pay by it, but a buyer may pay by another offer.
#[test]
fn an_offer_of_scheme_upto_without_a_facilitator_is_carried_and_refused() {
    let mut offer = upto()["accepted"].clone();
    let extra = offer["extra"].as_object_mut().unwrap();
    extra.remove("facilitatorAddress");
    let offers = json!([offer, exact()["accepted"]]);
    let (reason, message) = verdict_of(&upto(), &offers, THEN, Payer::Unknown);
    assert_eq!(reason, "unsupported_scheme");
    assert!(message.starts_with("extra.facilitatorAddress: It is missing."));
    assert_eq!(
        verdict_of(&exact(), &offers, THEN, Payer::Unknown).0,
        "valid"
    );
}

/// specs/schemes/upto/scheme_upto.md, section 5: the request to settle has the actual amount in the
/// requirements, and the payment unchanged.
#[test]
fn a_facilitator_is_asked_for_the_amount_that_was_used() {
    let rows = Rows::new();
    let request = |payment: &Value, amount: Option<&str>| {
        let offer = payment["accepted"].to_string();
        let request = facilitator::request(
            &payment.to_string(),
            &offer,
            "x402",
            amount,
            rows.registry(),
        );
        request.map(|request| serde_json::from_str::<Value>(&request.body).unwrap())
    };
    for (amount, expected) in [
        (None, "10000"),
        (Some("1858"), "1858"),
        (Some("0"), "0"),
        (Some("10000"), "10000"),
    ] {
        let body = request(&upto(), amount).unwrap();
        assert_eq!(body["paymentPayload"], upto());
        let mut requirements = upto()["accepted"].clone();
        requirements["amount"] = json!(expected);
        assert_eq!(body["paymentRequirements"], requirements);
    }
    for (payment, amount) in [
        (upto(), "10001"),
        (upto(), ""),
        (upto(), "-1"),
        (upto(), "0.1"),
        (exact(), "1"),
    ] {
        match request(&payment, Some(amount)) {
            Err(Error::InvalidRequirements { problem }) => assert!(problem.starts_with("amount:")),
            other => panic!("{amount}: {other:?}"),
        }
    }
}
