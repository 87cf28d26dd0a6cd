//! The ledger of settlements: the one place where a row gets into it.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::backend::{BackendLocal, function_info};
use super::encoding::text_datum;
use super::error::{Result, internal};
use super::settings;
use super::x402::NETWORKS;
use crate::error::Error;
use crate::x402::settlement::Given;

/// A statement that each session plans once.
struct KeptPlan {
    statement: &'static CStr,
    types: &'static [pg_sys::Oid],
    plan: BackendLocal<pg_sys::SPIPlanPtr>,
}

impl KeptPlan {
    const fn new(statement: &'static CStr, types: &'static [pg_sys::Oid]) -> Self {
        Self {
            statement,
            types,
            plan: BackendLocal::new(std::ptr::null_mut()),
        }
    }

    /// # Safety
    /// Called between `SPI_connect` and `SPI_finish`.
    unsafe fn get(&self) -> Result<pg_sys::SPIPlanPtr> {
        // SAFETY: a plan that is kept lives as long as the session.
        unsafe {
            let kept = self.plan.get();
            if (*kept).is_null() {
                let mut types = self.types.to_vec();
                let plan = pg_sys::SPI_prepare(
                    self.statement.as_ptr(),
                    types.len() as i32,
                    types.as_mut_ptr(),
                );
                if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                    return Err(internal("a statement on the ledger cannot be prepared"));
                }
                *kept = plan;
            }
            Ok(*kept)
        }
    }

    /// Runs it; the first row as a value of a row type, in the memory of the function's caller.
    ///
    /// # Safety
    /// As of [`KeptPlan::get`]; the values are of the statement's types.
    unsafe fn first_row(
        &self,
        values: &mut [Option<Datum>],
        snapshot: pg_sys::Snapshot,
    ) -> Result<Option<Datum>> {
        let nulls: Vec<std::ffi::c_char> = values
            .iter()
            .map(|value| if value.is_some() { b' ' } else { b'n' } as std::ffi::c_char)
            .collect();
        let mut values: Vec<Datum> = values
            .iter()
            .map(|value| value.unwrap_or(Datum::from(0)))
            .collect();
        let reads = !snapshot.is_null();
        // SAFETY: both arrays have one element for each parameter.
        unsafe {
            let result = pg_sys::SPI_execute_snapshot(
                self.get()?,
                values.as_mut_ptr(),
                nulls.as_ptr(),
                snapshot,
                std::ptr::null_mut(),
                reads,
                true,
                0,
            );
            let expected = if reads {
                pg_sys::SPI_OK_SELECT
            } else {
                pg_sys::SPI_OK_INSERT_RETURNING
            };
            if result != expected as i32 {
                return Err(internal("a statement on the ledger was rewritten"));
            }
            if pg_sys::SPI_processed == 0 {
                return Ok(None);
            }
            let rows = &*pg_sys::SPI_tuptable;
            let row = pg_sys::SPI_returntuple(*rows.vals, rows.tupdesc);
            Ok(Some(Datum::from(row)))
        }
    }
}

/// The columns that callers see, in the order of the guide's table, then ours.
macro_rules! public_row {
    () => {
        "id, payer_address, endpoint, amount::text, tx_hash, $12 AS chain, 'settled'::text AS status,
         response_summary, created_at, network, asset, $13 AS explorer_url, is_mock, user_id"
    };
}

macro_rules! insert {
    ($on_conflict:literal) => {
        concat!(
            "INSERT INTO insforge_integrations.x402_settlements
               (tx_hash, payer_address, endpoint, amount, network, response_summary, id, created_at,
                asset, user_id, reservation_id, is_mock)
             VALUES ($1, $2, $3, $4::numeric, $5, $6, coalesce($7, gen_random_uuid()), coalesce($8, now()),
                     $9, $10, $11, $14) ",
            $on_conflict,
            " RETURNING ",
            public_row!(),
            "\0"
        )
    };
}

const TYPES: &[pg_sys::Oid] = &[
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::UUIDOID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::UUIDOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::BOOLOID,
];

const fn c_str(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_until_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

static INSERT: KeptPlan = KeptPlan::new(c_str(insert!("")), TYPES);
static INSERT_OR_NOTHING: KeptPlan =
    KeptPlan::new(c_str(insert!("ON CONFLICT (tx_hash) DO NOTHING")), TYPES);

/// The stored row as callers see it, what it differs in from what was given, and when it was recorded.
static STORED: KeptPlan = KeptPlan::new(
    c_str(concat!(
        "SELECT ",
        public_row!(),
        " FROM insforge_integrations.x402_settlements WHERE tx_hash = $1\0"
    )),
    TYPES,
);
static DIFFERENCES: KeptPlan = KeptPlan::new(
    c"SELECT concat_ws(', ',
               CASE WHEN payer_address <> $2 THEN 'payer_address' END,
               CASE WHEN endpoint <> $3 THEN 'endpoint' END,
               CASE WHEN amount <> $4::numeric THEN 'amount' END,
               CASE WHEN network <> $5 THEN 'chain' END,
               CASE WHEN response_summary IS DISTINCT FROM $6 THEN 'response_summary' END,
               CASE WHEN is_mock THEN 'is_mock' END),
             created_at::text
      FROM insforge_integrations.x402_settlements WHERE tx_hash = $1",
    TYPES,
);

