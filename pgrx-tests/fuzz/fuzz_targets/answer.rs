//! Reads any text as a facilitator's answer. Nothing panics. A payment is settled only if the
//! answer says so and names a transaction.
#![no_main]

use std::sync::LazyLock;

use insforge_integrations::evm::address::Address;
use insforge_integrations::evm::integer::decimal;
use insforge_integrations::x402::answer::{Answer, Expected, Outcome};
use insforge_integrations::x402::registry::Networks;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static NETWORKS: LazyLock<Networks> = LazyLock::new(|| {
    let row = r#"[{"network": "eip155:196", "name": "xlayer", "v1_network": "eip155:196", "is_builtin": true}]"#;
    Networks::new(serde_json::from_str(row).unwrap())
});

fn says_success(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.get("success") == Some(&Value::Bool(true)) || members.values().any(says_success)
        }
        Value::Array(items) => items.iter().any(says_success),
        _ => false,
    }
}

fuzz_target!(|text: &str| {
    let expected = Expected {
        network: NETWORKS.get("xlayer").unwrap(),
        payer: Address::parse("0x209693bc6afc0c5328ba36faf03c514ef312287c").unwrap(),
        amount: decimal("10000").unwrap(),
        is_upto: text.len() % 2 == 0,
        asked: None,
    };
    let answer = Answer::read(text, &expected);
    assert!(answer.amount.is_none_or(|amount| amount <= expected.amount));
    match answer.outcome {
        Outcome::Settled => {
            let is_free = answer.amount == decimal("0");
            assert_ne!(answer.transaction.is_some(), is_free);
            if let Ok(value) = serde_json::from_str(text) {
                assert!(says_success(&value));
            }
        }
        Outcome::Failed => assert!(answer.transaction.is_none()),
        Outcome::Pending => assert!(answer.reason.is_some()),
        Outcome::Conflict => assert!(answer.reason.is_some() && answer.message.is_some()),
    }
    assert_eq!(Answer::read(text, &expected), answer);
});
