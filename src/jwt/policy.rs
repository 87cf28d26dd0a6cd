//! The rules for a provider's tokens, as an operator registers them, and the check of a claims set
//! against the rules.

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::rejection::{Rejection, RejectionReason};
use crate::report::shown;

/// The rule for `aud` (RFC 7519 section 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceRule {
    /// The token must name one of the audiences.
    Required,
    /// A token that names audiences must name one of ours. An empty list names no audience.
    IfPresent,
    /// `aud` is not checked.
    Ignored,
}

/// The rules for one provider, as the columns of table `auth_providers` hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Values of `iss`, compared as they are.
    pub issuers: Vec<String>,
    /// Names of algorithms.
    pub algorithms: Vec<String>,
    /// The rule for `aud`.
    pub audience_rule: AudienceRule,
    /// The audiences for that rule.
    pub audiences: Vec<String>,
    /// Accepted values of `azp`, or of `client_id` (RFC 9068) in a token without `azp`. If the list
    /// is empty, neither is checked.
    pub authorized_parties: Vec<String>,
    /// Claims that a token must have: `name`, or `name=value` for that string or a list that
    /// contains it.
    pub required_claims: Vec<String>,
    /// Claims that a token must not have, in the same notation.
    pub forbidden_claims: Vec<String>,
    /// Accepted values of the header's `typ`. Case and a leading `application/` do not count. The
    /// empty string stands for a header without `typ`.
    pub token_types: Vec<String>,
    /// Accepted values of Clerk's header `cat`. A header without `cat` passes. If the list is
    /// empty, `cat` is not checked.
    pub token_categories: Vec<String>,
    /// Seconds after `iat` at which a token is too old.
    pub max_age_seconds: Option<u32>,
    /// How many seconds clocks may differ.
    #[serde(default = "usual_leeway")]
    pub leeway_seconds: u32,
    /// A regular expression for the whole of `sub`.
    pub subject_pattern: Option<String>,
    /// A prefix: the user id is this text and `sub`.
    pub subject_prefix: Option<String>,
    /// Whether `sub` may look like the id of an InsForge user, which is a UUID.
    pub allow_uuid_subjects: bool,
}

/// The usual [`Rules::leeway_seconds`].
#[must_use]
pub const fn usual_leeway() -> u32 {
    5
}

/// Checked rules that can be applied.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    algorithms: Vec<Algorithm>,
    subject: Option<Regex>,
}

/// The longest subject. No provider gives longer ones.
const MAX_SUBJECT_BYTES: usize = 255;
/// The limit of `exp`, `nbf` and `iat`, in the year 5138. Larger numbers are milliseconds.
const MAX_NUMERIC_DATE: f64 = 1e11;

/// The times of a token, seconds since 1970 (RFC 7519 NumericDate).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// `exp`.
    pub expires: f64,
    not_before: Option<f64>,
    issued: Option<f64>,
}

fn reject<T>(reason: RejectionReason, detail: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(reason, detail))
}

