//! Facilitators' answers. Expected values are from the x402 specification (section 5.3,
//! `SettlementResponse`) and from OKX's documentation of its two interfaces. The reasons are from
//! the specification (section 9), from packages x402 1.2 and `@x402/evm` 2.27, and from OKX.

use serde_json::{Value, json};

use super::{PAY_TO, Rows};
use crate::evm::address::Address;
use crate::evm::integer::U256;
use crate::evm::{Word, fixed_bytes};
use crate::x402::answer::Outcome::{Conflict, Failed, Pending, Settled};
use crate::x402::answer::{Answer, Expected, Outcome};

/// The signer of the payment in the answers: 10000 of some token on X Layer.
pub(super) const PAYER: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
/// From the specification's example of a settlement.
pub(super) const HASH: &str = "0x1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef";
pub(super) const OTHER: &str = "0x89c91c789e57059b17285e7ba1716a1f5ff4c5dace0ea5a5135f26158d0421b9";

fn word(hash: &str) -> Option<Word> {
    fixed_bytes(hash)
}

pub(super) fn read_text(text: &str) -> Answer {
    let rows = Rows::new();
    let expected = Expected {
        network: rows.0.find("xlayer").unwrap(),
        payer: Address::parse(PAYER).unwrap(),
        amount: U256::from_u64(10_000),
        is_upto: false,
        asked: None,
    };
    Answer::read(text, &expected)
}

pub(super) fn read(answer: &Value) -> Answer {
    read_text(&answer.to_string())
}

pub(super) fn success() -> Value {
    json!({"success": true, "transaction": HASH, "network": "eip155:196", "payer": PAYER})
}

pub(super) fn failure(reason: &str) -> Value {
    json!({"success": false, "errorReason": reason, "transaction": "", "network": "eip155:196", "payer": PAYER})
}

/// The answer in each of OKX's envelopes. `code` is a string in the documentation and a number in
/// practice. `data` is a list in the first interface and an object in the second.
pub(super) fn enveloped(answer: &Value) -> [Value; 4] {
    [
        json!({"code": "0", "msg": "", "data": [answer]}),
        json!({"code": 0, "msg": "success", "data": [answer]}),
        json!({"code": "0", "msg": "", "data": answer, "error_code": "0", "error_message": ""}),
        json!({"code": 0, "msg": "", "data": answer, "error_message": null}),
    ]
}

/// The outcome of an answer, plain and in every envelope.
#[track_caller]
pub(super) fn outcome(answer: &Value) -> Outcome {
    let plain = read(answer);
    for enveloped in enveloped(answer) {
        assert_eq!(read(&enveloped), plain, "{enveloped}");
    }
    plain.outcome
}

#[test]
fn a_settlement_is_found_under_both_names_and_in_every_envelope() {
    let settled = Answer {
        outcome: Settled,
        amount: Some(U256::from_u64(10_000)),
        transaction: word(HASH),
        reason: None,
        message: None,
    };
    for answer in [
        // From the specification, versions 1 and 2. Facilitators send null for missing members.
        success(),
        json!({"success": true, "transaction": HASH, "network": "eip155:196", "payer": PAYER, "amount": "10000"}),
        json!({"success": true, "transaction": HASH, "network": "eip155:196", "payer": null, "amount": null,
               "errorReason": null, "errorMessage": null, "extensions": null, "extra": null}),
        json!({"success": true, "transaction": HASH}),
        // OKX's first interface, and the second with a wait for the chain.
        json!({"chainIndex": "196", "success": true, "payer": PAYER, "txHash": HASH, "errorReason": ""}),
        json!({"chainIndex": 196, "chainName": "X Layer", "success": true, "payer": PAYER, "txHash": HASH, "errorMsg": null}),
        json!({"success": true, "status": "success", "transaction": HASH, "network": "eip155:196", "payer": PAYER}),
        json!({"success": true, "transaction": null, "txHash": HASH}),
        json!({"success": true, "transaction": HASH, "txHash": HASH}),
    ] {
        assert_eq!(outcome(&answer), Settled, "{answer}");
        assert_eq!(read(&answer), settled, "{answer}");
    }
}

