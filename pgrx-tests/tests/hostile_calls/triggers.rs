//! The extension's trigger functions on tables and at events that they were not made for.

use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

/// The functions of the extension that return this type.
fn functions(client: &mut Client, of_type: &str) -> Vec<String> {
    let rows = client.query(
        "SELECT p.oid::regproc::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'insforge_integrations'
           JOIN pg_proc p ON p.oid = d.objid
         WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
           AND format_type(p.prorettype, NULL) = $1",
        &[&of_type],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Runs statements, in a transaction that is not kept, until one fails. None fails internally.
fn run(client: &mut Client, statements: &str) {
    client.batch_execute("BEGIN").unwrap();
    if let Err(error) = client.batch_execute(statements) {
        let raised = error
            .as_db_error()
            .unwrap_or_else(|| panic!("{statements}: {error}"));
        assert!(
            !raised.code().code().starts_with("XX"),
            "{statements}: {raised:?}"
        );
        assert_ne!(
            raised.code(),
            &SqlState::SYNTAX_ERROR,
            "{statements}: {raised:?}"
        );
    }
    client.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn trigger_functions_break_nothing_where_they_do_not_belong() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE plain (a int, b text); CREATE VIEW shown AS SELECT * FROM plain;
             CREATE TABLE parted (a int, b text) PARTITION BY RANGE (a); CREATE TABLE part PARTITION OF parted DEFAULT",
        )
        .unwrap();
    let functions = functions(&mut client, "trigger");
    assert!(functions.len() >= 2, "{functions:?}");
    for function in functions {
        for (table, time, level) in [
            ("plain", "BEFORE", "ROW"),
            ("plain", "AFTER", "ROW"),
            ("plain", "BEFORE", "STATEMENT"),
            ("plain", "AFTER", "STATEMENT"),
            ("parted", "AFTER", "ROW"),
            ("shown", "INSTEAD OF", "ROW"),
        ] {
            for (event, statement) in [
                ("INSERT", format!("INSERT INTO {table} VALUES (1, NULL), (2, 'x')")),
                ("UPDATE", format!("ALTER TABLE plain DISABLE TRIGGER ALL; INSERT INTO plain VALUES (1, 'x');
                                    ALTER TABLE plain ENABLE TRIGGER ALL; UPDATE {table} SET b = 'y'")),
                ("DELETE", format!("DELETE FROM {table}")),
            ] {
                run(
                    &mut client,
                    &format!(
                        "CREATE TRIGGER odd {time} {event} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}('an', 'argument'); {statement}"
                    ),
                );
            }
        }
        run(
            &mut client,
            &format!(
                "CREATE TRIGGER odd BEFORE TRUNCATE ON plain EXECUTE FUNCTION {function}(); TRUNCATE plain"
            ),
        );
        run(
            &mut client,
            &format!(
                "CREATE CONSTRAINT TRIGGER odd AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {function}();
                 INSERT INTO plain VALUES (1); SET CONSTRAINTS ALL IMMEDIATE"
            ),
        );
    }
}

#[test]
fn event_trigger_functions_break_nothing_at_other_events() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    for function in functions(&mut client, "event_trigger") {
        for event in [
            "ddl_command_start",
            "ddl_command_end",
            "sql_drop",
            "table_rewrite",
        ] {
            run(
                &mut client,
                &format!(
                    "CREATE EVENT TRIGGER odd ON {event} EXECUTE FUNCTION {function}();
                     CREATE TABLE made (a int); INSERT INTO made VALUES (1); ALTER TABLE made ALTER a TYPE text;
                     CREATE TABLE copied AS SELECT 1; SELECT 1 AS x INTO another; CREATE SCHEMA made CREATE VIEW v AS SELECT 1;
                     DROP TABLE made, copied; DROP SCHEMA made CASCADE; DROP OWNED BY anon; GRANT SELECT ON another TO anon;
                     COMMENT ON TABLE another IS ''; DROP TABLE another"
                ),
            );
        }
    }
}
