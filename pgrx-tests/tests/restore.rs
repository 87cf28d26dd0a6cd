//! A restore over the database, as InsForge's dashboard does it: the ledger loses no row.

use std::path::Path;
use std::process::{Command, Output};

use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

const PAYER: &str = "0x857b06519e91e3a54538791bdbb0e22373e36b66";
const KEEP: &str = "SELECT insforge_integrations.configure('allow_ledger_drop', 'keep')";
const PUT_BACK: &str = "SELECT * FROM insforge_integrations.restore_kept_x402_ledger()";

fn hash(number: u32) -> String {
    format!("0x{number:08x}{:056x}", 1)
}

/// The statement of InsForge's scheduled and manual backups.
fn backup(database: &Database, file: &Path) {
    let output = shared_cluster()
        .client_command("pg_dump")
        .args(["--format=custom", "-d", database.name(), "--file"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The statement of InsForge's Restore, with other options in place of its own.
fn restore_with(database: &Database, file: &Path, options: &[&str]) -> Output {
    let mut command: Command = shared_cluster().client_command("pg_restore");
    command
        .args(options)
        .args(["-d", database.name()])
        .arg(file);
    command.output().unwrap()
}

/// The statement of InsForge's Restore.
fn restore(database: &Database, file: &Path) -> Output {
    restore_with(
        database,
        file,
        &["--clean", "--if-exists", "--single-transaction"],
    )
}

fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn reserve(client: &mut Client, number: u32) -> String {
    client
        .query_one(
            "INSERT INTO insforge_integrations.x402_reservations (endpoint, scheme, network, asset, payer_address, pay_to, amount,
               nonce_contract, nonce, valid_after, valid_before, is_signature_verified, payment, requirements, idempotency_key)
             SELECT '/r', 'exact', 'eip155:196', a, $1::text, a, 115792089237316195423570985008687907853269984665640564039457584007913129639935,
               a, $2::text, '-infinity', 'infinity', true, E'{\"a\":  1}\\n', '{\"extra\": {\"name\": \"Global Dollar\"}}', $2::text
             FROM (VALUES ('0x' || repeat('1', 40))) AS v (a) RETURNING id::text",
            &[&PAYER, &hash(number)],
        )
        .unwrap()
        .get(0)
}

fn settle(client: &mut Client, id: &str, number: u32) {
    let answer = serde_json::json!({"success": true, "transaction": hash(number), "network": "eip155:196", "payer": PAYER});
    let state: String = client
        .query_one(
            "SELECT state FROM settle_x402_reservation($1::text::uuid, $2)",
            &[&id, &answer],
        )
        .unwrap()
        .get(0);
    assert_eq!(state, "settled");
}

fn pay(client: &mut Client, number: u32) {
    client
        .execute(
            "INSERT INTO x402_payments (tx_hash, payer_address, endpoint, amount) VALUES ($1, $2, '/r', '10000')",
            &[&hash(number), &PAYER],
        )
        .unwrap();
}

/// Every table that the extension's dump has, with all its rows.
fn tables(client: &mut Client) -> Vec<(String, String)> {
    let names: Vec<String> = client
        .query(
            "SELECT c.oid::regclass::text FROM pg_extension e, unnest(e.extconfig) c (oid)
             WHERE e.extname = 'insforge_integrations' ORDER BY 1",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(names.len() > 8, "{names:?}");
    let content = |name: String| {
        let query = format!(
            "SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text), '[]')::text FROM {name} t"
        );
        let rows: String = client.query_one(&query, &[]).unwrap().get(0);
        (name, rows)
    };
    names.into_iter().map(content).collect()
}

fn ledger(client: &mut Client) -> Vec<(String, String)> {
    let mut tables = tables(client);
    tables.retain(|(name, _)| {
        ["settlements", "corrections", "reservations"]
            .iter()
            .any(|part| name.ends_with(part))
    });
    assert_eq!(tables.len(), 3);
    tables
}

/// A project with a provider, a secret and payments of every kind.
fn project() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Guide).unwrap();
    let mut client = database.connect().unwrap();
    let page = include_str!("../../docs/adoption.md");
    let the_move = page
        .split("```sql\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    client.batch_execute(the_move).unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_clerk('https://clerk.example.com', authorized_parties => '{http://localhost:3000}');
             SELECT insforge_integrations.set_jwt_secret('this project''s secret of InsForge, 32 bytes');
             SELECT insforge_integrations.map_x402_payer('0x857b06519e91e3a54538791bdbb0e22373e36b66', 'alice')",
        )
        .unwrap();
    pay(&mut client, 1);
    let delivered = reserve(&mut client, 2);
    settle(&mut client, &delivered, 2);
    reserve(&mut client, 3);
    client
        .batch_execute(&format!("SELECT correct_x402_settlement('{}', 'refund', 'asked for it', '1', reference => 'refund 1')", hash(1)))
        .unwrap();
    (database, client)
}

#[test]
fn a_restore_is_refused_while_it_would_lose_the_ledger() {
    let (database, mut client) = project();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    backup(&database, &file);
    let before = tables(&mut client);
    let output = restore(&database, &file);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in [
        "the x402 ledger is not empty",
        "2 settlements and 2 reservations",
        KEEP,
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(tables(&mut client), before);
}

#[test]
fn a_restore_of_a_new_backup_changes_no_row_of_any_table() {
    let (database, mut client) = project();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    backup(&database, &file);
    let before = tables(&mut client);
    client.batch_execute(KEEP).unwrap();
    succeeded(&restore(&database, &file));
    let put_back = client.query(PUT_BACK, &[]).unwrap();
    let counts: Vec<(String, i64, i64, i64)> = put_back
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect();
    assert_eq!(
        counts,
        [
            ("x402_settlements".into(), 2, 0, 0),
            ("x402_corrections".into(), 1, 0, 0),
            ("x402_reservations".into(), 2, 0, 2)
        ]
    );
    // The setting is the backup's again.
    assert_eq!(tables(&mut client), before);
    let error = client
        .batch_execute("DROP EXTENSION insforge_integrations CASCADE")
        .unwrap_err();
    assert_eq!(
        error.code(),
        Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE)
    );
}

#[test]
fn a_restore_of_an_older_backup_keeps_the_payments_since() {
    let (database, mut client) = project();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    let reserved = reserve(&mut client, 4);
    let settled = reserve(&mut client, 5);
    settle(&mut client, &settled, 5);
    backup(&database, &file);
    // All of this is only in the database.
    pay(&mut client, 6);
    settle(&mut client, &reserved, 4);
    let later = reserve(&mut client, 7);
    client
        .batch_execute(&format!(
            "SELECT mark_x402_delivered('{settled}');
             SELECT correct_x402_settlement('{}', 'note', 'later');
             SELECT insforge_integrations.map_x402_payer('{PAYER}', 'bob');
             CREATE TABLE since_the_backup ()",
            hash(1)
        ))
        .unwrap();
    let before = ledger(&mut client);
    client.batch_execute(KEEP).unwrap();
    succeeded(&restore(&database, &file));
    assert_ne!(ledger(&mut client), before);
    // The advisor says that the second step is missing.
    let findings = |client: &mut Client| -> Vec<String> {
        let rows = client.query("SELECT rule_id FROM insforge_integrations.advise() WHERE severity = 'critical' ORDER BY rule_id", &[]);
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    };
    assert!(findings(&mut client).contains(&"kept_ledger_not_put_back".to_owned()));
    // Meanwhile a payment goes on: what happened after the restore stays.
    settle(&mut client, &reserved, 4);
    pay(&mut client, 8);
    client.batch_execute(PUT_BACK).unwrap();
    assert!(!findings(&mut client).contains(&"kept_ledger_not_put_back".to_owned()));
    let row = client
        .query_one(
            "SELECT (SELECT count(*) FROM x402_payments), (SELECT string_agg(state, ' ' ORDER BY nonce) FROM insforge_integrations.x402_reservations),
                    (SELECT count(*) FROM insforge_integrations.x402_corrections),
                    (SELECT delivered_at IS NOT NULL FROM insforge_integrations.x402_reservations WHERE id = $1::text::uuid),
                    (SELECT state FROM insforge_integrations.x402_reservations WHERE id = $2::text::uuid),
                    (SELECT user_id FROM insforge_integrations.x402_payers),
                    to_regnamespace('insforge_integrations_kept')::text",
            &[&settled, &later],
        )
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 6);
    assert_eq!(
        row.get::<_, &str>(1),
        "settled reserved settled settled reserved"
    );
    assert_eq!(
        (
            row.get::<_, i64>(2),
            row.get::<_, bool>(3),
            row.get::<_, &str>(4)
        ),
        (2, true, "reserved")
    );
    // Everything but the ledger is the backup's.
    assert_eq!(
        (row.get::<_, &str>(5), row.get::<_, Option<&str>>(6)),
        ("alice", None)
    );
    let error = client.batch_execute(PUT_BACK).unwrap_err();
    assert_eq!(
        error.code(),
        Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE)
    );
}

