//! `refresh_provider_jwks()`, and the discovery document that `register_oidc_provider()` reads. No
//! other code of this extension connects to another server.

use std::rc::Rc;

use pgrx::prelude::*;

use super::providers::{Keys, Provider, REGISTRY, check_jwks, with_stored_keys};
use super::verdict::not_ready;
use crate::error::Error;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::discovery::{self, Discovered};
use crate::pg::error::{Result, reported};
#[cfg(feature = "jwks-fetch")]
use crate::pg::settings;
use crate::pg::sys::jsonb::Jsonb;
#[cfg(feature = "jwks-fetch")]
use crate::pg::sys::threads;
use crate::pg::sys::transaction::refuse_if_read_only;
use crate::providers;

/// A document, or a sentence for the operator.
type Fetched = std::result::Result<String, String>;

/// Fetches the keys of a provider, or of every enabled one, and stores the valid ones. All servers
/// are asked before anything is stored, so no row is locked while a server lets us wait.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn refresh_provider_jwks(
    provider: default!(Option<&str>, "NULL"),
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(provider, String),
            name!(key_count, Option<i32>),
            name!(error, Option<String>),
        ),
    >,
> {
    refuse_if_read_only(c"refresh_provider_jwks()");
    let names = match provider {
        Some(name) => vec![name.to_owned()],
        None => with_an_address()?,
    };
    let providers = names.iter().map(|name| with_stored_keys(name));
    let providers = providers.collect::<Result<Vec<_>>>()?;
    let discovered = discover_again(&names, &providers)?;
    let addresses: Vec<Result<Address>> = (names.iter().zip(&providers).zip(discovered))
        .map(|((name, provider), discovered)| Address::of(name, provider, discovered?))
        .collect();
    let urls = addresses
        .iter()
        .flatten()
        .map(|address| address.url.clone());
    let mut documents = fetch(urls.collect())?.into_iter();

    let mut rows = Vec::new();
    for (name, address) in names.into_iter().zip(addresses) {
        let stored = address.and_then(|address| {
            let jwks = documents.next().unwrap_or_else(|| Err(String::new()));
            address.store(&name, jwks)
        });
        let (count, error) = match stored {
            Ok(count) => (Some(count), None),
            Err(
                Error::Token(providers::Error::InvalidKeySet { problem })
                | Error::Token(providers::Error::KeysNotFetched { problem })
                | Error::Token(providers::Error::ProviderNotReady { problem, .. }),
            ) => (None, Some(problem)),
            Err(error) => return Err(error.into()),
        };
        Spi::run_with_args(
            "INSERT INTO insforge_integrations.jwks_fetches VALUES ($1, pg_catalog.clock_timestamp(), $2)
             ON CONFLICT (provider) DO UPDATE SET fetched_at = excluded.fetched_at, error = excluded.error",
            &[name.as_str().into(), error.as_deref().into()],
        )
        .map_err(Error::bug)?;
        if let Some(error) = &error {
            warning!(
                "the keys of provider \"{name}\" were not refreshed, and the stored keys are unchanged: {error}"
            );
        }
        rows.push((name, count, error));
    }
    Ok(TableIterator::new(rows))
}

