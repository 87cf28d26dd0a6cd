//! Settings of the server, of databases and of roles.

use std::thread;
use std::time::{Duration, Instant};

use super::{Finding, Mistake, assert_found, findings};
use insforge_integrations_tests::{Cluster, Database, Fixture};
use postgres::Client;

/// Runs statements one by one, as psql does, because ALTER SYSTEM cannot run in a transaction.
fn run(client: &mut Client, statements: &str) {
    for statement in statements.lines() {
        client
            .batch_execute(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

/// The findings after the server has read its configuration files again, which takes a moment.
fn found_soon(client: &mut Client, rule: &str, expected: &[&str]) -> Vec<Finding> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = findings(client, rule);
        if found.len() == expected.len() || Instant::now() > deadline {
            assert_found(&found, expected);
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Makes a mistake in settings, and checks that the recommendation fixes it.
fn is_found_and_mended(database: &Database<'_>, rule: &str, broken: &str, affected: &[&str]) {
    let mut superuser = database.connect().unwrap();
    run(&mut superuser, broken);
    let mut administrator = database.connect_as("project_admin").unwrap();
    for finding in found_soon(&mut administrator, rule, affected) {
        run(&mut superuser, &finding.recommendation);
    }
    found_soon(&mut administrator, rule, &[]);
    found_soon(&mut database.connect().unwrap(), rule, &[]);
}

#[test]
fn durability_off() {
    let cluster = Cluster::start_with("fsync = on\nsynchronous_commit = off").unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    assert_found(
        &findings(&mut database.connect().unwrap(), "durability_off"),
        &[],
    );
    is_found_and_mended(
        &database,
        "durability_off",
        "ALTER SYSTEM SET fsync = off;
         ALTER SYSTEM SET full_page_writes = off;
         SELECT pg_reload_conf();",
        &["fsync", "full_page_writes"],
    );
}

#[test]
fn postgrest_clients_roll_back() {
    // Settings of roles hold in all databases of the cluster, so this change is rolled back.
    let near_miss = r#"
        CREATE ROLE "cannot log in" NOLOGIN;
        CREATE ROLE committing LOGIN;
        CREATE ROLE few_rows LOGIN;
        ALTER ROLE committing SET pgrst.db_tx_end = 'rollback';
        ALTER ROLE few_rows SET pgrst.db_max_rows = 'rollback';
        DO $$
        BEGIN
          EXECUTE format('ALTER ROLE committing IN DATABASE %I SET pgrst.db_tx_end = ''commit''', current_database());
          EXECUTE format('ALTER ROLE "cannot log in" IN DATABASE %I SET pgrst.db_tx_end = ''rollback''', current_database());
          EXECUTE format('ALTER DATABASE %I SET pgrst.db_tx_end = ''rollback''', current_database());
        END
        $$;"#;
    let broken = r#"
        CREATE ROLE "auth""enticator; ALTER ROLE Zoë" LOGIN;
        DO $$
        BEGIN
          EXECUTE format('ALTER ROLE "auth""enticator; ALTER ROLE Zoë" IN DATABASE %I SET pgrst.db_tx_end = ''commit-allow-override''', current_database());
          EXECUTE format('ALTER ROLE postgres IN DATABASE %I SET pgrst.db_tx_end = ''rollback-allow-override''', current_database());
          EXECUTE format('ALTER ROLE project_admin IN DATABASE %I SET pgrst.db_tx_end = ''rollback''', current_database());
        END
        $$;"#;
    Mistake {
        rule: "postgrest_clients_roll_back",
        near_miss,
        broken,
        affected: &[
            r#""auth""enticator; ALTER ROLE Zoë""#,
            "postgres",
            "project_admin",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn statement_logging() {
    let cluster = Cluster::start_with(
        "log_statement = 'mod'
         log_min_duration_statement = 100
         log_min_duration_sample = 0
         log_statement_sample_rate = 0
         log_duration = on
         log_executor_stats = on
         log_parameter_max_length_on_error = 0
         log_error_verbosity = verbose",
    )
    .unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    let rule = "statement_logging";
    assert_found(&findings(&mut superuser, rule), &[]);

    // Statements without their parameters; settings of a library that is not loaded.
    run(
        &mut superuser,
        "ALTER DATABASE db_0 SET log_statement = 'all';
         ALTER DATABASE db_0 SET log_parameter_max_length = 0;
         ALTER DATABASE db_0 SET pgaudit.log = 'all';
         ALTER DATABASE db_0 SET pgaudit.log_parameter = 'on';
         ALTER DATABASE postgres SET log_statement = 'all';",
    );
    assert_found(&findings(&mut superuser, rule), &[]);
    run(
        &mut superuser,
        "ALTER DATABASE db_0 RESET ALL;
         ALTER DATABASE postgres RESET ALL;",
    );

    is_found_and_mended(
        &database,
        rule,
        "ALTER SYSTEM SET log_statement = 'all';
         ALTER SYSTEM SET log_min_duration_statement = 99;
         ALTER SYSTEM SET log_statement_sample_rate = 0.01;
         ALTER SYSTEM SET log_transaction_sample_rate = 0.001;
         ALTER SYSTEM SET log_parameter_max_length_on_error = '1kB';
         ALTER SYSTEM SET debug_print_plan = on;
         SELECT pg_reload_conf();",
        &[
            "debug_print_plan",
            "log_min_duration_sample",
            "log_min_duration_statement",
            "log_parameter_max_length_on_error",
            "log_statement",
            "log_transaction_sample_rate",
        ],
    );

    let role = r#""app""; ALTER ROLE Zoë""#;
    is_found_and_mended(
        &database,
        rule,
        &format!(
            "CREATE ROLE {role} LOGIN;
             ALTER ROLE {role} SET session_preload_libraries = 'auto_explain';
             ALTER ROLE {role} SET auto_explain.log_min_duration = '50us';
             ALTER ROLE {role} SET auto_explain.log_verbose = 'true';
             ALTER ROLE {role} IN DATABASE db_0 SET log_min_duration_statement = '0.05s';
             ALTER ROLE ALL SET log_parameter_max_length_on_error = -1;
             ALTER DATABASE db_0 SET log_statement = 'all';"
        ),
        &[
            &format!("auto_explain.log_min_duration of role {role}"),
            &format!("log_min_duration_statement of role {role} in database db_0"),
            "log_parameter_max_length_on_error of all roles",
            "log_statement of database db_0",
        ],
    );
}

#[test]
fn a_value_of_ones_own_hides_none_of_the_server() {
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    run(
        &mut superuser,
        "ALTER SYSTEM SET log_statement = 'all';
         SELECT pg_reload_conf();
         SET log_statement = 'none';",
    );
    found_soon(&mut superuser, "statement_logging", &["log_statement"]);
}
