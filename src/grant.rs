//! The claims of an InsForge token, made from a verified token or session (RFC 8693), and the
//! signing of that token.

use std::collections::BTreeMap;

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::identity::Identity;
use crate::json::Json;
use crate::jwt::policy::Policy;
use crate::jwt::rejection::{Rejection, RejectionReason};
use crate::jwt::verify::Verified;
use crate::providers::Error;
use crate::providers::better_auth::session::Session;
use crate::providers::mapping::{ISSUER_CLAIMS, Mapping};
use crate::report::Bug;

/// A claims set. Each value is its JSON text, so no number is rounded.
pub type ClaimsSet = BTreeMap<String, Box<RawValue>>;

/// The longest user id. No provider gives longer ones.
const MAX_USER_ID_BYTES: usize = 255;

/// A user for whom a provider vouches until a time.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The name of the provider.
    pub provider: String,
    /// The user, with organisation and permissions.
    pub identity: Identity,
    /// The user's address, if the provider has verified it.
    pub email: Option<String>,
    /// `act` (RFC 8693 section 4.1): the person who acts in the user's place.
    pub actor: Option<Box<RawValue>>,
    /// The claims that the provider's registration passes on.
    pub passed: ClaimsSet,
    /// The end, in seconds since 1970.
    pub ends: f64,
}

/// The claims that the issuer of a token sets, except `sub`.
#[derive(Debug, Clone, Copy)]
pub struct IssuerClaims<'a> {
    /// `role`: the database role.
    pub role: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// `iat`, in seconds since 1970.
    pub issued: i64,
    /// `exp`, in seconds since 1970.
    pub expires: i64,
}

/// The content of a provider's token that this extension uses, read once.
#[derive(Debug)]
pub struct Vouched {
    /// The user, with organisation and permissions.
    pub identity: Identity,
    email: Option<String>,
    actor: Actor,
    passed: ClaimsSet,
}

/// The person who acts in the user's place.
#[derive(Debug)]
enum Actor {
    Nobody,
    Named(Box<RawValue>),
    /// The token has an `act` that names nobody.
    Unnamed,
}

impl Vouched {
    /// Reads a verified token of a provider with this mapping.
    #[must_use]
    pub fn read(verified: &Verified, mapping: &Mapping) -> Self {
        // The second name is Better Auth's, which puts the row of its user table into the token.
        let is_verified = ["email_verified", "emailVerified"]
            .iter()
            .any(|name| verified.claims.get(*name) == Some(&Value::Bool(true)));
        let email = verified.claims.get("email").and_then(Value::as_str);
        Self {
            identity: Identity::from_token(verified, mapping),
            email: email
                .filter(|email| is_verified && !email.is_empty())
                .map(str::to_owned),
            actor: Actor::read(verified),
            passed: mapping.passed(verified.text),
        }
    }
}

impl Actor {
    fn read(verified: &Verified) -> Self {
        match verified.claims.get("act") {
            None | Some(Value::Null) => Self::Nobody,
            Some(actor) if actor.get("sub").is_some_and(Value::is_string) => {
                // The text as the provider wrote it: a `Value` rounds numbers.
                let members = Json::unchecked(verified.text).members();
                let written = members.and_then(|members| members.get("act")?.to::<&RawValue>());
                written.map_or(Self::Unnamed, |written| Self::Named(written.to_owned()))
            }
            Some(_) => Self::Unnamed,
        }
    }
}

impl Grant {
    /// The grant of a provider's token until `ends`.
    ///
    /// # Errors
    /// [`RejectionReason::ClaimRejected`] for an `act` that names nobody.
    pub fn from_token(provider: &str, vouched: &Vouched, ends: f64) -> Result<Self, Rejection> {
        let actor = match &vouched.actor {
            Actor::Nobody => None,
            Actor::Named(actor) => Some(actor.clone()),
            // Without `act`, an impersonated user would look like the user.
            Actor::Unnamed => {
                return Err(Rejection::new(
                    RejectionReason::ClaimRejected,
                    "\"act\" is not an object with a \"sub\" (RFC 8693 section 4.1).",
                ));
            }
        };
        Ok(Self {
            provider: provider.to_owned(),
            identity: vouched.identity.clone(),
            email: vouched.email.clone(),
            actor,
            passed: vouched.passed.clone(),
            ends,
        })
    }

