//! Facilitators' answers to a request to settle: the protocol's own, both of OKX's, and anything
//! else that such a server can send.

use std::borrow::Cow;

use super::registry::Network;
use crate::evm::address::Address;
use crate::evm::integer::{U256, decimal, digits};
use crate::evm::{Word, fixed_bytes, transaction_hash};
use crate::json::{Json, Members};

/// The payment that an answer must be about.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The network of the payment.
    pub network: &'a Network,
    /// The payer, who signed.
    pub payer: Address,
    /// The signed amount, in the token's smallest unit.
    pub amount: U256,
    /// Whether less may be settled (scheme `upto`).
    pub is_upto: bool,
    /// The amount that the facilitator was asked to settle, if another one.
    pub asked: Option<U256>,
}

impl Expected<'_> {
    /// The amount that the facilitator was asked to settle.
    fn asked(&self) -> U256 {
        self.asked.unwrap_or(self.amount)
    }
}

/// The outcome that an answer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The money moved.
    Settled,
    /// The outcome is not known, or the answer does not say.
    Pending,
    /// This request moved nothing. The authorization can still be used.
    Failed,
    /// The answer is about another payment, or contradicts itself.
    Conflict,
}

/// The content of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// The transaction that it names. A settlement of nothing has none.
    pub transaction: Option<Word>,
    /// The amount that moved, if the outcome is [`Outcome::Settled`].
    pub amount: Option<U256>,
    /// The facilitator's reason unchanged, or this extension's for an answer that does not fit.
    pub reason: Option<String>,
    /// A sentence of the facilitator, or one on what does not fit.
    pub message: Option<String>,
}

/// Reasons that a facilitator gives before it sends anything to the chain: from the specification,
/// from packages x402 1.2 and `@x402/evm` 2.27, and from OKX. Any other reason may come after.
const NOTHING_SENT: &[&str] = &[
    "amount_mismatch",
    "asset_not_deployed_contract",
    "eip2612_asset_mismatch",
    "eip2612_deadline_expired",
    "eip2612_from_mismatch",
    "eip2612_spender_not_permit2",
    "eip6492_factory_not_allowed",
    "erc20_approval_asset_mismatch",
    "erc20_approval_from_mismatch",
    "erc20_approval_spender_not_permit2",
    "erc20_approval_tx_invalid_calldata",
    "erc20_approval_tx_invalid_signature",
    "erc20_approval_tx_parse_failed",
    "erc20_approval_tx_signer_mismatch",
    "erc20_approval_tx_wrong_selector",
    "erc20_approval_tx_wrong_spender",
    "erc20_approval_tx_wrong_target",
    "insufficient_funds",
    "invalid_eip2612_extension_format",
    "invalid_erc20_approval_extension_format",
    "invalid_exact_evm_authorization_value",
    "invalid_exact_evm_eip3009_not_supported",
    "invalid_exact_evm_failed_to_parse_signature",
    "invalid_exact_evm_insufficient_balance",
    "invalid_exact_evm_missing_eip712_domain",
    "invalid_exact_evm_network_mismatch",
    "invalid_exact_evm_payload_authorization_valid_after",
    "invalid_exact_evm_payload_authorization_valid_before",
    "invalid_exact_evm_payload_authorization_value",
    "invalid_exact_evm_payload_authorization_value_mismatch",
    "invalid_exact_evm_payload_recipient_mismatch",
    "invalid_exact_evm_payload_signature",
    "invalid_exact_evm_payload_undeployed_smart_wallet",
    "invalid_exact_evm_recipient_mismatch",
    "invalid_exact_evm_scheme",
    "invalid_exact_evm_signature",
    "invalid_exact_evm_token_name_mismatch",
    "invalid_exact_evm_token_version_mismatch",
    "invalid_network",
    "invalid_payload",
    "invalid_payment",
    "invalid_payment_requirements",
    "invalid_permit2_recipient_mismatch",
    "invalid_permit2_signature",
    "invalid_permit2_spender",
    "invalid_scheme",
    "invalid_signature",
    "invalid_upto_evm_network_mismatch",
    "invalid_upto_evm_payload_settlement_exceeds_amount",
    "invalid_upto_evm_scheme",
    "invalid_x402_version",
    "no_matching_payment_option",
    "param_mismatch",
    "payer_blocked",
    "payment_expired",
    "permit2_allowance_required",
    "permit2_amount_mismatch",
    "permit2_deadline_expired",
    "permit2_insufficient_balance",
    "permit2_not_yet_valid",
    "permit2_token_mismatch",
    "resource_mismatch",
    "risk_address",
    "toaddr_mismatch",
    "unsupported_asset_transfer_method",
    "unsupported_chain",
    "unsupported_payload_type",
    "unsupported_payment_flow",
    "unsupported_scheme",
    "upto_facilitator_mismatch",
];

