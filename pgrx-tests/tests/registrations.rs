//! Registrations as people make them: what is understood, what is refused with what is meant, and
//! what is said of keys and tables that cannot be read yet.

use std::sync::mpsc::{Receiver, channel};

use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::{DbError, SqlState};

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

fn register(client: &mut Client, call: &str) -> postgres::Row {
    let statement = format!(
        "SELECT issuers, jwks_url, audiences, authorized_parties FROM insforge_integrations.{call}"
    );
    client
        .query_one(&statement, &[])
        .unwrap_or_else(|error| panic!("{call}: {error:?}"))
}

fn refusal(client: &mut Client, call: &str) -> DbError {
    let error = client
        .batch_execute(&format!("SELECT insforge_integrations.{call}"))
        .expect_err(call);
    let error = error.as_db_error().unwrap().clone();
    assert_eq!(
        error.code(),
        &SqlState::INVALID_PARAMETER_VALUE,
        "{call}: {error:?}"
    );
    assert!(error.hint().is_some(), "{call}");
    error
}

/// The keys are those that `buildPublishableKey()` of @clerk/shared 4.41.0 makes, and one of Clerk's
/// documentation. Hosts are as `new URL()` of Node.js writes them.
#[test]
fn what_people_give_is_understood() {
    let (_database, mut client) = database();
    for (call, issuers, jwks_url) in [
        (
            "register_clerk('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k')",
            &["https://clerk.example.com"][..],
            "https://clerk.example.com/.well-known/jwks.json",
        ),
        (
            "register_clerk(' pk_test_Zm9vLWJhci0xMi5jbGVyay5hY2NvdW50cy5kZXYk')",
            &["https://foo-bar-12.clerk.accounts.dev"],
            "https://foo-bar-12.clerk.accounts.dev/.well-known/jwks.json",
        ),
        (
            "register_clerk('pk_test_Y2xlcmsuaW5jbHVkZWQua2F0eWRpZC05Mi5sY2wuZGV2JA==')",
            &["https://clerk.included.katydid-92.lcl.dev"],
            "https://clerk.included.katydid-92.lcl.dev/.well-known/jwks.json",
        ),
        (
            "register_clerk('https://Clerk.EXAMPLE.com:443/')",
            &["https://clerk.example.com"],
            "https://clerk.example.com/.well-known/jwks.json",
        ),
        (
            "register_clerk('https://app.example.com/__clerk/')",
            &["https://app.example.com/__clerk"],
            "https://app.example.com/__clerk/.well-known/jwks.json",
        ),
        (
            "register_clerk('clerk.b\u{fc}cher.example')",
            &["https://clerk.xn--bcher-kva.example"],
            "https://clerk.xn--bcher-kva.example/.well-known/jwks.json",
        ),
        (
            "register_auth0('T.EU.auth0.com', 'api', '{https://Login.Example.com:443}')",
            &["https://t.eu.auth0.com/", "https://login.example.com/"],
            "https://t.eu.auth0.com/.well-known/jwks.json",
        ),
        (
            "register_kinde('HTTPS://Example.Kinde.com')",
            &["https://example.kinde.com"],
            "https://example.kinde.com/.well-known/jwks.json",
        ),
        (
            "register_workos('client_01EXAMPLE')",
            &[
                "https://api.workos.com",
                "https://api.workos.com/user_management/client_01EXAMPLE",
            ],
            "https://api.workos.com/sso/jwks/client_01EXAMPLE",
        ),
        (
            "register_stytch('project-test-1', 'Login.Example.com')",
            &["stytch.com/project-test-1", "https://login.example.com"],
            "https://login.example.com/v1/sessions/jwks/project-test-1",
        ),
        (
            // An issuer is compared as the provider writes it.
            "register_auth_provider('p', '{https://Login.Example.com:443/A}', 'https://Login.Example.com:443/a/../JWKS', '{api}', subject_prefix => 'p:')",
            &["https://Login.Example.com:443/A"],
            "https://login.example.com/JWKS",
        ),
    ] {
        let row = register(&mut client, call);
        assert_eq!(row.get::<_, Vec<String>>(0), issuers, "{call}");
        assert_eq!(row.get::<_, String>(1), jwks_url, "{call}");
    }
    for (call, parties) in [
        (
            "register_clerk('clerk.example.com', '{https://App.Example.com:443/,http://localhost:3000,https://b\u{fc}cher.example,capacitor://localhost}')",
            &[
                "https://app.example.com",
                "http://localhost:3000",
                "https://xn--bcher-kva.example",
                "capacitor://localhost",
            ][..],
        ),
        (
            "register_kinde('example.kinde.com', authorized_parties => '{DEE7f3c57b3c47e8b96edde2c7ecab7d}')",
            &["DEE7f3c57b3c47e8b96edde2c7ecab7d"],
        ),
    ] {
        let row = register(&mut client, call);
        assert_eq!(row.get::<_, Vec<String>>(3), parties, "{call}");
    }
}

