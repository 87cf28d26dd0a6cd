//! Refusals that end the search: each says what was found, what was expected, and what to do.

use insforge_integrations_tests::node::{now, sign};
use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

/// The compact serialization of RFC 7516 appendix A.3.7.
const ENCRYPTED: &str = "eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.6KB707dM9YTIgHtLvtgWQ8mKwboJW3of9locizkDTHzBC2IlrT1oOQ.AxY8DCtDaGlsbGljb3RoZQ.KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.U0m_YmjN04DJvceFICbCVQ";

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    register(&mut client, "clerk");
    (database, client)
}

/// `reason`, `found` and `expected`.
fn inspected(
    client: &mut Client,
    token: &str,
    provider: Option<&str>,
) -> (String, Option<Value>, Option<Value>) {
    let row = client
        .query_one(
            "SELECT reason, found, expected FROM insforge_integrations.inspect_provider_jwt($1, $2)",
            &[&token, &provider],
        )
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[test]
fn texts_that_are_no_token_are_named() {
    let (database, _superuser) = database();
    let mut client = database.connect_as("anon").unwrap();
    let token = a_token_of("clerk")["token"].as_str().unwrap();
    for (text, named) in [
        (format!("Bearer {token}"), "begins with \"Bearer\""),
        (format!("bearer\t{token}"), "begins with \"Bearer\""),
        ("Bearer".to_owned(), "begins with \"Bearer\""),
        (format!(" {token}"), "blanks or line breaks around"),
        (format!("{token}\n"), "blanks or line breaks around"),
        (format!("\"{token}\""), "quotation marks"),
        (String::new(), "the text is empty"),
        ("undefined".to_owned(), "JavaScript"),
        ("[object Promise]".to_owned(), "JavaScript"),
        (ENCRYPTED.to_owned(), "five parts is encrypted (RFC 7516)"),
        (ENCRYPTED.to_owned(), "with Auth0, name its audience"),
        (
            "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1".to_owned(),
            "opaque token",
        ),
        (
            "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1".to_owned(),
            "with Auth0, name its audience",
        ),
        ("a.b".to_owned(), "three parts separated by dots"),
        ("a.b.c.d".to_owned(), "three parts separated by dots"),
        ("a.b.c.d.e.f".to_owned(), "three parts separated by dots"),
    ] {
        let (reason, found, expected) = inspected(&mut client, &text, Some("clerk"));
        assert!(
            reason.starts_with("malformed: ") && reason.contains(named),
            "{text}: {reason}"
        );
        assert_eq!((found, expected), (None, None));
        let error = client
            .execute("SELECT exchange_provider_token($1, 'clerk')", &[&text])
            .expect_err(&text);
        let error = error.as_db_error().unwrap();
        assert_eq!(
            (error.code().code(), error.detail()),
            ("22P02", Some(reason.as_str()))
        );
    }
}

/// Also where the text could be a session of Better Auth.
#[test]
fn what_is_around_a_session_is_named() {
    let (_database, mut client) = database();
    client
        .batch_execute(
            "CREATE SCHEMA better_auth;
             SELECT insforge_integrations.register_better_auth('https://app.example.com', allow_bare_sessions => true)",
        )
        .unwrap();
    for (text, named) in [
        ("Bearer abc", "begins with \"Bearer\""),
        ("abc ", "blanks"),
        ("null", "JavaScript"),
    ] {
        let error = client
            .execute("SELECT exchange_provider_token($1)", &[&text])
            .unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "22P02", "{error:?}");
        assert!(error.detail().unwrap().contains(named), "{error:?}");
    }
}

