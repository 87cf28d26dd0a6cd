//! The exchange of providers' tokens as an application uses it: an RPC as anon, a check of the
//! token with npm jsonwebtoken as in InsForge, then requests with its claims.

mod changes;

use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::provider_tokens::{a_token_of, providers, register};
use insforge_integrations_tests::{Cluster, Database, Fixture, node, request, shared_cluster};
use postgres::Client;
use postgres::error::DbError;
use serde_json::{Value, json};

const SECRET: &str = "insforge's JWT_SECRET, 32 bytes or more";

fn prepared(names: &[&str]) -> (Database<'static>, Client) {
    prepared_in(shared_cluster(), names)
}

fn prepared_in<'a>(cluster: &'a Cluster, names: &[&str]) -> (Database<'a>, Client) {
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    for name in names {
        register(&mut client, name);
    }
    client
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRET],
        )
        .unwrap();
    (database, client)
}

/// The answers of npm jsonwebtoken for tokens.
fn verified(secret: &str, tokens: &[Value]) -> Vec<Value> {
    let printed = node::run(
        "verify_insforge_tokens.mjs",
        &[secret, &json!(tokens).to_string()],
    );
    serde_json::from_str(&printed.unwrap()).unwrap()
}

/// The claims of a token, without verifying its signature.
fn payload(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token)
        .unwrap()
        .claims
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

fn refused(error: &postgres::Error) -> &DbError {
    error.as_db_error().unwrap_or_else(|| panic!("{error:?}"))
}

/// The guides' table with their policies.
fn make_notes(client: &mut Client) {
    client
        .batch_execute(
            "CREATE TABLE public.notes (id serial, user_id text NOT NULL DEFAULT requesting_user_id(), body text);
             ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
             GRANT USAGE ON SEQUENCE public.notes_id_seq TO authenticated;
             CREATE POLICY own_rows ON public.notes TO authenticated
               USING (user_id = requesting_user_id()) WITH CHECK (user_id = requesting_user_id())",
        )
        .unwrap();
}

#[test]
fn every_providers_user_gets_a_token_that_shows_the_users_own_rows() {
    let names: Vec<&str> = providers().keys().map(String::as_str).collect();
    let (database, mut superuser) = prepared(&names);
    make_notes(&mut superuser);
    let mut anon = database.connect_as("anon").unwrap();
    let mut cases = Vec::new();
    let mut responses = Vec::new();
    for name in names {
        let all = providers()[name]["tokens"].as_array().unwrap();
        for case in all.iter().filter(|case| case["accept"] == true) {
            for provider in [None, Some(name)] {
                let response = Request::default()
                    .exchange(&mut anon, text(&case["token"]), provider)
                    .unwrap_or_else(|error| panic!("{name}, {}: {error:?}", case["case"]));
                cases.push((name, case));
                responses.push(response);
            }
        }
    }
    let tokens: Vec<Value> = responses
        .iter()
        .map(|response| response["access_token"].clone())
        .collect();
    let now = node::now();
    let mut backend = database.connect().unwrap();
    for (((name, case), response), token) in
        cases.iter().zip(&responses).zip(verified(SECRET, &tokens))
    {
        let claims = &token["claims"];
        assert_eq!(
            token["header"],
            json!({"alg": "HS256", "typ": "JWT"}),
            "{token}"
        );
        assert_eq!(response["token_type"], "Bearer");
        assert_eq!(
            response["issued_token_type"],
            "urn:ietf:params:oauth:token-type:jwt"
        );
        assert_eq!(response["user_id"], case["user_id"]);
        assert_eq!(response["provider"], *name);
        assert_eq!(claims["sub"], case["user_id"]);
        assert_eq!(claims["role"], "authenticated");
        assert_eq!(claims["provider"], *name);
        let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(response["expires_in"], lifetime);
        assert!(
            lifetime <= 3600 && claims["exp"].as_u64().unwrap() > now,
            "{claims}"
        );
        let ends = payload(text(&case["token"]))["exp"].as_f64().unwrap();
        assert!(
            claims["exp"].as_f64().unwrap() <= ends,
            "{name}, {}",
            case["case"]
        );

        let own = json!([claims["org_id"], claims["org_role"], claims["permissions"]]);
        assert_eq!(
            own,
            json!([case["org_id"], case["org_role"], case["permissions"]]),
            "{name}"
        );
        let user = text(&claims["sub"]).to_owned();
        let rows = request(
            &mut backend,
            "authenticated",
            &claims.to_string(),
            |transaction| {
                transaction.execute("INSERT INTO notes (body) VALUES ('mine')", &[])?;
                transaction.query("SELECT DISTINCT user_id FROM notes", &[])
            },
        )
        .unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<_, String>(0), user);
    }
    println!("{} tokens exchanged", cases.len());
}

