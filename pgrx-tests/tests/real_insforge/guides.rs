//! The journey of a project that followed InsForge's guides for Clerk and for x402 payments: the
//! move on docs/adoption.md, the app of the guides before and after, a backup and its restore.

use std::time::{Duration, Instant};

use insforge_integrations_tests::node;
use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::SECRETS;
use super::backend::{ANON_KEY, API_KEY, Backend, Checkout};
use super::server::{Answer, Call};

const PAYER: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";

fn hash(number: u32) -> String {
    format!("0x{number:08x}{:056x}", 1)
}

/// The first block of SQL on a page.
fn first_block(page: &str) -> &str {
    let block = page.split("```sql\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

/// The guide's server records a payment with the service key, after it was settled.
fn payment(number: u32) -> Call {
    payment_by(API_KEY, number, "")
}

fn payment_by(key: &str, number: u32, query: &str) -> Call {
    let row = json!([{"payer_address": PAYER, "endpoint": "/api/report", "amount": "1", "tx_hash": hash(number),
                      "status": "settled", "response_summary": "Crypto Market Analysis report"}]);
    Call::post(format!("/api/database/records/x402_payments{query}"), &row).bearer(key)
}

/// The guide's dashboard.
fn payments(backend: &Backend) -> Vec<String> {
    let call = Call::get("/api/database/records/x402_payments?select=tx_hash&order=tx_hash");
    let answer = backend.answer(&call.bearer(API_KEY));
    assert_eq!(answer.status, 200, "{answer:?}");
    let rows = answer.body.as_array().unwrap();
    let hashes = rows.iter().map(|row| row["tx_hash"].as_str().unwrap());
    hashes.map(str::to_owned).collect()
}

/// A user of the guide's app: Clerk's JWT template signs with InsForge's JWT secret.
fn note(backend: &Backend, user: &str) -> Answer {
    let claims = json!({"sub": user, "role": "authenticated", "aud": "insforge-api", "exp": node::now() + 600});
    let key = EncodingKey::from_secret(SECRETS.jwt_secret.as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    let path = "/api/database/records/notes?select=user_id,body";
    let call = Call::post(path, &json!([{"body": "a note"}]));
    backend.answer(
        &call
            .header("prefer", "return=representation")
            .bearer(&token),
    )
}

fn own_note(user: &str) -> Value {
    json!([{"user_id": user, "body": "a note"}])
}

#[test]
fn a_project_of_the_guides_moves_and_goes_on_and_a_restore_keeps_its_payments() {
    let Some(checkout) = Checkout::find() else {
        return;
    };
    let Some(database) = checkout.database(SECRETS) else {
        return;
    };
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute(&format!(
            "SET ROLE project_admin; {}
             INSERT INTO realtime.channels (pattern, description, enabled)
               VALUES ('x402_payments', 'Payment events for dashboard', true);
             RESET ROLE",
            include_str!("../../fixtures/guide.sql")
        ))
        .unwrap();
    let postgrest = checkout.postgrest(&database, SECRETS, &[]);
    let backend = checkout.backend(&database, &postgrest, SECRETS);

    assert_eq!(backend.answer(&payment(1)).status, 201);
    let written = note(&backend, "user_alice");
    assert_eq!(
        (written.status, &written.body),
        (201, &own_note("user_alice")),
        "{written:?}"
    );

    superuser
        .batch_execute(first_block(include_str!("../../../docs/adoption.md")))
        .unwrap();

    // At once: nobody waits until PostgREST has read the schema again.
    let answer = backend.answer(&payment(2));
    assert_eq!(answer.status, 201, "{answer:?}");
    let written = note(&backend, "user_alice");
    assert_eq!(
        (written.status, &written.body),
        (201, &own_note("user_alice")),
        "{written:?}"
    );
    let returned = backend.answer(&payment(3).header("prefer", "return=representation"));
    assert_eq!(returned.status, 201, "{returned:?}");
    let row = &returned.body[0];
    assert_eq!(
        (
            &row["tx_hash"],
            &row["payer_address"],
            &row["chain"],
            &row["status"]
        ),
        (
            &json!(hash(3)),
            &json!(PAYER.to_lowercase()),
            &json!("xlayer"),
            &json!("settled")
        )
    );
    assert!(row["id"].is_string() && row["created_at"].is_string());
    for (call, expected) in [
        (payment(3), (409, "23505")),
        (
            payment_by(API_KEY, 4, "?on_conflict=tx_hash")
                .header("prefer", "resolution=ignore-duplicates"),
            (400, "42P10"),
        ),
        (
            payment_by(API_KEY, 4, "?on_conflict=tx_hash")
                .header("prefer", "resolution=merge-duplicates"),
            (403, "42501"),
        ),
        (
            payment_by(API_KEY, 4, "?tx_hash=eq.0x").method("PATCH"),
            (403, "42501"),
        ),
        (payment_by(ANON_KEY, 4, ""), (401, "42501")),
    ] {
        let answer = backend.answer(&call);
        assert_eq!(answer.error(), expected, "{call:?}: {answer:?}");
    }
    assert_eq!(payments(&backend), [hash(1), hash(2), hash(3)]);
    let published = |superuser: &mut postgres::Client| -> i64 {
        let messages = "SELECT count(*) FROM realtime.messages WHERE event_name = 'INSERT_x402_payments' AND channel_id IS NOT NULL";
        superuser.query_one(messages, &[]).unwrap().get(0)
    };
    assert_eq!(published(&mut superuser), 3);

    // InsForge's backup and restore.
    register(&mut superuser, "clerk");
    superuser
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRETS.jwt_secret],
        )
        .unwrap();
    let made = backend
        .answer(&Call::post("/api/database/backups", &json!({"name": "before"})).bearer(API_KEY));
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap().to_owned();
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = "SELECT status FROM system.database_backups WHERE id::text = $1";
    while superuser
        .query_one(status, &[&id])
        .unwrap()
        .get::<_, &str>(0)
        != "completed"
    {
        assert!(Instant::now() < deadline, "{}", backend.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(backend.answer(&payment(5)).status, 201);
    let restore =
        Call::post(format!("/api/database/backups/{id}/restore"), &json!({})).bearer(API_KEY);
    let refused = backend.answer(&restore);
    let message = refused.body["message"].as_str().unwrap();
    assert_eq!(refused.status, 500);
    for part in [
        "the x402 ledger is not empty",
        "'keep'",
        "restore_kept_x402_ledger()",
    ] {
        assert!(message.contains(part), "{message}");
    }
    superuser
        .batch_execute(first_block(include_str!("../../../docs/restore.md")))
        .unwrap();
    let restored = backend.answer(&restore);
    assert_eq!(restored.status, 200, "{restored:?}");
    superuser
        .batch_execute("SELECT * FROM insforge_integrations.restore_kept_x402_ledger()")
        .unwrap();
    assert_eq!(payments(&backend), [hash(1), hash(2), hash(3), hash(5)]);
    let answer = backend.answer(&payment(6));
    assert_eq!(answer.status, 201, "{answer:?}");
    let written = note(&backend, "user_bob");
    assert_eq!(
        (written.status, &written.body),
        (201, &own_note("user_bob")),
        "{written:?}"
    );

    // The secret is in no backup: the exchange and the advisor say so.
    let token = a_token_of("clerk");
    let exchange = Call::post(
        "/api/database/rpc/exchange_provider_token",
        &json!({"token": token["token"]}),
    );
    let answer = backend.answer(&exchange.clone().bearer(ANON_KEY));
    assert_eq!(answer.body["code"], "55000", "{answer:?}");
    assert!(
        answer.body["hint"]
            .as_str()
            .unwrap()
            .contains("set_jwt_secret"),
        "{answer:?}"
    );
    let findings =
        "SELECT severity FROM insforge_integrations.advise() WHERE rule_id = 'jwt_secret_missing'";
    assert_eq!(
        superuser
            .query_one(findings, &[])
            .unwrap()
            .get::<_, &str>(0),
        "critical"
    );
    superuser
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRETS.jwt_secret],
        )
        .unwrap();
    let answer = backend.answer(&exchange.bearer(ANON_KEY));
    assert_eq!(
        (answer.status, &answer.body["user_id"]),
        (200, &token["user_id"]),
        "{answer:?}"
    );
}
