//! The advisor: each rule finds its mistake, its recommendation fixes it, and nothing else is
//! found.

mod apps;
mod better_auth;
mod exposure;
mod identity;
mod payments;
mod policies;
mod providers;
mod secrets;
mod server;
mod user_ids;

use std::path::Path;

use insforge_integrations_tests::{Cluster, Fixture, shared_cluster};
use postgres::Client;

/// A finding of `advise()` on one object.
#[derive(Debug)]
struct Finding {
    affected_object: String,
    description: String,
    recommendation: String,
}

/// A mistake in a database like InsForge's with the extension.
struct Mistake<'a> {
    rule: &'a str,
    /// A near miss, which must not be reported.
    near_miss: &'a str,
    /// Makes the mistake.
    broken: &'a str,
    /// The objects that are found then, in this order.
    affected: &'a [&'a str],
}

impl Mistake<'_> {
    /// Checks that the mistake is found only in its place, and that the recommended SQL fixes it.
    /// Returns a superuser's connection for the rest of the test.
    fn is_found_and_mended(&self) -> Client {
        let (mut superuser, found) = self.is_found();
        for finding in &found {
            superuser
                .batch_execute(&finding.recommendation)
                .unwrap_or_else(|error| panic!("{finding:?}: {error:?}"));
        }
        let left = findings(&mut superuser, self.rule);
        assert!(left.is_empty(), "{found:?} are mended, and left {left:?}");
        superuser
    }

    /// Checks that the mistake is found only in its place, and that the recommendation is steps in
    /// SQL comments. Returns a superuser's connection for the rest of the test.
    fn is_found_with_steps(&self) -> (Client, Vec<Finding>) {
        let (superuser, found) = self.is_found();
        for finding in &found {
            let steps = finding.recommendation.lines();
            assert!(
                steps.into_iter().all(|line| line.starts_with("-- ")),
                "{finding:?}"
            );
        }
        (superuser, found)
    }

    fn is_found(&self) -> (Client, Vec<Finding>) {
        let database = shared_cluster().database(Fixture::Extension).unwrap();
        let mut superuser = database.connect().unwrap();
        assert_found(&findings(&mut superuser, self.rule), &[]);
        superuser.batch_execute("BEGIN").unwrap();
        superuser.batch_execute(self.near_miss).unwrap();
        assert_found(&findings(&mut superuser, self.rule), &[]);
        superuser.batch_execute("ROLLBACK").unwrap();
        superuser.batch_execute(self.broken).unwrap();
        let mut administrator = database.connect_as("project_admin").unwrap();
        let found = findings(&mut administrator, self.rule);
        assert_found(&found, self.affected);
        (superuser, found)
    }
}

fn findings(client: &mut Client, rule: &str) -> Vec<Finding> {
    let rows = client
        .query(
            "SELECT affected_object, description, recommendation FROM insforge_integrations.advise() WHERE rule_id = $1",
            &[&rule],
        )
        .unwrap();
    rows.iter()
        .map(|row| Finding {
            affected_object: row.get(0),
            description: row.get(1),
            recommendation: row.get(2),
        })
        .collect()
}

fn assert_found(found: &[Finding], expected: &[&str]) {
    let objects: Vec<&str> = found
        .iter()
        .map(|finding| finding.affected_object.as_str())
        .collect();
    assert_eq!(objects, expected, "{found:#?}");
}

