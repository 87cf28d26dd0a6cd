//! What a verified token or session entitles its user to, as the claims of an InsForge token
//! (RFC 8693), and the signing of that token.

use std::collections::BTreeMap;

use jsonwebtoken::{EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::identity::Identity;
use super::rejection::{Reason, Rejection};
use super::verify::Verified;
use crate::jwt::Error;
use crate::report::Bug;

/// A claims set; each value is the JSON text it was written in, so that no number is rounded.
pub type ClaimsSet = BTreeMap<String, Box<RawValue>>;

/// Claims that say whose a token is, for whom and for how long: nobody but the issuer sets them.
/// `type` marks InsForge's refresh tokens, `provider` says who verified the user.
const RESERVED_CLAIMS: [&str; 9] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "role", "type", "provider",
];

/// Longer user ids than any provider gives.
const MAX_USER_ID_BYTES: usize = 255;

/// A user, vouched for until a time.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Name of the provider that vouches.
    pub provider: String,
    /// Who, in which organisation, with which permissions.
    pub identity: Identity,
    /// The user's address, when the provider has verified it.
    pub email: Option<String>,
    /// `act` (RFC 8693 section 4.1): who acts in the user's place.
    pub actor: Option<Box<RawValue>>,
    /// Seconds since 1970.
    pub ends: f64,
}

/// For whom a token is, and from when until when, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// `role`: the database role.
    pub role: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// `iat`.
    pub issued: i64,
    /// `exp`.
    pub expires: i64,
}

impl Grant {
    /// What a provider's verified token grants until `ends`.
    ///
    /// # Errors
    /// [`Reason::ClaimRejected`] for an `act` that does not say who acts.
    pub fn from_token(provider: &str, verified: &Verified, ends: f64) -> Result<Self, Rejection> {
        #[derive(Deserialize)]
        struct Vouched<'a> {
            #[serde(borrow)]
            email: Option<&'a RawValue>,
            #[serde(borrow)]
            email_verified: Option<&'a RawValue>,
            // Better Auth puts the row of its user table into the token.
            #[serde(borrow, rename = "emailVerified")]
            email_verified_column: Option<&'a RawValue>,
            act: Option<Box<RawValue>>,
        }
        #[derive(Deserialize)]
        struct Actor {
            #[serde(rename = "sub")]
            _subject: String,
        }

