//! Importing a table that another role owns.

use std::fs;

use super::*;

/// A table like the guide's, of a role without privileges.
fn owned_by_mallory(client: &mut Client) {
    client
        .batch_execute(
            "CREATE SCHEMA mallory;
             DO $$BEGIN CREATE ROLE mallory LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$;
             ALTER SCHEMA mallory OWNER TO mallory;
             SET ROLE mallory;
             CREATE TABLE mallory.payments (
               id uuid DEFAULT gen_random_uuid(), payer_address text, endpoint text, amount text, tx_hash text,
               response_summary text, created_at timestamptz DEFAULT now());
             RESET ROLE",
        )
        .unwrap();
}

/// Each of these runs `mallory.harm()` somewhere. That function leaves a row with the role that ran
/// it.
const TRAPS: &str = "
CREATE TABLE mallory.harmed (as_whom name DEFAULT current_user);
CREATE FUNCTION mallory.harm() RETURNS text LANGUAGE sql VOLATILE AS
  'INSERT INTO mallory.harmed DEFAULT VALUES RETURNING as_whom::text';
CREATE FUNCTION mallory.of_index(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN RETURN left($1, length(mallory.harm())); END';
CREATE FUNCTION mallory.of_trigger() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM mallory.harm(); RETURN NEW; END';
CREATE INDEX ON mallory.payments (mallory.of_index(tx_hash));
CREATE INDEX ON mallory.payments (mallory.of_index('a constant'));
CREATE INDEX ON mallory.payments (tx_hash) WHERE mallory.of_index(tx_hash) <> '';
CREATE STATISTICS mallory.statistics ON mallory.of_index(amount), tx_hash FROM mallory.payments;
ALTER TABLE mallory.payments
  ADD made text GENERATED ALWAYS AS (mallory.of_index(tx_hash)) STORED,
  ADD defaulted text DEFAULT mallory.harm(),
  ADD CHECK (mallory.of_index(tx_hash) <> '');
CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON mallory.payments
  FOR EACH ROW EXECUTE FUNCTION mallory.of_trigger();
ALTER TABLE mallory.payments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY harm ON mallory.payments USING (mallory.harm() <> '')";

#[test]
fn an_import_runs_nothing_of_the_owners_and_locks_the_table() {
    let (database, _) = database();
    let mut client = database.connect().unwrap();
    owned_by_mallory(&mut client);
    let mut mallory = database.connect_as("mallory").unwrap();
    mallory.batch_execute(TRAPS).unwrap();
    let insert = "INSERT INTO mallory.payments (payer_address, endpoint, amount, tx_hash) VALUES ($1, $2, '10000', $3)";
    mallory
        .execute(insert, &[&PAYER, &ENDPOINT, &hash(1)])
        .unwrap();
    let harmed = |mallory: &mut Client| -> Vec<String> {
        let rows = mallory.query(
            "WITH gone AS (DELETE FROM mallory.harmed RETURNING as_whom::text) SELECT DISTINCT as_whom FROM gone",
            &[],
        );
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(harmed(&mut mallory), ["mallory"]);
    // When Postgres plans a query, it computes constants of an index with the rights of the caller.
    client.query("SELECT FROM mallory.payments", &[]).unwrap();
    assert_eq!(harmed(&mut mallory), ["postgres"]);
    let mut client = database.connect().unwrap();
    let mut transaction = client.transaction().unwrap();
    let import = "SELECT FROM insforge_integrations.import_x402_payments('mallory.payments')";
    assert!(transaction.query(import, &[]).unwrap().is_empty());
    mallory.batch_execute("SET lock_timeout = '100ms'").unwrap();
    let error = mallory
        .execute(insert, &[&PAYER, &ENDPOINT, &hash(2)])
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    transaction.commit().unwrap();
    assert_eq!(harmed(&mut mallory), [""; 0]);
    let recorded = client
        .query("SELECT FROM x402_payments WHERE tx_hash = $1", &[&hash(1)])
        .unwrap();
    assert_eq!(recorded.len(), 1);
}

/// Code that would run in a column's type, or in place of a table.
#[test]
fn what_could_run_something_is_not_imported() {
    let (database, _) = database();
    let mut client = database.connect().unwrap();
    owned_by_mallory(&mut client);
    for (make, name) in [
        ("CREATE VIEW {} AS SELECT * FROM mallory.payments", "view"),
        (
            "CREATE MATERIALIZED VIEW {} AS SELECT * FROM mallory.payments",
            "materialized",
        ),
        (
            "CREATE TABLE {} (LIKE mallory.payments) PARTITION BY LIST (amount)",
            "partitioned",
        ),
        (
            "CREATE DOMAIN mallory.d AS text; CREATE TABLE {} (LIKE mallory.payments, own mallory.d)",
            "of_domain",
        ),
        (
            "CREATE TYPE mallory.t AS (a text); CREATE TABLE {} (LIKE mallory.payments, own mallory.t[])",
            "of_array",
        ),
        ("CREATE SEQUENCE {}", "sequence"),
    ] {
        let name = format!("mallory.{name}");
        client
            .batch_execute(&format!(
                "SET ROLE mallory; {}; RESET ROLE",
                make.replace("{}", &name)
            ))
            .unwrap();
        let error = client
            .query(
                "SELECT FROM insforge_integrations.import_x402_payments($1::text::regclass)",
                &[&name],
            )
            .unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::WRONG_OBJECT_TYPE), "{name}");
        assert!(refused(&error).hint().is_some());
    }
}

