//! The answer follows `request.jwt.claims` through every change that a session can make.

use insforge_integrations_tests::request::claims_of;
use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::Client;

fn connect() -> Client {
    shared_cluster()
        .database(Fixture::Extension)
        .unwrap()
        .connect()
        .unwrap()
}

fn set_claims(client: &mut Client, user: &str, is_local: bool) {
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, $2)",
            &[&claims_of(user), &is_local],
        )
        .unwrap();
}

fn user(client: &mut Client) -> Option<String> {
    client
        .query_one("SELECT requesting_user_id()", &[])
        .unwrap()
        .get(0)
}

#[test]
fn within_one_plpgsql_function() {
    let mut client = connect();
    client
        .batch_execute(
            r#"CREATE FUNCTION switch() RETURNS text[] LANGUAGE plpgsql AS $$
               DECLARE
                 seen text[];
                 who text;
               BEGIN
                 FOREACH who IN ARRAY ARRAY['alice', 'bob', 'alice', 'carol', 'bobby'] LOOP
                   PERFORM set_config('request.jwt.claims', json_build_object('sub', who)::text, true);
                   seen := seen || requesting_user_id();
                 END LOOP;
                 PERFORM set_config('request.jwt.claims', '', true);
                 RETURN seen || requesting_user_id();
               END $$"#,
        )
        .unwrap();
    for _ in 0..3 {
        let seen: Vec<Option<String>> = client.query_one("SELECT switch()", &[]).unwrap().get(0);
        let seen: Vec<_> = seen.iter().map(Option::as_deref).collect();
        assert_eq!(
            seen,
            [
                Some("alice"),
                Some("bob"),
                Some("alice"),
                Some("carol"),
                Some("bobby"),
                None
            ]
        );
    }
}

#[test]
fn after_rollback_to_a_savepoint_and_at_the_end_of_the_transaction() {
    let mut client = connect();
    client.batch_execute("BEGIN").unwrap();
    set_claims(&mut client, "alice", true);
    client.batch_execute("SAVEPOINT s").unwrap();
    set_claims(&mut client, "bob", true);
    assert_eq!(user(&mut client).as_deref(), Some("bob"));
    client.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(user(&mut client).as_deref(), Some("alice"));
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(user(&mut client), None);
}

#[test]
fn after_a_transaction_that_failed() {
    let mut client = connect();
    set_claims(&mut client, "alice", false);
    client.batch_execute("BEGIN").unwrap();
    set_claims(&mut client, "bob", false);
    assert_eq!(user(&mut client).as_deref(), Some("bob"));
    assert!(client.batch_execute("SELECT 1/0").is_err());
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(user(&mut client).as_deref(), Some("alice"));
}

#[test]
fn after_reset_and_discard() {
    let mut client = connect();
    for reset in [
        "RESET ALL",
        "DISCARD ALL",
        "RESET request.jwt.claims",
        "SET request.jwt.claims = ''",
    ] {
        set_claims(&mut client, "alice", false);
        assert_eq!(user(&mut client).as_deref(), Some("alice"));
        client.batch_execute(reset).unwrap();
        assert_eq!(user(&mut client), None, "{reset}");
    }
}

#[test]
fn in_a_prepared_statement_with_a_generic_plan() {
    let mut client = connect();
    client
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .unwrap();
    client
        .batch_execute(
            "CREATE TABLE t (user_id text);
             INSERT INTO t VALUES ('alice'), ('bob');
             PREPARE mine AS SELECT user_id FROM t WHERE user_id = requesting_user_id() AND user_id <> $1",
        )
        .unwrap();
    let statement = client
        .prepare("SELECT user_id FROM t WHERE user_id = requesting_user_id() AND user_id <> $1")
        .unwrap();
    for who in ["alice", "bob", "alice"] {
        set_claims(&mut client, who, false);
        let rows = client.query(&statement, &[&"x"]).unwrap();
        assert_eq!(
            rows.iter()
                .map(|row| row.get::<_, String>(0))
                .collect::<Vec<_>>(),
            [who]
        );
        let rows = client.simple_query("EXECUTE mine('x')").unwrap();
        assert!(rows.iter().any(|message| matches!(
            message,
            postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some(who)
        )));
    }
}

