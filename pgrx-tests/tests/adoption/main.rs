//! In a database that followed the guides, existing policies get this extension's implementation.

mod inserts;
mod measured;
mod moving;

use insforge_integrations_tests::request::{claims_of, request};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

fn guide() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Guide).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

/// CREATE EXTENSION on a database of the guides, and the commands that its error gives.
fn commands_of_the_hint(client: &mut Client) -> String {
    let refused = client
        .batch_execute("CREATE EXTENSION insforge_integrations")
        .unwrap_err();
    let error = refused.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::DUPLICATE_FUNCTION);
    assert!(
        error
            .detail()
            .unwrap()
            .contains("If you rename the present function")
    );
    error.hint().unwrap().to_owned()
}

fn adopted() -> (Database<'static>, Client) {
    let (database, mut client) = guide();
    let commands = commands_of_the_hint(&mut client);
    client.batch_execute(&commands).unwrap();
    (database, client)
}

#[test]
fn the_hint_of_a_refused_create_extension_works_as_it_stands() {
    let (_database, mut client) = guide();
    request(&mut client, "authenticated", &claims_of("alice"), |tx| {
        tx.execute("INSERT INTO notes (body) VALUES ('before')", &[])
    })
    .unwrap();
    let commands = commands_of_the_hint(&mut client);
    let counts = client.simple_query(&commands).unwrap();
    let row = counts
        .iter()
        .find_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .unwrap();
    assert_eq!(
        (
            row.get("adopted"),
            row.get("policies"),
            row.get("column_defaults")
        ),
        (Some("requesting_user_id_guide()"), Some("4"), Some("1"))
    );
    let seen = request(&mut client, "authenticated", &claims_of("alice"), |tx| {
        tx.execute("INSERT INTO notes (body) VALUES ('after')", &[])?;
        tx.query("SELECT user_id, body FROM notes ORDER BY id", &[])
    })
    .unwrap();
    let seen: Vec<(String, String)> = seen.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        seen,
        [
            ("alice".into(), "before".into()),
            ("alice".into(), "after".into())
        ]
    );
    let seen = request(&mut client, "authenticated", &claims_of("bob"), |tx| {
        tx.query("SELECT FROM notes", &[])
    });
    assert!(seen.unwrap().is_empty());
}

#[test]
fn the_extension_may_live_in_another_schema_without_renaming() {
    let (_database, mut client) = guide();
    client
        .batch_execute(
            "CREATE SCHEMA api; CREATE EXTENSION insforge_integrations SCHEMA api;
             SELECT insforge_integrations.adopt_requesting_user_id('public.requesting_user_id()')",
        )
        .unwrap();
    let user = request(&mut client, "authenticated", &claims_of("alice"), |tx| {
        tx.query_one("SELECT public.requesting_user_id()", &[])
    });
    // A role needs USAGE on the schema named at CREATE EXTENSION only to write its name.
    assert_eq!(user.unwrap().get::<_, String>(0), "alice");
}

#[test]
fn policies_call_our_function_directly_afterwards() {
    let (_database, mut client) = adopted();
    let plan = request(&mut client, "authenticated", &claims_of("alice"), |tx| {
        tx.query("EXPLAIN (COSTS OFF) SELECT * FROM notes", &[])
    })
    .unwrap();
    let plan: String = plan
        .iter()
        .map(|row| row.get::<_, String>(0) + "\n")
        .collect();
    assert!(
        plan.contains("Filter: (user_id = requesting_user_id())"),
        "{plan}"
    );
}