/// The table of OKX's documentation: exact without and with a wait, the wait timed out, and a
/// deferred payment, which has no transaction yet. GET /settle/status says `failed`, and
/// `not_found`.
#[test]
pub(super) fn success_that_is_not_on_the_chain_is_pending() {
    for (status, transaction, reason) in [
        (json!("pending"), HASH, "settlement_pending"),
        (json!("timeout"), HASH, "settlement_timeout"),
        (json!("failed"), HASH, "settlement_failed"),
        (json!("of next year"), HASH, "settlement_of next year"),
        (json!("SUCCESS"), HASH, "settlement_SUCCESS"),
        (json!("success"), "", "no_transaction"),
        (json!(null), "", "no_transaction"),
        (json!("pending"), "", "no_transaction"),
    ] {
        let answer =
            json!({"success": true, "status": status, "transaction": transaction, "payer": PAYER});
        assert_eq!(outcome(&answer), Pending, "{answer}");
        let answer = read(&answer);
        assert_eq!(answer.reason.as_deref(), Some(reason));
        assert_eq!(answer.transaction, word(transaction));
    }
    assert_eq!(outcome(&json!({"success": true})), Pending);
    assert_eq!(outcome(&failure("not_found")), Pending);
}

pub(super) const NOTHING_SENT: &[&str] = &[
    // The specification, section 9 of version 1, and version 2's name for one.
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
    // x402 1.2.
    "invalid_exact_evm_payload_undeployed_smart_wallet",
    "invalid_payment",
    "payment_expired",
    // @x402/evm 2.27: what it checks before it simulates, and what a failed simulation comes from.
    "invalid_exact_evm_scheme",
    "invalid_exact_evm_missing_eip712_domain",
    "invalid_exact_evm_network_mismatch",
    "asset_not_deployed_contract",
    "eip6492_factory_not_allowed",
    "invalid_exact_evm_signature",
    "invalid_exact_evm_failed_to_parse_signature",
    "invalid_exact_evm_recipient_mismatch",
    "invalid_exact_evm_eip3009_not_supported",
    "invalid_exact_evm_token_name_mismatch",
    "invalid_exact_evm_token_version_mismatch",
    "invalid_exact_evm_insufficient_balance",
    "invalid_exact_evm_authorization_value",
    "unsupported_payload_type",
    "invalid_permit2_signature",
    "invalid_permit2_spender",
    "invalid_permit2_recipient_mismatch",
    "permit2_deadline_expired",
    "permit2_not_yet_valid",
    "permit2_amount_mismatch",
    "permit2_token_mismatch",
    "permit2_allowance_required",
    "permit2_insufficient_balance",
    // Checks of addresses.
    "invalid_exact_evm_payload_from_address_kyt",
    "invalid_exact_evm_payload_to_address_kyt",
    // OKX.
    "param_mismatch",
    "toAddr mismatch",
    "amount mismatch",
    "unsupported_chain",
    "payer_blocked",
    "risk_address",
    "resource mismatch",
    "no matching payment option",
    "invalid_signature",
];

pub(super) const MAY_HAVE_MOVED: &[&str] = &[
    "invalid_transaction_state",
    "unexpected_verify_error",
    "unexpected_settle_error",
    "duplicate_settlement",
    "smart_wallet_deployment_failed",
    "settlement_pending",
    "settlement_timeout",
    "permit2_invalid_nonce",
    "invalid_exact_evm_nonce_already_used",
    "invalid_exact_evm_transaction_simulation_failed",
    "invalid_exact_evm_transfer_event_mismatch",
    "invalid_exact_evm_transaction_failed",
    "AuthorizationUsed",
    "not_found",
    "timeout",
    "500 Internal Server Error",
];