        let vouched: Vouched = serde_json::from_str(&verified.claims)
            .map_err(|_| Rejection::new(Reason::Malformed, "The claims cannot be read."))?;
        let is_verified = [vouched.email_verified, vouched.email_verified_column]
            .into_iter()
            .flatten()
            .any(|value| value.get() == "true");
        let email = vouched
            .email
            .and_then(|email| serde_json::from_str::<String>(email.get()).ok());
        if let Some(actor) = &vouched.act
            && serde_json::from_str::<Actor>(actor.get()).is_err()
        {
            // Without it, an impersonated user would look like the user.
            return Err(Rejection::new(
                Reason::ClaimRejected,
                "\"act\" is not an object with a \"sub\" (RFC 8693 section 4.1).",
            ));
        }
        Ok(Self {
            provider: provider.to_owned(),
            identity: verified.identity.clone(),
            email: email.filter(|email| is_verified && !email.is_empty()),
            actor: vouched.act,
            ends,
        })
    }

    /// When a token minted at `now` to live for `ttl` seconds ends: never later than what it rests on.
    ///
    /// # Errors
    /// [`Reason::Expired`] when that has come: a token may be accepted for a few seconds after its end.
    pub fn expiry(&self, now: i64, ttl: u32) -> Result<i64, Rejection> {
        let expires = (self.ends as i64).min(now.saturating_add(i64::from(ttl)));
        if expires <= now {
            return Err(Rejection::new(
                Reason::Expired,
                "The token has ended: there is no time left to exchange it for.",
            ));
        }
        Ok(expires)
    }

    /// The claims of an InsForge token for the user.
    ///
    /// # Errors
    /// None that an input can cause: see [`claim`].
    pub fn claims(&self, terms: Terms) -> Result<ClaimsSet, Error> {
        let identity = &self.identity;
        let user_id = identity.user_id.as_deref().unwrap_or_default();
        let mut claims = issuer_claims(user_id, terms)?;
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

fn issuer_claims(user_id: &str, terms: Terms) -> Result<ClaimsSet, Error> {
    let own = |(name, value): (&str, Box<RawValue>)| (name.to_owned(), value);
    let members = [
        ("sub", claim(user_id)?),
        ("role", claim(terms.role)?),
        ("aud", claim(terms.audience)?),
        ("iat", claim(&terms.issued)?),
        ("exp", claim(&terms.expires)?),
    ];
    Ok(members.into_iter().map(own).collect())
}

/// The claims of a token that a trusted server asks for: its own, and those of the issuer.
///
/// # Errors
/// [`Error::InvalidTokenRequest`] for claims that are the issuer's, or no user.
pub fn requested_claims(user_id: &str, claims: &str, terms: Terms) -> Result<ClaimsSet, Error> {
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
    if let Some(name) = RESERVED_CLAIMS
        .iter()
        .find(|name| requested.contains_key(**name))
    {
        return refuse(format!("Claim \"{name}\" is set by the issuer alone."));
    }
    requested.extend(issuer_claims(user_id, terms)?);
    Ok(requested)
}

/// Signs a claims set with the secret that InsForge and PostgREST verify it with (HS256).
///
/// # Errors
/// [`Error::Bug`], which no input can cause.
pub fn sign(claims: &ClaimsSet, key: &EncodingKey) -> Result<String, Error> {
    Ok(jsonwebtoken::encode(&Header::default(), claims, key).map_err(Bug::new)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jwt::jws::Jws;
    use crate::jwt::key::KeySet;
    use crate::jwt::policy::Policy;
    use crate::jwt::preset;
    use crate::jwt::verify::verify;

    const NOW: i64 = 1_800_000_000;
    const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
    const TERMS: Terms = Terms {
        role: "authenticated",
        audience: "insforge-api",
        issued: NOW,
        expires: NOW + 60,
    };

    /// What the built-in provider makes of a token with these claims besides the mandatory ones.
    fn verified(more: Value) -> Verified {
        let mut claims = json!({"sub": "user_1", "role": "authenticated", "aud": "insforge-api", "exp": NOW + 300});
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let token = jsonwebtoken::encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(SECRET),
        )
        .unwrap();
        read(&token)
    }

    fn read(token: &str) -> Verified {
        let policy = Policy::new(preset::insforge("authenticated", "insforge-api")).unwrap();
        verify(
            &Jws::parse(token).unwrap(),
            &policy,
            &KeySet::from_secret(SECRET),
            NOW,
        )
        .unwrap()
    }

    fn grant(more: Value) -> Result<Grant, Rejection> {
        Grant::from_token("clerk", &verified(more), (NOW + 300) as f64)
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
                &grant.claims(TERMS).unwrap(),
                &EncodingKey::from_secret(SECRET),
            )
            .unwrap();
            assert_eq!(read(&token).identity, grant.identity);
        }
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
        for unreadable in [json!("admin"), json!({}), json!({"sub": 1}), json!([])] {
            let refused = grant(json!({"act": unreadable})).unwrap_err();
            assert_eq!(refused.reason, Reason::ClaimRejected);
        }
    }

    #[test]
    fn no_token_outlasts_what_it_rests_on() {
        let grant = grant(json!({})).unwrap();
        assert_eq!(grant.expiry(NOW, 60), Ok(NOW + 60));
        assert_eq!(grant.expiry(NOW, 3600), Ok(NOW + 300));
        assert_eq!(
            grant.expiry(NOW + 300, 60).unwrap_err().reason,
            Reason::Expired
        );
    }

    #[test]
    fn a_trusted_server_sets_no_claim_of_the_issuer() {
        let claims = requested_claims(
            "u",
            r#"{"plan": "pro", "big": 123456789012345678901234567890}"#,
            TERMS,
        )
        .unwrap();
        assert_eq!(claims["big"].get(), "123456789012345678901234567890");
        assert_eq!(claims["sub"].get(), r#""u""#);
        for name in [
            "iss", "sub", "aud", "exp", "nbf", "iat", "role", "type", "provider",
        ] {
            assert!(
                requested_claims("u", &json!({ name: 1 }).to_string(), TERMS).is_err(),
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
            assert!(requested_claims(user_id, claims, TERMS).is_err());
        }
    }
}
