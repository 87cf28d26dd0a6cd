//! A project on plain PostgREST with role names of its own, those of PostgREST's tutorial. Its
//! users sign in with Auth0, and the token is in the header.

use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use insforge_integrations_tests::{Cluster, Database, Fixture, node};
use postgres::error::{DbError, SqlState};
use postgres::{Client, Error};
use serde_json::{Value, json};

/// Roles, a table of the project, and the statements of docs/postgrest.md. The roles are in a
/// cluster of their own, without InsForge's.
fn project(cluster: &Cluster) -> (Database<'_>, Client) {
    let database = cluster.database(Fixture::Empty).unwrap();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute(
            "CREATE ROLE web_anon; CREATE ROLE web_user; CREATE ROLE web_admin BYPASSRLS;
             CREATE ROLE authenticator LOGIN NOINHERIT; GRANT web_anon, web_user, web_admin TO authenticator;
             CREATE EXTENSION insforge_integrations;
             CREATE TABLE notes (user_id text NOT NULL DEFAULT requesting_user_id(), body text);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             GRANT SELECT, INSERT ON notes TO web_user, web_admin;
             CREATE POLICY own_rows ON notes TO web_user
               USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));
             INSERT INTO notes VALUES ('somebody else', 'theirs')",
        )
        .unwrap();
    register(&mut superuser, "auth0");
    (database, superuser)
}

fn configure(superuser: &mut Client) {
    superuser
        .batch_execute(
            "SELECT insforge_integrations.configure('anon_role', 'web_anon');
             SELECT insforge_integrations.configure('token_role', 'web_user')",
        )
        .unwrap();
}

fn request(role: &str, headers: Value) -> Request<'_> {
    Request {
        role,
        headers,
        pre_request: Some("insforge_integrations.pre_request"),
        ..Request::default()
    }
}

fn token() -> &'static str {
    a_token_of("auth0")["token"].as_str().unwrap()
}

fn header(token: &str) -> Value {
    json!({"x-provider-token": token})
}

/// Role, user, and the rows that the request sees after it wrote one.
type Seen = (String, Option<String>, Vec<String>);

fn writes(client: &mut Client, request: &Request) -> Result<Seen, Error> {
    request.serve(client, |transaction| {
        let row = transaction.query_one("SELECT current_user::text, requesting_user_id()", &[])?;
        transaction.execute("INSERT INTO notes (body) VALUES ('mine')", &[])?;
        let rows = transaction.query("SELECT body FROM notes", &[])?;
        Ok((
            row.get(0),
            row.get(1),
            rows.iter().map(|row| row.get(0)).collect(),
        ))
    })
}

