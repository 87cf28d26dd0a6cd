//! The claims that a provider's registration names: which are passed on, and where organisation,
//! role and permissions stand.

use insforge_integrations_tests::node::{Signed, now, sign};
use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::provider_tokens::{a_token_of, providers, register};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::{Value, json};

/// The claims that the extension writes itself.
const WRITTEN: [&str; 14] = [
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
];

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
fn every_registration_has_the_arguments_that_all_share() {
    let (_database, mut client) = database();
    let rows = client.query(
        "SELECT proname::text, proargnames @> '{leeway_seconds,passed_claims}' FROM pg_proc
         WHERE pronamespace = 'insforge_integrations'::regnamespace AND proname LIKE 'register%'
           AND prorettype = 'insforge_integrations.auth_providers'::regtype",
        &[],
    );
    let rows: Vec<(String, bool)> = rows
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert!(rows.len() >= REGISTRATIONS.len(), "{rows:?}");
    assert!(rows.iter().all(|(_, has_them)| *has_them), "{rows:?}");
}

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
    for name in WRITTEN {
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

/// Claims of a token as Clerk and Auth0 write them, besides the mandatory ones.
fn token(iss: &str, aud: &Value, sub: &str, more: Value) -> Value {
    let mut claims =
        json!({"iss": iss, "aud": aud, "sub": sub, "iat": now(), "exp": now() + 600, "scp": []});
    let members = claims.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    json!({"alg": "RS256", "kid": "k1", "header": {"typ": "JWT"}, "claims": claims})
}

fn store_keys(client: &mut Client, provider: &str, signed: &Signed) {
    let store = "SELECT insforge_integrations.set_provider_jwks($1, $2::text::jsonb)";
    client.execute(store, &[&provider, &signed.jwks]).unwrap();
    let secret =
        "SELECT insforge_integrations.set_jwt_secret('a secret for tests, of 32 bytes and more')";
    client.batch_execute(secret).unwrap();
}

/// The claims of a token, without verifying its signature.
fn payload(token: &str) -> Value {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token);
    claims.unwrap().claims
}

/// What policies can ask: organisation, role, permissions, claims.
type Seen = (Option<String>, Option<String>, Option<Vec<String>>, Value);

const ASK: &str = "SELECT requesting_org_id(), requesting_org_role(), requesting_permissions(),
                          requesting_claims(), auth.jwt()";

/// The claims of the exchanged token, and what a request with it sees.
fn exchanged(client: &mut Client, token: &str) -> (Value, Seen) {
    let answer = Request::default().exchange(client, token, None).unwrap();
    let claims = payload(answer["access_token"].as_str().unwrap());
    let request = Request {
        role: "authenticated",
        claims: claims.clone(),
        ..Request::default()
    };
    let seen = request.serve(client, |transaction| {
        let row = transaction.query_one(ASK, &[])?;
        Ok((row.get(0), row.get(1), row.get(2), row.get(3)))
    });
    (claims, seen.unwrap())
}

/// The claims of an anonymous request that has the token in its header, and what it sees.
fn with_header(client: &mut Client, token: &str) -> (Value, Seen) {
    let request = Request {
        headers: json!({"x-provider-token": token}),
        pre_request: Some("insforge_integrations.pre_request"),
        ..Request::default()
    };
    let seen = request.serve(client, |transaction| {
        let row = transaction.query_one(ASK, &[])?;
        Ok((row.get(4), (row.get(0), row.get(1), row.get(2), row.get(3))))
    });
    seen.unwrap()
}

fn texts(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|text| (*text).to_owned()).collect())
}

/// Clerk's session tokens: minutes since each factor was verified, plans, features, and the public
/// metadata that the instance's session token is customised to carry.
#[test]
fn clerks_factors_metadata_and_tiers_reach_policies() {
    let (_database, mut client) = database();
    let more = json!({
        "v": 2, "sid": "sess_1", "sts": "active", "fva": [3, -1], "pla": "o:pro", "fea": "o:dashboard",
        "metadata": {"onboarded": true, "tier": "gold"},
        "o": {"id": "org_1", "slg": "acme", "rol": "admin", "per": "manage,read", "fpm": "2"},
    });
    let user = "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ";
    let signed = sign(&json!([token(
        "https://clerk.example.com",
        &Value::Null,
        user,
        more.clone()
    )]));
    let signed = signed.unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_clerk('clerk.example.com',
               passed_claims => '{fva,metadata,pla,fea,sid,absent}')",
        )
        .unwrap();
    store_keys(&mut client, "clerk", &signed);
    for see in [exchanged, with_header] {
        let (claims, seen) = see(&mut client, &signed.tokens[0]);
        for name in ["fva", "metadata", "pla", "fea", "sid"] {
            assert_eq!(claims[name], more[name], "{name}");
            assert_eq!(seen.3[name], more[name], "{name}");
        }
        for name in ["v", "o", "sts", "iss", "absent"] {
            assert!(claims.get(name).is_none(), "{name}");
        }
        assert_eq!(claims["role"], "authenticated");
        let permissions = texts(&["org:dashboard:read"]);
        let admin = Some("org:admin".to_owned());
        assert_eq!(
            (seen.0, seen.1, seen.2),
            (Some("org_1".to_owned()), admin, permissions)
        );
    }
    // A policy that wants a sign-in of the last ten minutes.
    client
        .batch_execute(
            "CREATE TABLE vault (secret text); INSERT INTO vault VALUES ('x'); ALTER TABLE vault ENABLE ROW LEVEL SECURITY;
             CREATE POLICY fresh ON vault TO authenticated
               USING (((SELECT requesting_claims()) -> 'fva' ->> 0)::integer BETWEEN 0 AND 10)",
        )
        .unwrap();
    let request = Request {
        headers: json!({"x-provider-token": &signed.tokens[0]}),
        pre_request: Some("insforge_integrations.pre_request"),
        ..Request::default()
    };
    let rows = request.serve(&mut client, |transaction| {
        transaction.query("SELECT FROM vault", &[])
    });
    assert_eq!(rows.unwrap().len(), 1);
}

