//! A provider's token in an exchange and in the header, and the guides' client code.

use insforge_integrations_tests::node;
use insforge_integrations_tests::provider_tokens::{a_token_of, providers};
use insforge_integrations_tests::two_users::{TwoUsers, two_users};
use serde_json::{Value, json};

use super::server::{Call, SECRET, Server, Setup, programs};
use super::{HEADER, OURS, insforge_token, prepared, text, who};

const EXCHANGE: &str = "/rpc/exchange_provider_token";
const PLAIN: Setup = Setup {
    pre_request: None,
    pool: 10,
};
const WITH_PRE_REQUEST: Setup = Setup {
    pre_request: Some(OURS),
    pool: 10,
};

#[test]
fn an_exchanged_token_reads_and_writes_the_users_own_rows() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        let server = Server::start(program, &database, PLAIN);
        superuser
            .batch_execute("INSERT INTO notes (user_id, body) VALUES ('somebody else', 'theirs')")
            .unwrap();
        for name in ["clerk", "workos"] {
            let case = a_token_of(name);
            let token = text(&case["token"]);
            for call in [
                Call::post(EXCHANGE, &json!({"token": token})),
                Call::post(EXCHANGE, &json!({"token": token, "provider": name})),
                Call::form(EXCHANGE, &format!("token={token}")),
            ] {
                let answer = server.answer(&call);
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(answer.body["user_id"], case["user_id"]);
                let access_token = text(&answer.body["access_token"]);
                let written = server.answer(
                    &Call::post("/notes?select=user_id,body", &json!({"body": "mine"}))
                        .header("prefer", "return=representation")
                        .bearer(access_token),
                );
                let own = json!({"user_id": case["user_id"], "body": "mine"});
                assert_eq!((written.status, written.body), (201, json!([own])));
                let read =
                    server.answer(&Call::get("/notes?select=user_id,body").bearer(access_token));
                assert!(
                    read.body.as_array().unwrap().iter().all(|row| *row == own),
                    "{read:?}"
                );
            }
        }
    }
}

#[test]
fn a_refused_token_is_401_with_its_reason() {
    for program in programs() {
        let (database, _superuser) = prepared();
        let server = Server::start(program, &database, WITH_PRE_REQUEST);
        let malformed = json!([{"accept": false, "case": "no token", "token": "not a token", "reason": "malformed"}]);
        let mut count = 0;
        for cases in [
            &providers()["clerk"]["tokens"],
            &providers()["workos"]["tokens"],
            &malformed,
        ] {
            let all = cases.as_array().unwrap();
            for case in all.iter().filter(|case| case["accept"] == false) {
                let token = text(&case["token"]);
                let mut calls = vec![Call::post(EXCHANGE, &json!({"token": token}))];
                if !token.is_empty()
                    && token.len() < 8000
                    && token.bytes().all(|byte| byte.is_ascii_graphic())
                {
                    calls.push(Call::get("/rpc/who").header(HEADER, token));
                }
                for call in calls {
                    let answer = server.answer(&call);
                    assert_eq!(
                        answer.error(),
                        (401, "PT401"),
                        "{}: {answer:?}",
                        case["case"]
                    );
                    assert_eq!(answer.challenge.as_deref(), Some("Bearer"));
                    let reason = text(&answer.body["details"]).split(':').next().unwrap();
                    let fits = match &case["reason"] {
                        Value::Array(reasons) => reasons.contains(&json!(reason)),
                        expected => *expected == reason,
                    };
                    // No provider is named, so the only possible reason may be an unknown issuer.
                    assert!(
                        fits || reason == "unknown_issuer",
                        "{}: {reason}",
                        case["case"]
                    );
                    assert!(
                        !text(&answer.body["message"]).is_empty()
                            && !text(&answer.body["hint"]).is_empty()
                    );
                    assert!(token.len() < 8 || !answer.body.to_string().contains(token));
                    count += 1;
                }
            }
        }
        assert!(count > 100, "{count}");
    }
}