    /// The grant of a Better Auth session at `now`.
    ///
    /// # Errors
    /// As [`Session::check`]; [`RejectionReason::SubjectRejected`] for an id that the provider's
    /// users do not have.
    pub fn from_session(
        provider: &str,
        session: &Session,
        policy: &Policy,
        now: i64,
    ) -> Result<Self, Rejection> {
        session.check(now)?;
        let user_id = policy.user_id_of(&session.row.user_id)?;
        let actor = session.impersonator();
        let actor = actor
            .map(|actor| to_raw_value(&json!({ "sub": actor })))
            .transpose()
            .map_err(|_| {
                Rejection::new(RejectionReason::Malformed, "The session cannot be read.")
            })?;
        Ok(Self {
            provider: provider.to_owned(),
            identity: Identity::new(Some(user_id), session.membership()),
            email: session.verified_email(),
            actor,
            // A session has no token's claims.
            passed: ClaimsSet::new(),
            ends: session.row.expires_at as f64,
        })
    }

    /// The end of a token that is minted at `now` for `ttl` seconds. It never outlasts the grant.
    ///
    /// # Errors
    /// [`RejectionReason::Expired`] after that end. A provider's token may be accepted for a few
    /// seconds after its own end.
    pub fn expiry(&self, now: i64, ttl: u32) -> Result<i64, Rejection> {
        let expires = (self.ends as i64).min(now.saturating_add(i64::from(ttl)));
        if expires <= now {
            return Err(Rejection::new(
                RejectionReason::Expired,
                "The token has ended, so it cannot be exchanged.",
            ));
        }
        Ok(expires)
    }