#[test]
fn operators_see_what_was_found_beside_what_was_expected() {
    let (database, mut superuser) = database();
    superuser
        .batch_execute(
            "CREATE ROLE operator LOGIN; GRANT project_admin TO operator;
                        CREATE ROLE heir LOGIN NOINHERIT; GRANT project_admin TO heir",
        )
        .unwrap();
    let claims = json!({"iss": "https://clerk.example.com/", "azp": "https://evil.example", "aud": ["a", "b"],
                        "sub": "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ", "email": "ada@example.com", "exp": now() + 60});
    let signed = sign(&json!([{"alg": "ES256", "kid": "other", "claims": claims}])).unwrap();
    let row = superuser
        .query_one(
            "SELECT issuers, authorized_parties, jwks FROM insforge_integrations.auth_providers",
            &[],
        )
        .unwrap();
    let kids: Vec<Value> = row.get::<_, Value>(2)["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].clone())
        .collect();
    let rules = json!({"clerk": {
        "iss": row.get::<_, Vec<String>>(0), "aud": null, "azp": row.get::<_, Vec<String>>(1), "alg": ["RS256"], "kid": kids}});
    let told = json!({"iss": "https://clerk.example.com/", "aud": ["a", "b"], "azp": "https://evil.example",
                      "alg": "ES256", "kid": "other"});
    for (role, is_told) in [
        ("postgres", true),
        ("project_admin", true),
        ("operator", true),
        ("heir", false),
        ("authenticated", false),
        ("anon", false),
    ] {
        let mut client = database.connect_as(role).unwrap();
        for (provider, code) in [
            (None, "unknown_issuer"),
            (Some("clerk"), "algorithm_not_allowed"),
        ] {
            let (reason, found, expected) = inspected(&mut client, &signed.tokens[0], provider);
            assert!(reason.starts_with(code), "{reason}");
            assert_eq!(found, is_told.then(|| told.clone()), "{role}");
            assert_eq!(expected, is_told.then(|| rules.clone()), "{role}");
        }
        // An accepted token's claims say it.
        let accepted = a_token_of("clerk")["token"].as_str().unwrap();
        let row = client
            .query_one("SELECT found IS NULL AND expected IS NULL FROM insforge_integrations.inspect_provider_jwt($1)", &[&accepted])
            .unwrap();
        assert!(row.get::<_, bool>(0), "{role}");
    }
    superuser.batch_execute("DROP ROLE operator, heir").unwrap();
}

/// Only the providers with the token's issuer are compared, if there are any. Disabled ones only by name.
#[test]
fn the_comparison_is_with_the_providers_that_were_asked() {
    let (_database, mut client) = database();
    register(&mut client, "kinde");
    register(&mut client, "auth0");
    client
        .batch_execute(
            "UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = 'auth0'",
        )
        .unwrap();
    let issuer = client
        .query_one(
            "SELECT issuers[1] FROM insforge_integrations.auth_providers WHERE name = 'kinde'",
            &[],
        )
        .unwrap()
        .get::<_, String>(0);
    let names = |expected: Option<Value>| {
        expected
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let tokens = sign(&json!([
        {"alg": "ES256", "kid": "k", "claims": {"iss": issuer}},
        {"alg": "ES256", "kid": "k", "claims": {"iss": "https://nobody.example"}},
    ]))
    .unwrap()
    .tokens;
    assert_eq!(names(inspected(&mut client, &tokens[0], None).2), ["kinde"]);
    assert_eq!(
        names(inspected(&mut client, &tokens[1], None).2),
        ["clerk", "kinde"]
    );
    assert_eq!(
        names(inspected(&mut client, &tokens[1], Some("auth0")).2),
        ["auth0"]
    );
}

#[test]
fn a_comparison_is_short_and_has_no_other_content() {
    let (_database, mut client) = database();
    let long = "x".repeat(3000);
    let many: Vec<String> = (0..50).map(|number| format!("{long}{number}")).collect();
    let tokens = sign(&json!([
        {"alg": "ES256", "kid": long, "claims": {"iss": long, "aud": ["a", 1, {"secret": "content"}], "azp": {"secret": "content"}, "secret": "content"}},
        {"alg": "ES256", "kid": "k", "claims": {"iss": 7, "aud": many[..4], "azp": true}},
    ])).unwrap().tokens;
    let (_, found, _) = inspected(&mut client, &tokens[0], None);
    let cut = format!("{}…", "x".repeat(200));
    assert_eq!(
        found,
        Some(
            json!({"iss": cut, "aud": ["a", 1, "(an object)"], "azp": "(an object)", "alg": "ES256", "kid": cut})
        )
    );
    let (_, found, _) = inspected(&mut client, &tokens[1], None);
    assert_eq!(
        found,
        Some(json!({"iss": 7, "aud": vec![cut; 4], "azp": true, "alg": "ES256", "kid": "k"}))
    );
}

#[test]
fn a_missing_party_or_audience_is_called_missing() {
    let (_database, mut client) = database();
    let claims = |more: Value| {
        let mut claims = json!({"iss": "https://i.example", "sub": "alice", "exp": now() + 60});
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"alg": "ES256", "kid": "k", "claims": claims})
    };
    let signed = sign(&json!([
        claims(json!({"aud": "api"})),
        claims(json!({})),
        claims(json!({"aud": "x"}))
    ]))
    .unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks', '{api}', '{web}',
               '{ES256}', subject_prefix => 'p:')",
        )
        .unwrap();
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('p', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .unwrap();
    for (token, reason) in signed.tokens.iter().zip([
        "missing_claim: The token has no \"azp\"",
        "wrong_audience: The token names no audience (\"aud\")",
        "wrong_audience: The token's \"aud\" is not one of",
    ]) {
        let (found, ..) = inspected(&mut client, token, Some("p"));
        assert!(found.starts_with(reason), "{found}");
    }
}

/// The HINT of a refused token is a statement that a reader of psql can run.
#[test]
fn the_hint_leads_to_the_comparison() {
    let (_database, mut client) = database();
    let error = client
        .execute(
            "SELECT insforge_integrations.verify_provider_jwt('a.b')",
            &[],
        )
        .unwrap_err();
    let hint = error.as_db_error().unwrap().hint().unwrap().to_owned();
    let (_, rest) = hint.split_once(": ").unwrap();
    let (statement, _) = rest.split_once(" compares").unwrap();
    assert_eq!(
        client.query(statement, &[]).unwrap().len(),
        1,
        "{statement}"
    );
}

/// A user of psql has no source tree: no message names a file of it.
#[test]
fn messages_name_nothing_in_the_source_tree() {
    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut found = Vec::new();
    files(&root.join("src"), &mut found);
    files(&root.join("sql"), &mut found);
    // A released version stays as it is.
    found.retain(|path| !path.ends_with("insforge_integrations--0.1.0.sql"));
    assert!(found.len() > 100);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text
            .split("#[cfg(test)]")
            .next()
            .unwrap()
            .lines()
            .map(str::trim);
        for line in code.filter(|line| !line.starts_with("//") && !line.starts_with("--")) {
            assert!(!line.contains("docs/"), "{}: {line}", path.display());
        }
    }
}