impl Policy {
    /// Checks rules.
    ///
    /// # Errors
    /// A sentence for the operator says what is wrong with the rules.
    pub fn new(rules: Rules) -> Result<Self, String> {
        let refuse_empty = |list: &[String], what: &str| match list.iter().any(String::is_empty) {
            true => Err(format!("An empty string is not a valid {what}.")),
            false => Ok(()),
        };
        refuse_empty(&rules.issuers, "issuer")?;
        refuse_empty(&rules.audiences, "audience")?;
        refuse_empty(&rules.authorized_parties, "authorized party")?;
        refuse_empty(&rules.required_claims, "claim")?;
        refuse_empty(&rules.forbidden_claims, "claim")?;
        let mut algorithms = Vec::new();
        for name in &rules.algorithms {
            let algorithm = Algorithm::from_name(name);
            algorithms.push(
                algorithm.ok_or_else(|| format!("{} is not a known algorithm.", shown(name)))?,
            );
        }
        if algorithms.is_empty() {
            return Err("No algorithm is allowed.".to_owned());
        }
        if algorithms
            .iter()
            .any(|one| one.is_symmetric() != algorithms.iter().all(|one| one.is_symmetric()))
        {
            return Err(
                "Algorithms with a shared secret cannot be combined with algorithms with public keys."
                    .to_owned(),
            );
        }
        if rules.audience_rule != AudienceRule::Ignored && rules.audiences.is_empty() {
            return Err("The audience rule needs an audience, and none is named.".to_owned());
        }
        if rules.token_types.is_empty() {
            return Err("No token type is allowed.".to_owned());
        }
        if rules.leeway_seconds > 300 {
            return Err("The leeway is more than 300 seconds.".to_owned());
        }
        let subject = match &rules.subject_pattern {
            None if rules
                .subject_prefix
                .as_deref()
                .unwrap_or_default()
                .is_empty() =>
            {
                return Err("Subjects need a pattern or a prefix. Otherwise two providers could have the same subject.".to_owned());
            }
            None => None,
            Some(pattern) => Some(Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                format!("The subject pattern is not a regular expression: {error}.")
            })?),
        };
        Ok(Self {
            rules,
            algorithms,
            subject,
        })
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The algorithms.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether tokens with this `iss` are this provider's.
    #[must_use]
    pub fn has_issuer(&self, issuer: Option<&str>) -> bool {
        match issuer {
            Some(issuer) => self.rules.issuers.iter().any(|known| known == issuer),
            None => false,
        }
    }

    /// Reads the times of a claims set. [`Policy::check_times`] compares them with a clock.
    pub(super) fn times(&self, claims: &Map<String, Value>) -> Result<Times, Rejection> {
        let date = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(date) if date.is_finite() && (0.0..MAX_NUMERIC_DATE).contains(&date) => {
                    Ok(Some(date))
                }
                Some(_) => reject(
                    RejectionReason::Malformed,
                    format!("\"{name}\" is not a date in seconds since 1970."),
                ),
                None => reject(
                    RejectionReason::MissingClaim,
                    format!("\"{name}\" is not a number."),
                ),
            },
        };
        let Some(expires) = date("exp")? else {
            return reject(RejectionReason::MissingClaim, "The token has no \"exp\".");
        };
        let times = Times {
            expires,
            not_before: date("nbf")?,
            issued: date("iat")?,
        };
        if self.rules.max_age_seconds.is_some() && times.issued.is_none() {
            return reject(
                RejectionReason::MissingClaim,
                "The provider's tokens have a maximum age, and this one has no \"iat\".",
            );
        }
        Ok(times)
    }

    /// Compares the times with `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`RejectionReason::Expired`], [`RejectionReason::NotYetValid`],
    /// [`RejectionReason::IssuedInFuture`], [`RejectionReason::TooOld`].
    pub fn check_times(&self, times: &Times, now: i64) -> Result<(), Rejection> {
        let (now, leeway) = (now as f64, f64::from(self.rules.leeway_seconds));
        if times.expires <= now - leeway {
            return reject(RejectionReason::Expired, "The token's \"exp\" has passed.");
        }
        if times
            .not_before
            .is_some_and(|not_before| not_before > now + leeway)
        {
            return reject(
                RejectionReason::NotYetValid,
                "The token's \"nbf\" has not come.",
            );
        }
        if let Some(issued) = times.issued {
            if issued > now + leeway {
                return reject(
                    RejectionReason::IssuedInFuture,
                    "The token's \"iat\" is later than this server's clock.",
                );
            }
            if self
                .rules
                .max_age_seconds
                .is_some_and(|age| issued + f64::from(age) <= now - leeway)
            {
                return reject(
                    RejectionReason::TooOld,
                    "The token was issued longer ago than the provider's maximum age.",
                );
            }
        }
        Ok(())
    }

    /// Seconds since 1970 at which a token ends, without leeway: at `exp`, or at its maximum age.
    #[must_use]
    pub fn end(&self, times: &Times) -> f64 {
        let age = self.rules.max_age_seconds.map(f64::from);
        times
            .issued
            .zip(age)
            .map_or(times.expires, |(issued, age)| {
                times.expires.min(issued + age)
            })
    }

    /// Checks the kind of token that the header names.
    pub(super) fn check_type(
        &self,
        typ: Option<&str>,
        category: Option<&str>,
    ) -> Result<(), Rejection> {
        let plain = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
        };
        let typ = plain(typ.unwrap_or_default());
        if !self
            .rules
            .token_types
            .iter()
            .any(|allowed| plain(allowed) == typ)
        {
            return reject(
                RejectionReason::WrongType,
                "The token's \"typ\" is not that of the provider's user tokens.",
            );
        }
        let categories = &self.rules.token_categories;
        let is_allowed =
            |category: &str| categories.is_empty() || categories.iter().any(|one| one == category);
        if category.is_some_and(|category| !is_allowed(category)) {
            return reject(
                RejectionReason::WrongType,
                "The token's \"cat\" is not that of the provider's user tokens.",
            );
        }
        Ok(())
    }

    /// Checks a claims set, except for its times and its subject.
    pub(super) fn check_claims(&self, claims: &Map<String, Value>) -> Result<(), Rejection> {
        if !self.rules.issuers.is_empty()
            && !self.has_issuer(claims.get("iss").and_then(Value::as_str))
        {
            return reject(
                RejectionReason::UnknownIssuer,
                "The token's \"iss\" is not one of the provider's issuers.",
            );
        }
        for required in &self.rules.required_claims {
            if !has_claim(claims, required) {
                let (name, value) = required.split_once('=').unwrap_or((required, ""));
                return if value.is_empty() || !has_claim(claims, name) {
                    reject(
                        RejectionReason::MissingClaim,
                        format!("The token has no \"{name}\"."),
                    )
                } else {
                    reject(
                        RejectionReason::ClaimRejected,
                        format!("\"{name}\" is not \"{value}\"."),
                    )
                };
            }
        }
        if let Some(claim) = self
            .rules
            .forbidden_claims
            .iter()
            .find(|claim| has_claim(claims, claim))
        {
            return reject(
                RejectionReason::ClaimRejected,
                format!("The provider's policy refuses \"{claim}\"."),
            );
        }
        self.check_audience(claims.get("aud"))?;
        let parties = &self.rules.authorized_parties;
        let party = claims.get("azp").or_else(|| claims.get("client_id"));
        let party = party.and_then(Value::as_str);
        if !parties.is_empty() && !party.is_some_and(|party| parties.iter().any(|one| one == party))
        {
            return reject(
                RejectionReason::WrongAuthorizedParty,
                "The token's \"azp\" is not one of the authorized parties.",
            );
        }
        Ok(())
    }

    fn check_audience(&self, audience: Option<&Value>) -> Result<(), Rejection> {
        let named: Vec<&Value> = match audience {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().collect(),
            Some(one) => vec![one],
        };
        let is_ours = named
            .iter()
            .filter_map(|value| value.as_str())
            .any(|name| self.rules.audiences.iter().any(|audience| audience == name));
        let passes = match self.rules.audience_rule {
            AudienceRule::Ignored => true,
            AudienceRule::IfPresent => named.is_empty() || is_ours,
            AudienceRule::Required => is_ours,
        };
        if passes {
            Ok(())
        } else {
            reject(
                RejectionReason::WrongAudience,
                "The token's \"aud\" is not one of the expected audiences.",
            )
        }
    }

    /// Makes the user id of `sub`.
    pub(super) fn user_id(&self, claims: &Map<String, Value>) -> Result<String, Rejection> {
        let is_client = |subject: &str| {
            let parties = ["azp", "client_id"].map(|name| claims.get(name));
            parties.contains(&Some(&Value::from(subject)))
        };
        match claims.get("sub").and_then(Value::as_str) {
            // RFC 9068 section 2.2: so it is if no user takes part.
            Some(subject) if is_client(subject) => reject(
                RejectionReason::SubjectRejected,
                "The token is a client's own (\"sub\" is the client's id), not a user's.",
            ),
            Some(subject) => self.user_id_of(subject),
            None => reject(
                RejectionReason::MissingClaim,
                "The token has no \"sub\" that is a string.",
            ),
        }
    }

    /// Makes the user id of a subject, which need not come from a token.
    ///
    /// # Errors
    /// [`RejectionReason::SubjectRejected`].
    pub fn user_id_of(&self, subject: &str) -> Result<String, Rejection> {
        let is_sound = !subject.is_empty()
            && subject.len() <= MAX_SUBJECT_BYTES
            && !subject.chars().any(char::is_control)
            && self
                .subject
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(subject));
        if !is_sound {
            return reject(
                RejectionReason::SubjectRejected,
                "The user's id (\"sub\") is not of the form that the provider's users have.",
            );
        }
        let user_id = format!(
            "{}{subject}",
            self.rules.subject_prefix.as_deref().unwrap_or_default()
        );
        if !self.rules.allow_uuid_subjects && is_uuid(&user_id) {
            return reject(
                RejectionReason::SubjectRejected,
                "The user's id (\"sub\") could be the id of a user of InsForge's own.",
            );
        }
        Ok(user_id)
    }
}

/// Whether a token has the claim that a rule names: `name`, or `name=value` for that string or a
/// list that contains it. A claim that is null counts as missing.
fn has_claim(claims: &Map<String, Value>, rule: &str) -> bool {
    match rule.split_once('=') {
        Some((name, value)) => claims.get(name).is_some_and(|claim| match claim {
            Value::Array(list) => list.iter().any(|element| element == value),
            claim => claim == value,
        }),
        None => claims.get(rule).is_some_and(|claim| !claim.is_null()),
    }
}

/// Whether Postgres would accept the text as a `uuid`: hexadecimal digits, with hyphens and braces
/// wherever Postgres permits them.
fn is_uuid(text: &str) -> bool {
    let text = text.trim();
    let digits = text
        .trim_start_matches('{')
        .trim_end_matches('}')
        .replace('-', "");
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
