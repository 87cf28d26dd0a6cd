//! A new JWT_SECRET for InsForge, in the order of docs/insforge.md and in a wrong one.

use insforge_integrations_tests::provider_tokens::a_token_of;
use postgres::error::SqlState;
use serde_json::json;

use super::backend::{ANON_KEY, API_KEY, Secrets};
use super::server::Call;
use super::{HEADER, IN_COMPOSE, InsForge, SECRETS};

const NEXT: &str = "the second JWT_SECRET of InsForge, long enough";

#[test]
fn a_new_jwt_secret_needs_an_encryption_key_first() {
    let Some(insforge) = InsForge::start(&[IN_COMPOSE]) else {
        return;
    };
    let mut superuser = insforge.superuser();
    let InsForge {
        checkout,
        database,
        postgrest,
        backend,
    } = insforge;
    let case = a_token_of("clerk");
    let (token, user) = (case["token"].as_str().unwrap(), &case["user_id"]);
    let exchange = Call::post(
        "/api/database/rpc/exchange_provider_token",
        &json!({"token": token}),
    );
    let exchange = exchange.bearer(ANON_KEY);
    let who = || Call::post("/api/database/rpc/who", &json!({}));
    let by_header = who().bearer(ANON_KEY).header(HEADER, token);
    let read_secret = Call::get("/api/secrets/STRIPE").bearer(API_KEY);

    superuser
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRETS.jwt_secret],
        )
        .unwrap();
    let stored = json!({"key": "STRIPE", "value": "sk_test"});
    let stored = backend.answer(&Call::post("/api/secrets", &stored).bearer(API_KEY));
    assert_eq!(stored.status, 201, "{stored:?}");
    let headers = "SELECT schedules.encrypt_headers('{\"authorization\": \"x\"}')";
    let headers: String = superuser.query_one(headers, &[]).unwrap().get(0);
    let old = backend.answer(&exchange).body["access_token"].clone();
    let old = old.as_str().unwrap();
    assert_eq!(backend.answer(&who().bearer(old)).body["user"], *user);
    drop((backend, postgrest));

    let restarted = |secrets: Secrets| {
        let postgrest = checkout.postgrest(&database, secrets, &[IN_COMPOSE]);
        let backend = checkout.backend(&database, &postgrest, secrets);
        (backend, postgrest)
    };

    // Only a new JWT_SECRET: InsForge can no longer read its own keys.
    let wrong = Secrets {
        jwt_secret: NEXT,
        encryption_key: "",
    };
    let (backend, postgrest) = restarted(wrong);
    for call in [&exchange, &by_header, &read_secret] {
        let answer = backend.answer(call);
        assert_eq!(answer.status, 401, "{answer:?}");
        let message = answer.body["message"].as_str().unwrap();
        assert!(
            ["Invalid anon key", "Invalid API key"].contains(&message),
            "{answer:?}"
        );
    }
    assert!(backend.log().contains("Failed to decrypt anon key"));
    drop((backend, postgrest));
    superuser
        .batch_execute(&format!("SET app.encryption_key = '{NEXT}'"))
        .unwrap();
    let decrypt = "SELECT schedules.decrypt_headers($1)::text";
    let error = superuser.query_one(decrypt, &[&headers]).unwrap_err();
    assert_eq!(
        error.code(),
        Some(&SqlState::EXTERNAL_ROUTINE_INVOCATION_EXCEPTION)
    );
    superuser.batch_execute("RESET app.encryption_key").unwrap();

    // The encryption key is the present JWT_SECRET first. Then JWT_SECRET changes.
    superuser
        .batch_execute("DELETE FROM system.secrets WHERE key = 'JWT_SECRET'")
        .unwrap();
    let right = Secrets {
        jwt_secret: NEXT,
        encryption_key: SECRETS.jwt_secret,
    };
    let (backend, _postgrest) = restarted(right);
    assert_eq!(backend.answer(&read_secret).body["value"], "sk_test");
    let decrypted: String = superuser.query_one(decrypt, &[&headers]).unwrap().get(0);
    assert_eq!(decrypted, "{\"authorization\": \"x\"}");
    // The header needs no secret.
    assert_eq!(backend.answer(&by_header).body["user"], *user);
    // InsForge itself refuses tokens of the old secret from now on.
    assert_eq!(backend.answer(&who().bearer(old)).status, 401);
    // Until the extension has the new secret, InsForge refuses its tokens.
    let between = backend.answer(&exchange).body["access_token"].clone();
    assert_eq!(
        backend
            .answer(&who().bearer(between.as_str().unwrap()))
            .status,
        401
    );
    superuser
        .execute("SELECT insforge_integrations.set_jwt_secret($1)", &[&NEXT])
        .unwrap();
    let new = backend.answer(&exchange).body["access_token"].clone();
    let answer = backend.answer(&who().bearer(new.as_str().unwrap()));
    assert_eq!(
        (answer.status, &answer.body["user"]),
        (200, user),
        "{answer:?}"
    );

    // The extension accepts tokens of the old secret for an hour more, in the header for example.
    let by_old_token = who().bearer(ANON_KEY).header(HEADER, old);
    assert_eq!(backend.answer(&by_old_token).body["user"], *user);
    superuser
        .batch_execute("UPDATE insforge_integrations.jwt_secrets SET valid_until = now() WHERE valid_until > now()")
        .unwrap();
    let refused = backend.answer(&by_old_token);
    assert_eq!(refused.error(), (401, "PT401"));
    assert!(
        refused.body["details"]
            .as_str()
            .unwrap()
            .starts_with("bad_signature"),
        "{refused:?}"
    );
    // InsForge tells its command line and its functions the new secret.
    let told = backend.answer(&Call::get("/api/secrets/JWT_SECRET").bearer(API_KEY));
    assert_eq!(told.body["value"], NEXT);
}