#[test]
fn no_refused_token_is_exchanged() {
    let (database, _superuser) = prepared(&["workos", "clerk"]);
    let mut anon = database.connect_as("anon").unwrap();
    let mut count = 0;
    for name in ["workos", "clerk"] {
        let all = providers()[name]["tokens"].as_array().unwrap();
        for case in all.iter().filter(|case| case["accept"] == false) {
            let token = text(&case["token"]);
            let error = Request::default()
                .exchange(&mut anon, token, None)
                .unwrap_err();
            let error = refused(&error);
            assert_eq!(
                error.code().code(),
                "PT401",
                "{name}, {}: {error:?}",
                case["case"]
            );
            assert!(
                error.detail().is_some_and(|detail| detail.contains(": "))
                    && error.hint().is_some()
            );
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn errors_have_the_status_of_http_under_postgrest_and_their_own_in_sql() {
    let (database, _superuser) = prepared(&["workos"]);
    let mut client = database.connect_as("anon").unwrap();
    let token = text(&a_token_of("workos")["token"]);
    let in_sql = |client: &mut Client, token: Option<&str>, provider: Option<&str>| {
        let error = client
            .query_one(
                "SELECT exchange_provider_token($1, $2)",
                &[&token, &provider],
            )
            .unwrap_err();
        let error = refused(&error);
        (
            error.code().code().to_owned(),
            error.detail().unwrap_or_default().to_owned(),
        )
    };
    let tampered = format!("{}AAAA", &token[..token.len() - 4]);
    for (given, provider, sqlstate, status, detail) in [
        (tampered.as_str(), None, "28000", "PT401", "bad_signature: "),
        ("a.b.c", None, "22P02", "PT401", "malformed: "),
        ("", None, "22P02", "PT401", "malformed: "),
        ("no-dots", None, "22P02", "PT401", "malformed: "),
        (
            token,
            Some("nobody"),
            "22023",
            "22023",
            "There is no provider",
        ),
    ] {
        let (code, text) = in_sql(&mut client, Some(given), provider);
        assert_eq!(code, sqlstate, "{given}: {text}");
        assert!(text.starts_with(detail), "{given}: {text}");
        let error = Request::default()
            .exchange(&mut client, given, provider)
            .unwrap_err();
        assert_eq!(refused(&error).code().code(), status, "{given}");
        assert_eq!(refused(&error).detail().unwrap_or_default(), text);
    }
    assert_eq!(in_sql(&mut client, None, None).0, "22P02");
    for method in ["GET", "HEAD", "PUT", "post"] {
        let by = Request {
            method,
            ..Request::default()
        };
        let error = by.exchange(&mut client, token, None).unwrap_err();
        assert_eq!(refused(&error).code().code(), "PT405", "{method}");
    }
    // The connection serves the next request.
    assert!(
        Request::default()
            .exchange(&mut client, token, None)
            .is_ok()
    );
}

#[test]
fn the_role_of_a_providers_token_is_worth_nothing() {
    let (database, mut superuser) = prepared(&["workos"]);
    let mut anon = database.connect_as("anon").unwrap();
    let cases = providers()["workos"]["tokens"].as_array().unwrap();
    let with_role = cases
        .iter()
        .find(|case| case["accept"] == true && payload(text(&case["token"]))["role"].is_string());
    let token = text(&with_role.unwrap()["token"]);
    assert_ne!(payload(token)["role"], "authenticated");
    let mut minted = || {
        let response = Request::default().exchange(&mut anon, token, None).unwrap();
        let claims = verified(SECRET, &[response["access_token"].clone()])[0]["claims"].clone();
        (
            claims["role"].clone(),
            response["expires_in"].as_i64().unwrap(),
        )
    };
    assert_eq!(minted().0, "authenticated");
    superuser
        .batch_execute(
            "CREATE ROLE app_user;
             SELECT insforge_integrations.configure('token_role', 'app_user');
             SELECT insforge_integrations.configure('token_ttl', '2 minutes')",
        )
        .unwrap();
    assert_eq!(minted(), (json!("app_user"), 120));
}

#[test]
fn a_token_in_its_last_moments_is_not_stretched() {
    let (database, mut superuser) = prepared(&[]);
    let now = node::now();
    let claims = |exp| {
        json!({"iss": "https://i.example", "aud": "api", "sub": "u", "iat": now, "exp": exp,
                              "email": "u@example.com", "email_verified": true, "act": {"sub": "admin"}})
    };
    let signed = node::sign(&json!([
        {"alg": "ES256", "kid": "k", "claims": claims(now - 2)},
        {"alg": "ES256", "kid": "k", "claims": claims(now + 90)},
        {"alg": "ES256", "kid": "k", "claims": claims(now + 90_000)},
    ]))
    .unwrap();
    superuser
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks',
               '{api}', algorithms => '{ES256}', subject_prefix => 'p:')",
        )
        .unwrap();
    superuser
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('p', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .unwrap();
    let mut anon = database.connect_as("anon").unwrap();
    // Within the leeway the token verifies, but it has no time left for an exchange.
    let row = superuser
        .query_one(
            "SELECT is_valid FROM insforge_integrations.inspect_provider_jwt($1)",
            &[&signed.tokens[0]],
        )
        .unwrap();
    assert!(row.get::<_, bool>(0));
    let error = Request::default()
        .exchange(&mut anon, &signed.tokens[0], None)
        .unwrap_err();
    assert!(refused(&error).detail().unwrap().starts_with("expired: "));
    let mut minted = Vec::new();
    for token in &signed.tokens[1..] {
        minted.push(
            Request::default().exchange(&mut anon, token, None).unwrap()["access_token"].clone(),
        );
    }
    let minted = verified(SECRET, &minted);
    assert_eq!(minted[0]["claims"]["exp"], now + 90);
    assert_eq!(
        minted[1]["claims"]["exp"].as_u64().unwrap() - minted[1]["claims"]["iat"].as_u64().unwrap(),
        3600
    );
    assert_eq!(minted[0]["claims"]["email"], "u@example.com");
    assert_eq!(minted[0]["claims"]["act"], json!({"sub": "admin"}));
    assert_eq!(minted[0]["claims"]["sub"], "p:u");
}

#[test]
fn without_a_secret_nothing_is_minted() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    register(&mut superuser, "kinde");
    let mut anon = database.connect_as("anon").unwrap();
    let token = text(&a_token_of("kinde")["token"]);
    for given in ["", "31 bytes are not enough, are they"] {
        if let Some(given) = given.get(..31) {
            let error = superuser
                .execute("SELECT insforge_integrations.set_jwt_secret($1)", &[&given])
                .unwrap_err();
            assert_eq!(refused(&error).code().code(), "55000");
            assert!(
                superuser
                    .execute(
                        "INSERT INTO insforge_integrations.jwt_secrets VALUES ($1)",
                        &[&given]
                    )
                    .is_err()
            );
        }
        let error = Request::default()
            .exchange(&mut anon, token, None)
            .unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code().code(), "55000");
        assert!(error.hint().unwrap().contains("set_jwt_secret"));
    }
}