#[test]
fn every_reason_is_sorted_by_whether_anything_was_sent() {
    for (reasons, expected) in [(NOTHING_SENT, Failed), (MAY_HAVE_MOVED, Pending)] {
        for reason in reasons {
            let answer = failure(reason);
            assert_eq!(outcome(&answer), expected, "{reason}");
            let answer = read(&answer);
            assert_eq!(
                (answer.reason.as_deref(), answer.transaction),
                (Some(*reason), None)
            );
            // OKX's first interface has been seen with either name for it.
            for name in ["errorMsg", "errorMessage"] {
                let answer = json!({"success": false, "payer": PAYER, "txHash": "", name: reason});
                assert_eq!(outcome(&answer), expected, "{answer}");
                assert_eq!(read(&answer).message.as_deref(), Some(*reason));
            }
        }
    }
}

#[test]
fn a_failure_that_does_not_say_that_nothing_was_sent_is_pending() {
    for mut answer in [
        json!({"success": false}),
        json!({"success": false, "errorReason": null}),
        json!({"success": false, "errorReason": "", "transaction": ""}),
        // The answer contradicts itself: it has a transaction, or another status.
        json!({"success": false, "errorReason": "insufficient_funds", "transaction": HASH}),
        json!({"success": false, "errorReason": "insufficient_funds", "txHash": HASH}),
        json!({"success": false, "errorReason": "insufficient_funds", "status": "pending"}),
        json!({"success": false, "errorReason": "insufficient_funds", "status": "timeout"}),
        json!({"success": false, "errorReason": "insufficient_funds", "status": "success"}),
        // A settlement that failed with this message was sent. Maybe the facilitator has no funds.
        json!({"success": false, "errorReason": "unexpected_settle_error", "errorMessage": "insufficient funds"}),
    ] {
        assert_eq!(outcome(&answer), Pending, "{answer}");
        assert!(read(&answer).reason.is_some());
        answer["payer"] = json!(PAYER);
        assert_eq!(outcome(&answer), Pending, "{answer}");
    }
    let failed = json!({"success": false, "errorReason": "insufficient_funds", "status": "failed", "errorMessage": "nonce too low"});
    assert_eq!(outcome(&failed), Failed);
}

/// OKX's table of codes.
#[test]
fn an_envelope_with_an_error_is_failed_if_the_request_was_not_looked_into() {
    for (codes, expected) in [
        (
            &[
                50011, 429, 50014, 400, 50103, 50104, 50105, 50106, 50107, 50111, 50112, 50113,
                50114, 50125, 50038, 51000,
            ][..],
            Failed,
        ),
        (&[50026, 500, 50404, 1, -1, 50200][..], Pending),
    ] {
        for code in codes {
            for (code, data) in [
                (json!(code), json!(null)),
                (json!(code.to_string()), json!([])),
            ] {
                for envelope in [
                    json!({"code": code, "msg": "Words", "data": data}),
                    json!({"code": code, "error_code": code, "error_message": "Words", "msg": "", "data": data}),
                    json!({"code": code, "msg": "Words"}),
                ] {
                    let answer = read(&envelope);
                    assert_eq!(answer.outcome, expected, "{envelope}");
                    let text = code.to_string();
                    assert_eq!(
                        answer.reason,
                        Some(format!("okx_{}", text.trim_matches('"')))
                    );
                    assert_eq!(answer.message.as_deref(), Some("Words"));
                }
            }
        }
    }
    for (message, expected) in [
        ("payer_blocked", Failed),
        ("toAddr mismatch", Failed),
        ("System error", Pending),
    ] {
        let envelope = json!({"code": "1", "msg": message, "data": null});
        assert_eq!(read(&envelope).outcome, expected, "{message}");
    }
    // If there is an answer beside the error, neither counts.
    for data in [success(), failure("insufficient_funds"), json!([success()])] {
        assert_eq!(
            read(&json!({"code": 50011, "data": data})).outcome,
            Pending,
            "{data}"
        );
    }
}

