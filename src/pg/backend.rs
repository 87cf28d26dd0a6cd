//! State of one backend, and the calls into Postgres that a hot path makes without a guard.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};

/// A static that belongs to the one thread of a Postgres backend.
pub struct BackendLocal<T>(UnsafeCell<T>);

// SAFETY: a backend runs extension code on its main thread alone, and shares no statics with other
// processes.
unsafe impl<T> Sync for BackendLocal<T> {}

impl<T> BackendLocal<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub const fn get(&self) -> *mut T {
        self.0.get()
    }
}

/// Declares a C function to Postgres' function manager, under the name it looks for: `pg_finfo_` and
/// the function's.
macro_rules! function_info {
    ($info:ident) => {
        #[doc = "Declares a function to the function manager."]
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const RECORD: pgrx::pg_sys::Pg_finfo_record =
                pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }
    };
}
pub(super) use function_info;

/// Postgres' own functions without pgrx's guard, which saves a signal context at every call and
/// would cost more than the calls themselves.
///
/// They may leave by `longjmp`: a frame that calls one must own nothing that needs dropping.
pub mod unguarded {
    use super::{c_char, c_void};
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    use pgrx::pg_sys::{
        CommandId, EState, ItemPointerData, List, Relation, ResultRelInfo, TransactionId,
        TupleDesc, TupleTableSlot, TupleTableSlotOps,
    };

    unsafe extern "C-unwind" {
        pub fn GetConfigOption(
            name: *const c_char,
            missing_ok: bool,
            restrict_privileged: bool,
        ) -> *const c_char;
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        pub fn GetNumConfigOptions() -> i32;
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        pub fn get_guc_variables() -> *mut *mut pgrx::pg_sys::config_generic;
        pub fn AcceptInvalidationMessages();
        pub fn GetCurrentStatementStartTimestamp() -> pgrx::pg_sys::TimestampTz;
        pub fn palloc(size: usize) -> *mut c_void;
        pub fn palloc0(size: usize) -> *mut c_void;
        pub fn strcmp(left: *const c_char, right: *const c_char) -> i32;
        pub fn errstart(level: i32, domain: *const c_char) -> bool;
        pub fn errcode(code: i32) -> i32;
        pub fn errmsg(format: *const c_char, ...) -> i32;
        pub fn errdetail(format: *const c_char, ...) -> i32;
        pub fn errhint(format: *const c_char, ...) -> i32;
        pub fn errfinish(file: *const c_char, line: i32, function: *const c_char);
    }

    // What one row's insertion takes. The signatures are those of Postgres 14 and 15.
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    unsafe extern "C-unwind" {
        pub fn table_close(relation: Relation, lock: i32);
        pub fn CreateExecutorState() -> *mut EState;
        pub fn FreeExecutorState(state: *mut EState);
        pub fn InitResultRelInfo(
            target: *mut ResultRelInfo,
            relation: Relation,
            index: u32,
            root: *mut ResultRelInfo,
            instrument: i32,
        );
        pub fn ExecOpenIndices(target: *mut ResultRelInfo, speculative: bool);
        pub fn ExecCloseIndices(target: *mut ResultRelInfo);
        pub fn ExecInsertIndexTuples(
            target: *mut ResultRelInfo,
            slot: *mut TupleTableSlot,
            state: *mut EState,
            update: bool,
            no_error: bool,
            conflict: *mut bool,
            arbiters: *mut List,
        ) -> *mut List;
        pub fn ExecCheckIndexConstraints(
            target: *mut ResultRelInfo,
            slot: *mut TupleTableSlot,
            state: *mut EState,
            conflict: *mut ItemPointerData,
            arbiters: *mut List,
        ) -> bool;
        pub fn MakeSingleTupleTableSlot(
            columns: TupleDesc,
            operations: *const TupleTableSlotOps,
        ) -> *mut TupleTableSlot;
        pub fn ExecStoreVirtualTuple(slot: *mut TupleTableSlot) -> *mut TupleTableSlot;
        pub fn ExecDropSingleTupleTableSlot(slot: *mut TupleTableSlot);
        pub fn SpeculativeInsertionLockAcquire(transaction: TransactionId) -> u32;
        pub fn SpeculativeInsertionLockRelease(transaction: TransactionId);
        pub fn GetCurrentTransactionId() -> TransactionId;
        pub fn GetCurrentCommandId(used: bool) -> CommandId;
        pub fn CommandCounterIncrement();
    }
}
