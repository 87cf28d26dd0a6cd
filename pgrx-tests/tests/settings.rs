//! `configure()` and the effect of a change on other sessions.

use insforge_integrations_tests::request::{claims_of, request};
use insforge_integrations_tests::{Cluster, Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

fn database() -> Database<'static> {
    shared_cluster().database(Fixture::Extension).unwrap()
}

fn configure(client: &mut Client, value: &str) {
    client
        .execute(
            "SELECT insforge_integrations.configure('identity_source', $1)",
            &[&value],
        )
        .unwrap();
}

/// The session's user if `request.jwt.claims` names alice.
fn user(client: &mut Client) -> Option<String> {
    client
        .query_one("SELECT requesting_user_id()", &[])
        .unwrap()
        .get(0)
}

fn session_of_alice(database: &Database) -> Client {
    let mut client = database.connect().unwrap();
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims_of("alice")],
        )
        .unwrap();
    assert_eq!(user(&mut client).as_deref(), Some("alice"));
    client
}

#[test]
fn unknown_names_and_values_are_refused_and_change_nothing() {
    let database = database();
    let mut client = database.connect().unwrap();
    for arguments in [
        "'identity', 'claims'",
        "'', NULL",
        "'identity_source', 'CLAIMS'",
        "'identity_source', ''",
    ] {
        let refused = client
            .execute(
                &format!("SELECT insforge_integrations.configure({arguments})"),
                &[],
            )
            .unwrap_err();
        let error = refused.as_db_error().unwrap();
        assert_eq!(
            error.code(),
            &SqlState::INVALID_PARAMETER_VALUE,
            "{arguments}"
        );
        assert!(
            error.detail().is_some() && error.hint().is_some(),
            "{error:?}"
        );
    }
    assert!(
        client
            .query("SELECT FROM insforge_integrations.settings", &[])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn verified_makes_claims_that_a_session_sets_worth_nothing() {
    let database = database();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE notes AS SELECT 'alice' AS user_id;
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes TO authenticated USING (user_id = requesting_user_id())",
        )
        .unwrap();
    let seen = |client: &mut Client| {
        request(client, "authenticated", &claims_of("alice"), |tx| {
            tx.query("SELECT FROM notes", &[])
        })
        .unwrap()
        .len()
    };
    let mut requests = database.connect().unwrap();
    assert_eq!(seen(&mut requests), 1);
    configure(&mut client, "verified");
    assert_eq!(seen(&mut requests), 0);
    // Nothing that an ordinary role can do in its session brings the claims back.
    let mut forger = database.connect_as("authenticated").unwrap();
    for attempt in [
        "SET request.jwt.claims = '{\"sub\": \"alice\"}'",
        "RESET ALL",
        "DISCARD ALL",
    ] {
        forger.batch_execute(attempt).unwrap();
        assert!(
            forger.query("SELECT FROM notes", &[]).unwrap().is_empty(),
            "{attempt}"
        );
    }
    for attempt in [
        "SELECT insforge_integrations.configure('identity_source', 'claims')",
        "DELETE FROM insforge_integrations.settings",
        "SELECT FROM insforge_integrations.settings",
        "ALTER TABLE insforge_integrations.settings DISABLE TRIGGER ALL",
    ] {
        let refused = forger.execute(attempt, &[]).unwrap_err();
        assert_eq!(
            refused.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{attempt}"
        );
    }
    client
        .execute(
            "SELECT insforge_integrations.configure('identity_source', NULL)",
            &[],
        )
        .unwrap();
    assert_eq!(seen(&mut requests), 1);
}

#[test]
fn a_change_reaches_every_open_session_at_its_next_call() {
    let database = database();
    let mut operator = database.connect().unwrap();
    let mut session = session_of_alice(&database);
    for _ in 0..3 {
        configure(&mut operator, "verified");
        assert_eq!(user(&mut session), None);
        configure(&mut operator, "claims");
        assert_eq!(user(&mut session).as_deref(), Some("alice"));
    }
}

#[test]
fn a_change_reaches_a_transaction_whose_snapshot_is_older() {
    let database = database();
    let mut operator = database.connect().unwrap();
    let mut session = session_of_alice(&database);
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        session
            .batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT 1"))
            .unwrap();
        assert_eq!(user(&mut session).as_deref(), Some("alice"));
        configure(&mut operator, "verified");
        assert_eq!(user(&mut session), None, "{level}");
        configure(&mut operator, "claims");
        assert_eq!(user(&mut session).as_deref(), Some("alice"), "{level}");
        session.batch_execute("COMMIT").unwrap();
    }
}

#[test]
fn a_change_holds_in_its_own_transaction_and_ends_with_its_rollback() {
    let database = database();
    let mut other = session_of_alice(&database);
    let mut session = session_of_alice(&database);
    session.batch_execute("BEGIN").unwrap();
    configure(&mut session, "verified");
    assert_eq!(user(&mut session), None);
    assert_eq!(user(&mut other).as_deref(), Some("alice"), "not committed");
    session.batch_execute("SAVEPOINT s").unwrap();
    configure(&mut session, "claims");
    assert_eq!(user(&mut session).as_deref(), Some("alice"));
    session.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(user(&mut session), None);
    session.batch_execute("ROLLBACK").unwrap();
    assert_eq!(user(&mut session).as_deref(), Some("alice"));
}

