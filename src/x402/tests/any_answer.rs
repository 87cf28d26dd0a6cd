//! Random answers.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::answers::{
    HASH, MAY_HAVE_MOVED, NOTHING_SENT, OTHER, PAYER, enveloped, failure, outcome, read, read_text,
    success,
};
use crate::evm::{Word, fixed_bytes, hexadecimal};
use crate::json::tests::any_scalar;
use crate::x402::answer::Outcome::{Failed, Pending, Settled};

/// Random case, because facilitators write hashes and addresses in any case.
fn in_any_case(digits: String) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<bool>(), digits.len()).prop_map(move |upper| {
        let cased = digits.chars().zip(upper).map(|(digit, upper)| match upper {
            true => digit.to_ascii_uppercase(),
            false => digit.to_ascii_lowercase(),
        });
        format!("0x{}", cased.collect::<String>())
    })
}

/// Values of an answer in these places, from fitting ones to nonsense.
fn any_member() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!("")),
        Just(json!("success")),
        Just(json!("pending")),
        Just(json!(HASH)),
        Just(json!(OTHER)),
        Just(json!(PAYER)),
        Just(json!("eip155:196")),
        Just(json!("10000")),
        Just(json!(196)),
        prop::sample::select(NOTHING_SENT).prop_map(Value::from),
        prop::sample::select(MAY_HAVE_MOVED).prop_map(Value::from),
        any_scalar(),
    ]
}

fn any_answer() -> impl Strategy<Value = Value> {
    let names = vec![
        "success",
        "success",
        "transaction",
        "transaction",
        "txHash",
        "status",
        "payer",
        "network",
        "chainIndex",
        "amount",
        "errorReason",
        "errorMessage",
        "errorMsg",
        "extra",
    ];
    let changes = prop::collection::vec((prop::sample::select(names), any_member()), 0..4);
    let wholes = vec![
        success(),
        json!({"success": true, "txHash": HASH, "chainIndex": "196", "payer": PAYER}),
        json!({"success": true, "status": "success", "transaction": HASH, "amount": "10000"}),
        failure("insufficient_funds"),
        json!({}),
    ];
    (prop::sample::select(wholes), changes).prop_map(|(mut answer, changes)| {
        for (name, value) in changes {
            answer[name] = value;
        }
        answer
    })
}

/// A member that is missing, or has its right value.
fn is_nothing_or(answer: &Value, name: &str, right: impl Fn(&Value) -> bool) -> bool {
    answer
        .get(name)
        .is_none_or(|value| value.is_null() || value == "" || right(value))
}

proptest! {
    #[test]
    fn a_settlement_in_any_spelling_settles(
        hash in "[0-9a-f]{64}".prop_flat_map(|digits| (Just(format!("0x{digits}")), in_any_case(digits))),
        payer in in_any_case(PAYER[2..].to_owned()),
        network in prop::sample::select(vec!["eip155:196", "EIP155:196", "xlayer", "XLayer"]),
        name in prop::sample::select(vec!["transaction", "txHash"]),
    ) {
        let (hash, spelled) = hash;
        let answer = json!({"success": true, name: spelled, "payer": payer, "network": network});
        for answer in std::iter::once(answer.clone()).chain(enveloped(&answer)) {
            let found = read(&answer);
            prop_assert_eq!(found.outcome, Settled, "{}", answer);
            prop_assert_eq!(found.transaction.map(|hash| hexadecimal(&hash)), Some(hash.clone()));
        }
    }

    #[test]
    fn an_envelope_changes_nothing(answer in any_answer()) {
        let plain = read(&answer);
        for enveloped in enveloped(&answer) {
            prop_assert_eq!(&read(&enveloped), &plain, "{}", enveloped);
        }
    }

    /// The most important rule for answers, in the words of the specification only.
    #[test]
    fn money_counts_as_moved_only_by_an_answer_that_says_so_of_this_payment(answer in any_answer()) {
        let found = read(&answer);
        let hashes: Vec<Word> = ["transaction", "txHash"].iter()
            .filter_map(|name| fixed_bytes(answer[*name].as_str()?)).collect();
        let are_texts = ["errorReason", "errorMessage", "errorMsg"].iter()
            .all(|name| is_nothing_or(&answer, name, Value::is_string));
        let says_so = answer["success"] == true
            && are_texts
            && !hashes.is_empty()
            && hashes.iter().all(|hash| *hash == hashes[0])
            && is_nothing_or(&answer, "transaction", |hash| hash == HASH || hash == OTHER)
            && is_nothing_or(&answer, "txHash", |hash| hash == HASH || hash == OTHER)
            && is_nothing_or(&answer, "status", |status| status == "success")
            && is_nothing_or(&answer, "payer", |payer| payer == PAYER)
            && is_nothing_or(&answer, "network", |network| network == "eip155:196")
            && is_nothing_or(&answer, "chainIndex", |index| index == 196 || index == "196")
            && is_nothing_or(&answer, "amount", |amount| amount == "10000" || amount == 10_000);
        prop_assert_eq!(found.outcome == Settled, says_so, "{} {:?}", answer, found);
        if found.outcome == Settled {
            prop_assert_eq!(found.transaction, hashes.first().copied());
        } else {
            prop_assert!(found.reason.or(found.message).is_some(), "{}", answer);
        }
        if found.outcome == Failed {
            prop_assert_eq!(&answer["success"], &json!(false));
            prop_assert!(hashes.is_empty(), "{}", answer);
        }
    }

    #[test]
    fn an_unknown_reason_may_come_after_something_was_sent(reason in "[a-z_]{0,12} [\\PC]{0,20}x") {
        prop_assert_eq!(outcome(&failure(&reason)), Pending);
    }

    #[test]
    fn any_text_is_an_answer_and_settles_nothing(text in "\\PC*", deep in 0usize..2000) {
        prop_assert_ne!(read_text(&text).outcome, Settled);
        let nested = format!("{{\"code\": 0, \"data\": {}{}}}", "[".repeat(deep), "]".repeat(deep));
        prop_assert_eq!(read_text(&nested).outcome, Pending);
    }
}
