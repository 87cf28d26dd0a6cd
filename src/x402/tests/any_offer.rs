//! Unknown offers: the header carries them, the verdict shows them, and a payment for one is
//! refused.

use serde_json::{Value, json};

use super::{PAY_TO, Rows, THEN, payment, requirements, verdict};
use crate::x402::header::{Resource, decode, payment_required};
use crate::x402::verify::{Payer, verify};

/// The requirement of the specification's payment in version 2.
fn second() -> Value {
    let mut offer = requirements();
    let members = offer.as_object_mut().unwrap();
    let amount = members.remove("maxAmountRequired").unwrap();
    members.insert("amount".to_owned(), amount);
    members.insert("network".to_owned(), json!("eip155:84532"));
    offer
}

/// Unknown offers of version 2 that sellers make beside a known one, each with the reason for which
/// its payment is refused.
fn unknown() -> Vec<(Value, &'static str)> {
    let with = |changes: &[(&str, Value)]| {
        let mut offer = second();
        for (name, value) in changes {
            offer[*name] = value.clone();
        }
        offer
    };
    vec![
        // The specification's, for Solana.
        (
            json!({"scheme": "exact", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "amount": "1000", "maxTimeoutSeconds": 60,
                   "asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "payTo": "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4",
                   "extra": {"feePayer": "EwWqGE4ZFKLofuestmU4LDdK7XM1N4ALgdZccwYugwGd"}}),
            "invalid_network",
        ),
        // Without facilitatorAddress, nobody can sign for it.
        (with(&[("scheme", json!("upto"))]), "unsupported_scheme"),
        // OKX's example offers it beside exact.
        (
            with(&[
                ("scheme", json!("aggr_deferred")),
                ("network", json!("eip155:196")),
            ]),
            "unsupported_scheme",
        ),
        (
            json!({"scheme": "batch-settlement", "more": {"nested": [1]}}),
            "unsupported_scheme",
        ),
        (
            with(&[("extra", json!({"assetTransferMethod": "erc7710"}))]),
            "unsupported_scheme",
        ),
        (with(&[("network", json!("eip155:56"))]), "invalid_network"),
        (
            with(&[("asset", json!("0x808456652fdb597867f38412077A9182bf77359F"))]),
            "invalid_payment_requirements",
        ),
    ]
}

#[test]
fn an_unknown_offer_beside_a_known_one_changes_nothing_for_who_takes_the_known_one() {
    let rows = Rows::new();
    let mut paid = payment();
    paid["x402Version"] = json!(2);
    paid["accepted"] = second();
    let resource = Resource {
        url: Some("https://api.example.com"),
        ..Resource::default()
    };
    for (offer, _) in unknown() {
        for offers in [json!([offer, second()]), json!([second(), offer])] {
            assert_eq!(
                verdict(&paid.to_string(), &offers, THEN).0,
                "valid",
                "{offer}"
            );
            let header =
                payment_required(&offers.to_string(), &resource, None, rows.registry()).unwrap();
            let shown: Value = serde_json::from_str(&decode(&header).unwrap()).unwrap();
            assert_eq!(shown["accepts"], offers);
        }
    }
}

#[test]
fn a_payment_that_takes_an_unknown_offer_is_refused_and_the_offer_is_shown() {
    let rows = Rows::new();
    for (offer, expected) in unknown() {
        let mut paid = payment();
        paid["x402Version"] = json!(2);
        paid["accepted"] = offer.clone();
        // The payload of that scheme is not known here.
        paid["payload"] = json!({"transaction": "AAAAAAAAAAAAA"});
        for (offers, is_shown) in [
            (json!([offer, second()]), true),
            (json!([second(), offer]), true),
            (json!(offer), true),
            (json!([second()]), false),
        ] {
            let (text, asked) = (paid.to_string(), offers.to_string());
            let found = verify(&text, &asked, rows.registry(), THEN, Payer::Unknown).unwrap();
            let is_payment = offer.get("network").is_some();
            let reason = found.refusal().unwrap().reason.name();
            let expected = if is_payment {
                expected
            } else {
                "invalid_payload"
            };
            assert_eq!(reason, expected, "{offer} {offers}");
            assert_eq!(found.is_valid(), Some(false));
            let shown = json!({"network": found.network(), "asset": found.asset()});
            let member = |name: &str| match is_shown && is_payment {
                true => offer[name].clone(),
                false => Value::Null,
            };
            assert_eq!(
                shown,
                json!({"network": member("network"), "asset": member("asset")})
            );
        }
    }
}

#[test]
fn a_payment_of_version_1_takes_an_offer_by_its_scheme_and_network() {
    let rows = Rows::new();
    for (scheme, network, more, expected) in [
        ("exact", "solana", json!({}), "invalid_network"),
        ("exact", "monad", json!({}), "invalid_network"),
        ("upto", "base-sepolia", json!({}), "unsupported_scheme"),
        (
            "exact",
            "base-sepolia",
            json!({"assetTransferMethod": "permit2"}),
            "unsupported_scheme",
        ),
    ] {
        let offer = json!({"scheme": scheme, "network": network, "maxAmountRequired": "1", "asset": "x", "payTo": PAY_TO,
                           "extra": more});
        let mut paid = payment();
        paid["scheme"] = json!(scheme);
        paid["network"] = json!(network);
        let (text, asked) = (paid.to_string(), offer.to_string());
        let found = verify(&text, &asked, rows.registry(), THEN, Payer::Unknown).unwrap();
        assert_eq!(found.refusal().unwrap().reason.name(), expected, "{offer}");
        assert_eq!(
            (found.network(), found.asset().as_deref()),
            (Some(network), Some("x"))
        );
        // A payment for the known offer beside it is not affected.
        let offers = json!([offer, requirements()]);
        assert_eq!(
            verdict(&payment().to_string(), &offers, THEN).0,
            "valid",
            "{offers}"
        );
    }
}
