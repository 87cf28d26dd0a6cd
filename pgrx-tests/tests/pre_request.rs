//! `pre_request()` as PostgREST's `db-pre-request`. The header decides, and no identity is left
//! behind.

use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::provider_tokens::{a_token_of, providers, register};
use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::{Client, Error};
use serde_json::{Value, json};

const HEADER: &str = "x-provider-token";

fn prepared() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    register(&mut superuser, "clerk");
    register(&mut superuser, "workos");
    (database, superuser)
}

fn case(provider: &str, is_wanted: impl Fn(&Value) -> bool) -> &'static Value {
    let cases = providers()[provider]["tokens"].as_array().unwrap();
    cases.iter().find(|case| is_wanted(case)).unwrap()
}

fn in_an_organisation() -> &'static Value {
    case("clerk", |case| {
        case["accept"] == true && case["org_id"].is_string()
    })
}

/// Identity in the main query of a request: role, `auth.jwt()`, user, organisation.
type Seen = (String, Value, Option<String>, Option<String>);

fn serve(client: &mut Client, role: &str, claims: Value, headers: Value) -> Result<Seen, Error> {
    let request = Request {
        role,
        claims,
        headers,
        pre_request: Some("\"insforge_integrations\".\"pre_request\""),
        ..Request::default()
    };
    request.serve(client, |transaction| {
        let row = transaction.query_one(
            "SELECT current_user::text, auth.jwt(), requesting_user_id(), requesting_org_id()",
            &[],
        )?;
        Ok((row.get(0), row.get(1), row.get(2), row.get(3)))
    })
}

fn header(token: &Value) -> Value {
    json!({ HEADER: token })
}

