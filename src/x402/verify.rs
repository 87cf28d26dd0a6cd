//! Whether a payment fits what was asked for, as far as that can be seen without the chain.

use super::authorization::Authorization;
use super::payment::{Payment, Signed, document};
use super::reason::{Reason, Refusal};
use super::registry::Registry;
use super::requirements::{Offer, Terms, Unknown, offers};
use super::{EXACT, Version};
use crate::evm::integer::U256;
use crate::evm::signature::Signature;
use crate::json::Json;
use crate::x402::Error;

/// Seconds that an authorization must still be good for: what the reference implementation allows for
/// getting it into a block.
const MARGIN_SECONDS: u64 = 6;

/// What a database cannot see.
pub const UNCHECKED: [&str; 3] = ["balance", "code_at_payer", "nonce_on_chain"];

/// What came of it.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What the payment says, as far as it could be read.
    pub authorization: Option<Authorization>,
    /// The chain of the offer that it takes.
    pub network: Option<String>,
    /// The token of that offer.
    pub asset: Option<String>,
    /// Which of the offers that is, counted from 0, where it was held against it.
    pub offer: Option<usize>,
    /// Why it is refused, or not decided; `None`: it is valid.
    pub refusal: Option<Refusal>,
}

impl Verdict {
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

/// What is decided before a payment is held against the terms of an offer.
struct Early {
    refusal: Refusal,
    network: Option<String>,
    asset: Option<String>,
}

impl From<Refusal> for Early {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            network: None,
            asset: None,
        }
    }
}

/// Of an offer that is not known here.
impl From<&Unknown> for Early {
    fn from(taken: &Unknown) -> Self {
        Self {
            refusal: taken.refusal.clone(),
            network: taken.network.clone(),
            asset: taken.asset.clone(),
        }
    }
}

impl From<Early> for Verdict {
    fn from(early: Early) -> Self {
        Self {
            network: early.network,
            asset: early.asset,
            refusal: Some(early.refusal),
            ..Self::default()
        }
    }
}

/// Holds a payment, a header's value or JSON, against one requirement or a list of them, in the order of
/// the reference implementation. `now`: seconds since 1970.
///
/// # Errors
/// What is wrong with the requirements, which are the seller's. What is wrong with the payment is the
/// verdict's.
pub fn verify(
    payment: &str,
    requirements: &str,
    registry: Registry,
    now: u64,
) -> Result<Verdict, Error> {
    let offers = offers(requirements, registry)?;
    Ok(judge(payment, &offers, registry, now).unwrap_or_else(Verdict::from))
}

fn judge(payment: &str, offers: &[Offer], registry: Registry, now: u64) -> Result<Verdict, Early> {
    let text = document(payment);
    let text = text.map_err(|problem| Refusal::new(Reason::InvalidPayload, problem))?;
    let payment = Payment::read(&text)?;
    let matching = matching(&payment, offers, registry)?;
    let signed = payment.signed()?;
    // A payment of version 1 does not name its asset: it may fit another offer than the first.
    let mut first = None;
    for (offer, terms) in matching {
        let verdict = Verdict {
            authorization: Some(signed.authorization.clone()),
            network: Some(terms.network.network.clone()),
            asset: Some(terms.asset.address.to_string()),
            offer: Some(offer),
            refusal: check(&signed, terms, now).err(),
        };
        if verdict.is_valid() != Some(false) {
            return Ok(verdict);
        }
        first.get_or_insert(verdict);
    }
    let nothing = || Refusal::new(Reason::InvalidRequirements, "Nothing was offered.").into();
    first.ok_or_else(nothing)
}

/// The offers that a payment can be for, each with its place; one at least.
fn matching<'t, 'r>(
    payment: &Payment,
    offers: &'t [Offer<'_, 'r>],
    registry: Registry<'r>,
) -> Result<Vec<(usize, &'t Terms<'r>)>, Early> {
    let refused = |reason, message: &str| Err(Refusal::new(reason, message).into());
    let of_version = || {
        let is_of_version = |offer: &&Offer| offer.version.is_none_or(|own| own == payment.version);
        offers.iter().filter(is_of_version)
    };
    if of_version().next().is_none() {
        let version = payment.version as u8;
        return refused(
            Reason::InvalidVersion,
            &format!("x402Version: It is {version}, and nothing was offered in that version."),
        );
    }
    let accepted = payment
        .accepted
        .map(|accepted| accepted_terms(accepted, registry));
    let unknown = || of_version().filter_map(|offer| offer.terms.as_ref().err());
    if let Some(Ok(Err(accepted))) = &accepted {
        if let Some(taken) = unknown().find(|offered| *offered == accepted) {
            return Err(taken.into());
        }
        // What was not offered either is refused for the same reason, and not shown as an offer. That a token
        // is not known says less than that nothing was offered on its network.
        if accepted.refusal.reason != Reason::InvalidRequirements {
            return Err(accepted.refusal.clone().into());
        }
    }
    // A payment of version 1 says no more of its offer than scheme and network.
    let taken = || {
        let is_taken = |offered: &&Unknown| offered.network.as_deref() == Some(&payment.network);
        unknown().find(is_taken).map(Early::from)
    };
    if payment.scheme != EXACT {
        let message = "scheme: The one scheme that is known here is \"exact\".";
        let refusal = Refusal::new(Reason::UnsupportedScheme, message);
        return Err(Early {
            refusal: refusal.clone(),
            ..taken().unwrap_or_else(|| refusal.into())
        });
    }
    let network = registry.networks.find(&payment.network);
    let of_network: Vec<_> = offers
        .iter()
        .enumerate()
        .filter_map(|(place, offer)| Some((place, offer.terms.as_ref().ok()?)))
        .filter(|(_, terms)| terms.version == payment.version && Some(terms.network) == network)
        .collect();
    if of_network.is_empty() {
        let message = "network: Nothing was offered on this network.";
        return Err(taken().unwrap_or_else(|| Refusal::new(Reason::InvalidNetwork, message).into()));
    }
    let Some(accepted) = accepted else {
        return Ok(of_network);
    };
    let equal: Vec<_> = of_network
        .into_iter()
        .filter(|(_, terms)| matches!(&accepted, Ok(Ok(accepted)) if *terms == accepted))
        .collect();
    match (equal.is_empty(), accepted) {
        (false, _) => Ok(equal),
        (true, Err(refusal)) => Err(refusal.into()),
        (true, Ok(_)) => refused(
            Reason::InvalidRequirements,
            "accepted: It is not what was offered.",
        ),
    }
}

/// What a buyer of version 2 says to accept.
fn accepted_terms<'r>(
    accepted: Json,
    registry: Registry<'r>,
) -> Result<Result<Terms<'r>, Unknown>, Refusal> {
    match Offer::read(accepted, registry) {
        Ok(accepted) => Ok(accepted.terms),
        Err(Error::InvalidRequirements { problem }) => Err(Refusal::new(
            Reason::InvalidRequirements,
            format!("accepted.{problem}"),
        )),
        Err(other) => Err(Refusal::new(
            Reason::InvalidRequirements,
            format!("accepted: {other}."),
        )),
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
        if let [.., 0 | 1] = signature[..] {
            return refused(
                Reason::InvalidSignature,
                "payload.signature: Its last byte, v, is 0 or 1, and tokens' contracts take 27 and 28: add 27 to it.",
            );
        }
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