#[test]
fn what_is_meant_otherwise_is_named() {
    let (_database, mut client) = database();
    client.batch_execute("CREATE SCHEMA better_auth").unwrap();
    for (call, details) in [
        (
            "register_clerk('https://clerk.example.com/.well-known/jwks.json')",
            ["key set", "Frontend API URL"],
        ),
        (
            "register_clerk('https://api.clerk.com/v1/jwks')",
            ["key set", "Frontend API URL"],
        ),
        (
            "register_clerk('ins_2abcdefghijklmnopqrstuvwxyz')",
            ["id of a Clerk instance", "Frontend API URL"],
        ),
        (
            "register_clerk('pk_live_Y2xlcmsuZXhhbXBs')",
            ["a part is missing", "publishable key"],
        ),
        (
            "register_clerk('pk_live_')",
            ["a part is missing", "publishable key"],
        ),
        (
            "register_clerk('my app')",
            ["not an address", "Frontend API URL"],
        ),
        (
            "register_clerk('clerk.example.com', '{app.example.com}')",
            ["https://", "origin of your pages"],
        ),
        (
            "register_clerk('clerk.example.com', '{https://app.example.com/page}')",
            ["more than a scheme", "origin of your pages"],
        ),
        (
            "register_clerk('clerk.example.com', '{https://*.example.com}')",
            ["compared as a whole", "origin of your pages"],
        ),
        (
            "register_auth0('https://t.auth0.com/.well-known/openid-configuration', 'api')",
            ["key set or of its issuer", "the tenant"],
        ),
        (
            "register_auth0('https://t.auth0.com/api/v2/', 'api')",
            ["has a path", "the tenant"],
        ),
        (
            "register_auth0('aBcDeFgHiJkLmNoPqRsTuVwXyZ012345', 'api')",
            ["client id", "the tenant"],
        ),
        ("register_auth0('t.auth0.com')", ["missing", "audience"]),
        (
            "register_auth0('t.auth0.com', audiences => '{}')",
            ["missing", "audience"],
        ),
        (
            "register_workos('environment_01EXAMPLE')",
            ["WorkOS environment", "client_"],
        ),
        (
            "register_workos('org_01EXAMPLE')",
            ["organization", "client_"],
        ),
        (
            "register_workos('https://api.workos.com/sso/jwks/client_01EXAMPLE')",
            ["key set", "client_"],
        ),
        (
            "register_stytch('environment-test-1')",
            ["Stytch environment", "project-test-"],
        ),
        (
            "register_stytch_b2b('organization-test-1')",
            ["organization", "project-test-"],
        ),
        (
            "register_stytch('public-token-test-1')",
            ["public token", "project-test-"],
        ),
        (
            "register_kinde('dee7f3c57b3c47e8b96edde2c7ecab7d')",
            ["client id", "the domain"],
        ),
        (
            "register_kinde('example.kinde.com', authorized_parties => '{https://app.example.com}')",
            ["address", "client id"],
        ),
        (
            "register_better_auth('https://app.example.com/api/auth/jwks')",
            ["key set", "baseURL"],
        ),
        (
            "register_better_auth('https://app.example.com', 'other_auth')",
            [
                "no schema of the name",
                "No schema has Better Auth's tables yet",
            ],
        ),
        (
            "register_better_auth('https://app.example.com', NULL)",
            ["no schema of the name", "No schema"],
        ),
        (
            "register_auth_provider('p', '{https://i.example/.well-known/jwks.json}', 'https://i.example/jwks', '{api}', subject_prefix => 'p:')",
            ["key set", "\"iss\""],
        ),
        (
            "register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks', authorized_parties => '{a}', audience_rule => 'ignored', authorized_party_rule => 'if_present', subject_prefix => 'p:')",
            [
                "authorized parties that are required",
                "every token of the issuer",
            ],
        ),
        (
            "register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks', '{api}', authorized_party_rule => 'if_present', subject_prefix => 'p:')",
            ["authorized parties", "none is named"],
        ),
        (
            "register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks', '{api}', authorized_party_rule => 'never', subject_prefix => 'p:')",
            ["wrong type", ""],
        ),
        // Something is fetched from these addresses.
        (
            "register_clerk('http://clerk.example.com')",
            ["not https", ""],
        ),
        ("register_kinde('http://kinde.internal')", ["not https", ""]),
        (
            "register_auth_provider('p', '{https://i.example}', 'http://i.internal/jwks', '{api}', subject_prefix => 'p:')",
            ["not https", ""],
        ),
    ] {
        let error = refusal(&mut client, call);
        for detail in details {
            assert!(
                error.detail().unwrap().contains(detail),
                "{call}: {error:?}"
            );
        }
    }
    client
        .batch_execute(
            r#"CREATE SCHEMA people; CREATE TABLE people."user" (id text, email text, "emailVerified" boolean, name text);
               CREATE TABLE people.session (id text, token text, "userId" text, "expiresAt" timestamptz);
               CREATE TABLE people.account (id text, "accountId" text, "providerId" text, "userId" text, password text)"#,
        )
        .unwrap();
    let error = refusal(
        &mut client,
        "register_better_auth('https://app.example.com', 'other_auth')",
    );
    assert!(
        error
            .detail()
            .unwrap()
            .ends_with("Better Auth's tables are in: people."),
        "{error:?}"
    );
    let stored = client.query("SELECT FROM insforge_integrations.auth_providers", &[]);
    assert!(stored.unwrap().is_empty());
}

