//! Identity providers: their keys, and which tokens are accepted.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::{Mistake, assert_found, findings};

const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "kid": "1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// The address of a server on this machine that publishes [`KEYS`].
fn published_keys() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/jwks", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            for line in BufReader::new(&stream).lines() {
                if line.unwrap().is_empty() {
                    break;
                }
            }
            let length = KEYS.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{KEYS}"
            );
        }
    });
    address
}

/// Registers a provider whose tokens are only for this application.
fn register(name: &str, jwks_url: &str) -> String {
    format!(
        "SELECT insforge_integrations.register_auth_provider({name}, ARRAY['https://' || md5({name})], '{jwks_url}', '{{api}}',
           algorithms => '{{ES256}}', subject_prefix => 'p:');"
    )
}

fn set_keys(name: &str) -> String {
    format!("SELECT insforge_integrations.set_provider_jwks({name}, '{KEYS}');")
}

const HOSTILE: &str = r#"E'it''s\n"x"; DROP TABLE y; --'"#;
const HOSTILE_OBJECT: &str = "provider \"it's\n\"\"x\"\"; DROP TABLE y; --\"";

#[test]
fn provider_without_keys() {
    let url = published_keys();
    Mistake {
        rule: "provider_without_keys",
        near_miss: &[
            register("'keyed'", &url),
            set_keys("'keyed'"),
            register("'disabled'", "https://d.example/jwks"),
            register("'failing'", "https://f.example/jwks"),
            "INSERT INTO insforge_integrations.jwks_fetches VALUES ('failing', now(), 'No answer.');
             UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = 'disabled'".to_owned(),
        ]
        .concat(),
        broken: &[register("'p'", &url), register(HOSTILE, &format!("{url}?1"))].concat(),
        affected: &[HOSTILE_OBJECT, "provider p"],
    }
    .is_found_and_mended();
}

