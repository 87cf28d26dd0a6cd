//! A real PostgREST in front of the extension: each program that POSTGREST names, or `postgrest` on
//! PATH. Without one, these tests say so and check nothing.

mod errors;
mod exchange;
mod header_users;
mod other_users;
mod own_roles;
mod server;
mod shop;
mod summaries;

use insforge_integrations_tests::provider_tokens::register;
use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use jsonwebtoken::{EncodingKey, Header};
use postgres::Client;
use serde_json::{Value, json};

use server::{Answer, Call, SECRET};

const OURS: &str = "insforge_integrations.pre_request";
/// A pre-request function of an application. It calls `authenticate()`.
const APPLICATIONS: &str = "public.check_request";
const HEADER: &str = "x-provider-token";

/// A database with the guides' table, providers, and a function that returns the requesting user.
fn prepared() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(&format!(
            "CREATE TABLE notes (id serial, user_id text NOT NULL DEFAULT requesting_user_id(), body text);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             GRANT USAGE ON SEQUENCE notes_id_seq TO authenticated;
             CREATE POLICY own_rows ON notes TO authenticated
               USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));
             CREATE FUNCTION who() RETURNS json STABLE LANGUAGE sql AS $$
               SELECT json_build_object('role', current_user, 'user', requesting_user_id(), 'org', requesting_org_id())
             $$;
             CREATE FUNCTION check_request() RETURNS void LANGUAGE plpgsql AS $$
             DECLARE
               token text := current_setting('request.headers')::json ->> '{HEADER}';
             BEGIN
               IF token <> '' THEN
                 PERFORM insforge_integrations.authenticate(token);
               END IF;
             END $$;
             SELECT insforge_integrations.set_jwt_secret('{}')",
            SECRET.replace('\'', "''")
        ))
        .unwrap();
    register(&mut client, "clerk");
    register(&mut client, "workos");
    (database, client)
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// A token like those that InsForge's backend makes for PostgREST.
fn insforge_token(role: &str, user: Option<&str>) -> String {
    let mut claims = json!({"role": role, "exp": node::now() + 600});
    if let Some(user) = user {
        claims["sub"] = json!(user);
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}

/// The requesting user in function `who()`.
fn who(role: &str, user: Option<&str>, org: Option<&str>) -> Answer {
    Answer {
        status: 200,
        challenge: None,
        body: json!({"role": role, "user": user, "org": org}),
    }
}

/// A body that is not text. PostgREST 12 and 14 notice this after the pre-request and leave the
/// transaction open.
fn broken_request(token: &str) -> Call {
    Call::form("/rpc/exchange_provider_token", "token=%FF").header(HEADER, token)
}
