//! Backend-local copies of the extension's small tables.
//!
//! A copy holds until any session changes the table: row triggers (and one for TRUNCATE) on each
//! cached table send a relcache invalidation, which reaches every backend at commit, standbys and
//! parallel workers too. What is cached is therefore as fresh as Postgres' own catalog caches.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use pgrx::prelude::*;

use super::backend::function_info;
use super::error::{Result, internal};
use super::rows::{Rows, relation_in_schema};
use super::{providers, sessions, settings, x402};
use crate::error::Error;

const SCHEMA: &CStr = c"insforge_integrations";

/// The copy of one table, converted to `T`.
pub struct TableCache<T: 'static> {
    table: &'static CStr,
    load: fn(&Rows) -> Result<T>,
    relation: Cell<pg_sys::Oid>,
    /// Grows by one with every invalidation; what was derived from an older generation is void.
    generation: Cell<u64>,
    loaded: RefCell<Option<(u64, Rc<T>)>>,
}

// SAFETY: a backend runs extension code on its main thread alone.
unsafe impl<T> Sync for TableCache<T> {}

impl<T> TableCache<T> {
    pub const fn new(table: &'static CStr, load: fn(&Rows) -> Result<T>) -> Self {
        Self {
            table,
            load,
            relation: Cell::new(pg_sys::Oid::INVALID),
            generation: Cell::new(0),
            loaded: RefCell::new(None),
        }
    }

    /// What changes when the table changed. Says what the last invalidation said: the caller
    /// accepts pending ones first.
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// The table's content as of now, whatever the transaction's snapshot is.
    pub fn current(&self) -> Result<Rc<T>> {
        register_callback();
        // SAFETY: called in a transaction, as everything here is.
        unsafe { pg_sys::AcceptInvalidationMessages() };
        let generation = self.generation.get();
        if let Some((of, value)) = &*self.loaded.borrow()
            && *of == generation
        {
            return Ok(Rc::clone(value));
        }
        let rows = self.scan()?;
        let value = Rc::new((self.load)(&rows)?);
        // An invalidation that came during the scan has made `generation` an old one.
        self.loaded.replace(Some((generation, Rc::clone(&value))));
        Ok(value)
    }

    fn scan(&self) -> Result<Rows> {
        // SAFETY: look-ups in the catalog; the table stays open and locked for the scan.
        unsafe {
            let relation = relation_in_schema(SCHEMA, self.table);
            if relation == pg_sys::Oid::INVALID {
                let table = self.table.to_str().unwrap_or_default();
                return Err(Error::TableMissing { table }.into());
            }
            self.relation.set(relation);
            let table = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
            let rows = Rows::scan(table);
            pg_sys::table_close(table, pg_sys::AccessShareLock as i32);
            rows
        }
    }
}

/// A cache as the invalidation callback sees it.
trait Invalidate: Sync {
    fn invalidate_if(&self, relation: pg_sys::Oid);
}

impl<T> Invalidate for TableCache<T> {
    fn invalidate_if(&self, relation: pg_sys::Oid) {
        if relation == pg_sys::Oid::INVALID || relation == self.relation.get() {
            self.generation.set(self.generation.get() + 1);
        }
    }
}

/// Every cache of this library. One callback serves all: Postgres has room for ten in all.
static CACHES: &[&dyn Invalidate] = &[
    &settings::CACHE,
    &providers::REGISTRY,
    &providers::SECRETS,
    &sessions::SESSION_SECRETS,
    &x402::NETWORKS,
    &x402::ASSETS,
];

fn register_callback() {
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    // SAFETY: registers a function that lives as long as the library, which is never unloaded.
    REGISTERED.call_once(|| unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::from(0));
    });
}

/// Runs inside Postgres' invalidation processing: sets cells, calls nothing.
unsafe extern "C-unwind" fn on_invalidation(_: pg_sys::Datum, relation: pg_sys::Oid) {
    for cache in CACHES {
        cache.invalidate_if(relation);
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
            internal("invalidate_table_cache() was not called as a trigger")
                .report(PgLogLevel::ERROR);
        }
    }
    pg_sys::Datum::from(0)
}

function_info!(pg_finfo_invalidate_table_cache);