#[test]
fn provider_without_keys_of_better_auth() {
    let (mut superuser, found) = Mistake {
        rule: "provider_without_keys",
        // Better Auth makes its first key when it first signs. Sessions need no key.
        near_miss: r#"
            CREATE SCHEMA "Better"" Auth";
            CREATE TABLE "Better"" Auth".jwks (id text, "publicKey" text, "privateKey" text);
            SELECT insforge_integrations.register_better_auth('https://a.example', schema_name => 'Better" Auth');
            SELECT insforge_integrations.register_better_auth('https://b.example', session_secret => 'x', name => 'sessions');
            SELECT insforge_integrations.register_better_auth('https://c.example', allow_bare_sessions => true, name => 'bare')"#,
        broken: r#"
            CREATE SCHEMA "Better"" Auth";
            CREATE VIEW "Better"" Auth".jwks AS SELECT '1' AS id, '{}' AS "publicKey";
            SELECT insforge_integrations.register_better_auth('https://a.example', schema_name => 'Better" Auth');
            SELECT insforge_integrations.register_better_auth('https://d.example', schema_name => E'x\nDROP', name => E'n\n;')"#,
        affected: &["provider \"n\n;\"", "provider better_auth"],
    }
    .is_found_with_steps();
    assert!(
        found[1].recommendation.contains(r#""Better"" Auth""#),
        "{found:?}"
    );
    superuser
        .batch_execute(
            r#"DROP VIEW "Better"" Auth".jwks; CREATE TABLE "Better"" Auth".jwks (id text, "publicKey" text, "privateKey" text);
               UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name <> 'better_auth'"#,
        )
        .unwrap();
    assert_found(&findings(&mut superuser, "provider_without_keys"), &[]);
}

#[test]
fn provider_keys_stale() {
    let url = published_keys();
    let stale = "UPDATE insforge_integrations.auth_providers SET jwks_updated_at = now() - interval '26 hours';";
    Mistake {
        rule: "provider_keys_stale",
        near_miss: &[
            register("'fetched'", &url),
            set_keys("'fetched'"),
            register("'failing'", "https://f.example/jwks"),
            set_keys("'failing'"),
            register("'disabled'", "https://d.example/jwks"),
            set_keys("'disabled'"),
            stale.to_owned(),
            register("'daily'", "https://e.example/jwks"),
            set_keys("'daily'"),
            "INSERT INTO insforge_integrations.jwks_fetches VALUES ('fetched', now() - interval '24 hours', NULL), ('failing', now(), 'No answer.');
             UPDATE insforge_integrations.auth_providers SET jwks_updated_at = now() - interval '24 hours' WHERE name = 'daily';
             UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = 'disabled'"
                .to_owned(),
        ]
        .concat(),
        broken: &[
            register("'p'", &url),
            set_keys("'p'"),
            register(HOSTILE, &format!("{url}?1")),
            set_keys(HOSTILE),
            stale.to_owned(),
            "INSERT INTO insforge_integrations.jwks_fetches VALUES ('p', now() - interval '26 hours', NULL)".to_owned(),
        ]
        .concat(),
        affected: &[HOSTILE_OBJECT, "provider p"],
    }
    .is_found_and_mended();
}

#[test]
fn provider_refresh_failing() {
    let url = published_keys();
    let failed = |name: &str, before: &str| {
        format!(
            "INSERT INTO insforge_integrations.jwks_fetches VALUES ({name}, now() - interval '{before}', 'The server answered with status 503.');"
        )
    };
    let (mut superuser, found) = Mistake {
        rule: "provider_refresh_failing",
        near_miss: &[
            register("'keyed since'", &url),
            failed("'keyed since'", "1 second"),
            set_keys("'keyed since'"),
            register("'registered since'", "https://r.example/jwks"),
            failed("'registered since'", "1 second"),
            failed("'registered no longer'", "0"),
            register("'disabled'", "https://d.example/jwks"),
            failed("'disabled'", "0"),
            "UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = 'disabled'".to_owned(),
        ]
        .concat(),
        broken: &[
            register("'p'", &url),
            failed("'p'", "0"),
            register(HOSTILE, "https://user:pass-word@h.example/jwks"),
            failed(HOSTILE, "0"),
        ]
        .concat(),
        affected: &[HOSTILE_OBJECT, "provider p"],
    }
    .is_found_with_steps();
    assert!(!format!("{found:?}").contains("pass-word"), "{found:?}");
    assert!(found[1].description.contains("status 503"), "{found:?}");
    superuser
        .batch_execute(
            "SELECT insforge_integrations.refresh_provider_jwks('p');
             UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name <> 'p'",
        )
        .unwrap();
    assert_found(&findings(&mut superuser, "provider_refresh_failing"), &[]);
}

#[test]
fn provider_audience_too_wide() {
    let (mut superuser, found) = Mistake {
        rule: "provider_audience_too_wide",
        near_miss: r#"
            -- What docs/ tell people to register.
            SELECT insforge_integrations.register_clerk('https://clerk.example.com', authorized_parties => '{https://app.example.com}');
            SELECT insforge_integrations.register_clerk('https://c2.example.com', audiences => '{insforge}', name => 'clerk template');
            SELECT insforge_integrations.register_auth0('example.eu.auth0.com', audience => 'https://api.example.com');
            SELECT insforge_integrations.register_workos('client_01EXAMPLE');
            SELECT insforge_integrations.register_kinde('https://example.kinde.com', authorized_parties => '{dee7f3c57b3c47e8b96edde2c7ecab7d}');
            SELECT insforge_integrations.register_stytch('project-test-11111111-1111-4111-8111-111111111111');
            SELECT insforge_integrations.register_stytch_b2b('project-test-22222222-2222-4222-8222-222222222222');
            SELECT insforge_integrations.register_better_auth('https://app.example.com', schema_name => 'better_auth');
            SELECT insforge_integrations.register_auth_provider('partner', issuers => '{https://login.partner.example}',
              jwks_url => 'https://login.partner.example/jwks.json', audiences => '{notes}', algorithms => '{ES256}', subject_prefix => 'partner:');
            SELECT insforge_integrations_internal.store_auth_provider('oidc', 'oidc', '{"name": "oidc", "issuer": "https://api.workos.com/user_management/client_01OTHER",
              "document": "{\"issuer\": \"https://api.workos.com/user_management/client_01OTHER\", \"jwks_uri\": \"https://api.workos.com/sso/jwks/client_01OTHER\"}"}', '{"leeway_seconds": null}');
            SELECT insforge_integrations.register_kinde('https://off.kinde.com', name => 'off');
            UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = 'off'"#,
        broken: r#"
            SELECT insforge_integrations.register_clerk('https://clerk.example.com', name => 'it''s "x"; DROP TABLE y; --');
            SELECT insforge_integrations.register_kinde('https://example.kinde.com');
            SELECT insforge_integrations.register_kinde('https://other.kinde.com', audience => 'notes', name => 'with audience');
            SELECT insforge_integrations.register_auth_provider('partner', '{https://p.example}', 'https://p.example/jwks', '{notes}',
              audience_rule => 'if_present', subject_prefix => 'p:')"#,
        affected: &[
            r#"provider "it's ""x""; DROP TABLE y; --""#,
            r#"provider "with audience""#,
            "provider kinde",
            "provider partner",
        ],
    }
    .is_found_with_steps();
    // Step 1 is a call with an example's value, but for the last.
    for finding in &found[..3] {
        let (_, call) = finding.recommendation.split_once("SELECT").unwrap();
        superuser.batch_execute(&format!("SELECT{call}")).unwrap();
    }
    superuser
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('partner', '{https://p.example}', 'https://p.example/jwks', '{notes}', subject_prefix => 'p:')",
        )
        .unwrap();
    assert_found(&findings(&mut superuser, "provider_audience_too_wide"), &[]);
}

