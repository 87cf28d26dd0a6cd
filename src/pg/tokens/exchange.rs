//! Exchanges providers' tokens for InsForge tokens (RFC 8693), and issues tokens for trusted
//! servers.

use std::rc::Rc;

use jsonwebtoken::EncodingKey;
use pgrx::prelude::*;
use serde_json::json;

use super::providers::SECRETS;
use super::request;
use super::sessions;
use super::verification::verify_token;
use crate::error::Error;
use crate::grant::{self, IssuerClaims};
use crate::pg::error::{Result, reported};
use crate::pg::settings;
use crate::pg::sys::clock;
use crate::pg::sys::jsonb::Jsonb;
use crate::providers;
use crate::settings::TTL_SECONDS;

/// The answer of SQL function `exchange_provider_token`, as JSON (RFC 8693 section 2.2.1).
pub(crate) fn exchange(token: Option<&str>, provider: Option<&str>) -> Result<String> {
    request::require_post("exchange_provider_token")?;
    let grant = match sessions::session_grant(token, provider)? {
        Some(grant) => grant,
        None => verify_token(token, provider)?.grant()?,
    };
    let key = signing_key()?;
    let settings = settings::current()?;
    let now = clock::now();
    let expires = grant.expiry(now, settings.token_ttl)?;
    let claims = grant.claims(IssuerClaims {
        role: &settings.token_role,
        audience: &settings.token_audience,
        issued: now,
        expires,
    })?;
    Ok(json!({
        "access_token": grant::sign(&claims, &key)?,
        "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_type": "Bearer",
        "expires_in": expires - now,
        "user_id": grant.identity.user_id,
        "provider": grant.provider,
    })
    .to_string())
}

fn signing_key() -> Result<Rc<EncodingKey>> {
    let key = SECRETS.current()?.signing_key();
    Ok(key.ok_or(providers::Error::SecretMissing)?)
}

/// Issues a token for a user that a trusted server has already authenticated.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_safe)]
fn issue_insforge_token(
    user_id: Option<&str>,
    claims: default!(Option<Jsonb>, "'{}'"),
    ttl: default!(Option<Interval>, "NULL"),
) -> reported::Result<String> {
    let key = signing_key()?;
    let settings = settings::current()?;
    let ttl = match ttl {
        None => i64::from(settings.token_ttl),
        Some(ttl) => {
            let seconds = i64::try_from(ttl.as_micros() / 1_000_000).map_err(Error::bug)?;
            if !(1..=i64::from(*TTL_SECONDS.end())).contains(&seconds) {
                return Err(providers::Error::InvalidTokenRequest {
                    problem: "A token must live for 1 second to 24 hours, because nobody can withdraw it."
                        .to_owned(),
                }
                .into());
            }
            seconds
        }
    };
    let now = clock::now();
    let claims = claims.unwrap_or_else(|| Jsonb("{}".to_owned()));
    let claims = grant::requested_claims(
        user_id.unwrap_or_default(),
        &claims.0,
        IssuerClaims {
            role: &settings.token_role,
            audience: &settings.token_audience,
            issued: now,
            expires: now + ttl,
        },
    )?;
    Ok(grant::sign(&claims, &key)?)
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn store_secret() {
        Spi::run("SELECT insforge_integrations.set_jwt_secret('a secret for tests, of 32 bytes and more')").unwrap();
    }

    #[pg_test]
    fn an_issued_token_is_the_built_in_providers() {
        store_secret();
        let user = Spi::get_one::<String>(
            "SELECT user_id FROM insforge_integrations.inspect_provider_jwt(
               insforge_integrations.issue_insforge_token('user_1', '{\"org_id\": \"org_1\"}', '1 minute'), 'insforge')",
        );
        assert_eq!(user, Ok(Some("user_1".to_owned())));
    }

    #[pg_test]
    fn an_insforge_token_is_exchanged_for_one_that_ends_no_later() {
        store_secret();
        let seconds = Spi::get_one::<i32>(
            "SELECT (exchange_provider_token(insforge_integrations.issue_insforge_token('user_1', ttl => '1 minute'))
                     ->> 'expires_in')::int",
        );
        assert!(matches!(seconds, Ok(Some(1..=60))), "{seconds:?}");
    }

    #[pg_test(error = "token rejected")]
    fn no_token_is_exchanged_for_nothing() {
        store_secret();
        Spi::run("SELECT exchange_provider_token(NULL)").unwrap();
    }

    #[pg_test(error = "no JWT secret is stored")]
    fn nothing_is_signed_without_a_secret() {
        Spi::run("SELECT insforge_integrations.issue_insforge_token('user_1')").unwrap();
    }

    #[pg_test(error = "invalid request for a token")]
    fn nobody_has_no_token() {
        store_secret();
        Spi::run("SELECT insforge_integrations.issue_insforge_token(NULL, NULL, NULL)").unwrap();
    }

    #[pg_test(error = "exchange_provider_token() is called by POST")]
    fn get_is_refused() {
        Spi::run("SELECT set_config('request.method', 'GET', true)").unwrap();
        Spi::run("SELECT exchange_provider_token('x')").unwrap();
    }
}