/// Auth0 wants custom claims to be namespaced, and has no roles of its own in access tokens.
#[test]
fn auth0s_namespaced_claims_reach_policies() {
    let (_database, mut client) = database();
    let more = json!({
        "scope": "openid read:notes write:notes",
        "https://app.example/roles": ["admin"],
        "https://app.example/plan": "pro",
        "org_id": "org_9ybsU1dN2dKfDkBi",
    });
    let several = json!({"https://app.example/roles": ["admin", "editor"], "permissions": ["all"]});
    let sub = "auth0|6553da60a54af58e29493993";
    let issuer = "https://t.auth0.com/";
    let tokens = json!([
        token(issuer, &json!("api"), sub, more),
        token(issuer, &json!("api"), sub, several)
    ]);
    let signed = sign(&tokens).unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_auth0('t.auth0.com', 'api',
               org_role_claim => 'https://app.example/roles', permissions_claim => 'scope',
               passed_claims => '{https://app.example/plan}')",
        )
        .unwrap();
    store_keys(&mut client, "auth0", &signed);
    for see in [exchanged, with_header] {
        let (claims, seen) = see(&mut client, &signed.tokens[0]);
        assert_eq!(claims["https://app.example/plan"], "pro");
        assert_eq!(seen.3["https://app.example/plan"], "pro");
        assert_eq!(seen.0.as_deref(), Some("org_9ybsU1dN2dKfDkBi"));
        assert_eq!(seen.1.as_deref(), Some("admin"));
        assert_eq!(seen.2, texts(&["openid", "read:notes", "write:notes"]));
        // Two roles are none, and a token without the mapped claim has no permissions.
        let (_, seen) = see(&mut client, &signed.tokens[1]);
        assert_eq!((seen.0, seen.1, seen.2), (None, None, None));
    }
}

/// Keycloak's access tokens: realm roles, client roles, and the organization scope's list.
#[test]
fn a_generic_providers_paths_reach_policies() {
    let (_database, mut client) = database();
    let issuer = "https://id.example/realms/app";
    let more = json!({
        "realm_access": {"roles": ["member"]},
        "resource_access": {"my.app": {"roles": ["notes:read", "notes:write"]}},
        "organization": ["acme"],
    });
    let signed = sign(&json!([token(issuer, &json!("api"), "kc1", more)])).unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('kc', '{https://id.example/realms/app}',
               'https://id.example/certs', '{api}', subject_prefix => 'kc:', org_id_claim => 'organization',
               org_role_claim => 'realm_access.roles', permissions_claim => 'resource_access.my.app.roles')",
        )
        .unwrap();
    store_keys(&mut client, "kc", &signed);
    for see in [exchanged, with_header] {
        let (_, seen) = see(&mut client, &signed.tokens[0]);
        let permissions = texts(&["notes:read", "notes:write"]);
        let member = Some("member".to_owned());
        assert_eq!(
            (seen.0, seen.1, seen.2),
            (Some("acme".to_owned()), member, permissions)
        );
    }
}

/// Every token of every provider, with all of its claims passed on that can be. The exchanged token
/// is read as the provider's own.
#[test]
fn passing_claims_changes_no_identity() {
    let (_database, mut client) = database();
    let mut names: Vec<&String> = providers().keys().collect();
    names.sort();
    let secret =
        "SELECT insforge_integrations.set_jwt_secret('a secret for tests, of 32 bytes and more')";
    client.batch_execute(secret).unwrap();
    let mut count = 0;
    for name in names {
        register(&mut client, name);
        for case in providers()[name]["tokens"].as_array().unwrap() {
            if case["accept"] != true {
                continue;
            }
            let token = case["token"].as_str().unwrap();
            let said = payload(token);
            let passed: Vec<&String> = said
                .as_object()
                .unwrap()
                .keys()
                .filter(|name| !WRITTEN.contains(&name.as_str()))
                .collect();
            client
                .execute("UPDATE insforge_integrations.auth_providers SET passed_claims = $1 WHERE name = $2", &[&passed, name])
                .unwrap();
            let (claims, by_exchange) = exchanged(&mut client, token);
            let (_, by_header) = with_header(&mut client, token);
            assert_eq!(
                (&by_exchange.0, &by_exchange.1, &by_exchange.2),
                (&by_header.0, &by_header.1, &by_header.2),
                "{name}: {case}"
            );
            assert_eq!(
                by_header.0.as_deref(),
                case["org_id"].as_str(),
                "{name}: {case}"
            );
            for passed in passed {
                assert_eq!(claims[passed], said[passed], "{name}: {passed}");
                count += 1;
            }
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_provider_whose_row_passes_what_the_extension_writes_verifies_nothing() {
    let (_database, mut client) = database();
    register(&mut client, "auth0");
    let update = "UPDATE insforge_integrations.auth_providers SET passed_claims = '{role}'";
    client.batch_execute(update).unwrap();
    let token = a_token_of("auth0")["token"].as_str().unwrap();
    let call = "SELECT insforge_integrations.verify_provider_jwt($1, 'auth0')";
    let error = client.query_one(call, &[&token]).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert!(
        error
            .detail()
            .unwrap()
            .contains("\"role\" cannot be passed"),
        "{error:?}"
    );
}