#[test]
fn provider_jwks_over_http() {
    let (mut superuser, _) = Mistake {
        rule: "provider_jwks_over_http",
        near_miss: &[
            register("'local'", "http://localhost:3000/jwks"),
            register("'four'", "http://127.0.0.1/jwks"),
            register("'six'", "http://[::1]:80/jwks"),
            register("'https'", "https://http.example/http://jwks"),
            "SELECT insforge_integrations.register_better_auth('http://localhost:3000')".to_owned(),
        ]
        .concat(),
        broken: &[
            register(HOSTILE, "https://a.example/jwks"),
            register("'userinfo'", "https://b.example/jwks"),
            register("'subdomain'", "https://c.example/jwks"),
            "UPDATE insforge_integrations.auth_providers SET jwks_url = CASE name
               WHEN 'userinfo' THEN 'http://localhost:80@b.example/jwks'
               WHEN 'subdomain' THEN 'HTTP://localhost.c.example/jwks' ELSE replace(jwks_url, 'https', 'http') END"
                .to_owned(),
        ]
        .concat(),
        affected: &[HOSTILE_OBJECT, "provider subdomain", "provider userinfo"],
    }
    .is_found_with_steps();
    let again = [
        register(HOSTILE, "https://a.example/jwks"),
        register("'userinfo'", "https://b.example/jwks"),
        register("'subdomain'", "https://c.example/jwks"),
    ];
    superuser.batch_execute(&again.concat()).unwrap();
    assert_found(&findings(&mut superuser, "provider_jwks_over_http"), &[]);
}

const REGISTERED: &str =
    "SELECT insforge_integrations.register_workos('client_1', name => 'it''s; -- \"x');
    SELECT insforge_integrations.register_auth0('x.auth0.com', 'api');";

#[test]
fn jwt_secret_missing() {
    let (mut superuser, found) = Mistake {
        rule: "jwt_secret_missing",
        // PostgREST verifies by itself; nothing is exchanged.
        near_miss: &format!(
            r#"{REGISTERED}
            DO $do$ BEGIN
              EXECUTE format('ALTER DATABASE %I SET pgrst.db_pre_request = ''insforge_integrations.pre_request''', current_database());
            END $do$;"#
        ),
        broken: REGISTERED,
        affected: &["insforge_integrations.jwt_secrets"],
    }
    .is_found_with_steps();
    assert!(
        found[0].description.contains(r#""it's; -- ""x""#),
        "{found:?}"
    );
    for mended in [
        "UPDATE insforge_integrations.auth_providers SET enabled = false",
        "REVOKE EXECUTE ON FUNCTION public.exchange_provider_token(text, text) FROM PUBLIC, anon, authenticated",
        "SELECT insforge_integrations.set_jwt_secret('2f7c1e90b64d3a8857f0c2be91d6a43f')",
    ] {
        superuser
            .batch_execute(&format!("BEGIN; {mended}"))
            .unwrap();
        assert_found(&findings(&mut superuser, "jwt_secret_missing"), &[]);
        superuser.batch_execute("ROLLBACK").unwrap();
    }
}
