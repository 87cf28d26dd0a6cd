//! The state of a reservation after each answer of a facilitator.

use super::shop::{Shop, State};
use super::*;

#[test]
fn success_in_every_spelling_settles() {
    let mut shop = Shop::new();
    let spellings: Vec<fn(&str, &str) -> Value> = vec![
        |hash, payer| json!({"success": true, "transaction": hash, "network": "eip155:196", "payer": payer}),
        |hash, _| json!({"success": true, "transaction": hash, "network": "xlayer", "payer": null, "errorReason": null, "amount": "10000"}),
        |hash, payer| json!({"success": true, "transaction": hash.to_uppercase().replace("0X", "0x"), "payer": payer.to_lowercase(), "status": "success"}),
        |hash, payer| json!({"success": true, "transaction": &hash[2..], "network": "eip155:196", "payer": payer}),
        |hash, payer| json!({"code": "0", "msg": "", "data": [{"success": true, "txHash": hash, "chainIndex": "196", "payer": payer}]}),
        |hash, payer| json!({"code": 0, "msg": "", "data": [{"success": true, "txHash": hash, "chainIndex": 196, "payer": payer, "errorReason": ""}]}),
        |hash, payer| json!({"code": 0, "data": {"success": true, "status": "success", "transaction": hash, "network": "eip155:196", "payer": payer, "errorReason": null}}),
        |hash, _| json!({"code": "0", "data": {"success": true, "transaction": hash, "txHash": hash}}),
    ];
    for spelling in spellings {
        let (id, payer) = shop.reserved();
        let hash = shop.new_hash();
        let answer = spelling(&hash, &payer);
        for _ in 0..2 {
            let state = shop.settle(&id, &answer);
            assert_eq!(
                state,
                State {
                    state: "settled".to_owned(),
                    tx_hash: Some(hash.clone()),
                    reason: None
                },
                "{answer}"
            );
        }
        assert_eq!(shop.ledger(&hash), 1);
        assert!(!shop.is_listed(&id));
        let kept: i32 = shop
            .superuser
            .query_one("SELECT jsonb_array_length(answers) FROM insforge_integrations.x402_reservations WHERE id::text = $1", &[&id])
            .unwrap()
            .get(0);
        assert_eq!(kept, 1, "the same answer again is nothing new");
    }
}

#[test]
fn what_may_have_moved_is_pending_until_it_is_known() {
    let mut shop = Shop::new();
    let named = hash(77);
    for answer in [
        Value::Null,
        json!("Bad Gateway"),
        json!([]),
        json!({}),
        json!({"error": "timeout"}),
        json!({"success": true, "transaction": ""}),
        json!({"success": true, "status": "success", "transaction": ""}),
        json!({"success": true, "status": "pending", "transaction": named}),
        json!({"success": true, "status": "timeout", "transaction": named}),
        json!({"success": true, "status": "failed", "transaction": named}),
        json!({"success": true, "status": "whatever", "transaction": named}),
        json!({"success": false, "transaction": named, "errorReason": "insufficient_funds"}),
        json!({"success": false, "errorReason": "not_found"}),
        json!({"success": false, "errorReason": "a reason of next year"}),
        json!({"success": false}),
        json!({"code": "0", "data": []}),
        json!({"code": "0", "data": [{"success": true, "txHash": named}, {"success": true, "txHash": named}]}),
        json!({"code": 0, "data": null}),
        json!({"code": 50026, "msg": "System error", "data": null}),
        json!({"code": "50011", "msg": "", "data": {"success": true, "transaction": named}}),
        json!({"isValid": false, "invalidReason": "insufficient_funds"}),
    ] {
        let (id, payer) = shop.reserved();
        let state = shop.settle(&id, &answer);
        assert_eq!(state.state, "pending", "{answer} {state:?}");
        assert!(state.reason.is_some(), "{answer}");
        assert!(shop.is_listed(&id));
        assert_eq!(shop.ledger(&named), 0);
        // A later failure does not undo a possible settlement.
        let later = shop.settle(
            &id,
            &json!({"success": false, "errorReason": "insufficient_funds"}),
        );
        assert_eq!(later.state, "pending");
        shop.expire(&id);
        assert!(shop.is_listed(&id));
        let landed = shop.new_hash();
        let state = shop.settle(
            &id,
            &json!({"success": true, "transaction": landed, "payer": payer}),
        );
        assert_eq!((state.state.as_str(), shop.ledger(&landed)), ("settled", 1));
    }
}

