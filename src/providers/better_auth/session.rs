//! Better Auth's sessions: the credential that a client has, and the session's rows.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::jwt::jws::refuse_wrapping;
use crate::jwt::rejection::{Rejection, RejectionReason};
use crate::providers::claims::Membership;

/// The longest credential in bytes. Better Auth's session tokens have 32 characters.
const MAX_CREDENTIAL_BYTES: usize = 512;

/// The credential for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The session's token, as the bearer plugin and some clients give it out.
    Bare(String),
    /// The cookie's value: the token and its HMAC-SHA256 under Better Auth's secret.
    Signed {
        /// The token.
        token: String,
        /// The HMAC.
        signature: Vec<u8>,
    },
}

impl Credential {
    /// Reads a bare token or a cookie's value, which may be percent-encoded.
    ///
    /// # Errors
    /// [`RejectionReason::TooLarge`] and [`RejectionReason::Malformed`].
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let malformed = |detail: &str| Rejection::new(RejectionReason::Malformed, detail);
        if text.len() > MAX_CREDENTIAL_BYTES {
            let detail = format!("A session cookie has at most {MAX_CREDENTIAL_BYTES} bytes.");
            return Err(Rejection::new(RejectionReason::TooLarge, detail));
        }
        refuse_wrapping(text)?;
        let text = percent_decoded(text)
            .filter(|text| !text.is_empty() && !text.contains(char::is_control))
            .ok_or_else(|| malformed("It is neither a signed token nor a session cookie."))?;
        let Some((token, signature)) = text.rsplit_once('.') else {
            return Ok(Self::Bare(text));
        };
        match STANDARD.decode(signature) {
            Ok(signature) if !token.is_empty() => Ok(Self::Signed {
                token: token.to_owned(),
                signature,
            }),
            _ => Err(malformed(
                "The signature of the session cookie is not base64.",
            )),
        }
    }

    /// The session's token, if the provider accepts this kind of credential.
    ///
    /// # Errors
    /// [`RejectionReason::BadSignature`], and [`RejectionReason::WrongType`] for a credential the
    /// operator did not allow.
    pub fn session_token(
        &self,
        secret: Option<&[u8]>,
        allow_bare: bool,
    ) -> Result<&str, Rejection> {
        match self {
            Self::Bare(token) if allow_bare => Ok(token),
            Self::Bare(_) => Err(Rejection::new(
                RejectionReason::WrongType,
                "The provider is not registered to take bare session tokens (allow_bare_sessions).",
            )),
            Self::Signed { token, signature } => {
                let secret = secret.ok_or_else(|| {
                    Rejection::new(
                        RejectionReason::WrongType,
                        "The provider is not registered to take session cookies (session_secret).",
                    )
                })?;
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                // Compares in constant time.
                hmac::verify(&key, token.as_bytes(), signature).map_err(|_| {
                    Rejection::new(
                        RejectionReason::BadSignature,
                        "The session cookie is not signed with the provider's session_secret.",
                    )
                })?;
                Ok(token)
            }
        }
    }
}

/// Undoes `encodeURIComponent`. `None`: that function never writes such a text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digits =
                    [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else {
                    return None;
                };
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        };
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

/// A row of table `session`, its columns under Better Auth's own names.
#[derive(Debug, Deserialize)]
pub struct SessionRow {
    /// Its user.
    #[serde(rename = "userId")]
    pub user_id: String,
    /// When it ends, in seconds since 1970.
    #[serde(rename = "expiresAt")]
    pub expires_at: i64,
    /// A column of the organization plugin.
    #[serde(rename = "activeOrganizationId")]
    pub organization_id: Option<String>,
    /// A column of the admin plugin.
    #[serde(rename = "impersonatedBy")]
    pub impersonated_by: Option<String>,
}

/// A row of table `user`.
#[derive(Debug, Deserialize)]
pub struct UserRow {
    email: Option<String>,
    #[serde(rename = "emailVerified")]
    email_verified: Option<bool>,
    /// A column of the admin plugin.
    banned: Option<bool>,
    /// A column of the admin plugin, in seconds since 1970. A ban without this does not end.
    #[serde(rename = "banExpires")]
    ban_expires: Option<i64>,
}