#[test]
fn a_secret_key_is_refused_and_not_repeated() {
    let (_database, mut client) = database();
    client.batch_execute("CREATE SCHEMA better_auth").unwrap();
    for secret in [
        "sk_live_Zy0ttG8qnsXhDV",
        "sk_test_Zy0ttG8qnsXhDV",
        "secret-test-Zy0ttG8qnsXhDV",
    ] {
        for call in [
            "register_clerk('SECRET')",
            "register_clerk('clerk.example.com', audiences => '{SECRET}')",
            "register_auth0('SECRET', 'api')",
            "register_auth0('t.auth0.com', 'SECRET')",
            "register_workos('SECRET')",
            "register_kinde('SECRET')",
            "register_stytch('SECRET')",
            "register_stytch_b2b('SECRET')",
            "register_better_auth('SECRET')",
            "register_better_auth('https://app.example.com', 'SECRET')",
            "register_auth_provider('p', '{SECRET}', 'https://i.example/jwks', '{api}', subject_prefix => 'p:')",
            "register_auth_provider('p', '{https://i.example}', 'SECRET', '{api}', subject_prefix => 'p:')",
        ] {
            let error = refusal(&mut client, &call.replace("SECRET", secret));
            assert!(
                !format!("{error:?}").contains("Zy0ttG8qnsXhDV"),
                "{error:?}"
            );
            let names_it = ["is a secret key", "no schema of the name"];
            assert!(
                names_it
                    .iter()
                    .any(|text| error.detail().unwrap().contains(text)),
                "{error:?}"
            );
        }
    }
}

fn notices(database: &Database) -> (Client, Receiver<DbError>) {
    let (sender, notices) = channel();
    let mut config = database.config();
    config.notice_callback(move |notice| {
        let _ = sender.send(notice);
    });
    (config.connect(postgres::NoTls).unwrap(), notices)
}

#[test]
fn what_cannot_be_read_yet_is_said_with_the_next_call() {
    let (database, _client) = database();
    let (mut client, notices) = notices(&database);
    let mut said = |statement: &str| {
        client.batch_execute(statement).unwrap();
        notices
            .try_iter()
            .map(|notice| {
                (
                    notice.severity().to_owned(),
                    notice.message().to_owned(),
                    notice.hint().unwrap_or_default().to_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let register =
        "SELECT insforge_integrations.register_clerk('clerk.example.com', name => 'it''s')";
    let [(severity, message, hint)] = &said(register)[..] else {
        panic!()
    };
    assert_eq!(
        (severity.as_str(), message.as_str()),
        ("NOTICE", "the registered provider has no keys yet")
    );
    assert!(
        hint.contains("SELECT * FROM insforge_integrations.refresh_provider_jwks()"),
        "{hint}"
    );
    said(
        r#"SELECT insforge_integrations.set_provider_jwks('it''s', '{"keys": [{"kty": "RSA", "e": "AQAB", "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw"}]}')"#,
    );
    assert_eq!(said(register), [], "the keys stay");

    said("CREATE SCHEMA better_auth");
    let register = "SELECT insforge_integrations.register_better_auth('https://app.example.com')";
    let [(severity, message, hint)] = &said(register)[..] else {
        panic!()
    };
    assert_eq!(
        (severity.as_str(), message.as_str()),
        ("WARNING", "schema better_auth has no table jwks yet")
    );
    assert!(hint.contains("jwt()"), "{hint}");
    // Sessions need no keys.
    let sessions = register.replace(")", ", allow_bare_sessions => true)");
    assert_eq!(said(&sessions), []);
    said(
        r#"CREATE TABLE better_auth.jwks (id text, "publicKey" text, "privateKey" text, "createdAt" timestamptz)"#,
    );
    // Better Auth makes a key when it first signs.
    assert_eq!(said(register), []);
    said(r#"ALTER TABLE better_auth.jwks ALTER "publicKey" TYPE json USING '{}'"#);
    let [(severity, message, _)] = &said(register)[..] else {
        panic!()
    };
    assert_eq!(severity, "WARNING");
    assert!(
        message.starts_with("a table of Better Auth cannot be read"),
        "{message}"
    );
}
