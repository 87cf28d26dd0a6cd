//! The functions, views and triggers of the extension stay as they were installed.

use insforge_integrations_tests::request::{claims_of, request};
use insforge_integrations_tests::{Cluster, Fixture, has_extension, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;

/// The statement that the guides and InsForge's templates let an application run.
const GUIDES_STATEMENT: &str = "
    CREATE OR REPLACE FUNCTION public.requesting_user_id() RETURNS text LANGUAGE sql STABLE
      AS $$ SELECT nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '') $$";

fn assert_kept(client: &mut Client, statement: &str) {
    let refused = client.batch_execute(statement).expect_err(statement);
    let error = refused.as_db_error().unwrap();
    assert_eq!(
        error.code(),
        &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "{statement}: {error:?}"
    );
    assert!(
        error
            .message()
            .ends_with(" belongs to extension insforge_integrations"),
        "{statement}: {error:?}"
    );
    assert!(error.detail().unwrap().contains("Nothing was changed."));
    assert!(error.hint().unwrap().starts_with("Leave the statement out"));
}

fn unlike_installed(client: &mut Client) -> Vec<String> {
    client
        .query(
            "SELECT identity FROM insforge_integrations_internal.compare_installed_objects() WHERE NOT is_as_installed",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[test]
fn the_guides_function_does_not_replace_ours_afterwards() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute("SELECT insforge_integrations.configure('identity_source', 'verified')")
        .unwrap();
    assert_kept(&mut client, GUIDES_STATEMENT);
    // In a migration's transaction, and where triggers that are not ALWAYS do not fire.
    client
        .batch_execute("SET session_replication_role = replica; BEGIN; CREATE TABLE first (id int)")
        .unwrap();
    assert_kept(&mut client, GUIDES_STATEMENT);
    client.batch_execute("ROLLBACK").unwrap();
    let forged = request(&mut client, "authenticated", &claims_of("alice"), |tx| {
        tx.query_one("SELECT requesting_user_id()", &[])
    });
    assert_eq!(forged.unwrap().get::<_, Option<String>>(0), None);
    assert!(unlike_installed(&mut client).is_empty());
}

#[test]
fn no_function_or_view_of_the_extension_is_changed() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client.batch_execute("CREATE SCHEMA other").unwrap();
    let members = client
        .query(
            "SELECT o.type, o.identity, pg_get_functiondef(p.oid) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
               LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid,
               pg_identify_object(d.classid, d.objid, 0) o
             WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'insforge_integrations'
               AND o.type IN ('function', 'view')",
            &[],
        )
        .unwrap();
    assert!(members.len() > 80, "{}", members.len());
    for member in members {
        let (kind, identity): (String, String) = (member.get(0), member.get(1));
        if kind == "view" {
            for change in [
                "RENAME TO x",
                "SET SCHEMA other",
                "SET (security_barrier = false, check_option = local)",
            ] {
                // Options of a view that is not updatable are refused by Postgres itself.
                let statement = format!("ALTER VIEW {identity} {change}");
                match change.starts_with("SET (") {
                    true => assert!(client.batch_execute(&statement).is_err(), "{statement}"),
                    false => assert_kept(&mut client, &statement),
                }
            }
            continue;
        }
        for change in [
            "COST 7",
            "RENAME TO x",
            "SET SCHEMA other",
            "SET search_path = public",
        ] {
            let statement = format!("ALTER FUNCTION {identity} {change}");
            if identity.contains(".compare_installed_objects(")
                && !change.contains('=')
                && !change.contains('7')
            {
                // The trigger itself cannot find it then.
                let refused = client.batch_execute(&statement).unwrap_err();
                assert_eq!(refused.code(), Some(&SqlState::UNDEFINED_FUNCTION));
                continue;
            }
            assert_kept(&mut client, &statement);
        }
        assert_kept(
            &mut client,
            &format!("ALTER ROUTINE {identity} PARALLEL UNSAFE COST 8"),
        );
        // The statement that made it changes nothing.
        client.batch_execute(&member.get::<_, String>(2)).unwrap();
    }
    assert_kept(
        &mut client,
        "CREATE OR REPLACE FUNCTION insforge_integrations_internal.refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    );
    let view: String = client
        .query_one(
            "SELECT pg_get_viewdef('public.x402_payments'::regclass)",
            &[],
        )
        .unwrap()
        .get(0);
    assert_kept(
        &mut client,
        &format!(
            "CREATE OR REPLACE VIEW public.x402_payments AS SELECT * FROM ({}) v LIMIT 1",
            view.trim_end_matches(';')
        ),
    );
    assert!(unlike_installed(&mut client).is_empty());
}

#[test]
fn functions_and_views_of_others_are_theirs() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let own = "CREATE FUNCTION own.requesting_user_id() RETURNS text LANGUAGE sql AS 'SELECT 1::text';
         CREATE OR REPLACE FUNCTION own.requesting_user_id() RETURNS text LANGUAGE sql AS 'SELECT 2::text';
         ALTER FUNCTION own.requesting_user_id() COST 7;
         CREATE VIEW own.x402_payments AS SELECT 1 AS one;
         CREATE OR REPLACE VIEW own.x402_payments AS SELECT 2 AS one;
         ALTER VIEW own.x402_payments RENAME TO x";
    client
        .batch_execute(
            "CREATE SCHEMA own; CREATE FUNCTION public.requesting_user_id(text) RETURNS text LANGUAGE sql AS 'SELECT 1::text';
             GRANT USAGE, CREATE ON SCHEMA own TO anon"
        )
        .unwrap();
    if has_extension("citext") {
        client
            .batch_execute(
                "CREATE EXTENSION citext; ALTER EXTENSION citext UPDATE; DROP EXTENSION citext",
            )
            .unwrap();
    }
    client
        .batch_execute(&format!("BEGIN; {own}; ROLLBACK"))
        .unwrap();
    database
        .connect_as("anon")
        .unwrap()
        .batch_execute(own)
        .unwrap();
}

