//! The ledger of settlements: the one place where a row gets into it.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::as_owner::AsOwner;
use super::backend::function_info;
#[cfg(any(feature = "pg14", feature = "pg15"))]
use super::direct_insert::Target;
use super::encoding::text_datum;
use super::error::{Result, internal};
use super::kept_plan::{Connection, KeptPlan};
use super::realtime::publish;
use super::x402::NETWORKS;
use crate::error::Error;
use crate::evm::integer::decimal;
use crate::evm::lower_case;
use crate::x402::registry::Network;
use crate::x402::settlement::{Given, row_id};

/// The columns of the ledger, in the order of the parameters of [`INSERT`] and of what is read.
macro_rules! columns {
    () => {
        "id, created_at, reservation_id, tx_hash, payer_address, endpoint, amount, network, asset, user_id,
         response_summary, is_mock"
    };
}

const TYPES: &[pg_sys::Oid; 12] = &[
    pg_sys::UUIDOID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::UUIDOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::NUMERICOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::BOOLOID,
];

/// One value for each of [`TYPES`].
type Row = [Option<Datum>; TYPES.len()];

macro_rules! insert {
    ($on_conflict:literal) => {
        KeptPlan::new(
            c_str(concat!(
                "INSERT INTO insforge_integrations.x402_settlements (",
                columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ",
                $on_conflict,
                " RETURNING ",
                columns!(),
                "\0"
            )),
            TYPES,
        )
    };
}

const fn c_str(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_until_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

static INSERT: KeptPlan = insert!("");
static INSERT_OR_NOTHING: KeptPlan = insert!("ON CONFLICT (tx_hash) DO NOTHING");

/// The stored row.
static STORED: KeptPlan = KeptPlan::new(
    c_str(concat!(
        "SELECT ",
        columns!(),
        " FROM insforge_integrations.x402_settlements WHERE tx_hash = $4\0"
    )),
    TYPES,
);

/// What the stored row differs in from what was given, and when it was recorded.
static DIFFERENCES: KeptPlan = KeptPlan::new(
    c"SELECT concat_ws(', ',
               CASE WHEN payer_address <> $5 THEN 'payer_address' END,
               CASE WHEN endpoint <> $6 THEN 'endpoint' END,
               CASE WHEN amount <> $7 THEN 'amount' END,
               CASE WHEN network <> $8 THEN 'chain' END,
               CASE WHEN response_summary IS DISTINCT FROM $11 THEN 'response_summary' END,
               CASE WHEN is_mock THEN 'is_mock' END),
             created_at::text
      FROM insforge_integrations.x402_settlements WHERE tx_hash = $4",
    TYPES,
);

/// Inserts a row and returns it as it is stored; `None` when the ledger has the transaction already,
/// committed or by this transaction.
/// What is inserted is on disk once the transaction has committed, whatever `synchronous_commit` says.
///
/// # Safety
/// The values are of [`TYPES`].
unsafe fn insert(connection: &Connection, row: &Row) -> Result<Option<Vec<Option<Datum>>>> {
    // SAFETY: as the caller promises.
    unsafe {
        pg_sys::ForceSyncCommit();
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        if let Some(ledger) = Target::open(c"insforge_integrations", c"x402_settlements", row.len())
        {
            return Ok(ledger.insert(row).then(|| row.to_vec()));
        }
        if pg_sys::XactIsoLevel < pg_sys::XACT_REPEATABLE_READ as i32 {
            return INSERT_OR_NOTHING.first_row(connection, row, std::ptr::null_mut());
        }
        // ON CONFLICT would raise 40001 for a row that the transaction's snapshot does not have.
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        PgTryBuilder::new(std::panic::AssertUnwindSafe(|| {
            let inserted = INSERT.first_row(connection, row, std::ptr::null_mut())?;
            pg_sys::ReleaseCurrentSubTransaction();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
            Ok(inserted)
        }))
        .catch_when(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, |_| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
            Ok(None)
        })
        .execute()
    }
}

