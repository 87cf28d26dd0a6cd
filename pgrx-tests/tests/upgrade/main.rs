//! ALTER EXTENSION UPDATE from each released version: the catalog is that of a new installation,
//! and all rows are in place.

mod across_majors;
mod project;

use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use project::{
    OLD, assert_catalog_is_new, assert_rows_are_kept, content, dump, enter_what_is_not_dumped,
    update,
};

fn project() -> (Database<'static>, Client) {
    project::create(shared_cluster())
}

#[test]
fn an_updated_catalog_is_that_of_a_new_installation() {
    let (_database, mut client) = project();
    update(&mut client);
    assert_catalog_is_new(&mut client, shared_cluster());
}

#[test]
fn an_update_keeps_every_row() {
    let (_database, mut client) = project();
    let before = content(&mut client);
    update(&mut client);
    assert_rows_are_kept(before, content(&mut client));
    let row = client
        .query_one(
            "SELECT (SELECT array_agg(number ORDER BY number) FROM insforge_integrations.x402_corrections),
                    (SELECT bool_and(scheme = 'exact' AND nonce_contract = asset AND request_given_at = created_at
                              AND settled_amount IS NOT DISTINCT FROM CASE state WHEN 'settled' THEN amount END)
                       FROM insforge_integrations.x402_reservations),
                    (SELECT array_agg(name) FROM insforge_integrations.stored_secrets)",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, Vec<i32>>(0), [1, 2]);
    assert!(row.get::<_, bool>(1));
    assert_eq!(row.get::<_, Vec<String>>(2), ["jwt_secret"]);
}

#[test]
fn policies_defaults_and_checks_of_users_stay() {
    let (_database, mut client) = project();
    update(&mut client);
    client
        .batch_execute(
            "SET ROLE authenticated; SET request.jwt.claims = '{\"sub\": \"alice\"}'; INSERT INTO todos (id) VALUES (1);
             SET request.jwt.claims = '{\"sub\": \"bob\"}'; INSERT INTO todos (id) VALUES (2)",
        )
        .unwrap();
    let mine = client.query("SELECT id, user_id FROM todos", &[]).unwrap();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].get::<_, String>(1), "bob");
}

#[test]
fn an_update_that_would_drop_a_users_view_is_refused() {
    let (_database, mut client) = project();
    client
        .batch_execute("CREATE VIEW public.my_payments AS SELECT * FROM x402_payments")
        .unwrap();
    let error = client
        .batch_execute("ALTER EXTENSION insforge_integrations UPDATE")
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(*error.code(), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    assert!(error.detail().unwrap().contains("my_payments"), "{error:?}");
    client
        .batch_execute("DROP VIEW public.my_payments")
        .unwrap();
    update(&mut client);
}

/// A call that needs the tables or functions of the other version.
fn assert_says_what_to_do(client: &mut Client, statement: &str, sql: &str) {
    let error = client.batch_execute(statement).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(
        *error.code(),
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "{statement}: {error:?}"
    );
    let version = env!("CARGO_PKG_VERSION");
    let detail = format!("The library is version {version}, and the SQL is version {sql}.");
    assert_eq!(error.detail(), Some(&*detail));
    assert!(
        error
            .hint()
            .unwrap()
            .contains("ALTER EXTENSION insforge_integrations UPDATE"),
        "{error:?}"
    );
}

const VERIFICATION: &str = "SELECT insforge_integrations.verify_provider_jwt('e30.e30.')";

/// Functions whose arguments or results changed say so, too, before they do anything.
#[test]
fn the_new_library_with_the_old_sql_says_what_to_do() {
    let (_database, mut client) = project();
    let before = content(&mut client);
    for statement in [
        VERIFICATION,
        "SELECT insforge_integrations.mock_settlements_are_allowed()",
        "SELECT * FROM insforge_integrations.read_x402_answer('{}', 'eip155:196', '', '1')",
        "SELECT * FROM insforge_integrations.verify_x402_payment('{}', '[]')",
        "SELECT * FROM insforge_integrations.read_x402_payment('{}', '[]')",
        "SELECT insforge_integrations.x402_payment_requirements('0x', '1')",
        "SELECT insforge_integrations.x402_payment_response_header('0x', 'eip155:196', '0x')",
        "SELECT insforge_integrations.x402_facilitator_request('{}', '[]', 'okx')",
        "SELECT * FROM insforge_integrations.read_x402_settlement('0x', '0x', '1', 'xlayer', 'settled')",
        "SELECT * FROM record_x402_settlement('0x' || repeat('9', 64), '0x' || repeat('1', 40), '/r', '1')",
        "SELECT insforge_integrations.insert_x402_settlement('0x' || repeat('9', 64), '0x' || repeat('1', 40), '/r', '1', 'eip155:196',
           NULL, gen_random_uuid(), now(), NULL, NULL, NULL, false, false)",
    ] {
        assert_says_what_to_do(&mut client, statement, "0.1.0");
    }
    assert_eq!(content(&mut client), before);
    let user = client
        .query_one(
            "SELECT requesting_user_id() FROM set_config('request.jwt.claims', '{\"sub\": \"alice\"}', false)",
            &[],
        )
        .unwrap();
    assert_eq!(user.get::<_, String>(0), "alice");
    update(&mut client);
    let error = client.batch_execute(VERIFICATION).unwrap_err();
    assert_eq!(
        *error.code().unwrap(),
        SqlState::INVALID_TEXT_REPRESENTATION
    );
}

/// As in a session from before the next update.
#[test]
fn the_old_library_with_newer_sql_says_what_to_do() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "UPDATE pg_extension SET extversion = '9.0' WHERE extname = 'insforge_integrations'",
        )
        .unwrap();
    assert_says_what_to_do(&mut client, VERIFICATION, "9.0");
}

#[test]
fn a_dump_of_an_updated_database_restores() {
    let (database, mut client) = project();
    update(&mut client);
    let before = content(&mut client);
    let restored = shared_cluster().database(Fixture::Empty).unwrap();
    dump(&database, &restored);
    let mut restored = restored.connect().unwrap();
    enter_what_is_not_dumped(&mut restored);
    assert_rows_are_kept(before, content(&mut restored));
    assert_catalog_is_new(&mut restored, shared_cluster());
}

/// The tables of 0.2.0 have more columns, so the rows go into those of 0.1.0 first.
#[test]
fn a_dump_of_a_database_with_0_1_0_restores() {
    let (database, mut client) = project();
    let before = content(&mut client);
    let restored = shared_cluster().database(Fixture::Empty).unwrap();
    let mut client = restored.connect().unwrap();
    client.batch_execute(OLD).unwrap();
    dump(&database, &restored);
    let mut client = restored.connect().unwrap();
    update(&mut client);
    enter_what_is_not_dumped(&mut client);
    assert_rows_are_kept(before, content(&mut client));
    assert_catalog_is_new(&mut client, shared_cluster());
}
