//! Whether a payment fits the requirements, as far as can be seen without the chain.

use std::borrow::Cow;

use super::authorization::Authorization;
use super::payment::{Payment, Signed};
use super::refusal::{InvalidReason, PaymentRefusal};
use super::registry::Registry;
use super::requirements::{Offer, PaymentTerms, Unknown, offers};
use super::{EXACT, Version};
use crate::evm::integer::U256;
use crate::evm::signature::Signature;
use crate::json::Json;
use crate::x402::Error;

/// Seconds for which an authorization must still be valid. The reference implementation allows this time to get it into a
/// block.
const MARGIN_SECONDS: u64 = 6;

/// Facts that a database cannot see.
pub const UNCHECKED: [&str; 3] = ["balance", "code_at_payer", "nonce_on_chain"];

/// The result of a check.
#[derive(Debug)]
pub enum Verdict<'a, 'r> {
    /// It was checked against an offer.
    Judged(Box<Judged<'a, 'r>>),
    /// It was refused before that.
    Refused(Early),
}

/// A payment, the offer that it takes, and whether they fit.
#[derive(Debug)]
pub struct Judged<'a, 'r> {
    /// The payment's JSON text.
    pub document: Cow<'a, str>,
    /// The signed message.
    pub signed: Signed,
    /// The buyer's key for the request.
    pub identifier: Result<Option<String>, PaymentRefusal>,
    /// The offer, unchanged.
    pub offer: Json<'a>,
    /// The terms.
    pub terms: PaymentTerms<'r>,
    /// Why the payment is refused, or not decided; `None`: it is valid.
    pub refusal: Option<PaymentRefusal>,
}

/// Why a payment is refused before it is checked against an offer.
#[derive(Debug)]
pub struct Early {
    /// Why.
    pub refusal: PaymentRefusal,
    network: Option<String>,
    asset: Option<String>,
}

impl Verdict<'_, '_> {
    /// `None`: only a facilitator can tell.
    #[must_use]
    pub fn is_valid(&self) -> Option<bool> {
        match self {
            Self::Judged(judged) => judged.is_valid(),
            Self::Refused(_) => Some(false),
        }
    }

    /// Why the payment is refused, or not decided; `None`: it is valid.
    #[must_use]
    pub fn refusal(&self) -> Option<&PaymentRefusal> {
        match self {
            Self::Judged(judged) => judged.refusal.as_ref(),
            Self::Refused(early) => Some(&early.refusal),
        }
    }

    /// The payment's authorization, if it was checked against an offer.
    #[must_use]
    pub fn authorization(&self) -> Option<&Authorization> {
        match self {
            Self::Judged(judged) => Some(&judged.signed.authorization),
            Self::Refused(_) => None,
        }
    }

    /// The chain of the chosen offer.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Judged(judged) => Some(&judged.terms.network.network),
            Self::Refused(early) => early.network.as_deref(),
        }
    }

    /// The token of that offer.
    #[must_use]
    pub fn asset(&self) -> Option<String> {
        match self {
            Self::Judged(judged) => Some(judged.terms.asset.address.to_string()),
            Self::Refused(early) => early.asset.clone(),
        }
    }
}

impl Judged<'_, '_> {
    /// `None`: only a facilitator can tell.
    #[must_use]
    pub fn is_valid(&self) -> Option<bool> {
        is_valid(self.refusal.as_ref())
    }
}

fn is_valid(refusal: Option<&PaymentRefusal>) -> Option<bool> {
    match refusal.map(|refusal| refusal.reason) {
        None => Some(true),
        Some(InvalidReason::NeedsFacilitator) => None,
        Some(_) => Some(false),
    }
}

impl From<PaymentRefusal> for Early {
    fn from(refusal: PaymentRefusal) -> Self {
        Self {
            refusal,
            network: None,
            asset: None,
        }
    }
}

/// From an offer that is not known here.
impl From<&Unknown> for Early {
    fn from(taken: &Unknown) -> Self {
        Self {
            refusal: taken.refusal.clone(),
            network: taken.network.clone(),
            asset: taken.asset.clone(),
        }
    }
}

