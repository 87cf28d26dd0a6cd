//! What view `status` shows and SQL cannot see.

use pgrx::prelude::*;

use super::providers::{Keys, REGISTRY};
use super::verified_tokens;
use crate::pg::error::reported;
use crate::pg::sys::table_cache;

/// The library's version, the usable keys of each provider, and the caches of this session.
#[pg_extern(schema = "insforge_integrations_internal", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn session_status() -> reported::Result<
    TableIterator<
        'static,
        (
            name!(item, &'static str),
            name!(subject, String),
            name!(value, Option<i64>),
            name!(detail, Option<String>),
        ),
    >,
> {
    let registry = REGISTRY.current()?;
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let mut rows = vec![("version", "library".to_owned(), None, version)];
    let caches = [
        ("tokens", verified_tokens::uses()),
        ("tables", table_cache::uses()),
    ];
    for (name, uses) in caches {
        rows.push(("cache_hits", name.to_owned(), Some(uses.hits), None));
        rows.push(("cache_misses", name.to_owned(), Some(uses.misses), None));
    }
    for (name, provider) in registry.iter() {
        let (count, detail) = match (&provider.keys, &provider.policy) {
            (_, Err(problem)) => (Some(0), Some(problem.clone())),
            (Keys::Stored(keys), Ok(policy)) => {
                let keys = keys.as_ref();
                let count = keys.map_or(0, |keys| keys.count_for(policy.algorithms()));
                (Some(count as i64), None)
            }
            (Keys::BetterAuth(_), Ok(_)) => (
                None,
                Some("The keys are in Better Auth's own table.".to_owned()),
            ),
        };
        rows.push(("provider_keys", name.clone(), count, detail));
    }
    Ok(TableIterator::new(rows))
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn the_version_is_that_of_the_package() {
        let version = Spi::get_one::<String>(
            "SELECT detail FROM insforge_integrations_internal.session_status() WHERE item = 'version'",
        );
        assert_eq!(version.unwrap().as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }
}