/// The SQLSTATE and the reason code.
fn refusal(outcome: Result<Seen, Error>) -> (String, String) {
    let error = outcome.expect_err("the request was served");
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    let code = error.detail().unwrap().split(':').next().unwrap();
    (error.code().code().to_owned(), code.to_owned())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[test]
fn an_anonymous_request_with_a_token_is_the_users() {
    let (database, mut superuser) = prepared();
    // InsForge's authenticator role is a superuser. An ordinary role works, too.
    superuser
        .batch_execute(
            "CREATE ROLE authenticator LOGIN NOINHERIT; GRANT anon, authenticated TO authenticator",
        )
        .unwrap();
    for login in ["postgres", "authenticator"] {
        let mut client = database.connect_as(login).unwrap();
        for identity_source in ["claims", "verified"] {
            superuser
                .execute(
                    "SELECT insforge_integrations.configure('identity_source', $1)",
                    &[&identity_source],
                )
                .unwrap();
            let token = in_an_organisation();
            let seen = serve(&mut client, "anon", json!({}), header(&token["token"])).unwrap();
            assert_eq!(seen.0, "authenticated");
            assert_eq!(
                (seen.2, seen.3),
                (text(&token["user_id"]), text(&token["org_id"]))
            );
            assert_eq!(
                (&seen.1["sub"], &seen.1["role"]),
                (&token["user_id"], &json!("authenticated"))
            );
            assert_eq!(seen.1["provider"], "clerk");
            // The connection's next request has no user.
            let seen = serve(&mut client, "anon", json!({}), json!({})).unwrap();
            assert_eq!(
                seen,
                ("anon".to_owned(), json!({"role": "anon"}), None, None)
            );
        }
    }
}

#[test]
fn a_request_of_the_same_user_gains_the_tokens_claims() {
    let (_database, mut client) = prepared();
    let token = in_an_organisation();
    let user = &token["user_id"];
    let claims = json!({"sub": user, "email": "kept@example.com", "exp": 1, "aud": "kept"});
    let seen = serve(
        &mut client,
        "authenticated",
        claims.clone(),
        header(&token["token"]),
    )
    .unwrap();
    assert_eq!(seen.0, "authenticated");
    assert_eq!((seen.2, seen.3), (text(user), text(&token["org_id"])));
    assert_eq!(seen.1["org_id"], token["org_id"]);
    for name in ["sub", "email", "exp", "aud"] {
        assert_eq!(seen.1[name], claims[name]);
    }
    // Without the header, the next request has only its own claims.
    let seen = serve(&mut client, "authenticated", claims, json!({})).unwrap();
    assert_eq!((seen.2, seen.3), (text(user), None));
}

#[test]
fn a_token_of_another_user_ends_the_request() {
    let (_database, mut client) = prepared();
    let token = &in_an_organisation()["token"];
    for claims in [
        json!({"sub": "user_2somebodyElse"}),
        json!({}),
        json!({"sub": null}),
    ] {
        let outcome = serve(&mut client, "authenticated", claims, header(token));
        assert_eq!(
            refusal(outcome),
            ("PT401".to_owned(), "subject_rejected".to_owned())
        );
    }
}

#[test]
fn a_bad_token_ends_the_request_of_anybody_but_an_administrator() {
    let (_database, mut client) = prepared();
    let now = node::now();
    let foreign = node::sign(&json!([{"alg": "RS256", "kid": "k", "claims":
        {"iss": "https://elsewhere.example", "sub": "user_1", "iat": now, "exp": now + 60}}]))
    .unwrap();
    let expired = case("clerk", |case| case["reason"] == "expired");
    let forged = case("workos", |case| case["reason"] == "bad_signature");
    for (token, expected) in [
        (&expired["token"], "expired"),
        (&forged["token"], "bad_signature"),
        (&json!(foreign.tokens[0]), "unknown_issuer"),
        (&json!("not a token"), "malformed"),
    ] {
        let claims = json!({"sub": "user_1"});
        for role in ["anon", "authenticated"] {
            let outcome = serve(&mut client, role, claims.clone(), header(token));
            assert_eq!(
                refusal(outcome),
                ("PT401".to_owned(), expected.to_owned()),
                "{role}"
            );
        }
        let seen = serve(&mut client, "project_admin", claims, header(token)).unwrap();
        assert_eq!(
            (seen.0.as_str(), seen.2.as_deref()),
            ("project_admin", Some("user_1"))
        );
    }
    // After each refusal the connection serves the next request.
    assert_eq!(
        serve(&mut client, "anon", json!({}), json!({})).unwrap().0,
        "anon"
    );
}

#[test]
fn an_administrators_request_is_not_touched() {
    let (_database, mut client) = prepared();
    let token = in_an_organisation();
    let seen = serve(
        &mut client,
        "project_admin",
        json!({}),
        header(&token["token"]),
    )
    .unwrap();
    assert_eq!(
        seen,
        (
            "project_admin".to_owned(),
            json!({"role": "project_admin"}),
            None,
            None
        )
    );
}

#[test]
fn the_header_is_the_one_that_the_setting_names() {
    let (_database, mut client) = prepared();
    let token = &in_an_organisation()["token"];
    for (name, is_read) in [("x-clerk-token", true), (HEADER, false)] {
        client
            .batch_execute(
                "SELECT insforge_integrations.configure('provider_token_header', 'x-clerk-token')",
            )
            .unwrap();
        let seen = serve(&mut client, "anon", json!({}), json!({ name: token })).unwrap();
        assert_eq!(seen.0 == "authenticated", is_read, "{name}");
    }
    let seen = serve(&mut client, "anon", json!({}), json!({"x-clerk-token": ""})).unwrap();
    assert_eq!(seen.0, "anon");
    assert!(serve(&mut client, "anon", json!({}), json!({"x-clerk-token": 1})).is_err());
}

#[test]
fn of_a_header_that_was_sent_several_times_the_last_counts() {
    let (_database, mut client) = prepared();
    let (good, other) = (in_an_organisation(), a_token_of("workos"));
    for (values, expected) in [
        (json!([other["token"], good["token"]]), Ok(good)),
        (json!([good["token"], other["token"]]), Ok(other)),
        (json!(["not a token", good["token"]]), Ok(good)),
        (json!([good["token"], "not a token"]), Err("malformed")),
        (json!([good["token"], ""]), Ok(&Value::Null)),
    ] {
        let outcome = serve(&mut client, "anon", json!({}), json!({ HEADER: values }));
        match expected {
            Ok(case) => assert_eq!(outcome.unwrap().2, text(&case["user_id"])),
            Err(reason) => {
                assert_eq!(refusal(outcome), ("PT401".to_owned(), reason.to_owned()));
            }
        }
    }
}

#[test]
fn the_word_bearer_and_blanks_around_a_token_are_taken_off() {
    let (_database, mut client) = prepared();
    let case = in_an_organisation();
    let token = text(&case["token"]).unwrap();
    // PostgREST strips the blanks before a value, not those behind it.
    for value in [
        format!("Bearer {token}"),
        format!("bearer   {token}"),
        format!("BEARER\t{token}\t"),
        format!(" {token} "),
    ] {
        let seen = serve(&mut client, "anon", json!({}), header(&json!(value))).unwrap();
        assert_eq!(
            (seen.0.as_str(), seen.2),
            ("authenticated", text(&case["user_id"]))
        );
    }
    // Blanks only are no token, as an empty header is none.
    let seen = serve(&mut client, "anon", json!({}), header(&json!(" \t"))).unwrap();
    assert_eq!((seen.0.as_str(), seen.2), ("anon", None));
    for value in [
        "Bearer ".to_owned(),
        format!("Bearer Bearer {token}"),
        format!("Basic {token}"),
        format!("Bearer{token}"),
        "Bearer undefined".to_owned(),
    ] {
        let outcome = serve(&mut client, "anon", json!({}), header(&json!(value)));
        assert_eq!(
            refusal(outcome),
            ("PT401".to_owned(), "malformed".to_owned()),
            "{value}"
        );
    }
}

#[test]
fn headers_that_a_session_sets_itself_give_it_no_role() {
    let (database, _superuser) = prepared();
    let mut anon = database.connect_as("anon").unwrap();
    let headers = header(&in_an_organisation()["token"]).to_string();
    let outcome = anon.batch_execute(&format!(
        "BEGIN; SELECT set_config('request.headers', '{headers}', true);
         SELECT insforge_integrations.pre_request(); COMMIT"
    ));
    let error = outcome.unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().code().code(),
        "42501",
        "{error:?}"
    );
}

#[test]
fn without_postgrest_the_error_is_that_of_sql() {
    let (_database, mut client) = prepared();
    let headers = header(&json!("not a token")).to_string();
    let error = client
        .batch_execute(&format!(
            "BEGIN; SET LOCAL ROLE anon; SELECT set_config('request.headers', '{headers}', true);
             SELECT insforge_integrations.pre_request(); COMMIT"
        ))
        .unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().code().code(),
        "22P02",
        "{error:?}"
    );
}
