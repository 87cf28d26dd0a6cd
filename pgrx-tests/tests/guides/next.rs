//! The code for servers in a real Next.js server, with the providers' real packages, and with their
//! clouds played by `clients/guides/next.mjs`.

use insforge_integrations_tests::two_users::two_users;
use serde_json::{Map, Value, json};

use super::{SECRET, prepared, run, socket};

const PROVIDERS: [&str; 5] = ["auth0", "clerk", "kinde", "stytch", "workos"];

/// Two users of each provider sign in and read their notes, by the header and by the exchange.
/// Twenty requests of both at the same time are answered to the right user.
#[test]
fn every_providers_users_read_their_own_rows_on_the_server() {
    let (database, mut superuser) = prepared();
    let users: Map<String, Value> = PROVIDERS
        .into_iter()
        .map(|provider| {
            let users = two_users(&mut superuser, provider);
            let document = json!({"ids": users.ids, "tokens": users.tokens, "jwks": users.jwks});
            (provider.to_owned(), document)
        })
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, json!(users).to_string()).unwrap();
    let path = file.path().to_str().unwrap();
    let seen = run("next.mjs", &[socket(), database.name(), SECRET, path]);

    for provider in PROVIDERS {
        let [ada, ben] = [&users[provider]["ids"][0], &users[provider]["ids"][1]];
        let notes = |user: &Value, body: &str| json!([{"user_id": user, "body": body}]);
        let mut expected = json!({
            "nobody": [], "nobody_exchanged": {"user_id": null},
            "ada": notes(ada, "by ada"), "ada_exchanged": {"user_id": ada},
            "ben": notes(ben, "by ben"), "ben_exchanged": {"user_id": ben},
            "wrong": 0,
        });
        if provider == "stytch" {
            // Stytch's package gets a new token for the one in the cookie.
            expected["expired"] = notes(ada, "by ada");
        }
        if ["clerk", "workos"].contains(&provider) {
            expected["page"] = json!(true);
        }
        assert_eq!(seen[provider], expected, "{provider}");
    }
}
