//! Nobody changes or loses the ledger: not by a statement, not by DROP.

use super::*;

/// Subscribers of the log get every row once.
#[test]
fn logical_decoding_shows_each_row_once() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    // pgoutput is part of every server. test_decoding is a package of its own.
    for statement in [
        "CREATE PUBLICATION ledger FOR TABLE insforge_integrations.x402_settlements",
        "SELECT pg_create_logical_replication_slot('ledger', 'pgoutput')",
    ] {
        superuser.batch_execute(statement).unwrap();
    }
    record(&mut client, &hash(1)).unwrap();
    let error = record(&mut client, &hash(1)).unwrap_err();
    assert_eq!(refused(&error).code(), &SqlState::UNIQUE_VIOLATION);
    let mut aborted = client.transaction().unwrap();
    record(&mut aborted, &hash(2)).unwrap();
    aborted.rollback().unwrap();
    let changes: Vec<String> = superuser
        .query(
            "SELECT encode(data, 'escape') FROM pg_logical_slot_get_binary_changes('ledger', NULL, NULL,
               'proto_version', '1', 'publication_names', 'ledger')
             WHERE chr(get_byte(data, 0)) IN ('I', 'U', 'D', 'T')",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    superuser
        .batch_execute("SELECT pg_drop_replication_slot('ledger')")
        .unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    // The message of an INSERT.
    assert!(changes[0].starts_with('I') && changes[0].contains(&hash(1)));
}

#[test]
fn the_ledger_is_append_only_for_everybody() {
    let (database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    client
        .query_one(
            "SELECT FROM correct_x402_settlement($1, 'note', 'looked at')",
            &[&hash(1)],
        )
        .unwrap();
    let mut superuser = database.connect().unwrap();
    for table in ["x402_settlements", "x402_corrections"] {
        for statement in [
            "UPDATE {} SET tx_hash = tx_hash",
            "DELETE FROM {}",
            "TRUNCATE {}",
        ] {
            let statement = statement.replace("{}", &format!("insforge_integrations.{table}"));
            for client in [&mut client, &mut superuser] {
                let error = client.batch_execute(&statement).unwrap_err();
                assert_eq!(
                    error.code(),
                    Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                    "{statement}"
                );
            }
            let error = superuser
                .batch_execute(&format!(
                    "SET session_replication_role = replica; {statement}"
                ))
                .unwrap_err();
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{statement}"
            );
            superuser
                .batch_execute("RESET session_replication_role")
                .unwrap();
        }
    }
}

#[test]
fn the_extension_is_not_dropped_with_its_ledger() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute("CREATE SCHEMA other; CREATE ROLE nobody_in_particular; DROP OWNED BY nobody_in_particular; DROP ROLE nobody_in_particular; DROP SCHEMA other")
        .unwrap();
    record(&mut client, &hash(1)).unwrap();
    for statement in [
        "DROP EXTENSION insforge_integrations",
        "DROP EXTENSION IF EXISTS insforge_integrations CASCADE",
        "DROP SCHEMA insforge_integrations CASCADE",
        "DROP SCHEMA insforge_integrations_internal CASCADE",
        "DROP SCHEMA public CASCADE",
        "DROP EXTENSION plpgsql CASCADE",
        "DROP LANGUAGE plpgsql CASCADE",
        "DROP OWNED BY postgres CASCADE",
    ] {
        let error = superuser.batch_execute(statement).unwrap_err();
        assert_eq!(
            (error.code(), refused(&error).message()),
            (
                Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE),
                "the x402 ledger is not empty"
            ),
            "{statement}"
        );
    }
    superuser
        .batch_execute(
            "CREATE SCHEMA other; DROP SCHEMA other;
             SELECT insforge_integrations.configure('allow_ledger_drop', 'on');
             DROP EXTENSION insforge_integrations",
        )
        .unwrap();
}
