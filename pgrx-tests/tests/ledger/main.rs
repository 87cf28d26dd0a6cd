//! The ledger of x402 payments: accepted and refused records, and no loss.

mod adversity;
mod answers;
mod append_only;
mod batches;
mod books;
mod corrections;
mod crash;
mod full_disk;
mod hostile;
mod imports;
mod misbehaving_facilitator;
mod neighbours;
mod permits;
mod races;
mod requests;
mod reservations;
mod shop;
mod sums;

use insforge_integrations_tests::node::Process;
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::error::{DbError, SqlState};
use postgres::{Client, GenericClient, Row};
use serde_json::{Value, json};

const PAYER: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const ENDPOINT: &str = "https://api.example.com/report";
const ISOLATION_LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect_as("project_admin").unwrap();
    (database, client)
}

fn hash(number: u64) -> String {
    format!("0x{number:064x}")
}

fn record(client: &mut impl GenericClient, hash: &str) -> Result<Row, postgres::Error> {
    client.query_one(
        "SELECT * FROM record_x402_settlement($1, $2, $3, '10000')",
        &[&hash, &PAYER, &ENDPOINT],
    )
}

/// Postgres' error.
fn refused(error: &postgres::Error) -> &DbError {
    error.as_db_error().unwrap_or_else(|| panic!("{error:?}"))
}

/// Payments that viem signs as buyers do in InsForge's guide: 10000 USDG on X Layer.
struct Buyer {
    process: Process,
    requirements: Value,
    header: String,
}

impl Buyer {
    fn new(client: &mut Client) -> Self {
        let row = client
            .query_one(
                "SELECT r, insforge_integrations.x402_payment_required_header(r)
                 FROM insforge_integrations.x402_payment_requirements($1, '10000', $2) r",
                &[&PAYER, &ENDPOINT],
            )
            .unwrap();
        Self {
            process: Process::start("x402_clients.mjs", &[]).unwrap(),
            requirements: row.get(0),
            header: row.get(1),
        }
    }

    /// A header and its signer.
    fn pay(&mut self) -> (String, String) {
        self.pay_with("viem")
    }

    fn pay_with(&mut self, client: &str) -> (String, String) {
        let paid = self
            .process
            .ask(&json!({"client": client, "header": self.header}))
            .unwrap();
        let text = |name: &str| paid[name].as_str().unwrap().to_owned();
        (text("header"), text("payer"))
    }
}

#[test]
fn a_settlement_is_recorded_in_one_spelling_and_returned() {
    let (_database, mut client) = database();
    let upper = format!("0x{}", "AB".repeat(32));
    // PyPI's x402 facilitator up to 2.20 writes hashes without 0x.
    let bare = "CD".repeat(32);
    for (given, chain) in [
        (upper.as_str(), "xlayer"),
        (&hash(1), "eip155:8453"),
        (&bare, "eip155:8453"),
    ] {
        let hash = format!("0x{}", given.trim_start_matches("0x").to_lowercase());
        let row = client
            .query_one(
                "SELECT tx_hash, payer_address, amount, chain, status, network, explorer_url, is_mock
                 FROM record_x402_settlement($1, $2, $3, $4, $5)",
                &[&given, &PAYER, &ENDPOINT, &format!("{}", u128::MAX), &chain],
            )
            .unwrap();
        assert_eq!(row.get::<_, String>(0), hash);
        assert_eq!(row.get::<_, String>(1), PAYER.to_lowercase());
        assert_eq!(row.get::<_, String>(2), u128::MAX.to_string());
        let expected = match chain {
            "xlayer" => (
                "xlayer",
                "eip155:196",
                "https://www.okx.com/web3/explorer/xlayer/tx/",
            ),
            _ => ("base", "eip155:8453", "https://basescan.org/tx/"),
        };
        assert_eq!(row.get::<_, String>(3), expected.0);
        assert_eq!(row.get::<_, String>(4), "settled");
        assert_eq!(row.get::<_, String>(5), expected.1);
        assert_eq!(row.get::<_, String>(6), format!("{}{hash}", expected.2));
        assert!(!row.get::<_, bool>(7));
    }
}

