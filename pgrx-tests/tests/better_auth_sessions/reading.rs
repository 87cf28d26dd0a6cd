//! Reading Better Auth's tables, with all types of columns.

use insforge_integrations_tests::{has_extension, left_out};
use serde_json::{Value, json};

use super::App;

/// All texts of an error.
fn said(error: &postgres::Error) -> String {
    format!("{error:?}")
}

/// A column that is not read may have any type. A column that is read can be read, or the error
/// names it.
#[test]
fn a_column_is_read_as_what_it_is_or_named() {
    if !has_extension("citext") {
        return;
    }
    let mut app = App::start(", allow_bare_sessions => true");
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    app.ask(json!(["post", "/organization/create", {"name": "Acme", "slug": "acme"}]));
    let token = &user["session_token"];
    app.run(
        r#"CREATE TYPE better_auth.kind AS ENUM ('user', 'admin', 'owner');
           CREATE DOMAIN better_auth.address AS text CHECK (VALUE LIKE '%@%');
           CREATE EXTENSION citext SCHEMA better_auth;
           CREATE TYPE better_auth.anything AS (a int);
           ALTER TABLE better_auth."user" ALTER role TYPE better_auth.kind USING role::better_auth.kind, ADD more better_auth.anything,
             ALTER "emailVerified" DROP DEFAULT;
           UPDATE better_auth."user" SET "emailVerified" = true;
           ALTER TABLE better_auth.session ADD more better_auth.citext;
           ALTER TABLE better_auth.member ALTER role DROP DEFAULT, ALTER role TYPE better_auth.kind USING role::better_auth.kind"#,
    );
    for of_type in [
        "better_auth.address",
        "better_auth.citext",
        "varchar",
        "text",
    ] {
        app.run(&format!(
            r#"ALTER TABLE better_auth."user" ALTER email TYPE {of_type}"#
        ));
        let claims = app.claims(token);
        assert_eq!(
            (&claims["sub"], &claims["email"], &claims["org_role"]),
            (&user["user_id"], &json!("ada@example.com"), &json!("owner")),
            "{of_type}"
        );
    }
    for (table, column, of_type, must) in [
        ("user", "banned", "text", "boolean"),
        ("user", "banExpires", "text", "a timestamp"),
        ("session", "expiresAt", "bigint USING 1", "a timestamp"),
        (
            "session",
            "userId",
            "better_auth.citext",
            "text, uuid or an integer",
        ),
        ("member", "role", "jsonb USING to_jsonb(role)", "text"),
    ] {
        app.run(&format!(
            r#"CREATE TABLE better_auth.kept AS SELECT * FROM better_auth."{table}"; ALTER TABLE better_auth.session DROP CONSTRAINT IF EXISTS "session_userId_fkey";
               ALTER TABLE better_auth."{table}" ALTER "{column}" TYPE {of_type}"#
        ));
        let error = app.exchange(token).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "55000", "{error:?}");
        let type_name = of_type.split(' ').next().unwrap();
        assert_eq!(
            error.detail(),
            Some(format!(r#"Table "better_auth"."{table}" has column "{column}" of type {type_name}, but it must be {must}."#).as_str())
        );
        // As it was.
        app.run(&format!(
            r#"DELETE FROM better_auth."{table}";
               DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE better_auth."{table}" ALTER "{column}" TYPE %s USING NULL', format_type(atttypid, atttypmod))
                 FROM pg_attribute WHERE attrelid = 'better_auth.kept'::regclass AND attname = '{column}'); END $$;
               INSERT INTO better_auth."{table}" SELECT * FROM better_auth.kept; DROP TABLE better_auth.kept"#
        ));
        assert_eq!(app.claims(token)["sub"], user["user_id"], "{column}");
    }
}

/// The credential never goes through an input function, whose error would quote it. It is compared
/// byte by byte.
#[test]
fn a_credential_is_in_no_message_and_equals_only_itself() {
    if !has_extension("citext") {
        return;
    }
    let mut app = App::start(", allow_bare_sessions => true");
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    let token = user["session_token"].as_str().unwrap().to_owned();
    app.run(
        "CREATE EXTENSION citext SCHEMA better_auth;
         CREATE DOMAIN better_auth.checked AS integer CHECK (VALUE > 0);
         CREATE TYPE better_auth.kind AS ENUM ('one')",
    );
    for of_type in [
        "uuid",
        "integer",
        "better_auth.checked",
        "bytea",
        "timestamptz",
        "better_auth.kind",
        "better_auth.citext",
        "jsonb",
        "integer[]",
    ] {
        app.run(&format!("ALTER TABLE better_auth.session ADD kept text; UPDATE better_auth.session SET kept = token;
            ALTER TABLE better_auth.session DROP token; ALTER TABLE better_auth.session ADD token {of_type}"));
        let error = app.exchange(&user["session_token"]).unwrap_err();
        assert!(!said(&error).contains(&token), "{of_type}: {error:?}");
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "55000", "{error:?}");
        assert_eq!(
            error.detail(),
            Some(format!(r#"Table "better_auth"."session" has column "token" of type {}, but it must be text."#,
                of_type.replace("timestamptz", "timestamp with time zone")).as_str())
        );
        app.run("ALTER TABLE better_auth.session DROP token; ALTER TABLE better_auth.session RENAME kept TO token");
    }
    let other = if token == token.to_uppercase() {
        token.to_lowercase()
    } else {
        token.to_uppercase()
    };
    let mut changes = vec![
        "CREATE UNIQUE INDEX ON better_auth.session (token)",
        "ALTER TABLE better_auth.session ALTER token TYPE varchar(40) COLLATE \"C\"",
    ];
    let of_icu = "SELECT FROM pg_collation WHERE collname = 'und-x-icu'";
    if app.superuser.query(of_icu, &[]).unwrap().is_empty() {
        left_out("collation of ICU");
    } else {
        changes.insert(
            0,
            "CREATE COLLATION better_auth.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             ALTER TABLE better_auth.session ALTER token TYPE text COLLATE better_auth.any_case",
        );
    }
    for change in changes {
        app.run(change);
        assert_eq!(
            app.claims(&user["session_token"])["sub"],
            user["user_id"],
            "{change}"
        );
        assert_eq!(
            app.refusal(&Value::from(other.clone())),
            "session_not_found",
            "{change}"
        );
    }
    // A session without an end is refused. An end of infinity is accepted.
    app.run("UPDATE better_auth.session SET \"expiresAt\" = 'infinity'");
    assert_eq!(app.claims(&user["session_token"])["sub"], user["user_id"]);
    app.run("UPDATE better_auth.session SET \"expiresAt\" = '-infinity'");
    assert_eq!(app.refusal(&user["session_token"]), "session_not_found");
    app.run("ALTER TABLE better_auth.session ALTER \"expiresAt\" DROP NOT NULL; UPDATE better_auth.session SET \"expiresAt\" = NULL");
    assert_eq!(app.refusal(&user["session_token"]), "session_not_found");
}