/// What a statement on the stored row of a transaction says as of now.
///
/// # Safety
/// As of [`insert`].
unsafe fn stored(
    connection: &Connection,
    plan: &KeptPlan,
    row: &Row,
) -> Result<Option<Vec<Option<Datum>>>> {
    // SAFETY: as the caller promises.
    unsafe { plan.first_row(connection, row, pg_sys::GetLatestSnapshot()) }
}

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
    let row: Row = [
        Some(id_of(&settlement.tx_hash)),
        Some(transaction_start()),
        None,
        Some(text_datum(&settlement.tx_hash)),
        Some(text_datum(&settlement.payer)),
        raw(2),
        Some(numeric_datum(&settlement.amount)?),
        Some(text_datum(&settlement.network.network)),
        None,
        super::identity::user_id()?.into_datum(),
        raw(6),
        Some(Datum::from(false)),
    ];
    // SAFETY: the function manager says which function it calls.
    let function = unsafe { (*(*call).flinfo).fn_oid };
    let as_owner = AsOwner::of_function(function)?;
    let connection = Connection::open()?;
    // SAFETY: the values are of the ledger's types; the caller's memory outlives the connection.
    unsafe {
        let stored = match insert(&connection, &row)? {
            Some(inserted) => {
                publish(&connection, &settlement.tx_hash)?;
                inserted
            }
            None => known(&connection, &row, &settlement.tx_hash, idempotent)?,
        };
        let answer = public_row(&stored, settlement.network, function)?;
        connection.close();
        as_owner.end();
        Ok(answer)
    }
}

/// A row of view x402_payments.
///
/// # Safety
/// `stored` are the columns of the ledger; `function` returns rows of the view.
unsafe fn public_row(
    stored: &[Option<Datum>],
    network: &Network,
    function: pg_sys::Oid,
) -> Result<Datum> {
    let [
        id,
        created_at,
        _,
        tx_hash,
        payer_address,
        endpoint,
        Some(amount),
        network_id,
        asset,
        user_id,
        response_summary,
        is_mock,
    ] = *stored
    else {
        return Err(internal("the ledger has other columns"));
    };
    // SAFETY: the column's type.
    let (amount, hash) = unsafe {
        (
            pgrx::direct_function_call_as_datum(pg_sys::numeric_out, &[Some(amount)]),
            tx_hash.and_then(|hash| String::from_datum(hash, false)),
        )
    };
    let amount = amount.map(|digits| {
        // SAFETY: an output function returns a C string.
        unsafe { pg_sys::cstring_to_text(digits.cast_mut_ptr()) }
    });
    let explorer_url = network.explorer_url(&hash.unwrap_or_default());
    let values = [
        id,
        payer_address,
        endpoint,
        amount.map(Datum::from),
        tx_hash,
        Some(text_datum(&network.name)),
        Some(text_datum("settled")),
        response_summary,
        created_at,
        network_id,
        asset,
        explorer_url.as_deref().map(text_datum),
        is_mock,
        user_id,
    ];
    let mut nulls = values.map(|value| value.is_none());
    let mut values = values.map(|value| value.unwrap_or(Datum::from(0)));
    // SAFETY: the view has these columns; the tuple is copied to memory that outlives the connection.
    unsafe {
        let row_type = pg_sys::get_func_rettype(function);
        let columns = pg_sys::lookup_rowtype_tupdesc(row_type, -1);
        if (*columns).natts as usize != values.len() {
            return Err(internal("view x402_payments has other columns"));
        }
        let tuple = pg_sys::heap_form_tuple(columns, values.as_mut_ptr(), nulls.as_mut_ptr());
        let answer = pg_sys::SPI_returntuple(tuple, columns);
        pg_sys::DecrTupleDescRefCount(columns);
        Ok(Datum::from(answer))
    }
}