/// One value for each parameter of [`INSERT`].
type Row = [Option<Datum>; 14];

/// Inserts a row; `None` when the ledger has the transaction already, committed or by this transaction.
/// What is inserted is on disk once the transaction has committed, whatever `synchronous_commit` says.
///
/// # Safety
/// Called between `SPI_connect` and `SPI_finish`, with values of [`TYPES`].
unsafe fn insert(row: &mut Row) -> Result<Option<Datum>> {
    // SAFETY: as the caller promises.
    unsafe {
        pg_sys::ForceSyncCommit();
        if pg_sys::XactIsoLevel < pg_sys::XACT_REPEATABLE_READ as i32 {
            return INSERT_OR_NOTHING.first_row(row, std::ptr::null_mut());
        }
        // ON CONFLICT would raise 40001 for a row that the transaction's snapshot does not have.
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let row = std::panic::AssertUnwindSafe(row);
        PgTryBuilder::new(move || {
            let row = row;
            let inserted = INSERT.first_row(row.0, std::ptr::null_mut())?;
            pg_sys::ReleaseCurrentSubTransaction();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
            Ok(inserted)
        })
        .catch_when(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, |_| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
            Ok(None)
        })
        .execute()
    }
}

/// The first row of a statement on the stored row of a transaction, as of now.
///
/// # Safety
/// As of [`insert`].
unsafe fn stored(plan: &KeptPlan, row: &mut Row) -> Result<Option<Datum>> {
    // SAFETY: as the caller promises.
    unsafe { plan.first_row(row, pg_sys::GetLatestSnapshot()) }
}

/// SQL function `is_lower_hex(value, digits)`; see sql/ledger.sql.
///
/// # Safety
/// Called by Postgres' function manager, for a strict function of text and integer.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn is_lower_hex(call: FunctionCallInfo) -> Datum {
    // SAFETY: the declared types of the arguments; a text of any encoding is bytes.
    let (value, digits) = unsafe {
        (
            pgrx::fcinfo::pg_getarg::<&[u8]>(call, 0).unwrap_or_default(),
            pgrx::fcinfo::pg_getarg::<i32>(call, 1).unwrap_or_default(),
        )
    };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is = value
        .strip_prefix(b"0x")
        .is_some_and(|rest| i32::try_from(rest.len()) == Ok(digits) && rest.iter().all(is_digit));
    Datum::from(is)
}

function_info!(pg_finfo_is_lower_hex);

/// SQL function `record_x402_settlement`; see sql/ledger.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn record_x402_settlement(call: FunctionCallInfo) -> Datum {
    // SAFETY: the function is declared with these arguments.
    match unsafe { record(call) } {
        Ok(row) => row,
        Err(report) => {
            report.report(PgLogLevel::ERROR);
            Datum::from(0)
        }
    }
}

function_info!(pg_finfo_record_x402_settlement);

unsafe fn record(call: FunctionCallInfo) -> Result<Datum> {
    let networks = NETWORKS.current()?;
    // SAFETY: the declared types of the arguments.
    let (text, idempotent, raw) = unsafe {
        (
            |number| pgrx::fcinfo::pg_getarg::<&str>(call, number),
            pgrx::fcinfo::pg_getarg::<bool>(call, 7) == Some(true),
            |number| pgrx::fcinfo::pg_getarg_datum(call, number),
        )
    };
    let given = Given {
        tx_hash: text(0).unwrap_or_default(),
        payer: text(1).unwrap_or_default(),
        amount: text(3).unwrap_or_default(),
        chain: text(4).unwrap_or_default(),
        status: text(5).unwrap_or_default(),
    };
    let settlement = given.read(&networks)?;
    // SAFETY: a text of any encoding is bytes.
    let endpoint: Option<&[u8]> = unsafe { pgrx::fcinfo::pg_getarg(call, 2) };
    if endpoint.is_none_or(<[u8]>::is_empty) {
        return Err(Error::EndpointMissing.into());
    }
    let explorer_url = settlement.network.explorer_url(&settlement.tx_hash);
    let mut row: Row = [
        Some(text_datum(&settlement.tx_hash)),
        Some(text_datum(&settlement.payer)),
        raw(2),
        Some(text_datum(&settlement.amount)),
        Some(text_datum(&settlement.network.network)),
        raw(6),
        None,
        None,
        None,
        requesting_user(),
        None,
        Some(text_datum(&settlement.network.name)),
        explorer_url.as_deref().map(text_datum),
        Some(Datum::from(false)),
    ];
    // SAFETY: the values are of the plan's types.
    unsafe {
        connect()?;
        let answer = match insert(&mut row)? {
            Some(inserted) => {
                publish(&settlement.tx_hash)?;
                inserted
            }
            None => known(&mut row, &settlement.tx_hash, idempotent)?,
        };
        pg_sys::SPI_finish();
        Ok(answer)
    }
}