#[test]
fn what_is_no_settlement_is_refused_with_its_place() {
    let (_database, mut client) = database();
    let maximum = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let beyond = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let good = [
        hash(1),
        PAYER.to_owned(),
        ENDPOINT.to_owned(),
        maximum.to_owned(),
        "xlayer".to_owned(),
        "settled".to_owned(),
    ];
    for (place, value, code) in [
        (0, "", "22P02"),
        (0, "0xabc", "22P02"),
        (0, &hash(1)[4..], "22P02"),
        (0, &hash(0), "22P02"),
        (0, &hash(0)[2..], "22P02"),
        (0, &format!("{}00", hash(1)), "22P02"),
        (1, "0x10", "22P02"),
        (2, "", "22023"),
        (3, "", "22P02"),
        (3, "1.5", "22P02"),
        (3, "1e3", "22P02"),
        (3, "-1", "22023"),
        (3, beyond, "22023"),
        (4, "solana", "22023"),
        (5, "pending", "22023"),
    ] {
        let mut arguments = good.clone();
        arguments[place] = value.to_owned();
        let [a, b, c, d, e, f] = &arguments;
        let error = client
            .query(
                "SELECT FROM record_x402_settlement($1, $2, $3, $4, $5, $6)",
                &[a, b, c, d, e, f],
            )
            .unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code().code(), code, "{arguments:?}");
        assert!(error.detail().is_some() && error.hint().is_some());
    }
    let [a, b, c, d, e, f] = &good;
    client
        .query_one(
            "SELECT FROM record_x402_settlement($1, $2, $3, $4, $5, $6)",
            &[a, b, c, d, e, f],
        )
        .unwrap();
}

#[test]
fn a_known_transaction_is_refused_or_given_back() {
    let (_database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    let error = record(&mut client, &hash(1)).unwrap_err();
    let error = refused(&error);
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert!(error.detail().unwrap().contains("is identical"));
    assert!(error.hint().unwrap().contains("idempotent => true"));
    let mut again = |amount: &str, summary: Option<&str>| {
        client.query_one(
            "SELECT id::text FROM record_x402_settlement($1, $2, $3, $4, response_summary => $5, idempotent => true)",
            &[&hash(1), &PAYER.to_lowercase(), &ENDPOINT, &amount, &summary],
        )
    };
    let one: String = again("10000", None).unwrap().get(0);
    assert_eq!(again("10000", None).unwrap().get::<_, String>(0), one);
    let error = again("10001", Some("x")).unwrap_err();
    assert_eq!(refused(&error).code(), &SqlState::UNIQUE_VIOLATION);
    assert!(
        refused(&error)
            .detail()
            .unwrap()
            .ends_with("differs in: amount, response_summary.")
    );
}

/// Everything that can come between the function and the table.
#[test]
fn no_path_returns_without_a_row_or_an_error() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    for (install, code, remove) in [
        (
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER swallow BEFORE INSERT ON insforge_integrations.x402_settlements
               FOR EACH ROW EXECUTE FUNCTION public.swallow()",
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "DROP FUNCTION public.swallow CASCADE",
        ),
        (
            "CREATE RULE swallow AS ON INSERT TO insforge_integrations.x402_settlements DO INSTEAD NOTHING",
            SqlState::FEATURE_NOT_SUPPORTED,
            "DROP RULE swallow ON insforge_integrations.x402_settlements",
        ),
    ] {
        superuser.batch_execute(install).unwrap();
        for isolation in ISOLATION_LEVELS {
            client
                .batch_execute(&format!("BEGIN ISOLATION LEVEL {isolation}"))
                .unwrap();
            let error = record(&mut client, &hash(1)).unwrap_err();
            assert_eq!(refused(&error).code(), &code, "{install} {isolation}");
            client.batch_execute("ROLLBACK").unwrap();
        }
        superuser.batch_execute(remove).unwrap();
    }
    client.batch_execute("BEGIN READ ONLY").unwrap();
    let error = record(&mut client, &hash(1)).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    let error = record(&mut client, &hash(1)).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    client.batch_execute("ROLLBACK").unwrap();
    record(&mut client, &hash(1)).unwrap();
}

#[test]
fn what_an_operator_adds_to_the_ledger_holds() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    for (install, code, remove) in [
        (
            "ALTER TABLE insforge_integrations.x402_settlements ADD CONSTRAINT small CHECK (amount < 10000)",
            SqlState::CHECK_VIOLATION,
            "ALTER TABLE insforge_integrations.x402_settlements DROP CONSTRAINT small",
        ),
        (
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '22023'; END$$;
             CREATE TRIGGER refuse AFTER INSERT ON insforge_integrations.x402_settlements
               FOR EACH STATEMENT EXECUTE FUNCTION public.refuse()",
            SqlState::INVALID_PARAMETER_VALUE,
            "DROP FUNCTION public.refuse CASCADE",
        ),
        (
            "ALTER TABLE insforge_integrations.x402_settlements ALTER user_id SET NOT NULL",
            SqlState::NOT_NULL_VIOLATION,
            "ALTER TABLE insforge_integrations.x402_settlements ALTER user_id DROP NOT NULL",
        ),
        (
            "ALTER DOMAIN insforge_integrations.evm_amount ADD CONSTRAINT small CHECK (VALUE < 10000)",
            SqlState::CHECK_VIOLATION,
            "ALTER DOMAIN insforge_integrations.evm_amount DROP CONSTRAINT small",
        ),
        (
            "ALTER TABLE insforge_integrations.x402_settlements ADD shop text NOT NULL DEFAULT nullif('', '')",
            SqlState::NOT_NULL_VIOLATION,
            "ALTER TABLE insforge_integrations.x402_settlements DROP shop",
        ),
    ] {
        superuser.batch_execute(install).unwrap();
        let error = record(&mut client, &hash(1)).unwrap_err();
        assert_eq!(refused(&error).code(), &code, "{install}");
        superuser.batch_execute(remove).unwrap();
    }
    record(&mut client, &hash(1)).unwrap();
    let rows = superuser
        .query("SELECT FROM insforge_integrations.x402_settlements", &[])
        .unwrap();
    assert_eq!(rows.len(), 1);
}

