//! The claims that a provider's registration names: which are passed on, and where organisation,
//! role and permissions stand.

use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client.batch_execute("CREATE SCHEMA better_auth").unwrap();
    (database, client)
}

fn refused(client: &mut Client, statement: &str, detail: &str) {
    let error = client.batch_execute(statement).expect_err(statement);
    let error = error.as_db_error().unwrap();
    assert_eq!(
        error.code(),
        &SqlState::INVALID_PARAMETER_VALUE,
        "{statement}: {error:?}"
    );
    let found = error.detail().unwrap_or_default();
    assert!(found.contains(detail), "{statement}: {error:?}");
}

/// Every function `register_…`, with its mandatory arguments.
const REGISTRATIONS: [&str; 8] = [
    "register_clerk('clerk.example.com'",
    "register_auth0('t.auth0.com', 'api'",
    "register_workos('client_1'",
    "register_kinde('x.kinde.com'",
    "register_stytch('project-test-1'",
    "register_stytch_b2b('project-test-1'",
    "register_better_auth('http://localhost:3000'",
    "register_auth_provider('own', '{https://i.example}', 'https://i.example/jwks', '{api}', subject_prefix => 'i:'",
];

#[test]
fn registering_again_keeps_what_an_operator_set() {
    let (_database, mut client) = database();
    let mut register = |call: &str, more: &str| -> (i32, Vec<String>, bool) {
        let statement = format!(
            "SELECT leeway_seconds, passed_claims, enabled FROM insforge_integrations.{call}{more})"
        );
        let row = client.query_one(&statement, &[]).unwrap();
        (row.get(0), row.get(1), row.get(2))
    };
    let tier = || vec!["tier".to_owned()];
    for call in REGISTRATIONS {
        assert_eq!(register(call, ""), (5, vec![], true), "{call}");
        let set = ", leeway_seconds => 30, passed_claims => '{tier}'";
        assert_eq!(register(call, set), (30, tier(), true), "{call}");
        assert_eq!(register(call, ""), (30, tier(), true), "{call}");
        assert_eq!(
            register(call, ", leeway_seconds => 0, passed_claims => '{}'"),
            (0, vec![], true)
        );
    }
    client
        .batch_execute(
            "UPDATE insforge_integrations.auth_providers SET enabled = false, leeway_seconds = 60",
        )
        .unwrap();
    for call in REGISTRATIONS {
        let statement =
            format!("SELECT leeway_seconds, enabled FROM insforge_integrations.{call})");
        let row = client.query_one(&statement, &[]).unwrap();
        assert_eq!((row.get(0), row.get(1)), (60, false), "{call}");
    }
}

#[test]
fn registering_again_keeps_where_claims_stand() {
    let (_database, mut client) = database();
    let mut register = |call: &str, more: &str| -> Vec<Option<String>> {
        let columns = "ARRAY[org_id_claim, org_role_claim, permissions_claim]";
        let statement = format!("SELECT {columns} FROM insforge_integrations.{call}{more})");
        client.query_one(&statement, &[]).unwrap().get(0)
    };
    let some = |text: &str| Some(text.to_owned());
    for call in [REGISTRATIONS[1], REGISTRATIONS[7]] {
        assert_eq!(register(call, ""), [None, None, None]);
        let set = ", org_id_claim => 'org', org_role_claim => 'https://app.example/roles', permissions_claim => 'scope'";
        let mapped = [
            some("org"),
            some("https://app.example/roles"),
            some("scope"),
        ];
        assert_eq!(register(call, set), mapped);
        assert_eq!(register(call, ""), mapped);
        assert_eq!(
            register(call, ", org_role_claim => ''"),
            [some("org"), None, some("scope")]
        );
    }
}

#[test]
fn claims_that_the_extension_writes_are_not_passed() {
    let (_database, mut client) = database();
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "role",
        "type",
        "provider",
        "email",
        "act",
        "org_id",
        "org_role",
        "permissions",
    ] {
        for call in REGISTRATIONS {
            let statement =
                format!("SELECT insforge_integrations.{call}, passed_claims => '{{tier,{name}}}')");
            refused(
                &mut client,
                &statement,
                &format!("\"{name}\" cannot be passed"),
            );
        }
    }
    for (list, detail) in [(r#"'{""}'"#, "An empty string"), ("'{NULL}'", "wrong type")] {
        let statement = format!(
            "SELECT insforge_integrations.{}, passed_claims => {list})",
            REGISTRATIONS[0]
        );
        refused(&mut client, &statement, detail);
    }
}