/// Every rule has a test with its name in this suite.
#[test]
fn every_rule_has_a_test() {
    let mut client = shared_cluster()
        .database(Fixture::Extension)
        .unwrap()
        .connect()
        .unwrap();
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/advisor");
    let rooms = [&suite, &suite.join("payments")].map(|room| std::fs::read_dir(room).unwrap());
    let tests: String = rooms
        .into_iter()
        .flatten()
        .map(|room| room.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for row in client
        .query(
            "SELECT rule_id FROM insforge_integrations.advisor_rules",
            &[],
        )
        .unwrap()
    {
        let test = format!("#[test]\nfn {}()", row.get::<_, String>(0));
        assert!(tests.contains(&test), "no {test}");
    }
}

/// The second half of docs/advisor.md is generated from the rules: `UPDATE_DOCS=1 cargo test`
/// writes it.
#[test]
fn the_documentation_has_every_rule_as_it_is() {
    let mut client = shared_cluster()
        .database(Fixture::Extension)
        .unwrap()
        .connect()
        .unwrap();
    let rules: String = client
        .query_one(
            "SELECT string_agg(format(E'## %s\n\n%s', initcap(severity), rules), E'\n' ORDER BY position)
             FROM (SELECT severity, array_position('{critical,warning,info}', severity) AS position,
                          string_agg(format(E'- `%s` (%s): %s. %s\n  *Fix:* %s\n', rule_id, category, title, why, fix), '' ORDER BY rule_id) AS rules
                   FROM insforge_integrations.advisor_rules GROUP BY severity) s",
            &[],
        )
        .unwrap()
        .get(0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/advisor.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let by_hand = page.split("## Critical").next().unwrap();
    let expected = format!("{by_hand}{rules}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some() || page == expected,
        "docs/advisor.md is not what the rules say: run UPDATE_DOCS=1 make test-suites"
    );
}

/// A plain Postgres without InsForge's roles and schemas.
#[test]
fn a_plain_postgres_has_no_finding() {
    let cluster = Cluster::start_with("fsync = on").unwrap();
    let database = cluster.database(Fixture::Empty).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute("CREATE SCHEMA extra; CREATE EXTENSION insforge_integrations SCHEMA extra; CREATE TABLE notes (user_id text)")
        .unwrap();
    let found = client
        .query("SELECT rule_id FROM insforge_integrations.advise()", &[])
        .unwrap();
    assert!(found.is_empty(), "{found:?}");
}

/// The advisor only reads, so it works on a standby and in a read-only transaction.
#[test]
fn a_standby_is_advised_too() {
    let primary = Cluster::start().unwrap();
    let database = primary.database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute("CREATE TABLE notes (user_id text)")
        .unwrap();
    let standby = primary.start_standby().unwrap();
    standby.wait_for_replay(&mut client).unwrap();
    let mut reader = database.on(&standby).connect_as("project_admin").unwrap();
    assert_found(&findings(&mut reader, "rls_disabled"), &["public.notes"]);
    client
        .batch_execute("SET default_transaction_read_only = on")
        .unwrap();
    assert_found(&findings(&mut client, "rls_disabled"), &["public.notes"]);
}

#[test]
fn nobody_else_is_advised() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    for role in ["anon", "authenticated"] {
        let mut client = database.connect_as(role).unwrap();
        let error = client
            .query("SELECT FROM insforge_integrations.advise()", &[])
            .unwrap_err();
        assert_eq!(
            error.code(),
            Some(&postgres::error::SqlState::INSUFFICIENT_PRIVILEGE)
        );
    }
}

/// The columns are those of InsForge's own table of findings, so INSERT … SELECT works.
#[test]
fn findings_fit_insforges_own_table() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    database
        .connect()
        .unwrap()
        .batch_execute(
            "CREATE SCHEMA system;
             CREATE TABLE system.advisor_findings (
               id bigint GENERATED ALWAYS AS IDENTITY, rule_id text NOT NULL,
               severity text NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
               category text NOT NULL CHECK (category IN ('security', 'performance', 'health')),
               title text NOT NULL, description text NOT NULL, affected_object text, recommendation text);
             CREATE TABLE public.notes (user_id text);
             INSERT INTO system.advisor_findings (rule_id, severity, category, title, description, affected_object, recommendation)
               SELECT rule_id, severity, category, title, description, affected_object, recommendation
               FROM insforge_integrations.advise();",
        )
        .unwrap();
}