fn who(client: &mut Client, request: &Request) -> Result<(String, Option<String>), Error> {
    request.serve(client, |transaction| {
        let row = transaction.query_one("SELECT current_user::text, requesting_user_id()", &[])?;
        Ok((row.get(0), row.get(1)))
    })
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> DbError {
    let error = outcome.unwrap_err();
    error
        .as_db_error()
        .unwrap_or_else(|| panic!("{error:?}"))
        .clone()
}

#[test]
fn a_token_in_the_header_makes_the_anonymous_role_the_users() {
    let cluster = Cluster::start().unwrap();
    let (database, mut superuser) = project(&cluster);
    configure(&mut superuser);
    let user = a_token_of("auth0")["user_id"].as_str().unwrap().to_owned();
    let mut pooled = database.connect_as("authenticator").unwrap();
    for identity_source in ["claims", "verified"] {
        let set = "SELECT insforge_integrations.configure('identity_source', $1)";
        superuser.execute(set, &[&identity_source]).unwrap();
        superuser
            .batch_execute("DELETE FROM notes WHERE body = 'mine'")
            .unwrap();
        let seen = writes(&mut pooled, &request("web_anon", header(token()))).unwrap();
        assert_eq!(
            seen,
            (
                "web_user".to_owned(),
                Some(user.clone()),
                vec!["mine".to_owned()]
            )
        );
    }
    // The role of an exchanged token, with the user's own claims in the header.
    let mut users = request("web_user", header(token()));
    users.claims = json!({"sub": user});
    assert_eq!(who(&mut pooled, &users).unwrap().1, Some(user));
    users.claims = json!({"sub": "auth0|somebodyElse"});
    let refused = refusal(who(&mut pooled, &users));
    assert_eq!(refused.code().code(), "PT401");
    assert!(refused.detail().unwrap().starts_with("subject_rejected"));
    // Without a token, and with a bad one.
    let anonymous = who(&mut pooled, &request("web_anon", json!({}))).unwrap();
    assert_eq!(anonymous, ("web_anon".to_owned(), None));
    let refused = refusal(who(
        &mut pooled,
        &request("web_anon", header("not a token")),
    ));
    assert_eq!(refused.code().code(), "PT401");
    // An administrator's request is not touched.
    let untouched = who(&mut pooled, &request("web_admin", header(token()))).unwrap();
    assert_eq!(untouched, ("web_admin".to_owned(), None));
}

#[test]
fn a_token_is_not_ignored_while_the_setting_is_forgotten() {
    let cluster = Cluster::start().unwrap();
    let (database, mut superuser) = project(&cluster);
    let mut pooled = database.connect_as("authenticator").unwrap();
    let refused = refusal(who(&mut pooled, &request("web_anon", header(token()))));
    assert_eq!(refused.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert_eq!(
        refused.message(),
        "setting \"anon_role\" names a role that does not exist"
    );
    let detail = refused.detail().unwrap();
    assert!(
        detail.contains("\"web_anon\"") && detail.contains("\"anon\""),
        "{detail}"
    );
    assert!(refused.hint().unwrap().contains("configure('anon_role'"));
    assert!(!format!("{refused:?}").contains(token()));
    // Without a token there is nothing to lose.
    assert_eq!(
        who(&mut pooled, &request("web_anon", json!({}))).unwrap().0,
        "web_anon"
    );
    // A role of this name need not be the one that PostgREST uses. Then only the advisor can tell.
    superuser.batch_execute("CREATE ROLE anon").unwrap();
    assert_eq!(
        who(&mut pooled, &request("web_anon", header(token())))
            .unwrap()
            .0,
        "web_anon"
    );
}

#[test]
fn the_anonymous_role_may_exchange_a_token_once_it_is_granted() {
    let cluster = Cluster::start().unwrap();
    let (database, mut superuser) = project(&cluster);
    configure(&mut superuser);
    superuser
        .batch_execute("SELECT insforge_integrations.set_jwt_secret('a secret for tests, of 32 bytes and more')")
        .unwrap();
    let mut pooled = database.connect_as("authenticator").unwrap();
    let anonymous = request("web_anon", json!({}));
    let refused = refusal(anonymous.exchange(&mut pooled, token(), None));
    assert_eq!(refused.code(), &SqlState::INSUFFICIENT_PRIVILEGE);
    superuser
        .batch_execute("SELECT insforge_integrations.grant_to_insforge_roles()")
        .unwrap();
    let answer = anonymous.exchange(&mut pooled, token(), None).unwrap();
    let access_token = answer["access_token"].as_str().unwrap();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(access_token)
        .unwrap()
        .claims;
    assert_eq!(claims["role"], "web_user");
    assert!(claims["exp"].as_u64().unwrap() > node::now());
    // The other roles of the project may not.
    for role in ["web_admin", "authenticator"] {
        let may =
            "SELECT has_function_privilege($1, 'exchange_provider_token(text, text)', 'EXECUTE')";
        assert!(
            !superuser
                .query_one(may, &[&role])
                .unwrap()
                .get::<_, bool>(0),
            "{role}"
        );
    }
}

/// Better Auth's tables are hidden from these roles, too, and the advisor sees what they may read.
#[test]
fn the_projects_roles_are_the_roles_of_requests() {
    let cluster = Cluster::start().unwrap();
    let (_database, mut superuser) = project(&cluster);
    configure(&mut superuser);
    superuser
        .batch_execute(
            "CREATE SCHEMA better_auth; GRANT USAGE ON SCHEMA better_auth TO web_anon;
             CREATE TABLE better_auth.session (id text, token text, \"userId\" text, \"expiresAt\" timestamptz);
             CREATE TABLE better_auth.account (id text, \"accountId\" text, \"providerId\" text, \"userId\" text, password text);
             GRANT SELECT ON better_auth.session TO web_anon",
        )
        .unwrap();
    let rules = "SELECT rule_id FROM insforge_integrations.advise()";
    let found = |superuser: &mut Client| -> Vec<String> {
        let rows = superuser.query(rules, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert!(
        found(&mut superuser)
            .iter()
            .any(|rule| rule == "credentials_exposed" || rule == "better_auth_exposed"),
        "{:?}",
        found(&mut superuser)
    );
    superuser
        .batch_execute("SELECT insforge_integrations.seal_better_auth()")
        .unwrap();
    let may = "SELECT has_table_privilege('web_anon', 'better_auth.session', 'SELECT')";
    assert!(!superuser.query_one(may, &[]).unwrap().get::<_, bool>(0));
    let left = found(&mut superuser);
    assert!(
        !left.iter().any(|rule| rule.contains("exposed")),
        "{left:?}"
    );
}
