//! The registered providers with their policies and keys, and the functions that write them.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use jsonwebtoken::EncodingKey;
use pgrx::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::verdict::not_ready;
use crate::error::Error;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::discovery::mistaken_for_keys;
use crate::jwt::key::{KeySet, KeySetError};
use crate::jwt::policy::{Policy, Rules};
use crate::pg::error::{Result, reported};
use crate::pg::settings;
use crate::pg::sys::clock;
use crate::pg::sys::heap_scan::Rows;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::table_cache::TableCache;
use crate::pg::sys::transaction::refuse_if_read_only;
use crate::providers;
use crate::providers::better_auth::tables::Place;
use crate::providers::mapping::Mapping;
use crate::providers::registration::unreadable;
use crate::providers::{insforge, register};
use crate::settings::Settings;

pub(crate) static REGISTRY: TableCache<HashMap<String, Rc<Provider>>> =
    TableCache::new(c"auth_providers", load_providers);
pub(crate) static SECRETS: TableCache<Secrets> = TableCache::new(c"jwt_secrets", load_secrets);

/// One provider.
pub(crate) struct Provider {
    pub enabled: bool,
    /// The policy, or why the stored rules cannot be applied.
    pub policy: std::result::Result<Policy, String>,
    pub keys: Keys,
    /// What becomes of the claims of its tokens.
    pub mapping: Mapping,
    /// The address of its JWK set.
    pub jwks_url: Option<String>,
    /// The address of its discovery document.
    pub discovery_url: Option<String>,
    /// Whether the bare token of a session is a credential.
    pub allow_bare_sessions: bool,
}

impl Provider {
    /// The algorithms of its valid rules.
    pub(crate) fn algorithms(&self, name: &str) -> Result<&[Algorithm]> {
        let policy = self.policy.as_ref();
        Ok(policy
            .map_err(|problem| not_ready(name, problem))?
            .algorithms())
    }

    /// The policy, if the provider is enabled and its rules are valid.
    pub(crate) fn ready_policy(&self, name: &str) -> Result<&Policy> {
        if !self.enabled {
            return Err(not_ready(name, "It is disabled."));
        }
        self.policy
            .as_ref()
            .map_err(|problem| not_ready(name, problem))
    }
}

/// The place of a provider's keys.
pub(crate) enum Keys {
    /// Stored with the provider; `None` until keys are set.
    Stored(Option<KeySet>),
    /// In Better Auth's own table, read at each use.
    BetterAuth(Place),
}

/// The secrets that InsForge signs its tokens with.
#[derive(Default)]
pub(crate) struct Secrets {
    /// The present secret, which signs.
    signing: Option<Rc<EncodingKey>>,
    present: Option<Rc<KeySet>>,
    /// The present and the previous secret, and the end of the previous one in seconds since 1970.
    with_previous: Option<(Rc<KeySet>, i64)>,
}

impl Secrets {
    /// The key that signs tokens; `None` if there is no secret.
    pub(crate) fn signing_key(&self) -> Option<Rc<EncodingKey>> {
        self.signing.clone()
    }

    /// The keys that are valid at `now`, and whether they stay valid until the table changes;
    /// `None` if there is no secret.
    pub(crate) fn keys(&self, now: i64) -> Option<(Rc<KeySet>, bool)> {
        match &self.with_previous {
            Some((keys, until)) if now < *until => Some((Rc::clone(keys), false)),
            _ => self.present.as_ref().map(|keys| (Rc::clone(keys), true)),
        }
    }
}

/// The policy of the built-in provider, which follows the settings.
pub(crate) fn built_in_policy() -> Result<Rc<Policy>> {
    type Kept = Option<(Rc<Settings>, Rc<Policy>)>;
    thread_local! {
        static POLICY: RefCell<Kept> = const { RefCell::new(None) };
    }
    let settings = settings::current()?;
    let kept = POLICY.with_borrow(|kept| match kept {
        Some((of, policy)) if Rc::ptr_eq(of, &settings) => Some(Rc::clone(policy)),
        _ => None,
    });
    if let Some(policy) = kept {
        return Ok(policy);
    }
    let rules = insforge::rules(&settings.token_role, &settings.token_audience);
    let policy = Rc::new(Policy::new(rules).map_err(Error::bug)?);
    POLICY.set(Some((settings, Rc::clone(&policy))));
    Ok(policy)
}

fn load_providers(rows: &Rows) -> Result<HashMap<String, Rc<Provider>>> {
    #[derive(Deserialize)]
    struct Head {
        name: String,
        enabled: bool,
        key_source: String,
        jwks: Option<Box<RawValue>>,
        jwks_url: Option<String>,
        discovery_url: Option<String>,
        allow_bare_sessions: bool,
        better_auth_names: Option<BTreeMap<String, String>>,
    }

    let mut providers = HashMap::new();
    for text in rows.texts() {
        let row: Head = serde_json::from_str(text).map_err(Error::bug)?;
        let mapping: Mapping = serde_json::from_str(text).map_err(Error::bug)?;
        let policy = serde_json::from_str::<Rules>(text)
            .map_err(|error| unreadable(&error))
            .and_then(Policy::new)
            .and_then(|policy| match policy.rules().issuers.is_empty() {
                // Only in the built-in provider's rules does an empty list mean any issuer.
                true => Err("No issuer is named.".to_owned()),
                false => mapping.check().map(|()| policy),
            });
        let keys = match row.key_source.strip_prefix("better_auth:") {
            Some(schema) => Keys::BetterAuth(Place {
                schema: schema.to_owned(),
                names: row.better_auth_names.unwrap_or_default(),
            }),
            None => Keys::Stored(
                row.jwks
                    .and_then(|jwks| KeySet::parse(jwks.get()).ok().map(|parsed| parsed.keys)),
            ),
        };
        providers.insert(
            row.name,
            Rc::new(Provider {
                enabled: row.enabled,
                policy,
                keys,
                mapping,
                jwks_url: row.jwks_url,
                discovery_url: row.discovery_url,
                allow_bare_sessions: row.allow_bare_sessions,
            }),
        );
    }
    Ok(providers)
}

