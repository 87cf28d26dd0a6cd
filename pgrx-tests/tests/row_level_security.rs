//! `requesting_user_id()` in policies and defaults, as the roles of requests.

use insforge_integrations_tests::request::{claims_of, request};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

/// The guides' table and policies on our function.
fn notes() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let guide = include_str!("../fixtures/guide.sql");
    let table = guide.find("CREATE TABLE").unwrap();
    let payments = guide.find("-- What the guide for x402 payments").unwrap();
    client.batch_execute(&guide[table..payments]).unwrap();
    for user in ["alice", "bob", "auth0|42"] {
        request(&mut client, "authenticated", &claims_of(user), |tx| {
            tx.execute("INSERT INTO notes (body) VALUES ('mine')", &[])
        })
        .unwrap();
    }
    (database, client)
}

fn owners_seen(client: &mut Client, role: &str, claims: &str) -> Vec<String> {
    request(client, role, claims, |tx| {
        tx.query("SELECT user_id FROM notes ORDER BY 1", &[])
    })
    .unwrap()
    .iter()
    .map(|row| row.get(0))
    .collect()
}

#[test]
fn a_user_sees_own_rows_alone() {
    let (_database, mut client) = notes();
    for user in ["alice", "bob", "auth0|42"] {
        assert_eq!(
            owners_seen(&mut client, "authenticated", &claims_of(user)),
            [user]
        );
    }
    assert!(owners_seen(&mut client, "authenticated", &claims_of("carol")).is_empty());
}

#[test]
fn nobody_sees_rows_without_claims() {
    let (_database, mut client) = notes();
    for claims in [
        "",
        "{}",
        r#"{"sub": null}"#,
        r#"{"sub": ""}"#,
        r#"{"sub": ["alice"]}"#,
        "null",
    ] {
        assert!(
            owners_seen(&mut client, "authenticated", claims).is_empty(),
            "{claims}"
        );
    }
    // Not even with the claims in place, a role that no policy names.
    assert!(owners_seen(&mut client, "anon", &claims_of("alice")).is_empty());
    // And in a session that never set them.
    let mut fresh = _database.connect_as("authenticated").unwrap();
    assert!(fresh.query("SELECT FROM notes", &[]).unwrap().is_empty());
}

#[test]
fn with_check_refuses_a_row_of_somebody_else() {
    let (_database, mut client) = notes();
    for statement in [
        "INSERT INTO notes (user_id, body) VALUES ('bob', 'forged')",
        "UPDATE notes SET user_id = 'bob'",
    ] {
        let refused = request(&mut client, "authenticated", &claims_of("alice"), |tx| {
            tx.execute(statement, &[])
        });
        assert_eq!(
            refused.unwrap_err().code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{statement}"
        );
    }
}

#[test]
fn writes_reach_own_rows_alone() {
    let (_database, mut client) = notes();
    let touched = request(&mut client, "authenticated", &claims_of("alice"), |tx| {
        let updated = tx.execute("UPDATE notes SET body = 'changed'", &[])?;
        let deleted = tx.execute("DELETE FROM notes", &[])?;
        Ok((updated, deleted))
    });
    assert_eq!(touched.unwrap(), (1, 1));
    let left = client
        .query(
            "SELECT user_id FROM notes WHERE body = 'mine' ORDER BY 1",
            &[],
        )
        .unwrap();
    assert_eq!(
        left.iter()
            .map(|row| row.get::<_, String>(0))
            .collect::<Vec<_>>(),
        ["auth0|42", "bob"]
    );
}

#[test]
fn a_default_without_a_user_violates_not_null() {
    let (_database, mut client) = notes();
    let refused = request(&mut client, "authenticated", "{}", |tx| {
        tx.execute("INSERT INTO notes (body) VALUES ('nobody')", &[])
    });
    // The policy's WITH CHECK comes first: NULL is not true.
    assert_eq!(
        refused.unwrap_err().code(),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE)
    );
    let refused = client.execute("INSERT INTO notes (body) VALUES ('nobody')", &[]);
    assert_eq!(
        refused.unwrap_err().code(),
        Some(&SqlState::NOT_NULL_VIOLATION)
    );
}

#[test]
fn an_index_on_the_column_is_used_as_for_a_literal() {
    let (_database, mut client) = notes();
    client
        .batch_execute(
            "INSERT INTO notes (user_id, body) SELECT 'user_' || i, 'x' FROM generate_series(1, 20000) i;
             CREATE INDEX ON notes (user_id);
             ANALYZE notes",
        )
        .unwrap();
    let plan = |client: &mut Client, statement: &str| {
        request(client, "authenticated", &claims_of("user_77"), |tx| {
            tx.query(&format!("EXPLAIN (COSTS OFF) {statement}"), &[])
        })
        .unwrap()
        .iter()
        .map(|row| row.get::<_, String>(0))
        .collect::<Vec<_>>()
        .join("\n")
    };
    let under_policy = plan(&mut client, "SELECT body FROM notes");
    client
        .batch_execute("ALTER TABLE notes DISABLE ROW LEVEL SECURITY")
        .unwrap();
    let with_literal = plan(
        &mut client,
        "SELECT body FROM notes WHERE user_id = 'user_77'",
    );
    assert!(with_literal.contains("Index Cond"), "{with_literal}");
    assert_eq!(
        under_policy.replace("requesting_user_id()", "LITERAL"),
        with_literal.replace("'user_77'::text", "LITERAL")
    );
}
