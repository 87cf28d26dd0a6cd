//! The code for pages, with the providers' real packages in a DOM without a browser.

use insforge_integrations_tests::two_users::two_users;
use serde_json::{Value, json};

use super::{SECRET, prepared, run, socket};

fn seen(provider: &str) -> Value {
    let (database, mut superuser) = prepared();
    let users = two_users(&mut superuser, provider);
    let [ada, _, ben, _] = &users.tokens;
    let arguments = [socket(), database.name(), SECRET, provider, ada, ben];
    run("browser.mjs", &arguments)
}

#[test]
fn users_read_their_own_rows_until_they_sign_out() {
    let expected = json!({
        "ada_before": [], "ada": ["by ada"], "ada_after": [],
        "ben_before": [], "ben": ["by ben"], "ben_after": [],
    });
    for provider in ["auth0", "kinde", "oidc"] {
        assert_eq!(seen(provider), expected, "{provider}");
    }
}

#[test]
fn stytchs_users_read_their_own_rows_and_a_hidden_token_is_an_error() {
    let hidden = "InsForgeError: Network request failed: the cookies are HttpOnly: use the code for the server";
    let expected = json!({
        "nobody": [], "ada": ["by ada"], "ben": ["by ben"], "signed_out": [],
        // There is a session, and the page cannot read its token.
        "http_only": [true, null, hidden],
    });
    assert_eq!(seen("stytch"), expected);
}