/// Checks a payment, a header's value or JSON, against one requirement or a list, in the order of the reference
/// implementation. `now`: seconds since 1970.
///
/// # Errors
/// The errors of the requirements, which are the seller's. Faults of the payment are in the verdict.
pub fn verify<'a, 'r>(
    payment: &'a str,
    requirements: &'a str,
    registry: Registry<'r>,
    now: u64,
) -> Result<Verdict<'a, 'r>, Error> {
    let offers = offers(requirements, registry)?;
    Ok(match judge(payment, offers, registry, now) {
        Ok(judged) => Verdict::Judged(Box::new(judged)),
        Err(early) => Verdict::Refused(early),
    })
}

fn judge<'a, 'r>(
    payment: &'a str,
    offers: Vec<Offer<'a, 'r>>,
    registry: Registry<'r>,
    now: u64,
) -> Result<Judged<'a, 'r>, Early> {
    let payment = Payment::read(payment)?;
    let matching = matching(&payment, offers, registry)?;
    let signed = payment.signed?;
    // A payment of version 1 does not name its asset, so it may fit a later offer than the first.
    let mut best = None;
    for (offer, terms) in matching {
        let refusal = check(&signed, &terms, now).err();
        if is_valid(refusal.as_ref()) != Some(false) {
            best = Some((offer, terms, refusal));
            break;
        }
        best.get_or_insert((offer, terms, refusal));
    }
    let nothing =
        || PaymentRefusal::new(InvalidReason::InvalidRequirements, "Nothing was offered.");
    let (offer, terms, refusal) = best.ok_or_else(nothing)?;
    Ok(Judged {
        document: payment.document,
        signed,
        identifier: payment.identifier,
        offer,
        terms,
        refusal,
    })
}

/// The offers that a payment can be for; at least one.
fn matching<'a, 'r>(
    payment: &Payment,
    mut offers: Vec<Offer<'a, 'r>>,
    registry: Registry<'r>,
) -> Result<Vec<(Json<'a>, PaymentTerms<'r>)>, Early> {
    let refused = |reason, message: &str| Err(PaymentRefusal::new(reason, message).into());
    offers.retain(|offer| offer.version.is_none_or(|own| own == payment.version));
    if offers.is_empty() {
        let version = payment.version as u8;
        return refused(
            InvalidReason::InvalidVersion,
            &format!("x402Version: It is {version}, and there is no offer in that version."),
        );
    }
    let accepted = payment.accepted.as_deref();
    let accepted = accepted.map(|accepted| accepted_terms(Json::unchecked(accepted), registry));
    let unknown = || offers.iter().filter_map(|offer| offer.terms.as_ref().err());
    if let Some(Ok(Err(accepted))) = &accepted {
        if let Some(taken) = unknown().find(|offered| *offered == accepted) {
            return Err(taken.into());
        }
        // A payment for something that was not offered is refused for the same reason, and no offer is shown. An
        // unknown token says less than a network without offers.
        if accepted.refusal.reason != InvalidReason::InvalidRequirements {
            return Err(accepted.refusal.clone().into());
        }
    }
    // A payment of version 1 names only the scheme and the network of its offer.
    let is_taken = |offered: &&Unknown| offered.network.as_deref() == Some(&payment.network);
    let taken = unknown().find(is_taken).map(Early::from);
    if payment.scheme != EXACT {
        let message = "scheme: Only \"exact\" is known here.";
        let refusal = PaymentRefusal::new(InvalidReason::UnsupportedScheme, message);
        return Err(Early {
            refusal: refusal.clone(),
            ..taken.unwrap_or_else(|| refusal.into())
        });
    }
    let network = registry.networks.find(&payment.network);
    let of_network: Vec<_> = offers
        .into_iter()
        .filter_map(|offer| Some((offer.json, offer.terms.ok()?)))
        .filter(|(_, terms)| terms.version == payment.version && Some(terms.network) == network)
        .collect();
    if of_network.is_empty() {
        let message = "network: There is no offer on this network.";
        return Err(taken.unwrap_or_else(|| {
            PaymentRefusal::new(InvalidReason::InvalidNetwork, message).into()
        }));
    }
    let Some(accepted) = accepted else {
        return Ok(of_network);
    };
    let equal: Vec<_> = of_network
        .into_iter()
        .filter(|(_, terms)| matches!(&accepted, Ok(Ok(accepted)) if terms == accepted))
        .collect();
    match (equal.is_empty(), accepted) {
        (false, _) => Ok(equal),
        (true, Err(refusal)) => Err(refusal.into()),
        (true, Ok(_)) => refused(
            InvalidReason::InvalidRequirements,
            "accepted: It does not equal any offer.",
        ),
    }
}