/// The stored row, for a caller that wants it and gave the same.
unsafe fn known(row: &mut Row, tx_hash: &str, idempotent: bool) -> Result<Datum> {
    let tx_hash = || tx_hash.to_owned();
    // SAFETY: as of `insert`.
    unsafe {
        let Some(found) = stored(&DIFFERENCES, row)? else {
            return Err(Error::NotRecorded { tx_hash: tx_hash() }.into());
        };
        let found = pgrx::heap_tuple::PgHeapTuple::from_composite_datum(found);
        let text = |number: usize| -> Result<String> {
            let number = std::num::NonZeroUsize::new(number).unwrap_or(std::num::NonZeroUsize::MIN);
            let value: Option<String> = found.get_by_index(number).map_err(internal)?;
            Ok(value.unwrap_or_default())
        };
        let differences = text(1)?;
        let differences: Vec<String> = differences
            .split(", ")
            .filter(|column| !column.is_empty())
            .map(str::to_owned)
            .collect();
        if !idempotent || !differences.is_empty() {
            return Err(Error::AlreadyRecorded {
                tx_hash: tx_hash(),
                recorded_at: text(2)?,
                differences,
            }
            .into());
        }
        stored(&STORED, row)?.ok_or_else(|| Error::NotRecorded { tx_hash: tx_hash() }.into())
    }
}

unsafe fn connect() -> Result<()> {
    // SAFETY: ended by SPI_finish, or by the end of the (sub)transaction.
    match unsafe { pg_sys::SPI_connect() } {
        code if code == pg_sys::SPI_OK_CONNECT as i32 => Ok(()),
        _ => Err(internal("SPI_connect failed")),
    }
}

/// Who asks, when the server acts for a user.
fn requesting_user() -> Option<Datum> {
    // SAFETY: a function without arguments that returns text or NULL.
    unsafe { super::identity::user_id() }
}

/// Publishes a recorded settlement, when the setting is on; see sql/ledger.sql.
unsafe fn publish(tx_hash: &str) -> Result<()> {
    if !settings::current()?.realtime {
        return Ok(());
    }
    static PUBLISH: KeptPlan = KeptPlan::new(
        c"SELECT insforge_integrations.publish_x402_settlement($1)",
        &[pg_sys::TEXTOID],
    );
    let tx_hash = text_datum(tx_hash);
    // SAFETY: as of `insert`; not read-only, since it writes.
    unsafe {
        let plan = PUBLISH.get()?;
        pg_sys::SPI_execute_plan(plan, [tx_hash].as_mut_ptr(), c" ".as_ptr(), false, 0);
    }
    Ok(())
}

/// For the functions on reservations and the import: inserts a settlement whose parts are in the
/// ledger's own spelling; false when the ledger has the transaction already.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn insert_x402_settlement(
    tx_hash: &str,
    payer_address: &str,
    endpoint: &str,
    amount: &str,
    network: &str,
    response_summary: Option<&str>,
    id: Option<pgrx::Uuid>,
    created_at: Option<TimestampWithTimeZone>,
    asset: Option<&str>,
    user_id: Option<&str>,
    reservation_id: Option<pgrx::Uuid>,
    is_mock: bool,
    is_imported: bool,
) -> Result<bool> {
    let mut row: Row = [
        Some(text_datum(tx_hash)),
        Some(text_datum(payer_address)),
        Some(text_datum(endpoint)),
        Some(text_datum(amount)),
        Some(text_datum(network)),
        response_summary.map(text_datum),
        id.into_datum(),
        created_at.into_datum(),
        asset.map(text_datum),
        user_id.map(text_datum),
        reservation_id.into_datum(),
        None,
        None,
        Some(Datum::from(is_mock)),
    ];
    // SAFETY: the values are of the plan's types.
    unsafe {
        connect()?;
        let is_new = insert(&mut row)?.is_some();
        if is_new && !is_imported {
            publish(tx_hash)?;
        }
        if !is_new && stored(&DIFFERENCES, &mut row)?.is_none() {
            return Err(Error::NotRecorded {
                tx_hash: tx_hash.to_owned(),
            }
            .into());
        }
        pg_sys::SPI_finish();
        Ok(is_new)
    }
}

/// Makes the commit of this transaction wait for the disk, whatever `synchronous_commit` says.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
fn force_sync_commit() {
    // SAFETY: sets a variable of the transaction.
    unsafe { pg_sys::ForceSyncCommit() };
}