/// Members of an answer that are read and must be strings.
const STRINGS: &[&str] = &[
    "transaction",
    "txHash",
    "payer",
    "network",
    "status",
    "errorReason",
    "errorMessage",
    "errorMsg",
];

/// Members that are read and must be strings or numbers. OKX has sent both.
const STRINGS_OR_NUMBERS: &[&str] = &["chainIndex", "amount"];

/// OKX's codes for requests that it refused at once: limits, missing or wrong headers, keys.
const OKX_REFUSED: &[&str] = &[
    "400", "429", "50011", "50014", "50038", "50103", "50104", "50105", "50106", "50107", "50111",
    "50112", "50113", "50114", "50125", "51000",
];

impl Answer {
    /// Reads the JSON of an answer. Every text gives an answer.
    #[must_use]
    pub fn read(response: &str, expected: &Expected) -> Self {
        if response.trim_ascii() == "null" {
            return Self::pending("no_answer", "The facilitator's answer did not arrive.");
        }
        let unreadable =
            || Self::pending("unreadable_answer", "It is not an answer to a settlement.");
        let Some(outer) = Json::parse(response).and_then(Json::members) else {
            return unreadable();
        };
        let Some(code) = present(&outer, "code") else {
            return Self::of_settlement(&outer, expected).unwrap_or_else(unreadable);
        };
        let of_another_kind = |name| Self::conflict("malformed_answer", another_kind(name), None);
        let Some(code) = scalar(code) else {
            return of_another_kind("code");
        };
        let is_data = |data: &Json| data.text().starts_with(['{', '[']);
        if !present(&outer, "data").as_ref().is_none_or(is_data) {
            return of_another_kind("data");
        }
        // OKX's envelope: {code, msg, data}, data a list of one in its first interface.
        let data = outer.get("data").and_then(|data| match data.items() {
            Some(items) => match items.as_slice() {
                [one] => one.members(),
                _ => None,
            },
            None => data.members(),
        });
        if code == "0" {
            let of_settlement = data.and_then(|data| Self::of_settlement(&data, expected));
            return of_settlement.unwrap_or_else(unreadable);
        }
        let message = text(&outer, &["error_message", "msg", "message"]);
        let is_refused = data.is_none()
            && (OKX_REFUSED.contains(&code.as_ref())
                || message.as_deref().is_some_and(is_before_sending));
        Self {
            outcome: match is_refused {
                true => Outcome::Failed,
                false => Outcome::Pending,
            },
            transaction: None,
            amount: None,
            reason: Some(format!("okx_{code}")),
            message,
        }
    }

    fn pending(reason: &str, message: &str) -> Self {
        Self {
            outcome: Outcome::Pending,
            transaction: None,
            amount: None,
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
        }
    }

    fn conflict(reason: &str, message: String, transaction: Option<Word>) -> Self {
        Self {
            outcome: Outcome::Conflict,
            transaction,
            amount: None,
            reason: Some(reason.to_owned()),
            message: Some(message),
        }
    }

    /// Reads a `SettleResponse`; `None` for anything else.
    fn of_settlement(answer: &Members, expected: &Expected) -> Option<Self> {
        let is_success = present(answer, "success")?.boolean();
        let (transaction, problem) = match transaction(answer) {
            Ok(transaction) => (transaction, None),
            Err(message) => (None, Some(("transaction_mismatch", message))),
        };
        let problem = problem
            .or_else(|| mismatch(answer, expected))
            .or_else(|| Some(("malformed_answer", another_kind(malformed(answer)?))));
        if let Some((reason, message)) = problem {
            return Some(Self::conflict(reason, message, transaction));
        }
        let said = Self {
            outcome: Outcome::Pending,
            transaction,
            amount: None,
            reason: text(
                answer,
                &["errorReason", "error_reason", "invalidReason", "error"],
            ),
            message: text(
                answer,
                &["errorMessage", "errorMsg", "error_message", "msg"],
            ),
        };
        let status = text(answer, &["status"]);
        // "Unexpected error: insufficient funds" is not the reason "insufficient funds": only an
        // exact name counts.
        let why = said.reason.as_deref().or(said.message.as_deref());
        let is_before_sending = why.is_some_and(is_before_sending)
            && matches!(status.as_deref(), None | Some("failed"));
        let status = status.as_deref().unwrap_or("success");
        let settled = settled_amount(answer, expected);
        let (outcome, reason) = match (is_success == Some(true), transaction) {
            (true, Some(_)) if status == "success" => (Outcome::Settled, None),
            // Scheme upto: nothing was to be paid, so there is no transaction.
            (true, None) if status == "success" && expected.is_upto && settled == U256::ZERO => {
                (Outcome::Settled, None)
            }
            (true, Some(_)) => (Outcome::Pending, Some(format!("settlement_{status}"))),
            (true, None) => (Outcome::Pending, Some("no_transaction".to_owned())),
            (false, None) if is_before_sending => (Outcome::Failed, None),
            (false, _) => (Outcome::Pending, Some("no_reason".to_owned())),
        };
        Some(Self {
            outcome,
            amount: (outcome == Outcome::Settled).then_some(settled),
            reason: said.reason.or(reason),
            ..said
        })
    }
}