/// The enabled providers that publish their keys at an address, by name.
fn with_an_address() -> Result<Vec<String>> {
    let registry = REGISTRY.current()?;
    let mut names: Vec<String> = registry
        .iter()
        .filter(|(_, provider)| provider.enabled && matches!(provider.keys, Keys::Stored(_)))
        .filter(|(_, provider)| provider.jwks_url.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Where a provider's keys are, and what they must fit.
struct Address {
    url: String,
    algorithms: Vec<Algorithm>,
    /// Whether a discovery document has just named both.
    is_discovered: bool,
}

impl Address {
    fn of(name: &str, provider: &Provider, discovered: Option<Discovered>) -> Result<Self> {
        Ok(match discovered {
            Some(discovered) => Self {
                url: discovered.jwks_uri,
                algorithms: discovered.algorithms,
                is_discovered: true,
            },
            None => Self {
                url: provider
                    .jwks_url
                    .clone()
                    .ok_or(providers::Error::KeysElsewhere {
                        problem: "This provider has no address to fetch keys from.",
                    })?,
                algorithms: provider.algorithms(name)?.to_vec(),
                is_discovered: false,
            },
        })
    }

    /// Stores the published keys if they are valid, and returns their number.
    fn store(self, name: &str, jwks: Fetched) -> Result<i32> {
        let jwks = jwks.map_err(|problem| providers::Error::KeysNotFetched { problem })?;
        let count = check_jwks(name, &self.algorithms, &jwks)?;
        if self.is_discovered {
            follow(name, &self.url, &self.algorithms)?;
        }
        // Unchanged keys do not change the row. Therefore every session's copy of the registry
        // stays valid.
        Spi::run_with_args(
            "UPDATE insforge_integrations.auth_providers SET jwks = $2, jwks_updated_at = pg_catalog.now()
             WHERE name OPERATOR(pg_catalog.=) $1 AND jwks_url OPERATOR(pg_catalog.=) $3
               AND (jwks IS NULL OR jwks OPERATOR(pg_catalog.<>) $2)",
            &[name.into(), Jsonb(jwks).into(), self.url.into()],
        )
        .map_err(Error::bug)?;
        Ok(count)
    }
}

/// Reads the discovery documents of the providers that have one.
fn discover_again(
    names: &[String],
    providers: &[Rc<Provider>],
) -> Result<Vec<Result<Option<Discovered>>>> {
    let addresses = providers.iter().filter_map(|one| one.discovery_url.clone());
    let mut documents = fetch(addresses.collect())?.into_iter();
    let discovered = names.iter().zip(providers).map(|(name, provider)| {
        if provider.discovery_url.is_none() {
            return Ok(None);
        }
        let document = documents.next().unwrap_or_else(|| Err(String::new()));
        let policy = provider.policy.as_ref();
        let policy = policy.map_err(|problem| not_ready(name, problem))?;
        let issuer = policy.rules().issuers.first();
        let issuer = issuer.map(String::as_str).unwrap_or_default();
        let read = document.and_then(|document| discovery::read(&document, issuer));
        Ok(Some(read.map_err(|problem| {
            providers::Error::KeysNotFetched {
                problem: format!("Discovery failed. {problem}"),
            }
        })?))
    });
    Ok(discovered.collect())
}

/// Stores the address of the keys and the algorithms that a discovery document names.
fn follow(name: &str, jwks_url: &str, algorithms: &[Algorithm]) -> Result<()> {
    let names: Vec<&str> = algorithms.iter().map(|one| one.name()).collect();
    let changed = Spi::get_one_with_args::<bool>(
        "SELECT jwks_url OPERATOR(pg_catalog.<>) $2 OR algorithms OPERATOR(pg_catalog.<>) $3
         FROM insforge_integrations.auth_providers WHERE name OPERATOR(pg_catalog.=) $1",
        &[name.into(), jwks_url.into(), names.clone().into()],
    );
    if changed.map_err(Error::bug)? != Some(true) {
        return Ok(());
    }
    // As in the registration: two providers may not share both an issuer and the keys.
    Spi::run("LOCK TABLE insforge_integrations.auth_providers IN SHARE ROW EXCLUSIVE MODE")
        .map_err(Error::bug)?;
    let other = Spi::get_one_with_args::<String>(
        "SELECT pg_catalog.min(other.name)
         FROM insforge_integrations.auth_providers own, insforge_integrations.auth_providers other
         WHERE own.name OPERATOR(pg_catalog.=) $1 AND other.name OPERATOR(pg_catalog.<>) $1
           AND other.key_source OPERATOR(pg_catalog.=) $2
           AND other.issuers OPERATOR(pg_catalog.&&) own.issuers",
        &[name.into(), jwks_url.into()],
    );
    if let Some(other) = other.map_err(Error::bug)? {
        return Err(providers::Error::KeysNotFetched {
            problem: format!("The issuer moved its keys to the address of provider \"{other}\", which has the same issuer. Remove one of the two providers."),
        }
        .into());
    }
    Spi::run_with_args(
        "UPDATE insforge_integrations.auth_providers
         SET jwks_url = $2, key_source = $2, algorithms = $3, updated_at = pg_catalog.now()
         WHERE name OPERATOR(pg_catalog.=) $1",
        &[name.into(), jwks_url.into(), names.into()],
    )
    .map_err(Error::bug)
}

/// The discovery document of an issuer, as text.
#[pg_extern(schema = "insforge_integrations_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn discovery_document(issuer: Option<&str>) -> reported::Result<String> {
    let address = discovery::address(issuer.unwrap_or_default())
        .map_err(|problem| providers::Error::InvalidRegistration { problem })?;
    let document = fetch(vec![address])?.pop();
    let document = document.unwrap_or_else(|| Err(String::new()));
    Ok(document.map_err(|problem| providers::Error::NotDiscovered { problem })?)
}

#[cfg(not(feature = "jwks-fetch"))]
fn fetch(urls: Vec<String>) -> Result<Vec<Fetched>> {
    match urls.is_empty() {
        true => Ok(Vec::new()),
        false => Err(providers::Error::FetchingNotBuilt.into()),
    }
}

/// Fetches side by side, so one server that does not answer does not hold up the others.
#[cfg(feature = "jwks-fetch")]
fn fetch(urls: Vec<String>) -> Result<Vec<Fetched>> {
    let authority = settings::current()?.jwks_ca.clone();
    let jobs = urls.into_iter().map(|url| {
        let authority = authority.clone();
        move || crate::jwks_fetch::fetch(&url, authority.as_deref())
    });
    threads::side_by_side(jobs)
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn there_is_nothing_to_refresh_without_providers() {
        let rows = Spi::get_one::<i64>(
            "SELECT count(*) FROM insforge_integrations.refresh_provider_jwks(NULL)",
        );
        assert_eq!(rows, Ok(Some(0)));
    }

    #[pg_test(error = "invalid registration of an identity provider")]
    fn what_is_no_issuer_has_no_discovery_document() {
        Spi::run("SELECT insforge_integrations_internal.discovery_document('id.example')").unwrap();
    }

    #[pg_test(error = "the discovery document of an issuer cannot be fetched")]
    fn an_issuer_that_does_not_answer_has_no_discovery_document() {
        Spi::run("SELECT insforge_integrations_internal.discovery_document('http://localhost:1')")
            .unwrap();
    }

    #[pg_test(error = "unknown identity provider \"nobody\"")]
    fn an_unknown_provider_is_refused() {
        Spi::run("SELECT insforge_integrations.refresh_provider_jwks('nobody')").unwrap();
    }
}