#[test]
fn what_is_no_answer_to_a_settlement_is_pending() {
    for text in [
        "null",
        " null\n",
        "",
        "<html>502 Bad Gateway</html>",
        "{",
        "true",
        "\"success\"",
        "[]",
        "{}",
        "[{\"success\": true}]",
        "{\"success\": null}",
        "{\"isValid\": false, \"invalidReason\": \"insufficient_funds\"}",
        "{\"x402Version\": 1, \"error\": \"payment required\", \"accepts\": []}",
        // It is not clear which one counts.
        "{\"success\": true, \"success\": false, \"errorReason\": \"insufficient_funds\"}",
        "{\"success\": false, \"success\": true}",
        "{\"code\": \"0\"}",
        "{\"code\": 0, \"data\": null}",
        "{\"code\": 0, \"data\": []}",
        "{\"code\": 0, \"data\": {}}",
    ] {
        let answer = read_text(text);
        assert_eq!(answer.outcome, Pending, "{text}");
        let expected = if text.trim() == "null" {
            "no_answer"
        } else {
            "unreadable_answer"
        };
        assert_eq!(answer.reason.as_deref(), Some(expected), "{text}");
        assert_eq!(answer.transaction, None);
    }
    let two = json!({"code": "0", "data": [success(), success()]});
    assert_eq!(read(&two).outcome, Pending);
}

#[test]
fn an_answer_about_another_payment_is_a_conflict_that_says_where() {
    for (name, value, reason) in [
        ("payer", json!(PAY_TO), "payer_mismatch"),
        ("payer", json!("somebody"), "payer_mismatch"),
        ("network", json!("eip155:8453"), "network_mismatch"),
        ("network", json!("base"), "network_mismatch"),
        ("network", json!("196"), "network_mismatch"),
        ("chainIndex", json!("8453"), "network_mismatch"),
        ("chainIndex", json!(1), "network_mismatch"),
        ("amount", json!("10001"), "amount_mismatch"),
        ("amount", json!("1e4"), "amount_mismatch"),
        ("txHash", json!(OTHER), "transaction_mismatch"),
        ("txHash", json!(&HASH[4..]), "transaction_mismatch"),
        (
            "transaction",
            json!(format!("0x{}", "0".repeat(64))),
            "transaction_mismatch",
        ),
        ("txHash", json!("0".repeat(64)), "transaction_mismatch"),
        (
            "transaction",
            json!("5UfDuX7hXbTTQ5VZ"),
            "transaction_mismatch",
        ),
        ("transaction", json!(1), "transaction_mismatch"),
    ] {
        for is_success in [true, false] {
            let mut answer = success();
            answer["success"] = json!(is_success);
            answer["errorReason"] = json!("insufficient_funds");
            answer[name] = value.clone();
            assert_eq!(outcome(&answer), Conflict, "{answer}");
            let found = read(&answer);
            assert_eq!(found.reason.as_deref(), Some(reason), "{answer}");
            // The hash is kept for the operator.
            let is_kept = reason != "transaction_mismatch";
            assert_eq!(found.transaction, word(HASH).filter(|_| is_kept));
            let message = found.message.unwrap();
            assert!(message.contains(name), "{name}: {message}");
        }
    }
}

/// PyPI's x402 facilitator up to 2.20 writes hashes in this form.
#[test]
fn a_transaction_without_0x_is_the_same_transaction() {
    let bare = HASH.strip_prefix("0x").unwrap();
    for transaction in [bare.to_owned(), bare.to_uppercase()] {
        for answer in [
            json!({"success": true, "transaction": transaction, "network": "xlayer", "payer": PAYER}),
            json!({"success": true, "transaction": transaction, "txHash": HASH}),
        ] {
            assert_eq!(outcome(&answer), Settled, "{answer}");
            assert_eq!(read(&answer).transaction, word(HASH));
        }
    }
}

