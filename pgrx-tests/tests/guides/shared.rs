//! The code that all guides share, with the real @insforge/sdk. `clients/insforge_api.mjs` plays
//! InsForge's API.

use std::sync::OnceLock;

use insforge_integrations_tests::two_users::two_users;
use serde_json::{Value, json};

use super::{SECRET, prepared, run, socket};

/// What `clients/guides/shared.mjs` saw, and the ids of Ada and Ben.
fn seen() -> &'static (Value, [String; 2]) {
    static SEEN: OnceLock<(Value, [String; 2])> = OnceLock::new();
    SEEN.get_or_init(|| {
        let (database, mut superuser) = prepared();
        let users = two_users(&mut superuser, "workos");
        let [ada, again, ben, _] = &users.tokens;
        let arguments = [socket(), database.name(), SECRET, ada, again, ben, "workos"];
        (run("shared.mjs", &arguments), users.ids)
    })
}

#[test]
fn each_request_is_that_of_the_user_who_is_signed_in_at_that_moment() {
    let (seen, _) = seen();
    let header = &seen["header"];
    assert_eq!(header["ada"], json!(["by ada"]));
    assert_eq!(header["ben"], json!(["by ben"]));
    assert_eq!(seen["written"], Value::Null);
    assert_eq!(seen["after_writing"], json!(["by ada", "written by ada"]));
    assert_eq!(seen["postgrest"], seen["after_writing"]);
}

#[test]
fn without_a_session_the_request_is_anonymous() {
    let (seen, _) = seen();
    assert_eq!(seen["header"]["nobody"], json!([]));
    assert_eq!(seen["header"]["undefined"], json!([]));
    assert_eq!(seen["exchanged_client_of_nobody"], Value::Null);
}

#[test]
fn a_refused_token_is_401_with_the_reason() {
    let (seen, _) = seen();
    let refused = &seen["header"]["refused"];
    assert_eq!(refused["status"], 401, "{refused}");
    assert_eq!(refused["code"], "PT401", "{refused}");
    assert_eq!(refused["reason"], "malformed", "{refused}");
}

#[test]
fn a_failed_refresh_sends_nothing() {
    let (seen, _) = seen();
    let message = seen["failed_refresh"]["message"].as_str().unwrap();
    assert!(message.ends_with("login_required"), "{message}");
    assert_eq!(seen["requests_after_failed_refresh"], 0);
}

#[test]
fn the_token_goes_only_to_the_database() {
    let (seen, _) = seen();
    // Two requests to another server, and a redirect there that was not followed.
    assert_eq!(seen["strangers"], json!([null, null]));
    assert_eq!(seen["redirect"]["message"], "fetch failed");
    assert_eq!(seen["strangers_after_redirect"], 0);
    let function = json!(["POST", "/functions/whoami", "anon", false]);
    assert_eq!(seen["functions_request"], function);
}

/// Twenty requests of two users at the same time. Half of the answers of a client that the module
/// holds are another user's.
#[test]
fn a_client_for_each_request_answers_nobody_as_another_user() {
    let (seen, _) = seen();
    assert_eq!(seen["wrong_with_a_client_of_the_module"], 10);
    assert_eq!(seen["wrong_with_the_header"], 0);
    assert_eq!(seen["wrong_with_the_exchange"], 0);
}

#[test]
fn a_page_exchanges_only_when_it_must() {
    let (seen, [ada, ben]) = seen();
    let page = &seen["page"];
    assert_eq!(page["signed_out"], json!([null, 0]));
    // Three uses at the same time, one exchange.
    assert_eq!(page["ada"], json!([[ada, ada, ada], 1]));
    assert_eq!(page["again"], json!([ada, 0]));
    assert_eq!(page["new_token"], json!([ada, 1]));
    assert_eq!(page["expired"], json!([ada, 1]));
    assert_eq!(page["other_user"], json!([ben, 1]));
    assert_eq!(page["waiting_timers"], 0);
}

#[test]
fn nothing_signs_a_user_in_again_after_the_sign_out() {
    let (seen, [ada, ben]) = seen();
    let page = &seen["page"];
    let overtaken = json!({"message": "another user is signed in, or nobody"});
    assert_eq!(page["after_sign_out"], Value::Null);
    assert_eq!(page["signed_out_during_exchange"], overtaken);
    assert_eq!(page["then"], Value::Null);
    assert_eq!(page["signed_in_again"], json!([ada, 1]));
    assert_eq!(page["switched_during_exchange"], json!([ben, overtaken]));
    assert_eq!(page["still"], json!([ben, 0]));
}

#[test]
fn a_failed_refresh_or_exchange_signs_out() {
    let (seen, _) = seen();
    let page = &seen["page"];
    assert_eq!(page["failed_refresh"], json!({"message": "login_required"}));
    assert_eq!(page["after_failed_refresh"], Value::Null);
    assert_eq!(page["refused"]["code"], "PT401");
    assert_eq!(page["after_refused"], Value::Null);
}