/// Without --single-transaction, pg_restore goes on after errors.
#[test]
fn a_restore_in_several_transactions_leaves_a_ledger_alone_or_keeps_it() {
    let (database, mut client) = project();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    backup(&database, &file);
    pay(&mut client, 9);
    let before = ledger(&mut client);
    let output = restore_with(&database, &file, &["--clean", "--if-exists"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("the x402 ledger is not empty"),
        "{message}"
    );
    assert_eq!(ledger(&mut client), before, "{message}");
    client.batch_execute(KEEP).unwrap();
    restore_with(&database, &file, &["--clean", "--if-exists"]);
    client.batch_execute(PUT_BACK).unwrap();
    assert_eq!(ledger(&mut client), before);
}

/// The secret is in no backup: after a restore, the exchange says what to call.
#[test]
fn after_a_restore_the_exchange_says_what_is_missing() {
    let (database, mut client) = project();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    backup(&database, &file);
    client.batch_execute(KEEP).unwrap();
    succeeded(&restore(&database, &file));
    let error = client
        .query(
            "SELECT insforge_integrations.issue_insforge_token('user_alice')",
            &[],
        )
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("insforge_integrations.set_jwt_secret"),
        "{error:?}"
    );
    let page = include_str!("../../docs/restore.md");
    assert!(page.contains("set_jwt_secret") && page.contains(PUT_BACK) && page.contains(KEEP));
}