    /// The claims of an InsForge token for the user.
    ///
    /// # Errors
    /// [`Error::Bug`], which no input can cause.
    pub fn claims(&self, issuer: IssuerClaims) -> Result<ClaimsSet, Error> {
        let identity = &self.identity;
        let user_id = identity.user_id.as_deref().unwrap_or_default();
        let mut claims = self.passed.clone();
        claims.extend(issuer_claims(user_id, issuer)?);
        let mut put = |name: &str, value: Option<Box<RawValue>>| {
            claims.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("provider", Some(claim(&self.provider)?));
        put("email", self.email.as_ref().map(claim).transpose()?);
        put("act", self.actor.clone());
        put("org_id", identity.org_id.as_ref().map(claim).transpose()?);
        put(
            "org_role",
            identity.org_role.as_ref().map(claim).transpose()?,
        );
        put(
            "permissions",
            identity.permissions.as_ref().map(claim).transpose()?,
        );
        Ok(claims)
    }
}

fn claim<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, Error> {
    Ok(to_raw_value(value).map_err(Bug::new)?)
}

fn issuer_claims(user_id: &str, issuer: IssuerClaims) -> Result<ClaimsSet, Error> {
    let own = |(name, value): (&str, Box<RawValue>)| (name.to_owned(), value);
    let members = [
        ("sub", claim(user_id)?),
        ("role", claim(issuer.role)?),
        ("aud", claim(issuer.audience)?),
        ("iat", claim(&issuer.issued)?),
        ("exp", claim(&issuer.expires)?),
    ];
    Ok(members.into_iter().map(own).collect())
}

/// The claims of a token that a trusted server requests: the server's claims and the issuer's.
///
/// # Errors
/// [`Error::InvalidTokenRequest`] for claims that only the issuer sets, or an invalid user id.
pub fn requested_claims(
    user_id: &str,
    claims: &str,
    issuer: IssuerClaims,
) -> Result<ClaimsSet, Error> {
    let refuse = |problem: String| Err(Error::InvalidTokenRequest { problem });
    if user_id.is_empty() || user_id.len() > MAX_USER_ID_BYTES || user_id.contains(char::is_control)
    {
        return refuse(format!(
            "A user id is text of 1 to {MAX_USER_ID_BYTES} bytes without control characters."
        ));
    }
    let Ok(mut requested) = serde_json::from_str::<ClaimsSet>(claims) else {
        return refuse("The claims are not a JSON object.".to_owned());
    };
    if let Some(name) = ISSUER_CLAIMS
        .iter()
        .find(|name| requested.contains_key(**name))
    {
        return refuse(format!("Only the issuer sets claim \"{name}\"."));
    }
    requested.extend(issuer_claims(user_id, issuer)?);
    Ok(requested)
}

/// Signs a claims set (HS256) with the secret that InsForge and PostgREST share.
///
/// # Errors
/// [`Error::Bug`], which no input can cause.
pub fn sign(claims: &ClaimsSet, key: &EncodingKey) -> Result<String, Error> {
    Ok(jsonwebtoken::encode(&Header::default(), claims, key).map_err(Bug::new)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::jwt::jws::Jws;
    use crate::jwt::key::KeySet;
    use crate::jwt::verify::verify;
    use crate::providers::insforge;
    use crate::providers::tests::any_claims;

    const NOW: i64 = 1_800_000_000;
    const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
    const ISSUER: IssuerClaims = IssuerClaims {
        role: "authenticated",
        audience: "insforge-api",
        issued: NOW,
        expires: NOW + 60,
    };

    fn signed(claims: &impl Serialize) -> String {
        let key = EncodingKey::from_secret(SECRET);
        jsonwebtoken::encode(&Header::default(), claims, &key).unwrap()
    }

    /// Reads a token as the built-in provider does.
    fn vouched(token: &str) -> Vouched {
        vouched_with(token, &Mapping::default())
    }

    fn vouched_with(token: &str, mapping: &Mapping) -> Vouched {
        let policy = Policy::new(insforge::rules("authenticated", "insforge-api")).unwrap();
        let keys = KeySet::from_secret(SECRET);
        let jws = Jws::parse(token).unwrap();
        Vouched::read(&verify(&jws, &policy, &keys, NOW).unwrap(), mapping)
    }

    /// The mandatory claims and these.
    fn mandatory(mut more: Value) -> Value {
        let claims = json!({"sub": "user_1", "role": "authenticated", "aud": "insforge-api", "exp": NOW + 300});
        more.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        more
    }

    fn grant(more: Value) -> Result<Grant, Rejection> {
        Grant::from_token(
            "clerk",
            &vouched(&signed(&mandatory(more))),
            (NOW + 300) as f64,
        )
    }

    #[test]
    fn the_minted_token_is_of_the_same_user_with_the_same_rights() {
        for more in [
            json!({}),
            json!({"v": 2, "o": {"id": "org_1", "rol": "admin", "per": "read", "fpm": "1"}, "fea": "o:notes"}),
            json!({"org_code": "org_1", "permissions": ["a", "b"], "roles": [{"key": "owner"}]}),
            json!({"org_id": "org_1", "sid": "session_1", "user_role": "member"}),
        ] {
            let grant = grant(more).unwrap();
            let token = sign(
                &grant.claims(ISSUER).unwrap(),
                &EncodingKey::from_secret(SECRET),
            )
            .unwrap();
            assert_eq!(vouched(&token).identity, grant.identity);
        }
    }

    proptest! {
        /// Some of a token's claims are passed on, with the marks of all presets among them.
        #[test]
        fn a_passed_claim_tells_nothing_about_the_user(
            claims in any_claims(),
            passes in prop::collection::vec(any::<bool>(), 9),
            is_mapped in any::<bool>(),
        ) {
            let claims: Value = serde_json::from_str(&claims).unwrap();
            let mut mapping = Mapping {
                org_role_claim: is_mapped.then(|| "x".to_owned()),
                ..Mapping::default()
            };
            for (name, _) in claims.as_object().unwrap().keys().zip(passes).filter(|(_, passes)| *passes) {
                mapping.passed_claims.push(name.clone());
                if mapping.check().is_err() {
                    mapping.passed_claims.pop();
                }
            }
            let provider_token = signed(&mandatory(claims));
            let grant = Grant::from_token("p", &vouched_with(&provider_token, &mapping), 0.0).unwrap();
            let minted = grant.claims(ISSUER).unwrap();
            prop_assert!(mapping.passed_claims.iter().all(|name| minted.contains_key(name)));
            let read = Identity::from_claims(&serde_json::to_string(&minted).unwrap()).unwrap();
            prop_assert_eq!(&read, &grant.identity);
            let token = sign(&minted, &EncodingKey::from_secret(SECRET)).unwrap();
            prop_assert_eq!(&vouched(&token).identity, &grant.identity);
        }
    }

    #[test]
    fn what_the_issuer_writes_is_never_passed() {
        let names = ["sub", "role", "exp", "aud", "iat", "provider"];
        let passed_claims = names.map(str::to_owned).to_vec();
        // A registration refuses these names. A superuser could still write them into the table.
        let mapping = Mapping {
            passed_claims,
            ..Mapping::default()
        };
        let token = signed(&mandatory(json!({"provider": "other"})));
        let grant = Grant::from_token("p", &vouched_with(&token, &mapping), 0.0).unwrap();
        let claims = grant.claims(ISSUER).unwrap();
        assert_eq!(claims["provider"].get(), r#""p""#);
        assert_eq!(claims["exp"].get(), (NOW + 60).to_string());
    }

    #[test]
    fn an_address_counts_only_when_the_provider_verified_it() {
        let email = |more| grant(more).unwrap().email;
        let address = Some("a@example.com".to_owned());
        assert_eq!(
            email(json!({"email": "a@example.com", "email_verified": true})),
            address
        );
        assert_eq!(
            email(json!({"email": "a@example.com", "emailVerified": true})),
            address
        );
        for doubtful in [
            json!({"email": "a@example.com"}),
            json!({"email": "a@example.com", "email_verified": false}),
            json!({"email": "a@example.com", "email_verified": "true"}),
            json!({"email": ["a@example.com"], "email_verified": true}),
            json!({"email_verified": true}),
        ] {
            assert_eq!(email(doubtful.clone()), None, "{doubtful}");
        }
    }

    #[test]
    fn an_impersonated_user_stays_impersonated() {
        let actor = grant(json!({"act": {"sub": "admin_1", "iss": "x"}}))
            .unwrap()
            .actor;
        assert_eq!(actor.unwrap().get(), r#"{"iss":"x","sub":"admin_1"}"#);
        let claims = requested_claims(
            "u",
            r#"{"act": {"sub": "a", "n": 123456789012345678901234567890}}"#,
            ISSUER,
        );
        let exact = Grant::from_token("p", &vouched(&signed(&claims.unwrap())), 0.0).unwrap();
        assert_eq!(
            exact.actor.unwrap().get(),
            r#"{"sub": "a", "n": 123456789012345678901234567890}"#
        );
        for unreadable in [json!("admin"), json!({}), json!({"sub": 1}), json!([])] {
            let refused = grant(json!({"act": unreadable})).unwrap_err();
            assert_eq!(refused.reason, RejectionReason::ClaimRejected);
        }
    }

    #[test]
    fn no_token_outlasts_what_it_rests_on() {
        let grant = grant(json!({})).unwrap();
        assert_eq!(grant.expiry(NOW, 60), Ok(NOW + 60));
        assert_eq!(grant.expiry(NOW, 3600), Ok(NOW + 300));
        assert_eq!(
            grant.expiry(NOW + 300, 60).unwrap_err().reason,
            RejectionReason::Expired
        );
    }

    #[test]
    fn a_trusted_server_sets_no_claim_of_the_issuer() {
        let claims = requested_claims(
            "u",
            r#"{"plan": "pro", "big": 123456789012345678901234567890}"#,
            ISSUER,
        )
        .unwrap();
        assert_eq!(claims["big"].get(), "123456789012345678901234567890");
        assert_eq!(claims["sub"].get(), r#""u""#);
        for name in [
            "iss", "sub", "aud", "exp", "nbf", "iat", "role", "type", "provider",
        ] {
            assert!(
                requested_claims("u", &json!({ name: 1 }).to_string(), ISSUER).is_err(),
                "{name}"
            );
        }
        for (user_id, claims) in [
            ("", "{}"),
            ("a\nb", "{}"),
            ("u", "[]"),
            ("u", "null"),
            (&*"u".repeat(256), "{}"),
        ] {
            assert!(requested_claims(user_id, claims, ISSUER).is_err());
        }
    }
}