#[test]
fn claims_that_differ_in_their_last_byte_or_only_in_length() {
    let mut client = connect();
    let padded = |tail: &str| format!(r#"{{"x": "{}", "sub": "{tail}"}}"#, "p".repeat(600));
    for tail in ["a", "b", "ab", "a", "é", "a"] {
        client
            .execute(
                "SELECT set_config('request.jwt.claims', $1, false)",
                &[&padded(tail)],
            )
            .unwrap();
        assert_eq!(user(&mut client).as_deref(), Some(tail));
        assert_eq!(user(&mut client).as_deref(), Some(tail));
    }
}

#[test]
fn claims_of_a_megabyte() {
    let mut client = connect();
    let filler = "\\n\\\"ü".repeat(125_000);
    for who in ["alice", "bob"] {
        let claims = format!(r#"{{"sub": "{who}", "filler": "{filler}"}}"#);
        assert!(claims.len() > 750_000);
        client
            .execute(
                "SELECT set_config('request.jwt.claims', $1, false)",
                &[&claims],
            )
            .unwrap();
        assert_eq!(user(&mut client).as_deref(), Some(who));
    }
    let subject = "s".repeat(1 << 20);
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims_of(&subject)],
        )
        .unwrap();
    assert_eq!(user(&mut client), Some(subject));
}

/// The answer for every row, so that a worker with another answer than the leader is seen.
#[test]
fn parallel_workers_answer_as_the_leader_does() {
    let mut client = connect();
    client
        .batch_execute(
            "CREATE TABLE big (user_id text NOT NULL, filler text);
             INSERT INTO big SELECT 'user_' || i % 10, repeat('x', 200) FROM generate_series(1, 50000) i;
             ANALYZE big;
             SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off",
        )
        .unwrap();
    client.batch_execute("BEGIN").unwrap();
    set_claims(&mut client, "user_7", true);
    let query = "SELECT count(*), count(*) FILTER (WHERE requesting_permissions() IS NULL)
                 FROM big WHERE user_id = requesting_user_id()";
    let plan = client
        .query(&format!("EXPLAIN (ANALYZE, TIMING OFF) {query}"), &[])
        .unwrap();
    let plan: String = plan
        .iter()
        .map(|row| row.get::<_, String>(0) + "\n")
        .collect();
    assert!(plan.contains("Workers Launched: 2"), "{plan}");
    let row = client.query_one(query, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (5000, 5000));
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(client.query_one(query, &[]).unwrap().get::<_, i64>(0), 0);
}

/// An executor that frees one answer must not free the next.
#[test]
fn every_call_returns_a_value_of_its_own() {
    let mut client = connect();
    set_claims(&mut client, "alice", false);
    let row = client
        .query_one(
            "SELECT string_agg(a || b, ',' ORDER BY i), count(DISTINCT a)
             FROM generate_series(1, 10000) i, LATERAL (SELECT requesting_user_id() || i AS a, requesting_user_id() AS b OFFSET 0) s",
            &[],
        )
        .unwrap();
    let expected: Vec<String> = (1..=10_000).map(|i| format!("alice{i}alice")).collect();
    assert_eq!(row.get::<_, String>(0), expected.join(","));
    assert_eq!(row.get::<_, i64>(1), 10_000);
    let copied: Vec<String> = client
        .query_one(
            "WITH RECURSIVE r(i, who) AS (SELECT 1, requesting_user_id() UNION ALL SELECT i + 1, requesting_user_id() FROM r WHERE i < 1000)
             SELECT array_agg(DISTINCT who) FROM r",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(copied, ["alice"]);
}

/// The place where the variable was found last moves when a session adds others.
#[test]
fn whatever_other_variables_the_session_adds() {
    let mut client = connect();
    for (step, name) in [
        "aaa.first",
        "request.jwt.claim",
        "request.jwt.claims2",
        "request.jwt.aaa",
        "zzz.last",
    ]
    .into_iter()
    .enumerate()
    {
        let who = format!("user_{step}");
        set_claims(&mut client, &who, false);
        assert_eq!(user(&mut client).as_deref(), Some(who.as_str()));
        client
            .execute(
                "SELECT set_config($1, '{\"sub\": \"wrong\"}', false)",
                &[&name],
            )
            .unwrap();
        assert_eq!(user(&mut client).as_deref(), Some(who.as_str()), "{name}");
    }
}

#[test]
fn when_the_variable_was_first_set_in_capitals() {
    let mut client = connect();
    assert_eq!(user(&mut client), None);
    client
        .batch_execute(r#"SET "REQUEST.JWT.CLAIMS" = '{"sub": "alice"}'"#)
        .unwrap();
    assert_eq!(user(&mut client).as_deref(), Some("alice"));
    set_claims(&mut client, "bob", false);
    assert_eq!(user(&mut client).as_deref(), Some("bob"));
}
