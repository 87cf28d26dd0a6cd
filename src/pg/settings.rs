//! `configure()` and the present settings.

use crate::error::Error;
use crate::settings;
use std::rc::Rc;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::error::{Result, reported};
use super::sys::heap_scan::Rows;
use super::sys::table_cache::TableCache;
use super::sys::transaction::refuse_if_read_only;
use crate::settings::{Settings, check};

static CACHE: TableCache<Settings> = TableCache::new(c"settings", load);

fn load(rows: &Rows) -> Result<Settings> {
    #[derive(serde::Deserialize)]
    struct Row {
        name: String,
        value: String,
    }
    let rows: Vec<Row> = rows.parse()?;
    let rows = rows.into_iter().map(|row| (row.name, row.value));
    Ok(Settings::from_rows(rows)?)
}

/// The present settings, in every snapshot and for every role.
pub(super) fn current() -> Result<Rc<Settings>> {
    CACHE.current()
}

/// Stores a setting for the whole database. `NULL` returns it to its default. After this
/// transaction has committed, the setting holds in every session from its next statement on.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn configure(name: Option<&str>, value: Option<&str>) -> reported::Result<()> {
    refuse_if_read_only(c"configure()");
    let name = name.unwrap_or_default();
    check(name, value)?;
    let decides_on_rights = ["anon_role", "token_role"]
        .into_iter()
        .find(|one| *one == name);
    if let (Some(name), Some(role)) = (decides_on_rights, value) {
        check_role(name, role)?;
    }
    match value {
        Some(value) => Spi::run_with_args(
            "INSERT INTO insforge_integrations.settings AS s (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value
             WHERE s.value OPERATOR(pg_catalog.<>) excluded.value",
            &[name.into(), value.into()],
        ),
        None => Spi::run_with_args(
            "DELETE FROM insforge_integrations.settings WHERE name OPERATOR(pg_catalog.=) $1",
            &[name.into()],
        ),
    }
    .map_err(Error::bug)?;
    if (name, value) == ("identity_source", Some("verified")) {
        warn_of_exchanged_tokens();
    }
    Ok(())
}

/// Refuses a role that users' requests must not have.
fn check_role(name: &'static str, role: &str) -> Result<()> {
    let problem = Spi::get_one_with_args::<String>(
        "SELECT insforge_integrations_internal.token_role_problem($1)",
        &[role.into()],
    )
    .map_err(Error::bug)?;
    problem.map_or(Ok(()), |problem| {
        Err(settings::Error::InvalidRole {
            name,
            role: role.to_owned(),
            problem,
        }
        .into())
    })
}

/// Warns: InsForge and PostgREST pass a token on as claims, and nothing calls `authenticate()` with
/// it.
fn warn_of_exchanged_tokens() {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        "exchanged tokens identify nobody while identity_source is verified",
        "insforge_integrations",
    )
    .set_detail(
        "InsForge and PostgREST verify a token and set request.jwt.claims, but they do not call authenticate(). From now on these claims identify nobody.",
    )
    .set_hint(
        "Make insforge_integrations.pre_request() PostgREST's db-pre-request, and let clients send the provider's token in its header. To exchange tokens instead: SELECT insforge_integrations.configure('identity_source', 'claims').",
    )
    .report(PgLogLevel::WARNING);
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn stored() -> Option<String> {
        Spi::get_one(
            "SELECT string_agg(name || '=' || value, ',') FROM insforge_integrations.settings",
        )
        .unwrap()
    }

    #[pg_test]
    fn stores_replaces_and_resets() {
        assert_eq!(stored(), None);
        for (value, expected) in [
            ("'verified'", "identity_source=verified"),
            ("'claims'", "identity_source=claims"),
        ] {
            Spi::run(&format!(
                "SELECT insforge_integrations.configure('identity_source', {value})"
            ))
            .unwrap();
            assert_eq!(stored().as_deref(), Some(expected));
        }
        Spi::run("SELECT insforge_integrations.configure('identity_source', NULL)").unwrap();
        assert_eq!(stored(), None);
    }

    #[pg_test]
    fn holds_from_the_next_statement_on() {
        Spi::run("SELECT set_config('request.jwt.claims', '{\"sub\": \"alice\"}', true)").unwrap();
        let user = || Spi::get_one::<String>("SELECT requesting_user_id()").unwrap();
        assert_eq!(user().as_deref(), Some("alice"));
        Spi::run("SELECT insforge_integrations.configure('identity_source', 'verified')").unwrap();
        assert_eq!(user(), None);
    }

    #[pg_test(error = "unrecognized setting \"identity\"")]
    fn refuses_an_unknown_name() {
        Spi::run("SELECT insforge_integrations.configure('identity', 'claims')").unwrap();
    }

    #[pg_test(error = "unrecognized setting \"\"")]
    fn refuses_no_name() {
        Spi::run("SELECT insforge_integrations.configure(NULL, 'claims')").unwrap();
    }

    #[pg_test(error = "invalid value for setting \"identity_source\": \"both\"")]
    fn refuses_an_unknown_value() {
        Spi::run("SELECT insforge_integrations.configure('identity_source', 'both')").unwrap();
    }
}