/// A row of table `member`.
#[derive(Debug, Deserialize)]
pub struct MemberRow {
    /// The organisation.
    #[serde(rename = "organizationId")]
    pub organization_id: String,
    role: Option<String>,
}

/// A session, as its rows describe it.
pub struct Session<'a> {
    /// Its row.
    pub row: &'a SessionRow,
    /// Its user's row.
    pub user: &'a UserRow,
    /// The user's membership in the active organisation. It is read because a session still names
    /// an organisation after its user was removed from it.
    pub member: Option<&'a MemberRow>,
}

impl Session<'_> {
    /// Checks that the session is good at `now`.
    ///
    /// # Errors
    /// [`RejectionReason::SessionNotFound`] once it has ended, [`RejectionReason::SubjectRejected`]
    /// for a banned user.
    pub fn check(&self, now: i64) -> Result<(), Rejection> {
        if self.row.expires_at <= now {
            return Err(Rejection::new(
                RejectionReason::SessionNotFound,
                "The session has ended.",
            ));
        }
        if self.user.banned == Some(true) && self.user.ban_expires.is_none_or(|ends| ends > now) {
            return Err(Rejection::new(
                RejectionReason::SubjectRejected,
                "The user is banned.",
            ));
        }
        Ok(())
    }

    /// The organisation that the user acts in.
    #[must_use]
    pub fn membership(&self) -> Membership {
        let Some(member) = self.member else {
            return Membership::default();
        };
        Membership {
            org_id: Some(member.organization_id.clone()),
            // A list of roles, separated by commas, is not one answer.
            org_role: member
                .role
                .clone()
                .filter(|role| !role.is_empty() && !role.contains(',')),
            permissions: None,
        }
    }

    /// The user's address, when Better Auth has verified it.
    #[must_use]
    pub fn verified_email(&self) -> Option<String> {
        let is_verified = self.user.email_verified == Some(true);
        let email = self.user.email.clone();
        email.filter(|email| is_verified && !email.is_empty())
    }

    /// The id of the administrator who acts in the user's place.
    #[must_use]
    pub fn impersonator(&self) -> Option<&str> {
        let impersonator = self.row.impersonated_by.as_deref();
        impersonator.filter(|id| !id.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with better-call 1.4's algorithm in Node's own crypto: createHmac("sha256", "a secret
    // for tests, the same in every run").update(token).digest("base64")
    const TOKEN: &str = "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1";
    const SECRET: &[u8] = b"a secret for tests, the same in every run";
    const SIGNATURE: &str = "L0lWCJkX5NgBEYmNH04j3DY6xhd/aboIwH2DZeQ6DTk=";

    #[test]
    fn a_cookie_passes_with_its_own_secret_alone() {
        let encoded = SIGNATURE
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        for text in [format!("{TOKEN}.{SIGNATURE}"), format!("{TOKEN}.{encoded}")] {
            let cookie = Credential::parse(&text).unwrap();
            assert_eq!(cookie.session_token(Some(SECRET), false), Ok(TOKEN));
            let reason = |secret| cookie.session_token(secret, true).unwrap_err().reason;
            assert_eq!(
                reason(Some(&b"another secret"[..])),
                RejectionReason::BadSignature
            );
            assert_eq!(reason(None), RejectionReason::WrongType);
        }
        let forged =
            Credential::parse(&format!("{}.{SIGNATURE}", TOKEN.replace('T', "U"))).unwrap();
        assert!(forged.session_token(Some(SECRET), true).is_err());
        let cut = Credential::parse(&format!("{TOKEN}.")).unwrap();
        assert!(cut.session_token(Some(SECRET), true).is_err());
    }

    #[test]
    fn a_bare_token_passes_only_where_it_is_allowed() {
        let bare = Credential::parse(TOKEN).unwrap();
        assert_eq!(bare.session_token(Some(SECRET), true), Ok(TOKEN));
        let refused = bare.session_token(Some(SECRET), false).unwrap_err();
        assert_eq!(refused.reason, RejectionReason::WrongType);
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        let long = "a".repeat(513);
        for text in [
            "", ".", ".AAAA", "a.b!", "%", "%4", "%zz", "%00", "%ff", "a\nb", "a.%2", &long,
        ] {
            assert!(Credential::parse(text).is_err(), "{text:?}");
        }
    }
}
