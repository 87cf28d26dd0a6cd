//! Backend-local copies of the extension's small tables.
//!
//! A copy holds until any session changes a copied table. Each of these tables has row triggers and
//! one for TRUNCATE. They send a relcache invalidation, which reaches every backend at commit, also
//! on standbys and in parallel workers. Therefore the copies are as fresh as Postgres' own catalog
//! caches. A table enrols itself when it is first read, so there is no list of tables.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;

use pgrx::prelude::*;

use super::fmgr::function_info;
use super::heap_scan::{Rows, relation_in_schema};
use crate::error::Error;
use crate::pg::error::Result;

const SCHEMA: &CStr = c"insforge_integrations";

/// A table, and the value that is made from its rows.
pub(crate) struct TableCache<T> {
    table: &'static CStr,
    load: fn(&Rows) -> Result<T>,
}

/// A copy, and the count of changes when its scan began.
type Copied = (u64, Rc<dyn Any>);

thread_local! {
    /// The tables that are watched.
    static WATCHED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static COPIES: RefCell<HashMap<&'static CStr, Copied>> = RefCell::default();
    static USES: Cell<Uses> = const { Cell::new(Uses { hits: 0, misses: 0 }) };
}

/// How often a cache of this session had what was looked up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Uses {
    pub hits: i64,
    pub misses: i64,
}

impl Uses {
    pub(crate) const fn count(self, hit: bool) -> Self {
        Self {
            hits: self.hits + hit as i64,
            misses: self.misses + !hit as i64,
        }
    }
}

/// How often a copy of a table was up to date, and how often the table was read.
pub(crate) fn uses() -> Uses {
    USES.get()
}

/// The count of changes of watched tables, up to the last accepted invalidation. A value that was
/// derived under another count is void.
#[inline(always)]
pub(crate) fn changes() -> u64 {
    CHANGES.get()
}

impl<T: 'static> TableCache<T> {
    pub(crate) const fn new(table: &'static CStr, load: fn(&Rows) -> Result<T>) -> Self {
        Self { table, load }
    }

    /// The present content of the table, even if the transaction's snapshot is older.
    pub(crate) fn current(&self) -> Result<Rc<T>> {
        register_callback();
        // SAFETY: called in a transaction, as everything here is.
        unsafe { pg_sys::AcceptInvalidationMessages() };
        let changes = changes();
        let copy = COPIES.with_borrow(|copies| match copies.get(self.table) {
            Some((of, copy)) if *of == changes => Some(Rc::clone(copy)),
            _ => None,
        });
        let copy = copy.and_then(|copy| copy.downcast().ok());
        USES.set(USES.get().count(copy.is_some()));
        if let Some(copy) = copy {
            return Ok(copy);
        }
        // requesting_user_id() needs only the settings, which are the same in all versions. So
        // policies work between the installation of a new library and the update.
        if self.table != c"settings" {
            require_same_version()?;
        }
        let rows = self.scan()?;
        let copy = Rc::new((self.load)(&rows)?);
        // If a change came during the scan, `changes` is an old count now.
        let kept: Copied = (changes, copy.clone());
        COPIES.with_borrow_mut(|copies| copies.insert(self.table, kept));
        Ok(copy)
    }

    fn scan(&self) -> Result<Rows> {
        // SAFETY: look-ups in the catalog; the table stays open and locked for the scan.
        unsafe {
            let relation = relation_in_schema(SCHEMA, self.table);
            if relation == pg_sys::Oid::INVALID {
                let table = self.table.to_str().unwrap_or_default();
                return Err(Error::TableMissing { table });
            }
            watch(relation);
            let table = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
            let rows = Rows::scan(table);
            pg_sys::table_close(table, pg_sys::AccessShareLock as i32);
            rows
        }
    }
}

/// Refuses to work with tables of another version.
pub(super) fn require_same_version() -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Extension {
        extname: String,
        extversion: String,
    }
    // SAFETY: called in a transaction. The catalog has only built-in column types.
    let rows = unsafe {
        let table = pg_sys::table_open(pg_sys::ExtensionRelationId, pg_sys::AccessShareLock as i32);
        let rows = Rows::scan(table);
        pg_sys::table_close(table, pg_sys::AccessShareLock as i32);
        rows?
    };
    let extensions: Vec<Extension> = rows.parse()?;
    match extensions
        .into_iter()
        .find(|one| one.extname == "insforge_integrations")
    {
        Some(own) if own.extversion != env!("CARGO_PKG_VERSION") => Err(Error::OtherVersion {
            sql: own.extversion,
        }),
        _ => Ok(()),
    }
}

fn watch(relation: pg_sys::Oid) {
    WATCHED.with_borrow_mut(|watched| {
        if !watched.contains(&relation) {
            watched.push(relation);
        }
    });
}

/// One callback serves all tables, because Postgres has room for only ten callbacks in a backend.
fn register_callback() {
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    // SAFETY: registers a function that lives as long as the library, which is never unloaded.
    REGISTERED.call_once(|| unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::from(0));
    });
}

/// Runs inside Postgres' invalidation processing. It only counts, and calls no function of
/// Postgres.
unsafe extern "C-unwind" fn on_invalidation(_: pg_sys::Datum, relation: pg_sys::Oid) {
    let is_watched = || {
        // No code runs while it is borrowed. If it did, an extra change would do no harm.
        WATCHED.with(|watched| {
            watched
                .try_borrow()
                .map_or(true, |watched| watched.contains(&relation))
        })
    };
    if relation == pg_sys::Oid::INVALID || is_watched() {
        CHANGES.set(CHANGES.get() + 1);
    }
}

/// Trigger function of every cached table, for each row and for TRUNCATE; see sql/settings.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn invalidate_table_cache(
    call: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: a trigger manager's call has TriggerData for its context, whose relation is open.
    unsafe {
        if pgrx::trigger_support::called_as_trigger(call) {
            let data: *mut pg_sys::TriggerData = (*call).context.cast();
            pg_sys::CacheInvalidateRelcache((*data).tg_relation);
        } else {
            let error = Error::NotATrigger {
                function: "invalidate_table_cache",
            };
            error.raise();
        }
    }
    pg_sys::Datum::from(0)
}

function_info!(pg_finfo_invalidate_table_cache);