/// Postgres writes a definition as the session's settings say.
#[test]
fn what_was_installed_is_recognised_whatever_a_session_sets() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "SET quote_all_identifiers = on; SET IntervalStyle = iso_8601; SET DateStyle = 'German'; SET TimeZone = 'Asia/Kathmandu';
             SET bytea_output = escape; SET extra_float_digits = -10; SET standard_conforming_strings = off;
             SET search_path = insforge_integrations, public;
             SET escape_string_warning = off;
             CREATE TEMP TABLE x402_settlements (id int)",
        )
        .unwrap();
    assert!(unlike_installed(&mut client).is_empty());
    assert_kept(&mut client, GUIDES_STATEMENT);
}

/// Objects that were replaced while the event trigger was off, and a function of the next version.
#[test]
fn alter_extension_update_mends_what_was_replaced() {
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let directory: String = client
        .query_one("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'", &[])
        .unwrap()
        .get(0);
    let script = "
        SELECT insforge_integrations.restore_installed_objects();
        CREATE OR REPLACE FUNCTION insforge_integrations_internal.rotation_steps() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ARRAY['next'];
        SELECT insforge_integrations.grant_to_insforge_roles();
        SELECT insforge_integrations_internal.note_installed_objects();";
    std::fs::write(
        format!("{directory}/extension/insforge_integrations--0.2.0--next.sql"),
        script,
    )
    .unwrap();
    let mut listener = database.connect().unwrap();
    listener.batch_execute("LISTEN pgrst").unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.configure('identity_source', 'verified');
             ALTER EVENT TRIGGER keep_insforge_integrations DISABLE;
             CREATE OR REPLACE FUNCTION public.requesting_user_id() RETURNS text LANGUAGE sql AS $$ SELECT 'alice'::text $$;
             ALTER EXTENSION insforge_integrations DROP FUNCTION public.requesting_org_id();
             DROP FUNCTION public.requesting_org_id();
             ALTER EXTENSION insforge_integrations UPDATE TO 'next'",
        )
        .unwrap();
    let row = client
        .query_one(
            "SELECT requesting_user_id(), requesting_org_id(),
                    (SELECT count(*) FROM insforge_integrations_internal.compare_installed_objects() WHERE NOT is_as_installed),
                    insforge_integrations_internal.rotation_steps()",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, Option<String>>(0), None);
    assert_eq!(row.get::<_, Option<String>>(1), None);
    assert_eq!(row.get::<_, i64>(2), 0);
    assert_eq!(row.get::<_, Vec<String>>(3), ["next"]);
    // PostgREST is told of the next version's functions.
    let minute = std::time::Duration::from_secs(60);
    let told = listener.notifications().timeout_iter(minute).next();
    assert_eq!(told.unwrap().unwrap().payload(), "reload schema");
}

/// pg_upgrade makes each object by a statement of its own, which the event triggers must not meet.
#[test]
fn pg_upgrade_makes_the_event_triggers_last() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let output = shared_cluster()
        .client_command("pg_dump")
        .args(["--binary-upgrade", "--schema-only", database.name()])
        .output()
        .unwrap();
    let dump = String::from_utf8(output.stdout).unwrap();
    let at = dump
        .find("CREATE EVENT TRIGGER keep_insforge_integrations")
        .unwrap();
    let (before, after) = dump.split_at(at);
    assert!(before.contains("CREATE FUNCTION public.requesting_user_id()"));
    for statement in [
        "CREATE FUNCTION",
        "CREATE VIEW",
        "ALTER FUNCTION",
        "ALTER VIEW",
        "CREATE OR REPLACE",
    ] {
        assert!(!after.contains(&format!("\n{statement}")), "{statement}");
    }
}