fn load_secrets(rows: &Rows) -> Result<Secrets> {
    #[derive(Deserialize)]
    struct Row {
        secret: String,
        valid_until: Option<String>,
    }

    let rows: Vec<Row> = rows.parse()?;
    let present = rows.iter().find(|row| row.valid_until.is_none());
    let previous = rows
        .iter()
        .find_map(|row| Some((&row.secret, row.valid_until.as_deref()?)));
    let keys = |row: &Row| KeySet::from_secret(row.secret.as_bytes());
    Ok(Secrets {
        signing: present.map(|row| Rc::new(EncodingKey::from_secret(row.secret.as_bytes()))),
        present: present.map(|row| Rc::new(keys(row))),
        // A previous secret counts only if there is a present one.
        with_previous: present.zip(previous).map(|(row, (previous, until))| {
            let mut keys = keys(row);
            keys.append(KeySet::from_secret(previous.as_bytes()));
            (Rc::new(keys), clock::parse(until).unwrap_or(0))
        }),
    })
}

/// The rules that a preset makes of the arguments of its `register_…` function.
#[pg_extern(schema = "insforge_integrations_internal", immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
fn provider_registration(preset: &str, arguments: Jsonb) -> reported::Result<Jsonb> {
    let registration = register(preset, &arguments.0)?;
    Ok(Jsonb(
        serde_json::to_string(&registration).map_err(Error::bug)?,
    ))
}

/// Stores the public keys of a provider, and returns how many of them can verify the provider's
/// tokens.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn set_provider_jwks(provider: Option<&str>, jwks: Option<Jsonb>) -> reported::Result<i32> {
    refuse_if_read_only(c"set_provider_jwks()");
    let provider = provider.unwrap_or_default();
    let jwks = jwks.unwrap_or_else(|| Jsonb("null".to_owned()));
    let algorithms = with_stored_keys(provider)?;
    let algorithms = algorithms.algorithms(provider)?;
    let usable = check_jwks(provider, algorithms, &jwks.0)?;
    Spi::run_with_args(
        "UPDATE insforge_integrations.auth_providers SET jwks = $2, jwks_updated_at = pg_catalog.now()
         WHERE name OPERATOR(pg_catalog.=) $1",
        &[provider.into(), jwks.into()],
    )
    .map_err(Error::bug)?;
    Ok(usable)
}

/// A provider whose keys are stored with it.
pub(crate) fn with_stored_keys(name: &str) -> Result<Rc<Provider>> {
    let registry = REGISTRY.current()?;
    let provider = registry
        .get(name)
        .ok_or_else(|| providers::Error::UnknownProvider {
            name: name.to_owned(),
        })?;
    match provider.keys {
        Keys::Stored(_) => Ok(Rc::clone(provider)),
        Keys::BetterAuth(_) => Err(providers::Error::KeysElsewhere {
            problem: "This provider's keys are read from Better Auth's own table.",
        }
        .into()),
    }
}

/// Counts the keys of a JWK set that can verify a provider's tokens. An error if there is none.
pub(crate) fn check_jwks(name: &str, algorithms: &[Algorithm], jwks: &str) -> Result<i32> {
    let parsed = KeySet::parse(jwks).map_err(|error| providers::Error::InvalidKeySet {
        problem: match error {
            KeySetError::Malformed => mistaken_for_keys(jwks).unwrap_or_else(|| "It is not a JSON object with a list \"keys\" (RFC 7517 section 5).".to_owned()),
            KeySetError::Private(number) => format!(
                "Key {number} has a private part. Anybody who can read it can sign. Give only the provider's public keys, and replace that key."
            ),
            KeySetError::NoUsableKey(skipped) if skipped.is_empty() => "It has no keys. The provider publishes its first key when somebody first signs in there, or this is the address of another environment.".to_owned(),
            KeySetError::NoUsableKey(skipped) => format!("No key can verify. {}", skipped.join(" ")),
        },
    })?;
    let usable = parsed.keys.count_for(algorithms);
    if usable == 0 {
        return Err(providers::Error::InvalidKeySet {
            problem: format!(
                "No key fits the provider's algorithms, {}.",
                algorithms
                    .iter()
                    .map(|one| one.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
        .into());
    }
    for reason in &parsed.skipped {
        notice!("a key of provider \"{name}\" was skipped: {reason}");
    }
    Ok(usable as i32)
}
