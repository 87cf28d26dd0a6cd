//! The code of the guides, `docs/clients/*.ts`, with the real packages that it imports.

mod better_auth;
mod next;
mod pages;
mod shared;
mod types;

use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

const SECRET: &str = "insforge's JWT_SECRET, 32 bytes or more";

/// Two users of one provider, with tokens that one key has signed.
struct Users {
    /// The ids of Ada and Ben.
    ids: [String; 2],
    /// Two tokens of Ada, one of Ben, and an expired one of Ada.
    tokens: [String; 4],
    jwks: String,
}

/// Registers a provider with two users, whose tokens have the shape of the provider's simplest
/// token, and gives each a note.
fn users_of(superuser: &mut Client, provider: &str) -> Users {
    let simplest = a_token_of(provider)["token"].as_str().unwrap();
    register(superuser, provider);
    let claims: Value = superuser
        .query_one(
            "SELECT insforge_integrations.verify_provider_jwt($1)",
            &[&simplest],
        )
        .unwrap()
        .get(0);
    let header = json!(jsonwebtoken::decode_header(simplest).unwrap());
    let ada = claims["sub"].as_str().unwrap().to_owned();
    let mut letters: Vec<char> = ada.chars().collect();
    let last = letters.last_mut().unwrap();
    *last = if *last == '0' { '1' } else { '0' };
    let ben: String = letters.into_iter().collect();
    let expired = node::now() - 60;
    let wanted: Vec<Value> = [(&ada, 1), (&ada, 2), (&ben, 3), (&ada, 4)]
        .into_iter()
        .map(|(user, number)| {
            let mut claims = claims.clone();
            claims["sub"] = json!(user);
            claims["jti"] = json!(number.to_string());
            if number == 4 {
                claims["iat"] = json!(expired - 300);
                claims["exp"] = json!(expired);
            }
            json!({"alg": header["alg"], "kid": header["kid"], "header": header, "claims": claims})
        })
        .collect();
    let signed = node::sign(&json!(wanted)).unwrap();
    superuser
        .execute(
            "SELECT insforge_integrations.set_provider_jwks($1, $2::text::jsonb)",
            &[&provider, &signed.jwks],
        )
        .unwrap();
    superuser
        .execute(
            "INSERT INTO notes (user_id, body) VALUES ($1, 'by ada'), ($2, 'by ben')",
            &[&ada, &ben],
        )
        .unwrap();
    Users {
        ids: [ada, ben],
        tokens: signed.tokens.try_into().unwrap(),
        jwks: signed.jwks,
    }
}

/// A database with the table of the guides and InsForge's secret.
fn prepared() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    superuser
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRET],
        )
        .unwrap();
    superuser
        .batch_execute(
            "CREATE TABLE public.notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
               user_id text NOT NULL DEFAULT requesting_user_id(), body text NOT NULL);
             ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own_rows ON public.notes TO authenticated
               USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))",
        )
        .unwrap();
    (database, superuser)
}

fn socket() -> &'static str {
    shared_cluster().socket_directory().to_str().unwrap()
}

/// What a script in `clients/guides/` printed.
fn run(script: &str, arguments: &[&str]) -> Value {
    let printed = node::run(&format!("guides/{script}"), arguments).unwrap();
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}
