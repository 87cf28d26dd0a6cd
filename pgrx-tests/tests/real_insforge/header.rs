//! A provider's token in the header, through InsForge's own API.

use insforge_integrations_tests::node;
use insforge_integrations_tests::provider_tokens::{a_token_of, providers};
use serde_json::{Value, json};

use super::backend::{ANON_KEY, API_KEY};
use super::server::{Call, agent};
use super::{HEADER, InsForge};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn the_anon_key_with_a_token_in_the_header_is_the_user() {
    let Some(insforge) = InsForge::shared() else {
        return;
    };
    let records = || Call::get("/api/database/records/notes?select=user_id,body").bearer(ANON_KEY);
    insforge
        .superuser()
        .batch_execute("INSERT INTO notes (user_id, body) VALUES ('somebody else', 'theirs')")
        .unwrap();
    for name in ["clerk", "workos"] {
        let case = a_token_of(name);
        let (token, user) = (text(&case["token"]), text(&case["user_id"]));
        let own = json!([{"user_id": user, "body": "mine"}]);
        let write = Call::post(
            "/api/database/records/notes?select=user_id,body",
            &json!([{"body": "mine"}]),
        );
        let write = write
            .header("prefer", "return=representation")
            .bearer(ANON_KEY);
        let written = insforge.backend.answer(&write.header(HEADER, token));
        assert_eq!((written.status, &written.body), (201, &own), "{written:?}");
        let read = insforge.backend.answer(&records().header(HEADER, token));
        assert_eq!((read.status, &read.body), (200, &own), "{read:?}");
    }
    let nobody = insforge.backend.answer(&records());
    assert_eq!((nobody.status, nobody.body), (200, json!([])));
    let clerks = providers()["clerk"]["tokens"].as_array().unwrap();
    let expired = clerks.iter().find(|case| case["reason"] == "expired");
    let expired = text(&expired.unwrap()["token"]);
    let twice = records().header(HEADER, text(&a_token_of("clerk")["token"]));
    for (call, reason) in [
        (records().header(HEADER, "no token"), "malformed"),
        (records().header(HEADER, expired), "expired"),
        // Node.js joins two headers of the same name.
        (
            twice
                .clone()
                .header(HEADER, text(&a_token_of("clerk")["token"])),
            "malformed",
        ),
    ] {
        let refused = insforge.backend.answer(&call);
        assert_eq!(refused.error(), (401, "PT401"), "{refused:?}");
        let details = text(&refused.body["details"]);
        assert!(details.starts_with(reason), "{refused:?}");
    }
}

#[test]
fn organisations_and_permissions_reach_policies() {
    let Some(insforge) = InsForge::shared() else {
        return;
    };
    let cases = providers()["workos"]["tokens"].as_array().unwrap();
    let in_organisation = |case: &&Value| case["accept"] == true && case["org_id"].is_string();
    let case = cases.iter().find(in_organisation).unwrap();
    let call = Call::post("/api/database/rpc/who", &json!({})).bearer(ANON_KEY);
    let who = insforge
        .backend
        .answer(&call.clone().header(HEADER, text(&case["token"])));
    assert_eq!(who.body["org"], case["org_id"], "{who:?}");
    assert_eq!(who.body["role"], "authenticated");
    // The backend's own key is an administrator: the header changes nothing.
    let call = Call::post("/api/database/rpc/who", &json!({})).bearer(API_KEY);
    let admin = insforge
        .backend
        .answer(&call.header(HEADER, text(&case["token"])));
    assert_eq!(
        (&admin.body["role"], &admin.body["user"]),
        (&json!("project_admin"), &Value::Null)
    );
}

/// What a browser asks before it sends the header from a page of another origin.
#[test]
fn cors_allows_the_header() {
    let Some(insforge) = InsForge::shared() else {
        return;
    };
    let preflight = Call::get("/api/database/records/notes")
        .method("OPTIONS")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "GET")
        .header(
            "access-control-request-headers",
            format!("authorization,{HEADER}"),
        );
    let answer = agent()
        .run(preflight.build(insforge.backend.url()))
        .unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(answer.status(), 204);
    assert_eq!(
        header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert!(header("access-control-allow-headers").contains(HEADER));
}

#[test]
fn the_real_sdk_sends_the_header() {
    let Some(insforge) = InsForge::shared() else {
        return;
    };
    let case = a_token_of("clerk");
    let answers = |token: &str| -> Value {
        let printed = node::run(
            "insforge_header.mjs",
            &[insforge.backend.url(), ANON_KEY, token],
        );
        serde_json::from_str(&printed.unwrap()).unwrap()
    };
    let good = answers(text(&case["token"]));
    let refused = answers("no token");
    for way in ["fixed", "fresh"] {
        let own = json!([{"user_id": case["user_id"], "body": way}]);
        assert_eq!(good[way]["written"]["data"], own, "{good}");
        assert_eq!(good[way]["read"]["data"], own, "{good}");
        assert_eq!(good[way]["who"]["data"]["user"], case["user_id"], "{good}");
        for answer in ["written", "read", "who"] {
            let answer = &refused[way][answer];
            assert_eq!(answer["error"]["code"], "PT401", "{answer}");
            assert_eq!(answer["status"], 401, "{answer}");
        }
    }
}
