//! `INSERT … ON CONFLICT DO NOTHING` of one row, as Postgres' executor does it, without a statement.
//!
//! For a table that has nothing to be planned, a short transaction is spared what a plan costs to start and
//! end. Whoever has put something into the way of an INSERT gets the statement: see [`Target::open`].

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Datum};

use super::backend::{BackendLocal, unguarded};

/// A table that rows can be put into directly, locked for it until the transaction ends.
pub struct Target(pg_sys::Relation);

impl Target {
    /// `None`: the statement has to do it. That is so when a rule, trigger, CHECK or policy of an operator's
    /// stands on the table, when it has other columns than `columns`, when a module wants to see who writes, when
    /// the table may be distributed, and when nothing may be written or what is seen is older than what is there.
    pub fn open(schema: &CStr, name: &CStr, columns: usize) -> Option<Self> {
        // SAFETY: reads variables of the backend, and what an open relation says of itself.
        unsafe {
            if pg_sys::XactReadOnly
                || pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32
                || (&raw const pg_sys::ExecutorCheckPerms_hook)
                    .read()
                    .is_some()
                || is_citus_loaded()
            {
                return None;
            }
            let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
            let oid = pg_sys::get_relname_relid(name.as_ptr(), schema);
            if oid == pg_sys::InvalidOid {
                return None;
            }
            let table = pg_sys::table_open(oid, pg_sys::RowExclusiveLock as i32);
            if is_plain(&*table, columns) {
                return Some(Self(table));
            }
            pg_sys::table_close(table, pg_sys::NoLock as i32);
            None
        }
    }

    /// Inserts a row of the table's columns; false when a unique index has it already, committed or by this
    /// transaction. Waits for a transaction that is inserting it.
    ///
    /// # Safety
    /// The values are of the columns' types, and satisfy their domains and NOT NULL.
    pub unsafe fn insert<const COLUMNS: usize>(self, row: &[Option<Datum>; COLUMNS]) -> bool {
        // SAFETY: the frame between the guard and Postgres owns nothing.
        unsafe {
            pg_sys::ffi::pg_guard_ffi_boundary(|| {
                let inserted = insert(self.0, row.as_ptr(), COLUMNS);
                unguarded::table_close(self.0, pg_sys::NoLock as i32);
                inserted
            })
        }
    }
}

fn is_plain(table: &pg_sys::RelationData, columns: usize) -> bool {
    // SAFETY: what an open relation points to.
    unsafe {
        let (kind, shape) = (&*table.rd_rel, &*table.rd_att);
        let triggers = table.trigdesc.as_ref();
        let constraints = shape.constr.as_ref();
        kind.relkind == pg_sys::RELKIND_RELATION as c_char
            && kind.relam == pg_sys::HEAP_TABLE_AM_OID
            && !kind.relrowsecurity
            && !kind.relispartition
            && table.rd_rules.is_null()
            && shape.natts as usize == columns
            && shape
                .attrs
                .as_slice(columns)
                .iter()
                .all(|column| !column.attisdropped)
            && constraints.is_none_or(|c| c.num_check == 0 && !c.has_generated_stored)
            && triggers.is_none_or(|t| {
                !(t.trig_insert_before_row
                    || t.trig_insert_after_row
                    || t.trig_insert_before_statement
                    || t.trig_insert_after_statement)
            })
    }
}

/// Citus distributes a table behind its planner. It is loaded when the server starts, or never.
fn is_citus_loaded() -> bool {
    static KNOWN: BackendLocal<Option<bool>> = BackendLocal::new(None);
    // SAFETY: one thread; the option's value is not looked at.
    unsafe {
        *(*KNOWN.get()).get_or_insert_with(|| {
            !pg_sys::GetConfigOption(c"citus.shard_count".as_ptr(), true, false).is_null()
        })
    }
}

/// # Safety
/// Called under a guard; Postgres may leave the frame by `longjmp`, and it owns nothing.
unsafe fn insert(table: pg_sys::Relation, row: *const Option<Datum>, columns: usize) -> bool {
    // SAFETY: as ExecInsert() of Postgres does it for ON CONFLICT DO NOTHING, but that it looks for a
    // conflict only after it has met one.
    unsafe {
        let access = &*(*table).rd_tableam;
        let (Some(put), Some(complete)) = (
            access.tuple_insert_speculative,
            access.tuple_complete_speculative,
        ) else {
            return false;
        };
        let state = unguarded::CreateExecutorState();
        let callers = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*state).es_query_cxt;
        let target = unguarded::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
        unguarded::InitResultRelInfo(target, table, 1, std::ptr::null_mut(), 0);
        unguarded::ExecOpenIndices(target, true);
        let slot =
            unguarded::MakeSingleTupleTableSlot((*table).rd_att, &raw const pg_sys::TTSOpsVirtual);
        for column in 0..columns {
            let value = *row.add(column);
            *(*slot).tts_values.add(column) = value.unwrap_or(Datum::from(0));
            *(*slot).tts_isnull.add(column) = value.is_none();
        }
        unguarded::ExecStoreVirtualTuple(slot);

        let transaction = unguarded::GetCurrentTransactionId();
        let command = unguarded::GetCurrentCommandId(true);
        let mut inserted = false;
        let mut is_free = true;
        while is_free && !inserted {
            let token = unguarded::SpeculativeInsertionLockAcquire(transaction);
            put(table, slot, command, 0, std::ptr::null_mut(), token);
            let mut conflict = false;
            unguarded::ExecInsertIndexTuples(
                target,
                slot,
                state,
                false,
                true,
                &raw mut conflict,
                std::ptr::null_mut(),
            );
            complete(table, slot, token, !conflict);
            unguarded::SpeculativeInsertionLockRelease(transaction);
            inserted = !conflict;
            if conflict {
                // Waits for whoever is inserting the same.
                let mut other = pg_sys::ItemPointerData::default();
                is_free = unguarded::ExecCheckIndexConstraints(
                    target,
                    slot,
                    state,
                    &raw mut other,
                    std::ptr::null_mut(),
                );
            }
        }
        unguarded::ExecCloseIndices(target);
        unguarded::ExecDropSingleTupleTableSlot(slot);
        pg_sys::CurrentMemoryContext = callers;
        unguarded::FreeExecutorState(state);
        unguarded::CommandCounterIncrement();
        inserted
    }
}
