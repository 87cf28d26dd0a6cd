//! Whether a payment fits the requirements, as far as can be seen without the chain.

use std::borrow::Cow;

use super::authorization::{Authorization, Permit, permit2_separator, spender};
use super::payment::{Payment, Signed};
use super::refusal::{InvalidReason, PaymentRefusal};
use super::registry::Registry;
use super::requirements::{Offer, PaymentTerms, Unknown, offers};
use super::{Scheme, TransferMethod, Version};
use crate::evm::integer::U256;
use crate::evm::signature::Signature;
use crate::json::Json;
use crate::x402::Error;

/// Seconds for which an authorization must still be valid. The reference implementation allows this
/// time to get it into a block.
const MARGIN_SECONDS: u64 = 6;

/// Facts that a database cannot see.
pub const UNCHECKED: [&str; 3] = ["balance", "code_at_payer", "nonce_on_chain"];

/// What the seller knows of the payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// Nothing. Its signature of 65 bytes must be by its own key.
    Unknown,
    /// There is code at its address, so only the chain can check a signature that its key did not
    /// make.
    HasCode,
}

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

/// Checks a payment, a header's value or JSON, against one requirement or a list, in the order of
/// the reference implementation. `now`: seconds since 1970.
///
/// # Errors
/// The errors of the requirements, which are the seller's. Faults of the payment are in the
/// verdict.
pub fn verify<'a, 'r>(
    payment: &'a str,
    requirements: &'a str,
    registry: Registry<'r>,
    now: u64,
    payer: Payer,
) -> Result<Verdict<'a, 'r>, Error> {
    let offers = offers(requirements, registry)?;
    Ok(match judge(payment, offers, registry, now, payer) {
        Ok(judged) => Verdict::Judged(Box::new(judged)),
        Err(early) => Verdict::Refused(early),
    })
}

fn judge<'a, 'r>(
    payment: &'a str,
    offers: Vec<Offer<'a, 'r>>,
    registry: Registry<'r>,
    now: u64,
    payer: Payer,
) -> Result<Judged<'a, 'r>, Early> {
    let payment = Payment::read(payment)?;
    let matching = matching(&payment, offers, registry)?;
    let signed = payment.signed?;
    // A payment of version 1 does not name its asset, so it may fit a later offer than the first.
    // A proven signature tells more than one that only the chain can check.
    let mut best: Option<(u8, _, _, _)> = None;
    for (offer, terms) in matching {
        let refusal = check(&signed, &terms, now, payer).err();
        let fit = match is_valid(refusal.as_ref()) {
            Some(true) => 2,
            None => 1,
            Some(false) => 0,
        };
        if best.as_ref().is_none_or(|(of_best, ..)| fit > *of_best) {
            best = Some((fit, offer, terms, refusal));
        }
        if fit == 2 {
            break;
        }
    }
    let nothing =
        || PaymentRefusal::new(InvalidReason::InvalidRequirements, "Nothing was offered.");
    let (_, offer, terms, refusal) = best.ok_or_else(nothing)?;
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
        // A payment for something that was not offered is refused for the same reason, and no offer
        // is shown. An unknown token says less than a network without offers.
        if accepted.refusal.reason != InvalidReason::InvalidRequirements {
            return Err(accepted.refusal.clone().into());
        }
    }
    // A payment of version 1 names only the scheme and the network of its offer.
    let is_taken = |offered: &&Unknown| offered.network.as_deref() == Some(&payment.network);
    let taken = unknown().find(is_taken).map(Early::from);
    let Some(scheme) = Scheme::of_name(&payment.scheme) else {
        let message = "scheme: Only \"exact\" and \"upto\" are known here.";
        let refusal = PaymentRefusal::new(InvalidReason::UnsupportedScheme, message);
        return Err(Early {
            refusal: refusal.clone(),
            ..taken.unwrap_or_else(|| refusal.into())
        });
    };
    let network = registry.networks.find(&payment.network);
    let mut of_scheme = offers
        .into_iter()
        .filter_map(|offer| Some((offer.json, offer.terms.ok()?)))
        .filter(|(_, terms)| terms.scheme == scheme)
        .peekable();
    let (reason, message) = match of_scheme.peek() {
        None => (
            InvalidReason::UnsupportedScheme,
            "scheme: There is no offer with this scheme.",
        ),
        Some(_) => (
            InvalidReason::InvalidNetwork,
            "network: There is no offer on this network.",
        ),
    };
    let of_network: Vec<_> = of_scheme
        .filter(|(_, terms)| Some(terms.network) == network)
        .collect();
    if of_network.is_empty() {
        return Err(taken.unwrap_or_else(|| PaymentRefusal::new(reason, message).into()));
    }
    let Some(accepted) = accepted else {
        return Ok(of_network);
    };
    let equal: Vec<_> = of_network
        .into_iter()
        .filter(|(_, terms)| matches!(&accepted, Ok(Ok(accepted)) if terms.are_accepted(accepted)))
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

fn check(
    signed: &Signed,
    terms: &PaymentTerms,
    now: u64,
    payer: Payer,
) -> Result<(), PaymentRefusal> {
    let authorization = &signed.authorization;
    let is_proven = match (&authorization.permit, terms.method) {
        (None, TransferMethod::Eip3009) => {
            let is_proven = check_signature(signed, terms, payer)?;
            check_authorization(authorization, terms, now)?;
            is_proven
        }
        (Some(permit), TransferMethod::Permit2) => {
            check_permit(authorization, permit, terms, now)?;
            check_signature(signed, terms, payer)?
        }
        (_, method) => {
            let message = format!(
                "{}: The offer is for \"{}\".",
                authorization.place(),
                method.name()
            );
            return refused(InvalidReason::UnsupportedPayload, message);
        }
    };
    match is_proven {
        true => Ok(()),
        false => refused(
            InvalidReason::NeedsFacilitator,
            "payload.signature: It is a contract wallet's (ERC-1271, ERC-6492), and only the chain can check it. Everything else fits.",
        ),
    }
}