#[test]
fn an_answer_about_another_payment_is_a_conflict_and_no_settlement() {
    let mut shop = Shop::new();
    let other = hash(78);
    for answer in [
        json!({"success": true, "transaction": other, "payer": PAYER}),
        json!({"success": true, "transaction": other, "network": "eip155:8453"}),
        json!({"success": true, "transaction": other, "network": "base"}),
        json!({"success": true, "transaction": other, "network": "solana"}),
        json!({"success": true, "transaction": other, "chainIndex": "8453"}),
        json!({"success": true, "transaction": other, "amount": "10001"}),
        json!({"success": true, "transaction": "5UfDuX7hXbTTQ5VZ"}),
        json!({"success": true, "transaction": &other[..64]}),
        json!({"success": true, "transaction": hash(0)}),
        json!({"success": true, "transaction": other, "txHash": true}),
        json!({"success": "true", "transaction": other}),
        json!({"success": true, "transaction": other, "status": {"success": true}}),
        json!({"success": true, "transaction": other, "payer": [PAYER]}),
        json!({"success": true, "transaction": other, "txHash": hash(79)}),
        json!({"code": "0", "data": [{"success": true, "txHash": other, "chainIndex": "1"}]}),
    ] {
        let (id, payer) = shop.reserved();
        assert_eq!(shop.settle(&id, &answer).state, "conflict", "{answer}");
        assert!(shop.is_listed(&id));
        assert_eq!(shop.ledger(&other), 0);
        let kept: Value = shop
            .superuser
            .query_one("SELECT answers -> 0 -> 'answer' FROM insforge_integrations.x402_reservations WHERE id::text = $1", &[&id])
            .unwrap()
            .get(0);
        assert_eq!(kept, answer);
        assert_eq!(
            shop.settle(
                &id,
                &json!({"success": false, "errorReason": "insufficient_funds"})
            )
            .state,
            "conflict"
        );
        let right = shop.new_hash();
        assert_eq!(
            shop.settle(
                &id,
                &json!({"success": true, "transaction": right, "payer": payer})
            )
            .state,
            "settled"
        );
    }
}

/// Reasons that facilitators give, from the x402 specification and from the packages of
/// facilitators: before anything is sent, and after.
#[test]
fn every_reason_is_sorted() {
    let mut shop = Shop::new();
    let (before, after) = (
        [
            "insufficient_funds",
            "invalid_exact_evm_payload_authorization_valid_after",
            "invalid_exact_evm_payload_authorization_valid_before",
            "invalid_exact_evm_payload_authorization_value",
            "invalid_exact_evm_payload_authorization_value_mismatch",
            "invalid_exact_evm_payload_signature",
            "invalid_exact_evm_payload_recipient_mismatch",
            "invalid_network",
            "invalid_payload",
            "invalid_payment_requirements",
            "invalid_scheme",
            "unsupported_scheme",
            "invalid_x402_version",
            "invalid_exact_evm_payload_undeployed_smart_wallet",
            "invalid_payment",
            "payment_expired",
            "invalid_exact_evm_failed_to_parse_signature",
            "unsupported_payload_type",
            "invalid_exact_evm_signature",
            "invalid_exact_evm_recipient_mismatch",
            "invalid_exact_evm_insufficient_balance",
            "invalid_permit2_signature",
            "invalid_permit2_spender",
            "invalid_permit2_recipient_mismatch",
            "permit2_deadline_expired",
            "permit2_not_yet_valid",
            "permit2_amount_mismatch",
            "permit2_token_mismatch",
            "permit2_allowance_required",
            "permit2_insufficient_balance",
            "invalid_exact_evm_payload_from_address_kyt",
            "payer_blocked",
            "risk_address",
        ],
        [
            "invalid_transaction_state",
            "unexpected_verify_error",
            "unexpected_settle_error",
            "duplicate_settlement",
            "smart_wallet_deployment_failed",
            "settlement_pending",
            "permit2_invalid_nonce",
            "invalid_exact_evm_nonce_already_used",
            "invalid_exact_evm_transaction_simulation_failed",
            "invalid_exact_evm_transfer_event_mismatch",
            "invalid_exact_evm_transaction_failed",
            "settlement_timeout",
            "not_found",
        ],
    );
    for (reasons, expected) in [(&before[..], "failed"), (&after[..], "pending")] {
        for reason in reasons {
            let (id, payer) = shop.reserved();
            let answer = json!({"success": false, "errorReason": reason, "transaction": "", "network": "eip155:196", "payer": payer});
            let state = shop.settle(&id, &answer);
            assert_eq!(
                (state.state.as_str(), state.reason.as_deref()),
                (expected, Some(*reason))
            );
            assert!(shop.is_listed(&id), "the signature can still be used");
        }
    }
    for (code, expected) in [
        ("50113", "failed"),
        ("50114", "failed"),
        ("50011", "failed"),
        ("50026", "pending"),
        ("1", "pending"),
    ] {
        let (id, _) = shop.reserved();
        for code in [json!(code), json!(code.parse::<i32>().unwrap())] {
            assert_eq!(
                shop.settle(&id, &json!({"code": code, "msg": "", "data": null}))
                    .state,
                expected,
                "{code}"
            );
        }
    }
}