#[test]
fn owner_and_privileges_of_the_adopted_function_stay() {
    let (_database, mut client) = guide();
    client
        .batch_execute(
            "ALTER FUNCTION requesting_user_id() OWNER TO project_admin;
             REVOKE EXECUTE ON FUNCTION requesting_user_id() FROM PUBLIC;
             GRANT EXECUTE ON FUNCTION requesting_user_id() TO authenticated",
        )
        .unwrap();
    let state = "SELECT proowner::regrole::text, proacl::text FROM pg_proc WHERE proname LIKE 'requesting_user_id%' AND proowner = 'project_admin'::regrole";
    let before = client.query_one(state, &[]).unwrap();
    let commands = commands_of_the_hint(&mut client);
    client.batch_execute(&commands).unwrap();
    let after = client.query_one(state, &[]).unwrap();
    assert_eq!(
        (before.get::<_, String>(0), before.get::<_, String>(1)),
        (after.get::<_, String>(0), after.get::<_, String>(1))
    );
}

#[test]
fn drop_extension_names_what_depends_on_it() {
    let (_database, mut client) = adopted();
    let refused = client
        .batch_execute("DROP EXTENSION insforge_integrations")
        .unwrap_err();
    let error = refused.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    assert!(
        error.detail().unwrap().contains("notes_select"),
        "{error:?}"
    );
}

#[test]
fn adopting_twice_changes_nothing() {
    let (_database, mut client) = adopted();
    let row = client
        .query_one(
            "SELECT policies, column_defaults FROM insforge_integrations.adopt_requesting_user_id('requesting_user_id_guide()')",
            &[],
        )
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (4, 1));
}

#[test]
fn a_hostile_name_is_only_a_name() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            r#"CREATE SCHEMA "s; DROP TABLE victim; --";
               CREATE TABLE victim ();
               CREATE FUNCTION "s; DROP TABLE victim; --"."f'() $$ "() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"#,
        )
        .unwrap();
    client
        .execute(
            "SELECT insforge_integrations.adopt_requesting_user_id(oid) FROM pg_proc WHERE proname LIKE 'f''()%'",
            &[],
        )
        .unwrap();
    client.query("SELECT FROM victim", &[]).unwrap();
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims_of("alice")],
        )
        .unwrap();
    let answer = client
        .query_one(r#"SELECT "s; DROP TABLE victim; --"."f'() $$ "()"#, &[])
        .unwrap();
    assert_eq!(answer.get::<_, String>(0), "alice");
}

#[test]
fn what_cannot_be_adopted_is_refused_with_the_reason() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE FUNCTION as_uuid() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
             CREATE FUNCTION with_argument(int) RETURNS text LANGUAGE sql AS 'SELECT 1::text';
             CREATE FUNCTION many() RETURNS SETOF text LANGUAGE sql AS 'SELECT 1::text';
             CREATE PROCEDURE doing() LANGUAGE sql AS 'SELECT 1'",
        )
        .unwrap();
    for (function, code) in [
        ("'as_uuid()'", SqlState::INVALID_PARAMETER_VALUE),
        ("'with_argument(int)'", SqlState::INVALID_PARAMETER_VALUE),
        ("'many()'", SqlState::INVALID_PARAMETER_VALUE),
        ("'doing()'", SqlState::INVALID_PARAMETER_VALUE),
        ("'requesting_user_id()'", SqlState::INVALID_PARAMETER_VALUE),
        ("'requesting_org_id()'", SqlState::INVALID_PARAMETER_VALUE),
        ("4294967295::oid", SqlState::UNDEFINED_FUNCTION),
        ("'missing()'", SqlState::UNDEFINED_FUNCTION),
    ] {
        let refused = client
            .execute(
                &format!("SELECT insforge_integrations.adopt_requesting_user_id({function})"),
                &[],
            )
            .unwrap_err();
        let error = refused.as_db_error().unwrap();
        assert_eq!(error.code(), &code, "{function}");
        if function != "'missing()'" {
            assert!(
                error.detail().is_some() && error.hint().is_some(),
                "{error:?}"
            );
        }
    }
    let mut admin = database.connect_as("project_admin").unwrap();
    let refused = admin.execute(
        "SELECT insforge_integrations.adopt_requesting_user_id('many()')",
        &[],
    );
    assert_eq!(
        refused.unwrap_err().code(),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE)
    );
}
