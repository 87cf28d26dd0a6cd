//! Verification of tokens in SQL.

use std::rc::Rc;

use pgrx::prelude::*;
use serde_json::{Map, Value};

use super::better_auth;
use super::pre_request::hand_on_claims;
use super::providers::{Keys, Provider, REGISTRY, SECRETS, built_in_policy};
use super::verdict::{Accepted, first_accepted, not_ready};
use super::verified_tokens::{memory_key, remember, remembered};
use crate::error::Error;
use crate::grant::Vouched;
use crate::jwt::jws::Jws;
use crate::jwt::key::KeySet;
use crate::jwt::policy::Policy;
use crate::jwt::rejection::{Rejection, RejectionReason};
use crate::jwt::verify::{unverified_issuer, verify};
use crate::pg::error::{Result, reported};
use crate::pg::sys::bound_identity::unbind;
use crate::pg::sys::clock;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::security_context::is_operator;
use crate::pg::sys::table_cache::changes;
use crate::pg::sys::workers;
use crate::providers;
use crate::providers::insforge;
use crate::providers::mapping::Mapping;

/// Verifies a token by the named provider's rules, or by those of the providers with the token's
/// issuer.
///
/// No token (NULL) is a token of no parts, so that nothing goes on as if one had passed.
pub(crate) fn verify_token(token: Option<&str>, provider: Option<&str>) -> Result<Accepted> {
    let token = token.unwrap_or_default();
    let key = memory_key(token, provider);
    if let Some(accepted) = remembered(&key)? {
        return Ok(accepted);
    }
    let before = changes();
    let jws = Jws::parse(token)?;
    let registry = REGISTRY.current()?;
    let names: Vec<&str> = match provider {
        Some(name) if name == insforge::NAME || registry.contains_key(name) => vec![name],
        Some(name) => {
            return Err(providers::Error::UnknownProvider {
                name: name.to_owned(),
            }
            .into());
        }
        None => {
            let issuer = unverified_issuer(&jws);
            let is_theirs = |provider: &Provider| {
                let policy = provider.policy.as_ref();
                provider.enabled && policy.is_ok_and(|policy| policy.has_issuer(issuer))
            };
            let named = registry.iter().filter(|(_, provider)| is_theirs(provider));
            let mut names: Vec<&str> = named.map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            if SECRETS.current()?.keys(clock::now()).is_some() {
                names.push(insforge::NAME);
            }
            names
        }
    };
    let unknown_issuer = || {
        let detail = "No enabled provider has the token's \"iss\".";
        Rejection::new(RejectionReason::UnknownIssuer, detail)
    };
    let accepted = first_accepted(names, |name| {
        match verify_with_provider(&jws, name, registry.get(name)) {
            // InsForge's tokens have only this algorithm, so the token is not InsForge's.
            Err(Error::Token(providers::Error::TokenRejected(rejection)))
                if provider.is_none()
                    && name == insforge::NAME
                    && rejection.reason == RejectionReason::AlgorithmNotAllowed =>
            {
                Err(unknown_issuer().into())
            }
            verdict => verdict,
        }
    })?;
    let (accepted, is_lasting) = accepted.ok_or_else(unknown_issuer)?;
    // If a table changed meanwhile, the verdict may be old.
    if is_lasting && before == changes() {
        remember(key, &accepted);
    }
    Ok(accepted)
}