/// The stored row, for a caller that wants it and gave the same.
unsafe fn known(
    connection: &Connection,
    row: &Row,
    tx_hash: &str,
    idempotent: bool,
) -> Result<Vec<Option<Datum>>> {
    let lost = || Error::NotRecorded {
        tx_hash: tx_hash.to_owned(),
    };
    // SAFETY: as of `insert`; the columns are texts.
    unsafe {
        let found = stored(connection, &DIFFERENCES, row)?.ok_or_else(lost)?;
        let mut texts = found
            .into_iter()
            .map(|value| value.and_then(|text| String::from_datum(text, false)));
        let mut text = || texts.next().flatten().unwrap_or_default();
        let differences: Vec<String> = text()
            .split(", ")
            .filter(|column| !column.is_empty())
            .map(str::to_owned)
            .collect();
        if !idempotent || !differences.is_empty() {
            return Err(Error::AlreadyRecorded {
                tx_hash: tx_hash.to_owned(),
                recorded_at: text(),
                differences,
            }
            .into());
        }
        stored(connection, &STORED, row)?.ok_or_else(|| lost().into())
    }
}

fn id_of(tx_hash: &str) -> Datum {
    pgrx::Uuid::from_bytes(row_id(tx_hash))
        .into_datum()
        .unwrap_or(Datum::from(0))
}

/// What `now()` answers.
fn transaction_start() -> Datum {
    // SAFETY: reads a variable of the transaction.
    Datum::from(unsafe { pg_sys::GetCurrentTransactionStartTimestamp() })
}

/// A `numeric` of decimal digits.
fn numeric_datum(digits: &str) -> Result<Datum> {
    let digits = std::ffi::CString::new(digits).map_err(internal)?;
    let arguments = [
        Some(Datum::from(digits.as_ptr())),
        Some(Datum::from(pg_sys::InvalidOid)),
        Some(Datum::from(-1_i32)),
    ];
    // SAFETY: the arguments of an input function.
    unsafe { pgrx::direct_function_call_as_datum(pg_sys::numeric_in, &arguments) }
        .ok_or_else(|| internal("an amount is NULL"))
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
    let is_spelled = lower_case::<32>(tx_hash).as_deref() == Some(tx_hash)
        && [Some(payer_address), asset]
            .into_iter()
            .flatten()
            .all(|address| lower_case::<20>(address).as_deref() == Some(address))
        && decimal(amount).is_some();
    if !is_spelled {
        return Err(internal("a settlement is not in the ledger's spelling"));
    }
    let row: Row = [
        Some(id.into_datum().unwrap_or_else(|| id_of(tx_hash))),
        Some(created_at.into_datum().unwrap_or_else(transaction_start)),
        reservation_id.into_datum(),
        Some(text_datum(tx_hash)),
        Some(text_datum(payer_address)),
        Some(text_datum(endpoint)),
        Some(numeric_datum(amount)?),
        Some(text_datum(network)),
        asset.map(text_datum),
        user_id.map(text_datum),
        response_summary.map(text_datum),
        Some(Datum::from(is_mock)),
    ];
    let connection = Connection::open()?;
    // SAFETY: the values are of the ledger's types.
    let is_new = unsafe { insert(&connection, &row) }?.is_some();
    if is_new && !is_imported {
        publish(&connection, tx_hash)?;
    }
    // SAFETY: as above.
    if !is_new && unsafe { stored(&connection, &DIFFERENCES, &row) }?.is_none() {
        return Err(Error::NotRecorded {
            tx_hash: tx_hash.to_owned(),
        }
        .into());
    }
    connection.close();
    Ok(is_new)
}

/// Makes the commit of this transaction wait for the disk, whatever `synchronous_commit` says.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
fn force_sync_commit() {
    // SAFETY: sets a variable of the transaction.
    unsafe { pg_sys::ForceSyncCommit() };
}