#[test]
fn an_exchange_by_get_is_405() {
    for program in programs() {
        let (database, _superuser) = prepared();
        let server = Server::start(program, &database, PLAIN);
        let token = text(&a_token_of("workos")["token"]);
        let answer = server.answer(&Call::get(format!("{EXCHANGE}?token={token}")));
        assert_eq!(answer.error(), (405, "PT405"), "{answer:?}");
        assert!(!answer.body.to_string().contains(token));
    }
}

#[test]
fn the_header_decides_who_is_asking() {
    for program in programs() {
        let (database, _superuser) = prepared();
        let server = Server::start(program, &database, WITH_PRE_REQUEST);
        let (clerk, workos) = (a_token_of("clerk"), a_token_of("workos"));
        let (good, other) = (text(&clerk["token"]), text(&workos["token"]));
        let user = clerk["user_id"].as_str();
        let users = |case: &Value| {
            who(
                "authenticated",
                case["user_id"].as_str(),
                case["org_id"].as_str(),
            )
        };
        let call = || Call::get("/rpc/who");
        let of = |role, user| call().bearer(&insforge_token(role, user));
        for (call, expected) in [
            (call(), who("anon", None, None)),
            (call().header(HEADER, ""), who("anon", None, None)),
            (call().header(HEADER, good), users(clerk)),
            (call().header("X-Provider-Token", good), users(clerk)),
            (
                call().header(HEADER, other).header(HEADER, good),
                users(clerk),
            ),
            (
                call().header(HEADER, good).header(HEADER, other),
                users(workos),
            ),
            (call().header(HEADER, format!("  {good}")), users(clerk)),
            (
                call().header(HEADER, format!("Bearer {good}")),
                users(clerk),
            ),
            (of("authenticated", user), who("authenticated", user, None)),
            (of("authenticated", user).header(HEADER, good), users(clerk)),
            (
                of("project_admin", None).header(HEADER, good),
                who("project_admin", None, None),
            ),
            (
                of("project_admin", None).header(HEADER, "no token"),
                who("project_admin", None, None),
            ),
        ] {
            assert_eq!(server.answer(&call), expected, "{call:?}");
        }
        for (call, reason) in [
            (
                call().header(HEADER, good).header(HEADER, "no token"),
                "malformed",
            ),
            (
                of("authenticated", Some("user_2other")).header(HEADER, good),
                "subject_rejected",
            ),
        ] {
            let answer = server.answer(&call);
            assert_eq!(answer.error(), (401, "PT401"), "{call:?}: {answer:?}");
            assert!(
                text(&answer.body["details"]).starts_with(reason),
                "{answer:?}"
            );
        }
    }
}

/// The guides' code with the real @insforge/sdk, and InsForge's paths led to PostgREST's as its
/// backend leads them.
#[test]
fn the_guides_code_reads_and_writes_the_users_own_rows() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        let server = Server::start(program, &database, WITH_PRE_REQUEST);
        let TwoUsers {
            ids: [ada, ben],
            tokens: [token, again, of_ben, _],
            ..
        } = two_users(&mut superuser, "kinde");
        let socket = database.cluster().socket_directory().to_str().unwrap();
        let printed = node::run(
            "guides/shared.mjs",
            &[
                socket,
                database.name(),
                SECRET,
                &token,
                &again,
                &of_ben,
                "kinde",
                server.url(),
            ],
        );
        let seen: Value = serde_json::from_str(&printed.unwrap()).unwrap();
        let header = &seen["header"];
        assert_eq!(header["ada"], json!(["by ada"]), "{seen}");
        assert_eq!(header["ben"], json!(["by ben"]), "{seen}");
        assert_eq!(header["nobody"], json!([]), "{seen}");
        assert_eq!(header["refused"]["code"], "PT401", "{seen}");
        assert_eq!(seen["after_writing"], json!(["by ada", "written by ada"]));
        assert_eq!(seen["wrong_with_the_header"], 0, "{seen}");
        assert_eq!(seen["wrong_with_the_exchange"], 0, "{seen}");
        assert_eq!(seen["page"]["again"], json!([ada, 0]), "{seen}");
        assert_eq!(seen["page"]["other_user"], json!([ben, 1]), "{seen}");
    }
}
