//! Whether a payment fits what was asked for, as far as that can be seen without the chain.

use super::authorization::Authorization;
use super::payment::{Payment, Signed, document};
use super::reason::{Reason, Refusal};
use super::registry::{Asset, Network, Registry};
use super::requirements::{Terms, offers};
use super::{EXACT, Version};
use crate::error::Error;
use crate::evm::integer::U256;
use crate::evm::signature::Signature;
use crate::json::Json;

/// Seconds that an authorization must still be good for: what the reference implementation allows for
/// getting it into a block.
const MARGIN_SECONDS: u64 = 6;

/// What a database cannot see.
pub const UNCHECKED: [&str; 3] = ["balance", "code_at_payer", "nonce_on_chain"];

/// What came of it.
#[derive(Debug)]
pub struct Verdict<'r> {
    /// What the payment says, as far as it could be read.
    pub authorization: Option<Authorization>,
    /// The network and the asset that it was held against.
    pub against: Option<(&'r Network, &'r Asset)>,
    /// Which of the offers that was, counted from 0.
    pub offer: Option<usize>,
    /// Why it is refused, or not decided; `None`: it is valid.
    pub refusal: Option<Refusal>,
}

impl Verdict<'_> {
    /// `None`: only a facilitator can say.
    #[must_use]
    pub fn is_valid(&self) -> Option<bool> {
        match &self.refusal {
            None => Some(true),
            Some(Refusal {
                reason: Reason::NeedsFacilitator,
                ..
            }) => None,
            Some(_) => Some(false),
        }
    }
}

/// Holds a payment, a header's value or JSON, against one requirement or a list of them, in the order of
/// the reference implementation. `now`: seconds since 1970.
///
/// # Errors
/// What is wrong with the requirements, which are the seller's. What is wrong with the payment is the
/// verdict's.
pub fn verify<'r>(
    payment: &str,
    requirements: &str,
    registry: Registry<'r>,
    now: u64,
) -> Result<Verdict<'r>, Error> {
    let offers = offers(requirements, registry)?;
    let terms: Vec<&Terms> = offers.iter().map(|offer| &offer.terms).collect();
    let refused = |refusal| {
        Ok(Verdict {
            authorization: None,
            against: None,
            offer: None,
            refusal: Some(refusal),
        })
    };
    let text = match document(payment) {
        Ok(text) => text,
        Err(problem) => return refused(Refusal::new(Reason::InvalidPayload, problem)),
    };
    let read = Payment::read(&text)
        .and_then(|payment| Ok((matching(&payment, &terms, registry)?, payment.signed()?)));
    let (matching, signed) = match read {
        Ok(read) => read,
        Err(refusal) => return refused(refusal),
    };
    // A payment of version 1 does not name its asset: it may fit another offer than the first.
    let mut first = None;
    for terms in matching {
        let refusal = check(&signed, terms, now).err();
        let verdict = Verdict {
            authorization: Some(signed.authorization.clone()),
            against: Some((terms.network, terms.asset)),
            offer: offers
                .iter()
                .position(|offer| std::ptr::eq(&raw const offer.terms, terms)),
            refusal,
        };
        if verdict.is_valid() != Some(false) {
            return Ok(verdict);
        }
        first.get_or_insert(verdict);
    }
    first.map_or_else(
        || {
            refused(Refusal::new(
                Reason::InvalidRequirements,
                "Nothing was offered.",
            ))
        },
        Ok,
    )
}

/// The offers that a payment can be for; one at least.
fn matching<'t, 'r>(
    payment: &Payment,
    offers: &[&'t Terms<'r>],
    registry: Registry<'r>,
) -> Result<Vec<&'t Terms<'r>>, Refusal> {
    let refused = |reason, message: String| Err(Refusal::new(reason, message));
    let of_version: Vec<_> = offers
        .iter()
        .copied()
        .filter(|terms| terms.version == payment.version)
        .collect();
    if of_version.is_empty() {
        return refused(
            Reason::InvalidVersion,
            format!(
                "x402Version: It is {}, and nothing was offered in that version.",
                payment.version as u8
            ),
        );
    }
    if payment.scheme != EXACT {
        return refused(
            Reason::UnsupportedScheme,
            "scheme: The one scheme that is known here is \"exact\".".to_owned(),
        );
    }
    let network = registry.networks.find(&payment.network);
    let of_network: Vec<_> = of_version
        .into_iter()
        .filter(|terms| Some(terms.network) == network)
        .collect();
    if of_network.is_empty() {
        return refused(
            Reason::InvalidNetwork,
            "network: Nothing was offered on this network.".to_owned(),
        );
    }
    match payment.accepted {
        None => Ok(of_network),
        Some(accepted) => accepted_among(accepted, of_network, registry),
    }
}

fn accepted_among<'t, 'r>(
    accepted: Json,
    offers: Vec<&'t Terms<'r>>,
    registry: Registry<'r>,
) -> Result<Vec<&'t Terms<'r>>, Refusal> {
    let refused = |message: String| Refusal::new(Reason::InvalidRequirements, message);
    let accepted = Terms::read(accepted, registry).map_err(|error| {
        refused(match error {
            Error::InvalidRequirements { problem } => format!("accepted.{problem}"),
            other => format!("accepted: {other}."),
        })
    })?;
    let equal: Vec<_> = offers
        .into_iter()
        .filter(|terms| **terms == accepted)
        .collect();
    match equal.is_empty() {
        true => Err(refused("accepted: It is not what was offered.".to_owned())),
        false => Ok(equal),
    }
}

fn check(signed: &Signed, terms: &Terms, now: u64) -> Result<(), Refusal> {
    let Signed {
        authorization,
        signature,
    } = signed;
    let refused = |reason, message: &str| Err(Refusal::new(reason, message));
    let is_of_a_contract = signature.len() > 65;
    if !is_of_a_contract {
        let signature = Signature::from_bytes(signature).map_err(|not_one| {
            Refusal::new(
                Reason::InvalidSignature,
                format!("payload.signature: {}", not_one.problem),
            )
        })?;
        let signer = signature.signer(&authorization.digest(&terms.asset.separator));
        if signer != Some(authorization.from) {
            let message = format!(
                "payload.signature: It is not that of authorization.from for the domain of {} on {}, name \"{}\" and version \"{}\".",
                terms.asset.symbol, terms.network.network, terms.asset.name, terms.asset.version
            );
            return refused(Reason::InvalidSignature, &message);
        }
    }
    if authorization.to != terms.pay_to {
        return refused(
            Reason::RecipientMismatch,
            "payload.authorization.to: It is not payTo.",
        );
    }
    if authorization.valid_before < U256::from_u64(now.saturating_add(MARGIN_SECONDS)) {
        return refused(
            Reason::ValidBefore,
            "payload.authorization.validBefore: It has passed, or will within 6 seconds.",
        );
    }
    if authorization.valid_after > U256::from_u64(now) {
        return refused(
            Reason::ValidAfter,
            "payload.authorization.validAfter: It has not come yet.",
        );
    }
    match terms.version {
        Version::V1 if authorization.value < terms.amount => {
            return refused(
                Reason::Value,
                "payload.authorization.value: It is less than maxAmountRequired.",
            );
        }
        Version::V2 if authorization.value != terms.amount => {
            return refused(
                Reason::ValueMismatch,
                "payload.authorization.value: It is not the amount.",
            );
        }
        _ => {}
    }
    if is_of_a_contract {
        return refused(
            Reason::NeedsFacilitator,
            "payload.signature: It is a contract wallet's (ERC-1271, ERC-6492), which only the chain can check; all else fits.",
        );
    }
    Ok(())
}