#[test]
fn any_way_of_changing_the_table_counts() {
    let database = database();
    let mut operator = database.connect().unwrap();
    let mut session = session_of_alice(&database);
    for (statement, expected) in [
        (
            "INSERT INTO insforge_integrations.settings VALUES ('identity_source', 'verified')",
            None,
        ),
        (
            "UPDATE insforge_integrations.settings SET value = 'claims'",
            Some("alice"),
        ),
        (
            "UPDATE insforge_integrations.settings SET value = 'verified'",
            None,
        ),
        ("DELETE FROM insforge_integrations.settings", Some("alice")),
        (
            "SET session_replication_role = replica;
             INSERT INTO insforge_integrations.settings VALUES ('identity_source', 'verified')",
            None,
        ),
        ("TRUNCATE insforge_integrations.settings", Some("alice")),
    ] {
        operator.batch_execute(statement).unwrap();
        assert_eq!(user(&mut session).as_deref(), expected, "{statement}");
    }
}

#[test]
fn a_stored_value_that_is_not_understood_stops_every_answer() {
    let database = database();
    let mut session = session_of_alice(&database);
    let mut operator = database.connect().unwrap();
    operator
        .batch_execute(
            "INSERT INTO insforge_integrations.settings VALUES ('identity_source', 'both')",
        )
        .unwrap();
    let refused = session
        .query_one("SELECT requesting_user_id()", &[])
        .unwrap_err();
    let error = refused.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("configure('identity_source'"),
        "{error:?}"
    );
    configure(&mut operator, "claims");
    assert_eq!(user(&mut session).as_deref(), Some("alice"));
}

#[test]
fn parallel_workers_see_a_change_of_their_own_transaction() {
    let database = database();
    let mut session = session_of_alice(&database);
    session
        .batch_execute(
            "CREATE TABLE big AS SELECT 'alice' AS user_id, repeat('x', 200) FROM generate_series(1, 20000);
             ANALYZE big;
             SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET parallel_leader_participation = off",
        )
        .unwrap();
    session.batch_execute("BEGIN").unwrap();
    let count = |session: &mut Client| -> i64 {
        let query = "SELECT count(*) FROM big WHERE user_id = requesting_user_id()";
        let plan = session
            .query(&format!("EXPLAIN (ANALYZE, TIMING OFF) {query}"), &[])
            .unwrap();
        assert!(
            plan.iter()
                .any(|row| row.get::<_, String>(0).contains("Workers Launched: 2"))
        );
        session.query_one(query, &[]).unwrap().get(0)
    };
    assert_eq!(count(&mut session), 20_000);
    configure(&mut session, "verified");
    assert_eq!(count(&mut session), 0);
    session.batch_execute("ROLLBACK").unwrap();
    assert_eq!(count(&mut session), 20_000);
}

/// Rows that arrive by logical replication are applied without statement triggers.
#[test]
fn changes_that_logical_replication_applies_reach_open_sessions() {
    const TABLES: &str =
        "insforge_integrations.settings, TABLE insforge_integrations.auth_providers";
    let publisher = database();
    let subscriber = database();
    let mut source = publisher.connect().unwrap();
    let mut target = subscriber.connect().unwrap();
    source
        .batch_execute(&format!("CREATE PUBLICATION p FOR TABLE {TABLES}"))
        .unwrap();
    source
        .execute(
            "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
            &[],
        )
        .unwrap();
    target
        .batch_execute(&format!(
            "CREATE SUBSCRIPTION s CONNECTION 'host={} dbname={} user=postgres' PUBLICATION p
             WITH (create_slot = false, copy_data = false)",
            shared_cluster().socket_directory().display(),
            publisher.name(),
        ))
        .unwrap();
    let mut session = session_of_alice(&subscriber);
    // RFC 8037 A.4: a well-formed token, which no provider here accepts.
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let knows_workos = |session: &mut Client| {
        let call = "SELECT insforge_integrations.verify_provider_jwt($1, 'workos')";
        let error = session.query(call, &[&token]).unwrap_err();
        error.code() != Some(&SqlState::INVALID_PARAMETER_VALUE)
    };
    assert!(!knows_workos(&mut session));
    configure(&mut source, "verified");
    source
        .batch_execute("SELECT insforge_integrations.register_workos('client_1')")
        .unwrap();
    let mut wait_for_rows = |rows: i64| {
        let count = "SELECT (SELECT count(*) FROM insforge_integrations.settings)
                          + (SELECT count(*) FROM insforge_integrations.auth_providers)";
        for _ in 0..1200 {
            if target.query_one(count, &[]).unwrap().get::<_, i64>(0) == rows {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!(
            "the change was not applied:\n{}",
            shared_cluster().log().unwrap()
        );
    };
    wait_for_rows(2);
    assert_eq!(user(&mut session), None);
    assert!(knows_workos(&mut session));
    source
        .batch_execute(
            "DELETE FROM insforge_integrations.settings;
             DELETE FROM insforge_integrations.auth_providers",
        )
        .unwrap();
    wait_for_rows(0);
    assert_eq!(user(&mut session).as_deref(), Some("alice"));
    assert!(!knows_workos(&mut session));
    target.batch_execute("DROP SUBSCRIPTION s").unwrap();
}

#[test]
fn a_standby_answers_and_follows_changes() {
    let primary = Cluster::start().unwrap();
    let database = primary.database(Fixture::Extension).unwrap();
    let standby = primary.start_standby().unwrap();
    let mut operator = database.connect().unwrap();
    let mut session = database.on(&standby).connect().unwrap();
    session
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims_of("alice")],
        )
        .unwrap();
    assert_eq!(user(&mut session).as_deref(), Some("alice"));
    for (value, expected) in [("verified", None), ("claims", Some("alice"))] {
        configure(&mut operator, value);
        standby.wait_for_replay(&mut operator).unwrap();
        assert_eq!(user(&mut session).as_deref(), expected);
    }
}