/// The JSON types in the specification's SettleResponse and in OKX's envelope.
#[test]
fn a_member_of_another_kind_is_a_conflict_that_names_it() {
    let (strings, others) = (
        [
            "transaction",
            "txHash",
            "payer",
            "network",
            "status",
            "errorReason",
            "errorMessage",
            "errorMsg",
        ],
        ["chainIndex", "amount"],
    );
    let never = [json!(true), json!([]), json!({}), json!([HASH])];
    let mut cases: Vec<(&str, Value)> = Vec::new();
    for name in strings.iter().chain(&others).copied() {
        cases.extend(never.iter().map(|kind| (name, kind.clone())));
    }
    cases.extend(strings.iter().map(|name| (*name, json!(7))));
    cases.extend(
        ["true", "false", ""]
            .map(|text| ("success", json!(text)))
            .into_iter()
            .chain([json!(1), json!([true]), json!({})].map(|kind| ("success", kind))),
    );
    for (name, kind) in cases {
        for (mut answer, has_hash) in [(success(), true), (failure("insufficient_funds"), false)] {
            answer[name] = kind.clone();
            assert_eq!(outcome(&answer), Conflict, "{answer}");
            let found = read(&answer);
            assert!(found.message.unwrap().starts_with(name), "{answer}");
            let is_kept = has_hash && name != "transaction" && name != "txHash";
            assert!(!is_kept || found.transaction == word(HASH), "{answer}");
        }
    }
    for envelope in [
        json!({"code": true, "data": success()}),
        json!({"code": [], "success": true, "transaction": HASH}),
        json!({"code": 0, "data": "ok"}),
        json!({"code": 50011, "data": 7}),
    ] {
        let found = read(&envelope);
        assert_eq!(
            (found.outcome, found.reason.as_deref()),
            (Conflict, Some("malformed_answer")),
            "{envelope}"
        );
    }
}

/// Scheme `upto`: the facilitator says how much it has settled, at most what it was asked for
/// (specs/schemes/upto/scheme_upto_evm.md, section 3).
#[test]
fn a_facilitator_may_settle_less_than_was_signed_in_scheme_upto_only() {
    let rows = Rows::new();
    let amount = |amount: u64| Some(U256::from_u64(amount));
    for (is_upto, asked, transaction, said, outcome, settled) in [
        (true, None, HASH, json!("1858"), Settled, amount(1858)),
        (true, None, HASH, Value::Null, Settled, amount(10_000)),
        (true, Some(1858), HASH, Value::Null, Settled, amount(1858)),
        (true, Some(1858), HASH, json!("1858"), Settled, amount(1858)),
        (true, Some(1858), HASH, json!(1858), Settled, amount(1858)),
        (true, Some(1858), HASH, json!("1857"), Conflict, None),
        (true, None, HASH, json!("10001"), Conflict, None),
        (true, None, HASH, json!("0"), Conflict, None),
        (true, Some(0), HASH, Value::Null, Conflict, None),
        (true, Some(0), "", json!("0"), Settled, amount(0)),
        (true, Some(0), "", Value::Null, Settled, amount(0)),
        (true, None, "", json!("0"), Settled, amount(0)),
        (true, None, "", json!("1"), Pending, None),
        (true, Some(1858), "", json!("0"), Conflict, None),
        (false, None, HASH, json!("9999"), Conflict, None),
        (false, None, "", json!("0"), Conflict, None),
        (false, None, "", Value::Null, Pending, None),
    ] {
        let expected = Expected {
            network: rows.0.find("xlayer").unwrap(),
            payer: Address::parse(PAYER).unwrap(),
            amount: U256::from_u64(10_000),
            is_upto,
            asked: asked.map(U256::from_u64),
        };
        let answer =
            json!({"success": true, "transaction": transaction, "payer": PAYER, "amount": said});
        let found = Answer::read(&answer.to_string(), &expected);
        assert_eq!(
            (found.outcome, found.amount),
            (outcome, settled),
            "{answer} {asked:?}"
        );
        // Nothing is settled that was not a success.
        let answer = json!({"success": false, "transaction": transaction, "amount": said});
        let found = Answer::read(&answer.to_string(), &expected);
        assert_ne!(found.outcome, Settled, "{answer}");
    }
}