fn refused<T>(reason: InvalidReason, message: impl Into<String>) -> Result<T, PaymentRefusal> {
    Err(PaymentRefusal::new(reason, message))
}

/// Whether the payer's key made the signature; `false`: only the chain can tell whether the
/// payer's contract accepts it.
fn check_signature(
    signed: &Signed,
    terms: &PaymentTerms,
    payer: Payer,
) -> Result<bool, PaymentRefusal> {
    if signed.signature.len() > 65 {
        return Ok(false);
    }
    match (check_key(signed, terms), payer) {
        (Ok(()), _) => Ok(true),
        (Err(_), Payer::HasCode) => Ok(false),
        (Err(message), Payer::Unknown) => refused(
            match terms.method {
                TransferMethod::Eip3009 => InvalidReason::InvalidSignature,
                TransferMethod::Permit2 => InvalidReason::PermitSignature,
            },
            format!("payload.signature: {message}"),
        ),
    }
}

/// Checks that the payer's key made the signature. An error is a sentence.
fn check_key(signed: &Signed, terms: &PaymentTerms) -> Result<(), String> {
    let Signed {
        authorization,
        signature,
    } = signed;
    if let [.., 0 | 1] = signature[..] {
        return Err(
            "Its last byte, v, is 0 or 1, and contracts accept only 27 and 28. Add 27 to it."
                .to_owned(),
        );
    }
    let signature =
        Signature::from_bytes(signature).map_err(|not_one| not_one.problem.to_owned())?;
    let network = &terms.network.network;
    let (separator, domain) = match (terms.method, &terms.asset.domain) {
        (TransferMethod::Eip3009, Some(domain)) => (
            Some(domain.separator),
            format!(
                "of {} on {network}, name \"{}\" and version \"{}\"",
                terms.asset.symbol, domain.name, domain.version
            ),
        ),
        (TransferMethod::Eip3009, None) => (None, String::new()),
        (TransferMethod::Permit2, _) => (
            permit2_separator(terms.network.chain_id()),
            format!("of Permit2 on {network}"),
        ),
    };
    let signer =
        separator.and_then(|separator| signature.signer(&authorization.digest(&separator)));
    match signer == Some(authorization.from) {
        true => Ok(()),
        false => Err(format!(
            "{}.from did not sign this for the domain {domain}. If there is code at the payer's address, give payer_is_contract => true, and let a facilitator check the signature.",
            authorization.place().trim_start_matches("payload.")
        )),
    }
}

fn check_authorization(
    authorization: &Authorization,
    terms: &PaymentTerms,
    now: u64,
) -> Result<(), PaymentRefusal> {
    if authorization.to != terms.pay_to {
        return refused(
            InvalidReason::RecipientMismatch,
            "payload.authorization.to: It is not payTo.",
        );
    }
    if ends_too_soon(authorization, now) {
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
        Version::V1 if authorization.value < terms.amount => refused(
            InvalidReason::Value,
            "payload.authorization.value: It is less than maxAmountRequired.",
        ),
        Version::V2 if authorization.value != terms.amount => refused(
            InvalidReason::ValueMismatch,
            "payload.authorization.value: It does not equal the amount.",
        ),
        _ => Ok(()),
    }
}

fn check_permit(
    authorization: &Authorization,
    permit: &Permit,
    terms: &PaymentTerms,
    now: u64,
) -> Result<(), PaymentRefusal> {
    let own = spender(terms.scheme);
    let (reason, message) = if permit.spender != own {
        let message = format!(
            "spender: It must be {}, x402's contract for scheme \"{}\".",
            own.checksummed(),
            terms.scheme.name()
        );
        (InvalidReason::PermitSpender, message)
    } else if authorization.to != terms.pay_to {
        let message = "witness.to: It is not payTo.".to_owned();
        (InvalidReason::PermitRecipient, message)
    } else if permit.facilitator != terms.facilitator {
        let message = "witness.facilitator: It is not facilitatorAddress.".to_owned();
        (InvalidReason::PermitFacilitator, message)
    } else if ends_too_soon(authorization, now) {
        let message = "deadline: It is past, or less than 6 seconds away.".to_owned();
        (InvalidReason::PermitDeadline, message)
    } else if authorization.valid_after > U256::from_u64(now) {
        let message = "witness.validAfter: It is not past yet.".to_owned();
        (InvalidReason::PermitNotYetValid, message)
    } else if authorization.value != terms.amount {
        let message = "permitted.amount: It does not equal the amount.".to_owned();
        (InvalidReason::PermitAmount, message)
    } else if permit.token != terms.asset.address {
        let message = "permitted.token: It is not the asset.".to_owned();
        (InvalidReason::PermitToken, message)
    } else {
        return Ok(());
    };
    refused(reason, format!("{}.{message}", authorization.place()))
}

fn ends_too_soon(authorization: &Authorization, now: u64) -> bool {
    authorization.valid_before < U256::from_u64(now.saturating_add(MARGIN_SECONDS))
}
