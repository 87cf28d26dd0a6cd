//! No text causes a panic.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Rows, payment, requirements};
use crate::json::tests::any_scalar;
use crate::x402::challenge::challenge;
use crate::x402::facilitator;
use crate::x402::header::{Resource, payment_required, payment_response};
use crate::x402::verify::{Payer, verify};

/// Random JSON with the members of a payment or a requirement.
fn mutated(whole: Value) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any_scalar(),
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
        "/pay_to",
        "/amount",
        "/version",
        "/max_timeout_seconds",
    ];
    (prop::sample::select(places), leaf).prop_map(move |(place, value)| {
        let mut whole = whole.clone();
        if let Some(member) = whole.pointer_mut(place) {
            *member = value;
        }
        whole
    })
}

/// A short offer.
fn short() -> Value {
    json!({"pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "amount": "1", "asset": "USDG", "network": "xlayer",
           "version": 1, "max_timeout_seconds": 300})
}

proptest! {
    #[test]
    fn no_input_panics(payment in mutated(payment()), offer in mutated(requirements()), short in mutated(short()), text in "\\PC*", now in any::<u64>()) {
        let rows = Rows::new();
        for payment in [payment.to_string(), STANDARD.encode(payment.to_string()), text.clone()] {
            for offer in [offer.to_string(), short.to_string(), text.clone()] {
                let _ = verify(&payment, &offer, rows.registry(), now, Payer::HasCode);
                let _ = facilitator::request(&payment, &offer, "okx", Some(&text), rows.registry());
                let _ = payment_required(&offer, &Resource::default(), None, rows.registry());
                let resource = Resource { url: Some(&text), ..Resource::default() };
                let _ = challenge(&offer, &resource, Some(&text), rows.registry());
            }
        }
        let _ = payment_response(&text, "xlayer", &text, Some(&text), rows.registry());
    }
}