/// The transaction that an answer names under either name; empty on failure.
fn transaction(answer: &Members) -> Result<Option<Word>, String> {
    let mut found = None;
    for name in ["transaction", "txHash"] {
        let Some(text) = text(answer, &[name]) else {
            continue;
        };
        let hash = transaction_hash(&text).ok_or_else(|| {
            format!("{name}: It must be 0x and 64 hexadecimal digits, and not all zeros.")
        })?;
        if found.is_some_and(|other| other != hash) {
            return Err("transaction and txHash: They differ.".to_owned());
        }
        found = Some(hash);
    }
    Ok(found)
}

/// The first member that is about another payment, and what is wrong.
fn mismatch(answer: &Members, expected: &Expected) -> Option<(&'static str, String)> {
    let differs = |name: &str, own: &str| format!("{name}: The payment's is {own}.");
    if let Some(payer) = text(answer, &["payer"])
        && fixed_bytes(&payer) != Some(expected.payer.0)
    {
        return Some((
            "payer_mismatch",
            differs("payer", &expected.payer.to_string()),
        ));
    }
    let network = expected.network;
    if let Some(named) = text(answer, &["network"])
        && !network.is_called(&named)
    {
        return Some(("network_mismatch", differs("network", &network.network)));
    }
    if let Some(named) = text(answer, &["chainIndex"])
        && named != network.chain_id()
    {
        return Some((
            "network_mismatch",
            differs("chainIndex", network.chain_id()),
        ));
    }
    if let Some(amount) = text(answer, &["amount"]) {
        let amount = decimal(&amount);
        // If nobody said how much of a payment of scheme upto to settle, the answer does.
        let may_be_less = expected.is_upto && expected.asked.is_none();
        let is_less = amount.is_some_and(|amount| amount <= expected.amount);
        if amount != Some(expected.asked()) && !(may_be_less && is_less) {
            let own = digits(&expected.asked());
            return Some(("amount_mismatch", differs("amount", &own)));
        }
    }
    // The contract of scheme upto refuses to move nothing.
    let is_nothing = expected.is_upto && settled_amount(answer, expected) == U256::ZERO;
    (is_nothing && matches!(transaction(answer), Ok(Some(_)))).then(|| {
        let message = "amount: It is 0, and the answer names a transaction.".to_owned();
        ("amount_mismatch", message)
    })
}

/// The amount that a settlement moved: the answer's, which fits, or that of the request.
fn settled_amount(answer: &Members, expected: &Expected) -> U256 {
    let said = text(answer, &["amount"]).and_then(|amount| decimal(&amount));
    said.unwrap_or_else(|| expected.asked())
}

/// The first member that is read and has the wrong type.
fn malformed(answer: &Members) -> Option<&'static str> {
    type Is = fn(Json) -> bool;
    let kinds: [(&[&'static str], Is); 3] = [
        (&["success"], |value| value.boolean().is_some()),
        (STRINGS, |value| value.string().is_some()),
        (STRINGS_OR_NUMBERS, |value| scalar(value).is_some()),
    ];
    kinds
        .into_iter()
        .flat_map(|(names, is)| names.iter().map(move |name| (*name, is)))
        .find(|(name, is)| present(answer, name).is_some_and(|value| !is(value)))
        .map(|(name, _)| name)
}

fn another_kind(name: &str) -> String {
    format!("{name}: It has the wrong JSON type.")
}

/// A member that is not null. Facilitators send null for nothing.
fn present<'a>(members: &Members<'a>, name: &str) -> Option<Json<'a>> {
    members.get(name).copied().filter(|value| !value.is_null())
}

/// Whether a reason is given before anything is sent. Address checks put their own name before the
/// reason, and OKX writes some reasons with spaces.
fn is_before_sending(reason: &str) -> bool {
    let reason = reason.trim().to_ascii_lowercase().replace(' ', "_");
    NOTHING_SENT.contains(&reason.as_str()) || reason.ends_with("_address_kyt")
}

/// The characters of a string, or the digits of a number unchanged.
fn scalar<'a>(json: Json<'a>) -> Option<Cow<'a, str>> {
    json.string().or_else(|| json.number().map(Cow::Borrowed))
}

/// The first of these members with content. Facilitators send null and "" for nothing.
fn text(members: &Members, names: &[&str]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| scalar(*members.get(*name)?))
        .find(|text| !text.is_empty())
        .map(Cow::into_owned)
}