#[test]
fn trusted_servers_issue_tokens_and_nobody_else() {
    let (database, _superuser) = prepared(&[]);
    let mut admin = database.connect_as("project_admin").unwrap();
    let mut issue = |arguments: &str| {
        admin
            .query_one(
                &format!("SELECT insforge_integrations.issue_insforge_token({arguments})"),
                &[],
            )
            .map(|row| Value::from(row.get::<_, String>(0)))
    };
    let tokens = [
        issue("'user_1'").unwrap(),
        issue(r#"'user_1', '{"org_id": "org_1", "plan": 12345678901234567890123}', '5 minutes'"#)
            .unwrap(),
    ];
    let verdicts = verified(SECRET, &tokens);
    let claims = &verdicts[0]["claims"];
    assert_eq!(
        (&claims["sub"], &claims["role"], &claims["aud"]),
        (
            &json!("user_1"),
            &json!("authenticated"),
            &json!("insforge-api")
        )
    );
    assert_eq!(verdicts[1]["claims"]["org_id"], "org_1");
    assert_eq!(
        verdicts[1]["claims"]["exp"].as_u64().unwrap()
            - verdicts[1]["claims"]["iat"].as_u64().unwrap(),
        300
    );
    for arguments in [
        r#"'u', '{"role": "project_admin"}'"#,
        r#"'u', '{"sub": "v"}'"#,
        r#"'u', '{"exp": 1}'"#,
        "'u', '[]'",
        "'', '{}'",
        "NULL",
        "'u', '{}', '25 hours'",
        "'u', '{}', '0'",
        "'u', '{}', '-1 hour'",
        "'u', '{}', '10000000 years'",
    ] {
        let error = issue(arguments).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code().code(), "22023", "{arguments}: {error:?}");
        assert!(error.detail().is_some() && error.hint().is_some());
    }
    for role in ["anon", "authenticated"] {
        let error = database
            .connect_as(role)
            .unwrap()
            .query_one(
                "SELECT insforge_integrations.issue_insforge_token('u')",
                &[],
            )
            .unwrap_err();
        assert_eq!(refused(&error).code().code(), "42501", "{role}");
    }
}