/// A table with only text columns, as people make them.
#[test]
fn a_row_that_cannot_be_imported_keeps_no_other_from_it() {
    let (database, _) = database();
    let mut client = database.connect().unwrap();
    client
        .batch_execute("CREATE TABLE public.texts (payer_address text, endpoint text, amount text, tx_hash text, created_at text)")
        .unwrap();
    for (number, created_at) in [
        "2025-05-05 05:05+00",
        "last week",
        "294277-01-01",
        "infinity",
    ]
    .iter()
    .enumerate()
    {
        client
            .execute(
                "INSERT INTO public.texts VALUES ($1, $2, '10000', $3, $4)",
                &[
                    &PAYER,
                    &ENDPOINT,
                    &hash(number as u64 + 1)[2..].to_owned(),
                    created_at,
                ],
            )
            .unwrap();
    }
    let import = "SELECT * FROM insforge_integrations.import_x402_payments('public.texts')";
    for _ in 0..2 {
        let rows = client.query(import, &[]).unwrap();
        let refused: Vec<(String, String)> =
            rows.iter().map(|row| (row.get(1), row.get(2))).collect();
        let expected = [2, 3].map(|number| {
            (
                hash(number)[2..].to_owned(),
                "created_at is no time".to_owned(),
            )
        });
        assert_eq!(refused, expected);
    }
    let kept: i64 = client
        .query_one(
            "SELECT count(*) FROM x402_payments WHERE tx_hash LIKE '0x%'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(kept, 2);
}

/// The largest memory of a server process, in KiB. This is its mapped memory, which includes the
/// server's shared memory from the beginning.
fn peak_memory(backend: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{backend}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPeak:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

const ROWS: i32 = 30_000;

#[test]
fn a_table_larger_than_memory_is_imported_row_by_row() {
    let (database, _) = database();
    let mut client = database.connect().unwrap();
    owned_by_mallory(&mut client);
    client
        .execute(
            "INSERT INTO mallory.payments (payer_address, endpoint, amount, tx_hash, response_summary)
             SELECT $1, $2, '10000', '0x' || lpad(to_hex(i), 64, '0'), repeat('x', 1900) FROM generate_series(1, $3) i",
            &[&PAYER, &ENDPOINT, &ROWS],
        )
        .unwrap();
    let backend: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    // Memory of an import that does not depend on the number of rows.
    let import = "SELECT * FROM insforge_integrations.import_x402_payments('mallory.payments')";
    let mut transaction = client.transaction().unwrap();
    transaction
        .batch_execute("CREATE TEMP TABLE few (LIKE mallory.payments); INSERT INTO few SELECT * FROM mallory.payments LIMIT 10")
        .unwrap();
    transaction
        .batch_execute("SELECT insforge_integrations.import_x402_payments('few')")
        .unwrap();
    transaction.rollback().unwrap();
    let before = peak_memory(backend);
    assert!(client.query(import, &[]).unwrap().is_empty());
    let grown = peak_memory(backend) - before;
    let kept: i64 = client
        .query_one(
            "SELECT count(*) FROM x402_payments WHERE length(response_summary) = 1900",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(kept, i64::from(ROWS));
    println!("{ROWS} rows of 2 kB: {grown} KiB");
    assert!(grown < 32 << 10, "{grown} KiB for {ROWS} rows of 2 kB");
}
