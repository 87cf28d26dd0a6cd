//! From PostgreSQL 15 to a newer major version: pg_upgrade, and dumps.
//!
//! They need the package for 15 beside the one for the tested version: `make test`, and then `make test PG_MAJOR=18`.

use insforge_integrations_tests::{Cluster, Database, Fixture, left_out};
use postgres::Client;
use postgres::error::SqlState;

use crate::project::{
    self, OLD, assert_catalog_is_new, assert_catalog_is_new_except_texts_of_views,
    assert_rows_are_kept, content, dump, enter_what_is_not_dumped, update,
};

const OLD_MAJOR: u8 = 15;

/// A server of 15, unless 15 itself is tested or there is none.
fn old_server() -> Option<Cluster> {
    let tested = std::env::var("PG_MAJOR").unwrap_or_default();
    let server = match tested.parse::<u8>() {
        Ok(major) if major > OLD_MAJOR => Cluster::start_older(OLD_MAJOR).unwrap(),
        _ => None,
    };
    if server.is_none() {
        left_out("older server beside it, with a package of the extension");
    }
    server
}

/// PostgreSQL 15.20 notes a version at each column, and an older release of the new server refuses it in dumps. Without
/// that, the database is as if 15.19 had made it.
fn forget_column_versions(client: &mut Client) {
    client
        .batch_execute(
            "UPDATE pg_attribute SET attoptions = NULL WHERE attoptions::text LIKE '{pg_attver=%}'",
        )
        .unwrap();
}

/// The user's policies and the guards of the ledger work.
fn assert_works(client: &mut Client) {
    client
        .batch_execute(
            "SET ROLE authenticated; SET request.jwt.claims = '{\"sub\": \"alice\"}'; INSERT INTO todos (id) VALUES (1);
             SET request.jwt.claims = '{\"sub\": \"bob\"}'; INSERT INTO todos (id) VALUES (2)",
        )
        .unwrap();
    let mine = client.query("SELECT user_id FROM todos", &[]).unwrap();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].get::<_, String>(0), "bob");
    client.batch_execute("RESET ROLE").unwrap();
    for (statement, refusal) in [
        (
            "DELETE FROM insforge_integrations.x402_settlements",
            SqlState::INSUFFICIENT_PRIVILEGE,
        ),
        (
            "DROP EXTENSION insforge_integrations CASCADE",
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        ),
    ] {
        let error = client.batch_execute(statement).unwrap_err();
        assert_eq!(error.code(), Some(&refusal), "{statement}: {error:?}");
    }
    client
        .batch_execute(
            "SELECT FROM record_x402_settlement('0x' || repeat('9', 64), '0x' || repeat('1', 40), '/r', '1')",
        )
        .unwrap();
}

#[test]
fn pg_upgrade_keeps_every_row_and_object() {
    let Some(old) = old_server() else { return };
    let (name_of_old_sql, before_of_old_sql) = {
        let (database, mut client) = project::create(&old);
        forget_column_versions(&mut client);
        (database.name().to_owned(), content(&mut client))
    };
    let (name_of_new_sql, before_of_new_sql) = {
        let (database, mut client) = project::create(&old);
        update(&mut client);
        forget_column_versions(&mut client);
        (database.name().to_owned(), content(&mut client))
    };
    let new = old.upgrade().unwrap();

    let mut client = Database::named(&new, &name_of_new_sql).connect().unwrap();
    assert_eq!(content(&mut client), before_of_new_sql);
    assert_catalog_is_new_except_texts_of_views(&mut client, &new);
    assert_works(&mut client);

    let mut client = Database::named(&new, &name_of_old_sql).connect().unwrap();
    assert_eq!(content(&mut client), before_of_old_sql);
    update(&mut client);
    assert_rows_are_kept(before_of_old_sql, content(&mut client));
    assert_catalog_is_new(&mut client, &new);
    assert_works(&mut client);
}

#[test]
fn dumps_of_an_older_server_restore() {
    let Some(old) = old_server() else { return };
    let new = Cluster::start().unwrap();
    // Its roles are those of the server.
    new.database(Fixture::InsForge).unwrap();

    let (database, mut client) = project::create(&old);
    forget_column_versions(&mut client);
    let before = content(&mut client);
    let restored = new.database(Fixture::Empty).unwrap();
    let mut client = restored.connect().unwrap();
    client.batch_execute(OLD).unwrap();
    dump(&database, &restored);
    update(&mut client);
    enter_what_is_not_dumped(&mut client);
    assert_rows_are_kept(before, content(&mut client));
    assert_catalog_is_new(&mut client, &new);
    assert_works(&mut client);

    let mut client = database.connect().unwrap();
    update(&mut client);
    forget_column_versions(&mut client);
    let before = content(&mut client);
    let restored = new.database(Fixture::Empty).unwrap();
    dump(&database, &restored);
    let mut client = restored.connect().unwrap();
    enter_what_is_not_dumped(&mut client);
    assert_rows_are_kept(before, content(&mut client));
    assert_catalog_is_new(&mut client, &new);
    assert_works(&mut client);
}