/// One provider's verdict, and whether it holds until a table of this extension changes.
fn verify_with_provider(
    jws: &Jws,
    name: &str,
    provider: Option<&Rc<Provider>>,
) -> Result<(Accepted, bool)> {
    let now = clock::now();
    let check = |policy: &Policy, keys: &KeySet, mapping: &Mapping, is_lasting: bool| {
        let verified = verify(jws, policy, keys, now)?;
        let accepted = Accepted {
            provider: Rc::from(name),
            vouched: Rc::new(Vouched::read(&verified, mapping)),
            claims: Rc::from(verified.text),
            times: verified.times,
            ends: policy.end(&verified.times),
            leeway: f64::from(policy.rules().leeway_seconds),
        };
        Ok((accepted, is_lasting))
    };
    let Some(provider) = provider else {
        let no_secret = "No secret is stored: call insforge_integrations.set_jwt_secret().";
        let keys = SECRETS.current()?.keys(now);
        let (keys, is_lasting) = keys.ok_or_else(|| not_ready(name, no_secret))?;
        return check(&*built_in_policy()?, &keys, &Mapping::default(), is_lasting);
    };
    let policy = provider.ready_policy(name)?;
    match &provider.keys {
        Keys::Stored(Some(keys)) => check(policy, keys, &provider.mapping, true),
        Keys::Stored(None) => Err(not_ready(
            name,
            "It has no keys: call insforge_integrations.set_provider_jwks().",
        )),
        Keys::BetterAuth(place) => {
            let keys = better_auth::keys(name, place, jws.key_id.as_deref(), now)?;
            check(policy, &keys, &provider.mapping, false)
        }
    }
}

/// Verifies a token and returns its claims; raises an error if the token is refused.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_safe)]
fn verify_provider_jwt(
    token: Option<&str>,
    provider: default!(Option<&str>, "NULL"),
) -> reported::Result<Jsonb> {
    let accepted = verify_token(token, provider)?;
    Ok(Jsonb(accepted.claims.to_string()))
}

/// What a refused token says of itself, and what the providers expect: those that were asked, or all
/// enabled ones if none has the token's issuer. `None` for roles that are no operators, who could
/// learn the configuration.
fn comparison(token: Option<&str>, provider: Option<&str>) -> Result<Option<(Jsonb, Jsonb)>> {
    let Ok(jws) = Jws::parse(token.unwrap_or_default()) else {
        return Ok(None);
    };
    if !is_operator() {
        return Ok(None);
    }
    let registry = REGISTRY.current()?;
    let issuer = unverified_issuer(&jws);
    let mut asked = Map::new();
    let mut others = Map::new();
    for (name, found) in registry.iter() {
        let Ok(policy) = &found.policy else { continue };
        let keys = match &found.keys {
            Keys::Stored(keys) => keys.as_ref(),
            Keys::BetterAuth(_) => None,
        };
        let is_asked = provider.map_or(found.enabled && policy.has_issuer(issuer), |wanted| {
            wanted == name
        });
        let list = if is_asked { &mut asked } else { &mut others };
        if is_asked || found.enabled {
            list.insert(name.clone(), policy.expectations(keys));
        }
    }
    if provider == Some(insforge::NAME) {
        asked.insert(
            insforge::NAME.to_owned(),
            built_in_policy()?.expectations(None),
        );
    }
    let expected = if asked.is_empty() { others } else { asked };
    let json = |members: Map<String, Value>| Jsonb(Value::Object(members).to_string());
    Ok(Some((json(jws.findings()), json(expected))))
}

/// Verifies a token and returns the result. No content of a token makes it raise an error.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_safe)]
#[allow(clippy::type_complexity)]
fn inspect_provider_jwt(
    token: Option<&str>,
    provider: default!(Option<&str>, "NULL"),
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(is_valid, bool),
            name!(provider, Option<String>),
            name!(user_id, Option<String>),
            name!(org_id, Option<String>),
            name!(org_role, Option<String>),
            name!(permissions, Option<Vec<String>>),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(claims, Option<Jsonb>),
            name!(reason, Option<String>),
            name!(found, Option<Jsonb>),
            name!(expected, Option<Jsonb>),
        ),
    >,
