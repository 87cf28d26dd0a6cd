//! Two users of one provider, for tests of what belongs to whom.

use postgres::Client;
use serde_json::{Value, json};

use crate::node;
use crate::provider_tokens::{a_token_of, register};

/// Ada and Ben.
pub struct TwoUsers {
    /// Their ids.
    pub ids: [String; 2],
    /// Two tokens of Ada, one of Ben, and an expired one of Ada.
    pub tokens: [String; 4],
    /// The key that signed them, as a JWK set.
    pub jwks: String,
}

/// Registers a provider with two users, whose tokens have the shape of the provider's simplest
/// token, and gives each a row in table `notes`.
///
/// # Panics
/// When Postgres or Node.js refuses something.
#[must_use]
pub fn two_users(superuser: &mut Client, provider: &str) -> TwoUsers {
    let simplest = &a_token_of(provider);
    let ada = simplest["user_id"].as_str().unwrap_or_default().to_owned();
    let mut ben = ada.clone();
    let last = if ben.pop() == Some('0') { '1' } else { '0' };
    ben.push(last);
    let (expired, later) = (node::now() - 60, node::now() + 3600);
    let token = |user: &str, changes: Value| {
        // The registration of an OpenID provider has a prefix, which ends with a colon.
        let sub = user.rsplit(':').next();
        let mut claims = json!({"sub": sub});
        claims
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().cloned().unwrap());
        json!({"like": simplest["token"], "claims": claims})
    };
    let signed = node::sign(&json!([
        token(&ada, json!({"jti": "1", "exp": later})),
        token(&ada, json!({"jti": "2", "exp": later})),
        token(&ben, json!({"jti": "3", "exp": later})),
        token(
            &ada,
            json!({"jti": "4", "iat": expired - 300, "exp": expired})
        ),
    ]))
    .unwrap_or_else(|error| panic!("{error:#}"));
    register(superuser, provider);
    for (statement, parameters) in [
        (
            "SELECT insforge_integrations.set_provider_jwks($1, $2::text::jsonb)",
            [provider, &signed.jwks],
        ),
        (
            "INSERT INTO notes (user_id, body) VALUES ($1, 'by ada'), ($2, 'by ben')",
            [&ada, &ben],
        ),
    ] {
        let [first, second] = parameters;
        superuser.execute(statement, &[&first, &second]).unwrap();
    }
    TwoUsers {
        ids: [ada, ben],
        tokens: signed.tokens.try_into().unwrap(),
        jwks: signed.jwks,
    }
}