#[test]
fn an_object_that_the_backup_does_not_have_stops_the_restore() {
    let (database, mut client) = project();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    backup(&database, &file);
    client
        .batch_execute("CREATE TABLE newer (user_id text DEFAULT requesting_user_id())")
        .unwrap();
    let before = ledger(&mut client);
    client.batch_execute(KEEP).unwrap();
    let output = restore(&database, &file);
    let message = String::from_utf8_lossy(&output.stderr);
    for part in [
        "cannot drop extension insforge_integrations because other objects depend on it",
        "table public.newer",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(ledger(&mut client), before);
    let kept = client.query_one(
        "SELECT to_regnamespace('insforge_integrations_kept') IS NULL",
        &[],
    );
    assert!(kept.unwrap().get::<_, bool>(0));
    client.batch_execute("DROP TABLE newer").unwrap();
    succeeded(&restore(&database, &file));
}

/// Such a backup has the guides' function and table. The blocks are those of docs/adoption.md.
#[test]
fn a_backup_from_before_the_extension_needs_the_way_back_first() {
    let database = shared_cluster().database(Fixture::Guide).unwrap();
    let mut client = database.connect().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    pay(&mut client, 1);
    backup(&database, &file);
    let page = include_str!("../../docs/adoption.md");
    let blocks: Vec<&str> = page
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let (the_move, the_way_back) = (blocks[0], &blocks[blocks.len() - 2..]);
    client.batch_execute(the_move).unwrap();
    let id = reserve(&mut client, 2);
    settle(&mut client, &id, 2);
    pay(&mut client, 3);
    let before = ledger(&mut client);
    client.batch_execute(KEEP).unwrap();
    let output = restore(&database, &file);
    let message = String::from_utf8_lossy(&output.stderr);
    let on_a_view =
        "ALTER action DROP CONSTRAINT cannot be performed on relation \"x402_payments\"";
    assert!(
        !output.status.success() && message.contains(on_a_view),
        "{message}"
    );
    assert_eq!(ledger(&mut client), before);

    for block in the_way_back {
        client.batch_execute(block).unwrap();
    }
    succeeded(&restore(&database, &file));
    let restored = client.query("SELECT FROM x402_payments", &[]).unwrap();
    assert_eq!(restored.len(), 1);
    let import = "SELECT * FROM insforge_integrations.import_x402_payments";
    let again = the_move.replace(import, &format!("{PUT_BACK};\n{import}"));
    client.batch_execute(&again).unwrap();
    assert_eq!(ledger(&mut client), before);
}

/// Nobody but superusers reads what was kept, whatever default privileges the database has.
#[test]
fn only_superusers_reach_what_was_kept() {
    let (database, mut client) = project();
    client
        .batch_execute(&format!(
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC, anon;
             {KEEP}; DROP EXTENSION insforge_integrations CASCADE"
        ))
        .unwrap();
    for role in ["anon", "authenticated"] {
        let mut client = database.connect_as(role).unwrap();
        let seen = client.query("SELECT FROM insforge_integrations_kept.x402_ledger", &[]);
        assert!(seen.map_or(true, |rows| rows.is_empty()), "{role}");
        let error = client.batch_execute("INSERT INTO insforge_integrations_kept.x402_ledger (source, content) VALUES ('x402_settlements', '{}')").unwrap_err();
        assert_eq!(
            error.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{role}"
        );
    }
}

/// A role that may create schemas must not give the ledger rows.
#[test]
fn what_another_role_put_in_its_place_is_refused() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE SCHEMA insforge_integrations_kept AUTHORIZATION anon;
             SET ROLE anon;
             CREATE TABLE insforge_integrations_kept.x402_ledger (kept_at timestamptz, source text, content jsonb);
             RESET ROLE",
        )
        .unwrap();
    pay(&mut client, 1);
    client.batch_execute(KEEP).unwrap();
    for statement in [PUT_BACK, "DROP EXTENSION insforge_integrations"] {
        let error = client.batch_execute(statement).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(
            (error.code(), error.message()),
            (
                &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "there is no kept x402 ledger"
            ),
            "{statement}"
        );
    }
}

/// A backup of another project may have the same transaction.
#[test]
fn different_facts_about_one_transaction_stop_the_second_step() {
    let (_database, mut client) = project();
    client
        .batch_execute(&format!(
            "{KEEP}; DROP EXTENSION insforge_integrations CASCADE; CREATE EXTENSION insforge_integrations;
             SELECT record_x402_settlement('{}', '{PAYER}', '/another', '10000')",
            hash(1)
        ))
        .unwrap();
    let error = client.batch_execute(PUT_BACK).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert!(
        error.message().contains(&hash(1)) && error.detail().is_some() && error.hint().is_some()
    );
    let left: i64 = client
        .query_one(
            "SELECT count(*) FROM insforge_integrations_kept.x402_ledger",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(left, 5);
    client
        .batch_execute(&format!("DELETE FROM insforge_integrations_kept.x402_ledger WHERE source = 'x402_settlements' AND content->>'tx_hash' = '{}'", hash(1)))
        .unwrap();
    client.batch_execute(PUT_BACK).unwrap();
}