> {
    let row = match verify_token(token, provider) {
        Ok(accepted) => {
            let identity = &accepted.vouched.identity;
            (
                true,
                Some(accepted.provider.to_string()),
                identity.user_id.clone(),
                identity.org_id.clone(),
                identity.org_role.clone(),
                identity.permissions.clone(),
                clock::timestamp(accepted.times.expires),
                Some(Jsonb(accepted.claims.to_string())),
                None,
                None,
                None,
            )
        }
        Err(error) => {
            let reason = match error {
                Error::Token(providers::Error::TokenRejected(rejection)) => rejection.to_string(),
                Error::Token(providers::Error::ProviderNotReady { name, problem }) => {
                    format!("unknown_key: Provider \"{name}\" is not ready. {problem}")
                }
                other => return Err(other.into()),
            };
            let (found, expected) = comparison(token, provider)?.unzip();
            (
                false,
                None,
                None,
                None,
                None,
                None,
                None,
                None,
                Some(reason),
                found,
                expected,
            )
        }
    };
    Ok(TableIterator::once(row))
}

/// Verifies a token and binds its identity to the request; returns the user id.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
fn authenticate(
    token: Option<&str>,
    provider: default!(Option<&str>, "NULL"),
) -> reported::Result<Option<String>> {
    let accepted = verify_token(token, provider)?;
    accepted.bind()?;
    workers::hand_on(|| serde_json::to_string(&accepted.claims_of_grant()?).map_err(Error::bug))?;
    Ok(accepted.vouched.identity.user_id.clone())
}

/// Removes the bound identity.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
fn deauthenticate() -> reported::Result<()> {
    unbind()?;
    Ok(hand_on_claims()?)
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    /// RFC 8037 appendix A.2 and A.4: a signature over a payload that is not a claims set.
    const KEY: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn reason(token: &str, provider: &str) -> Option<String> {
        Spi::get_one_with_args(
            "SELECT reason FROM insforge_integrations.inspect_provider_jwt($1, $2)",
            &[token.into(), provider.into()],
        )
        .unwrap()
    }

    fn register() {
        Spi::run(
            "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks',
               '{api}', algorithms => '{EdDSA}', subject_prefix => 'p:')",
        )
        .unwrap();
        let keys = Spi::get_one_with_args::<i32>(
            "SELECT insforge_integrations.set_provider_jwks('p', $1::jsonb)",
            &[KEY.into()],
        );
        assert_eq!(keys, Ok(Some(1)));
    }

    #[pg_test]
    fn the_signature_is_looked_at_before_the_payload() {
        register();
        assert!(reason(TOKEN, "p").unwrap().starts_with("malformed"));
        let tampered = TOKEN.replace(".RX", ".SX");
        assert!(reason(&tampered, "p").unwrap().starts_with("bad_signature"));
    }

    #[pg_test(error = "token rejected")]
    fn no_token_is_no_user() {
        Spi::run("SELECT insforge_integrations.authenticate(NULL)").unwrap();
    }

    #[pg_test]
    fn no_token_is_explained() {
        let reason = Spi::get_one::<String>(
            "SELECT reason FROM insforge_integrations.inspect_provider_jwt(NULL)",
        );
        assert!(reason.unwrap().unwrap().starts_with("malformed"));
    }

    #[pg_test]
    fn deauthenticate_without_an_identity_changes_nothing() {
        Spi::run("SELECT insforge_integrations.deauthenticate()").unwrap();
        assert_eq!(
            Spi::get_one::<String>("SELECT requesting_user_id()"),
            Ok(None)
        );
    }

    #[pg_test(error = "token rejected")]
    fn verify_raises() {
        register();
        Spi::run(&format!(
            "SELECT insforge_integrations.verify_provider_jwt('{TOKEN}', 'p')"
        ))
        .unwrap();
    }

    #[pg_test(error = "unknown identity provider \"nobody\"")]
    fn an_unknown_provider_raises() {
        register();
        reason(TOKEN, "nobody");
    }

    #[pg_test(error = "identity provider \"insforge\" is not ready")]
    fn the_built_in_provider_needs_a_secret() {
        Spi::run(&format!(
            "SELECT insforge_integrations.authenticate('{TOKEN}', 'insforge')"
        ))
        .unwrap();
    }
}