/// The error of a conflict names the index that found it, and never says that a row was dropped.
#[test]
fn a_conflict_on_another_index_names_that_index() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    record(&mut client, &hash(1)).unwrap();
    superuser
        .batch_execute(
            "CREATE UNIQUE INDEX one_of_each ON insforge_integrations.x402_settlements (payer_address)",
        )
        .unwrap();
    for isolation in ISOLATION_LEVELS {
        let mut transaction = client.transaction().unwrap();
        transaction
            .batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {isolation}"))
            .unwrap();
        let error = record(&mut transaction, &hash(2)).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION, "{isolation}");
        assert!(error.message().contains("\"one_of_each\""), "{error:?}");
        let detail = error.detail().unwrap();
        assert!(
            detail.contains(&format!("(payer_address)=({})", PAYER.to_lowercase())),
            "{detail}"
        );
        drop(transaction);
        // If both indexes find it, the error is about the transaction.
        let error = record(&mut client, &hash(1)).unwrap_err();
        assert!(refused(&error).detail().unwrap().contains("identical"));
    }
}

/// Without its unique key the ledger accepts no row. It does not accept one twice.
#[test]
fn a_ledger_without_its_key_takes_nothing() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    record(&mut client, &hash(1)).unwrap();
    superuser
        .batch_execute(
            "ALTER TABLE insforge_integrations.x402_settlements DROP CONSTRAINT x402_settlements_tx_hash_key",
        )
        .unwrap();
    for isolation in ISOLATION_LEVELS {
        let mut transaction = client.transaction().unwrap();
        transaction
            .batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {isolation}"))
            .unwrap();
        for number in [1, 2] {
            let mut savepoint = transaction.transaction().unwrap();
            let error = record(&mut savepoint, &hash(number)).unwrap_err();
            assert_eq!(
                refused(&error).code(),
                &SqlState::INVALID_COLUMN_REFERENCE,
                "{isolation}"
            );
        }
    }
}

/// Each settlement has the requesting user, so unreadable claims stop the record. Nothing of it
/// stays.
#[test]
fn claims_that_cannot_be_read_stop_a_record_and_nothing_else() {
    let (_database, mut client) = database();
    client
        .batch_execute("SET request.jwt.claims = '{'")
        .unwrap();
    for _ in 0..1_000 {
        let error = record(&mut client, &hash(1)).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code(), &SqlState::INVALID_TEXT_REPRESENTATION);
        assert!(
            error
                .detail()
                .unwrap()
                .starts_with("The JSON parser reports")
        );
    }
    client
        .batch_execute(r#"SET request.jwt.claims = '{"sub": "alice"}'"#)
        .unwrap();
    let row = record(&mut client, &hash(1)).unwrap();
    assert_eq!(row.get::<_, &str>("user_id"), "alice");
}

/// The ledger must not point at a value in another table's TOAST.
#[test]
fn what_another_table_holds_is_recorded_whole() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute(
            "CREATE TABLE public.answers (summary text);
             ALTER TABLE public.answers ALTER summary SET STORAGE EXTERNAL;
             INSERT INTO public.answers SELECT string_agg(md5(n::text), '') FROM generate_series(1, 10000) n",
        )
        .unwrap();
    let whole = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 10000) n";
    let returned = format!(
        "SELECT r.response_summary = ({whole})
         FROM public.answers a, record_x402_settlement($1, $2, $3, '1', response_summary => a.summary) r"
    );
    let row = client
        .query_one(&returned, &[&hash(1), &PAYER, &ENDPOINT])
        .unwrap();
    assert!(row.get::<_, bool>(0));
    superuser
        .batch_execute("DROP TABLE public.answers; CHECKPOINT")
        .unwrap();
    let stored = format!("SELECT response_summary = ({whole}) FROM x402_payments");
    assert!(client.query_one(&stored, &[]).unwrap().get::<_, bool>(0));
}