/// The offer that a buyer of version 2 accepts.
fn accepted_terms<'r>(
    accepted: Json,
    registry: Registry<'r>,
) -> Result<Result<PaymentTerms<'r>, Unknown>, PaymentRefusal> {
    match Offer::read(accepted, registry) {
        Ok(accepted) => Ok(accepted.terms),
        Err(Error::InvalidRequirements { problem }) => Err(PaymentRefusal::new(
            InvalidReason::InvalidRequirements,
            format!("accepted.{problem}"),
        )),
        Err(other) => Err(PaymentRefusal::new(
            InvalidReason::InvalidRequirements,
            format!("accepted: {other}."),
        )),
    }
}

fn check(signed: &Signed, terms: &PaymentTerms, now: u64) -> Result<(), PaymentRefusal> {
    let Signed {
        authorization,
        signature,
    } = signed;
    let refused = |reason, message: &str| Err(PaymentRefusal::new(reason, message));
    let is_of_a_contract = signature.len() > 65;
    if !is_of_a_contract {
        if let [.., 0 | 1] = signature[..] {
            return refused(
                InvalidReason::InvalidSignature,
                "payload.signature: Its last byte, v, is 0 or 1, and tokens' contracts accept only 27 and 28. Add 27 to it.",
            );
        }
        let signature = Signature::from_bytes(signature).map_err(|not_one| {
            PaymentRefusal::new(
                InvalidReason::InvalidSignature,
                format!("payload.signature: {}", not_one.problem),
            )
        })?;
        let signer = signature.signer(&authorization.digest(&terms.asset.separator));
        if signer != Some(authorization.from) {
            let message = format!(
                "payload.signature: authorization.from did not sign this for the domain of {} on {}, name \"{}\" and version \"{}\".",
                terms.asset.symbol, terms.network.network, terms.asset.name, terms.asset.version
            );
            return refused(InvalidReason::InvalidSignature, &message);
        }
    }
    if authorization.to != terms.pay_to {
        return refused(
            InvalidReason::RecipientMismatch,
            "payload.authorization.to: It is not payTo.",
        );
    }
    if authorization.valid_before < U256::from_u64(now.saturating_add(MARGIN_SECONDS)) {
        return refused(
            InvalidReason::ValidBefore,
            "payload.authorization.validBefore: It is past, or less than 6 seconds away.",
        );
    }
    if authorization.valid_after > U256::from_u64(now) {
        return refused(
            InvalidReason::ValidAfter,
            "payload.authorization.validAfter: It is not past yet.",
        );
    }
    match terms.version {
        Version::V1 if authorization.value < terms.amount => {
            return refused(
                InvalidReason::Value,
                "payload.authorization.value: It is less than maxAmountRequired.",
            );
        }
        Version::V2 if authorization.value != terms.amount => {
            return refused(
                InvalidReason::ValueMismatch,
                "payload.authorization.value: It does not equal the amount.",
            );
        }
        _ => {}
    }
    if is_of_a_contract {
        return refused(
            InvalidReason::NeedsFacilitator,
            "payload.signature: It is a contract wallet's (ERC-1271, ERC-6492), and only the chain can check it. Everything else fits.",
        );
    }
    Ok(())
}
