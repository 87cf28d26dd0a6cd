//! Reads any text as a payment, and the text after a line break as the requirements. Nothing
//! panics. No unsigned payment is valid.
#![no_main]

use std::sync::LazyLock;

use insforge_integrations::x402::facilitator;
use insforge_integrations::x402::header::{Resource, decode, payment_required, payment_response};
use insforge_integrations::x402::registry::{Assets, Networks, Registry};
use insforge_integrations::x402::reservable::Reservable;
use insforge_integrations::x402::verify::{Payer, verify};
use libfuzzer_sys::fuzz_target;

static ROWS: LazyLock<(Networks, Assets)> = LazyLock::new(|| {
    let networks = r#"[{"network": "eip155:84532", "name": "base-sepolia", "v1_network": "base-sepolia", "is_builtin": true}]"#;
    let assets = r#"[{"network": "eip155:84532", "address": "0x036cbd53842c5426634e7929541ec2318f3dcf7e", "symbol": "USDC",
        "name": "USDC", "version": "2", "domain_separator": null, "has_chain_id": true, "transfer_method": "eip3009", "is_builtin": true}]"#;
    (
        Networks::new(serde_json::from_str(networks).unwrap()),
        Assets::new(serde_json::from_str(assets).unwrap()),
    )
});

const REQUIREMENTS: &str = r#"{"scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "1",
    "payTo": "0x1111111111111111111111111111111111111111", "asset": "0x036cbd53842c5426634e7929541ec2318f3dcf7e"}"#;

fuzz_target!(|text: &str| {
    let (networks, assets) = &*ROWS;
    let registry = Registry { networks, assets };
    let (payment, requirements) = text.split_once('\n').unwrap_or((text, REQUIREMENTS));
    for requirements in [requirements, REQUIREMENTS] {
        let _ = verify(payment, requirements, registry, 1_740_672_100, Payer::HasCode);
        let _ = facilitator::request(payment, requirements, "okx", Some("1"), registry);
        let _ = payment_required(requirements, &Resource::default(), None, registry);
    }
    // Every payment that can be reserved can be sent to a facilitator.
    let kept = Reservable::read(payment, requirements, registry, 1_740_672_100, Payer::HasCode);
    if let Ok(kept) = kept {
        let (payment, requirement) = (&kept.payment, &kept.requirement);
        assert!(facilitator::request(payment, requirement, "okx", None, registry).is_ok());
    }
    // No seed has a signature for this payee.
    if let Ok(verdict) = verify(payment, REQUIREMENTS, registry, 1_740_672_100, Payer::Unknown) {
        assert_ne!(verdict.is_valid(), Some(true));
    }
    let _ = decode(payment);
    let _ = payment_response(payment, "base-sepolia", requirements, Some(payment), registry);
});
