//! Invalid claims give an error or no identity, never a wrong identity.

use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::Client;
use postgres::error::{DbError, SqlState};

fn connect() -> Client {
    shared_cluster()
        .database(Fixture::Extension)
        .unwrap()
        .connect()
        .unwrap()
}

fn ask(client: &mut Client, claims: &str) -> Result<Option<String>, postgres::Error> {
    client.execute(
        "SELECT set_config('request.jwt.claims', $1, false)",
        &[&claims],
    )?;
    client
        .query_one("SELECT requesting_user_id()", &[])?
        .try_get(0)
}

fn refusal(client: &mut Client, claims: &str) -> DbError {
    let error = ask(client, claims).expect_err(claims);
    error
        .as_db_error()
        .cloned()
        .expect("an error of the server")
}

#[test]
fn claims_that_are_not_json_raise_with_a_hint_and_without_their_content() {
    let mut client = connect();
    for claims in [
        "not json",
        "{",
        r#"{"sub": "topsecret"#,
        r#"{"sub": "topsecret"} x"#,
        "{'sub': 'a'}",
        " ",
        "\u{1}",
    ] {
        let error = refusal(&mut client, claims);
        assert_eq!(
            error.code(),
            &SqlState::INVALID_TEXT_REPRESENTATION,
            "{claims}"
        );
        assert_eq!(error.message(), "request.jwt.claims is not valid JSON");
        assert!(error.detail().unwrap().contains("column"), "{error:?}");
        assert!(error.hint().unwrap().contains("set_config"), "{error:?}");
        assert!(!format!("{error:?}").contains("topsecret"));
    }
    // The same again: a refusal is not remembered as an answer.
    assert!(ask(&mut client, "not json").is_err());
    assert!(
        client
            .query_one("SELECT requesting_user_id()", &[])
            .is_err()
    );
    assert_eq!(
        ask(&mut client, r#"{"sub": "alice"}"#).unwrap().as_deref(),
        Some("alice")
    );
}

#[test]
fn a_subject_that_is_no_string_and_no_integer_is_nobody() {
    let mut client = connect();
    for sub in [
        "{}",
        r#"{"id": "alice"}"#,
        "[]",
        r#"["alice"]"#,
        "true",
        "false",
        "null",
        "1.5",
        "1e3",
        r#""""#,
    ] {
        let claims = format!(r#"{{"sub": {sub}}}"#);
        assert_eq!(ask(&mut client, &claims).unwrap(), None, "{claims}");
    }
}

#[test]
fn nul_in_an_identifier_is_refused() {
    let mut client = connect();
    let error = refusal(&mut client, r#"{"sub": "alice\u0000bob"}"#);
    assert_eq!(error.code(), &SqlState::INVALID_TEXT_REPRESENTATION);
    assert!(error.message().contains("U+0000"));
    assert!(error.detail().is_some() && error.hint().is_some());
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    let mut client = connect();
    let error = refusal(&mut client, r#"{"sub": "\ud83d"}"#);
    assert_eq!(error.code(), &SqlState::INVALID_TEXT_REPRESENTATION);
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let mut client = connect();
    let depth = 400_000;
    let nested = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let claims = format!(
        r#"{{"deep": {}, "sub": "alice"}}"#,
        nested(r#"{"a":"#, "1", "}")
    );
    assert_eq!(ask(&mut client, &claims).unwrap().as_deref(), Some("alice"));
    let claims = format!(r#"{{"sub": {}}}"#, nested("[", "", "]"));
    assert_eq!(ask(&mut client, &claims).unwrap(), None);
    let claims = format!(
        r#"{{"sub": "alice", "o": {0}, "permissions": {0}}}"#,
        nested("[", "", "]")
    );
    assert_eq!(ask(&mut client, &claims).unwrap().as_deref(), Some("alice"));
    refusal(&mut client, &"[".repeat(depth));
}

#[test]
fn an_error_in_the_middle_of_a_scan_leaves_the_session_usable() {
    let mut client = connect();
    client
        .batch_execute("CREATE TABLE t AS SELECT 'alice' AS user_id FROM generate_series(1, 100)")
        .unwrap();
    for _ in 0..50 {
        let failed = client.simple_query(
            "SET request.jwt.claims = 'oops'; SELECT count(*) FROM t WHERE user_id = requesting_user_id()",
        );
        let code = failed.unwrap_err().code().cloned();
        assert_eq!(code, Some(SqlState::INVALID_TEXT_REPRESENTATION));
    }
    client
        .batch_execute(r#"SET request.jwt.claims = '{"sub": "alice"}'"#)
        .unwrap();
    let count: i64 = client
        .query_one(
            "SELECT count(*) FROM t WHERE user_id = requesting_user_id()",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(count, 100);
}

/// JSON Web Tokens are UTF-8: in another encoding two users' ids could become one.
#[test]
fn a_database_of_another_encoding_is_refused() {
    let cluster = shared_cluster();
    let database = cluster.database(Fixture::Empty).unwrap();
    let mut maintenance = database.connect().unwrap();
    for encoding in ["LATIN1", "SQL_ASCII", "EUC_JP", "WIN1251"] {
        let name = format!("encoded_{}", encoding.to_lowercase());
        maintenance
            .batch_execute(&format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
            ))
            .unwrap();
        let mut config = database.config();
        let mut client = config.dbname(&name).connect(postgres::NoTls).unwrap();
        let refused = client
            .batch_execute("CREATE EXTENSION insforge_integrations")
            .unwrap_err();
        let refused = refused.as_db_error().unwrap();
        assert_eq!(
            refused.code(),
            &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "{encoding}"
        );
        assert!(refused.message().contains(encoding), "{refused:?}");
        assert!(refused.hint().unwrap().contains("ENCODING 'UTF8'"));
    }
}
