//! View `status`: who reads it, what it says, and that it stays cheap.

use std::collections::HashMap;

use insforge_integrations_tests::node::{self, Signed};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::json;

type Status = HashMap<(String, Option<String>), (Option<f64>, Option<String>)>;

fn start() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

fn status(client: &mut Client) -> Status {
    let rows = client
        .query(
            "SELECT item, subject, value::float8, detail FROM insforge_integrations.status",
            &[],
        )
        .unwrap();
    let count = rows.len();
    let status: Status = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3))))
        .collect();
    assert_eq!(status.len(), count, "item and subject name one row");
    status
}

fn row(status: &Status, item: &str, subject: &str) -> (Option<f64>, Option<String>) {
    let subject = Some(subject.to_owned()).filter(|subject| !subject.is_empty());
    let key = (item.to_owned(), subject);
    assert!(status.contains_key(&key), "{key:?}");
    status[&key].clone()
}

fn value(status: &Status, item: &str, subject: &str) -> Option<f64> {
    row(status, item, subject).0
}

/// Two providers, one with two keys, and a token of it.
fn providers(client: &mut Client) -> Signed {
    let now = node::now();
    let claims =
        json!({"iss": "https://i.example", "aud": "api", "sub": "u", "iat": now, "exp": now + 600});
    let signed = node::sign(&json!([
        {"alg": "ES256", "kid": "first", "claims": claims},
        {"alg": "ES256", "kid": "second", "claims": claims}
    ]))
    .unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('ready', '{https://i.example}',
               'https://user:pass-of-the-address@127.0.0.1:1/jwks', '{api}', algorithms => '{ES256}', subject_prefix => 'p:');
             SELECT insforge_integrations.register_auth_provider('idle', '{https://j.example}', 'https://j.example/jwks',
               '{api}', algorithms => '{ES256}', subject_prefix => 'q:');
             UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = 'idle';
             CREATE SCHEMA better_auth;
             SELECT insforge_integrations.register_better_auth('http://localhost:3000', session_secret => 'session-secret-of-the-server-32b')",
        )
        .unwrap();
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('ready', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .unwrap();
    signed
}

#[test]
fn operators_and_monitoring_read_it_and_nobody_else() {
    let (database, mut client) = start();
    client
        .batch_execute("CREATE ROLE exporter LOGIN IN ROLE pg_monitor; CREATE ROLE passer_by LOGIN")
        .unwrap();
    for role in ["project_admin", "exporter"] {
        let mut reader = database.connect_as(role).unwrap();
        assert_eq!(value(&status(&mut reader), "ledger_rows", ""), Some(0.0));
        let error = reader
            .batch_execute("DELETE FROM insforge_integrations.status")
            .unwrap_err();
        // No view of this kind can be written.
        assert_eq!(
            error.code(),
            Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE),
            "{role}"
        );
    }
    // The tables behind it stay closed.
    let mut exporter = database.connect_as("exporter").unwrap();
    for table in [
        "auth_providers",
        "jwks_fetches",
        "x402_settlements",
        "x402_reservations",
    ] {
        let error = exporter
            .query(&format!("TABLE insforge_integrations.{table}"), &[])
            .unwrap_err();
        assert_eq!(
            error.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{table}"
        );
    }
    for role in ["anon", "authenticated", "passer_by"] {
        let mut reader = database.connect_as(role).unwrap();
        for query in [
            "TABLE insforge_integrations.status",
            "SELECT FROM insforge_integrations_internal.session_status()",
        ] {
            let error = reader.query(query, &[]).unwrap_err();
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{role}"
            );
        }
    }
    client
        .batch_execute("DROP ROLE exporter; DROP ROLE passer_by")
        .unwrap();
}

#[test]
fn both_versions_are_shown_and_compared() {
    let (_database, mut client) = start();
    let now = status(&mut client);
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    assert_eq!(row(&now, "version", "library"), (None, version.clone()));
    assert_eq!(row(&now, "version", "sql"), (None, version));
    assert_eq!(value(&now, "versions_differ", ""), Some(0.0));
    client
        .batch_execute(
            "UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'insforge_integrations'",
        )
        .unwrap();
    assert_eq!(
        value(&status(&mut client), "versions_differ", ""),
        Some(1.0)
    );
}

#[test]
fn providers_are_shown_with_keys_ages_and_the_last_error() {
    let (_database, mut client) = start();
    providers(&mut client);
    let now = status(&mut client);
    assert_eq!(
        row(&now, "provider_enabled", "ready"),
        (Some(1.0), Some("custom".to_owned()))
    );
    assert_eq!(value(&now, "provider_enabled", "idle"), Some(0.0));
    assert_eq!(value(&now, "provider_keys", "ready"), Some(2.0));
    assert_eq!(
        row(&now, "provider_keys", "better_auth"),
        (
            None,
            Some("The keys are in Better Auth's own table.".to_owned())
        )
    );
    assert!(!now.contains_key(&(
        "provider_fetch_failed".to_owned(),
        Some("better_auth".to_owned())
    )));
    // A disabled provider is nothing to alert on.
    let of_idle = |status: &Status| {
        let subject = Some("idle".to_owned());
        let mut items: Vec<String> = status
            .keys()
            .filter(|key| key.1 == subject)
            .map(|key| key.0.clone())
            .collect();
        items.sort();
        items
    };
    assert_eq!(of_idle(&now), ["provider_enabled"]);
    client
        .batch_execute(
            "UPDATE insforge_integrations.auth_providers SET enabled = true WHERE name = 'idle'",
        )
        .unwrap();
    let now = status(&mut client);
    assert_eq!(of_idle(&now).len(), 5);
    assert_eq!(value(&now, "provider_keys", "idle"), Some(0.0));
    assert_eq!(value(&now, "provider_keys_age_seconds", "idle"), None);
    assert_eq!(value(&now, "provider_fetch_age_seconds", "ready"), None);
    assert_eq!(
        row(&now, "provider_fetch_failed", "ready"),
        (Some(0.0), None)
    );

    // Nothing listens there.
    client
        .batch_execute("SELECT insforge_integrations.refresh_provider_jwks('ready')")
        .unwrap();
    client
        .batch_execute(
            "UPDATE insforge_integrations.auth_providers SET jwks_updated_at = now() - interval '1 day' WHERE name = 'ready';
             UPDATE insforge_integrations.jwks_fetches SET fetched_at = now() - interval '1 hour'",
        )
        .unwrap();
    let now = status(&mut client);
    let (failed, error) = row(&now, "provider_fetch_failed", "ready");
    assert_eq!(failed, Some(1.0));
    assert!(error.unwrap().starts_with("The address could not be read"));
    let day = value(&now, "provider_keys_age_seconds", "ready").unwrap();
    assert!((86_400.0..90_000.0).contains(&day), "{day}");
    let hour = value(&now, "provider_fetch_age_seconds", "ready").unwrap();
    assert!((3600.0..7200.0).contains(&hour), "{hour}");

    // Stored rules that are not valid have no keys that count, and say why.
    client
        .batch_execute("UPDATE insforge_integrations.auth_providers SET algorithms = '{XX}' WHERE name = 'ready'")
        .unwrap();
    assert_eq!(
        row(&status(&mut client), "provider_keys", "ready"),
        (
            Some(0.0),
            Some("\"XX\" is not a known algorithm.".to_owned())
        )
    );
}

#[test]
fn the_caches_of_the_session_are_counted() {
    let (database, mut client) = start();
    let signed = providers(&mut client);
    let mut session = database.connect().unwrap();
    let before = status(&mut session);
    assert_eq!(value(&before, "cache_hits", "tokens"), Some(0.0));
    assert_eq!(value(&before, "cache_misses", "tokens"), Some(0.0));
    for token in [0, 0, 0, 1] {
        session
            .query_one(
                "SELECT insforge_integrations.verify_provider_jwt($1)",
                &[&signed.tokens[token]],
            )
            .unwrap();
    }
    let after = status(&mut session);
    assert_eq!(value(&after, "cache_hits", "tokens"), Some(2.0));
    assert_eq!(value(&after, "cache_misses", "tokens"), Some(2.0));
    let tables = |status: &Status, item| value(status, item, "tables").unwrap();
    assert!(tables(&after, "cache_hits") > tables(&before, "cache_hits"));
    // A change makes the session read the table again.
    let misses = tables(&after, "cache_misses");
    client
        .batch_execute(
            "UPDATE insforge_integrations.auth_providers SET enabled = true WHERE name = 'idle'",
        )
        .unwrap();
    assert!(tables(&status(&mut session), "cache_misses") > misses);
}

#[test]
fn no_secret_is_in_it() {
    let (_database, mut client) = start();
    let signed = providers(&mut client);
    client
        .batch_execute(
            "SELECT insforge_integrations.set_jwt_secret('insforge''s JWT_SECRET, 32 bytes or more');
             SELECT insforge_integrations.refresh_provider_jwks('ready')",
        )
        .unwrap();
    client
        .query_one(
            "SELECT insforge_integrations.authenticate($1)",
            &[&signed.tokens[0]],
        )
        .unwrap();
    let all = format!("{:?}", status(&mut client));
    assert!(all.contains("ready"));
    for secret in [
        "JWT_SECRET",
        "session-secret",
        "pass-of-the-address",
        &signed.tokens[0],
    ] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

/// Rows as reserve_x402_payment() and the ledger store them, as many as a large seller has.
fn fill(client: &mut Client, count: i32) {
    client
        .execute(
            "INSERT INTO insforge_integrations.x402_reservations
               (created_at, state, endpoint, scheme, network, asset, payer_address, pay_to, amount, nonce_contract, nonce,
                valid_after, valid_before, is_signature_verified, payment, requirements, tx_hash)
             SELECT now() - n * interval '1 second',
                    CASE WHEN n % 1000 = 1 THEN 'pending' WHEN n % 1000 = 2 THEN 'failed' WHEN n = 3 THEN 'conflict'
                         ELSE 'settled' END,
                    '/api', 'exact', 'eip155:196', a.address, a.address, a.address, 1, a.address, h.hash,
                    now(), now(), true, repeat('x', 100), '{}', CASE WHEN n % 1000 NOT IN (1, 2) THEN h.hash END
             FROM generate_series(1, $1) n, (SELECT '0x' || repeat('1', 40) AS address) a,
                  LATERAL (SELECT '0x' || lpad(to_hex(n), 64, '0') AS hash) h",
            &[&count],
        )
        .unwrap();
    client
        .execute(
            "INSERT INTO insforge_integrations.x402_settlements
               (id, created_at, tx_hash, payer_address, endpoint, amount, network, is_mock)
             SELECT gen_random_uuid(), now(), '0x' || lpad(to_hex(n), 64, '0'), '0x' || repeat('1', 40), '/api', 1,
                    'eip155:196', false
             FROM generate_series(1, $1) n",
            &[&count],
        )
        .unwrap();
}

#[test]
fn payments_are_counted_by_state() {
    let (_database, mut client) = start();
    fill(&mut client, 1002);
    let now = status(&mut client);
    for (state, expected) in [
        ("reserved", 0.0),
        ("pending", 2.0),
        ("failed", 2.0),
        ("conflict", 1.0),
        ("settled", 997.0),
    ] {
        assert_eq!(
            row(&now, "reservations", state),
            (Some(expected), None),
            "{state}"
        );
    }
    assert_eq!(row(&now, "ledger_rows", ""), (Some(1002.0), None));
    let oldest = value(&now, "reservations_oldest_seconds", "pending").unwrap();
    assert!((1001.0..1600.0).contains(&oldest), "{oldest}");
    assert_eq!(value(&now, "reservations_oldest_seconds", "reserved"), None);
    // Times without an end do not end the query.
    client
        .batch_execute("UPDATE insforge_integrations.x402_reservations SET created_at = '-infinity' WHERE state = 'conflict'")
        .unwrap();
    let now = status(&mut client);
    assert_eq!(value(&now, "reservations", "conflict"), Some(1.0));
    assert_eq!(value(&now, "reservations_oldest_seconds", "conflict"), None);
}

#[test]
fn a_large_ledger_is_estimated_and_not_read() {
    let (_database, mut client) = start();
    client
        .batch_execute(
            "ALTER TABLE insforge_integrations.x402_settlements SET (autovacuum_enabled = off);
             ALTER TABLE insforge_integrations.x402_reservations SET (autovacuum_enabled = off)",
        )
        .unwrap();
    fill(&mut client, 60_000);
    let unknown = (
        None,
        Some("Not known before the next ANALYZE of the table.".to_owned()),
    );
    assert_eq!(row(&status(&mut client), "ledger_rows", ""), unknown);
    assert_eq!(
        row(&status(&mut client), "reservations", "settled"),
        unknown
    );
    client
        .batch_execute("ANALYZE insforge_integrations.x402_settlements, insforge_integrations.x402_reservations")
        .unwrap();
    // In one transaction, in which nothing is added to the statistics of all sessions.
    let mut transaction = client.transaction().unwrap();
    let scans = |transaction: &mut postgres::Transaction| -> i64 {
        let scans = "SELECT sum(seq_scan)::int8 FROM pg_stat_xact_all_tables WHERE relname IN ('x402_settlements', 'x402_reservations')";
        transaction.query_one(scans, &[]).unwrap().get(0)
    };
    let before = scans(&mut transaction);
    let rows = transaction
        .query(
            "SELECT item, value::float8, detail FROM insforge_integrations.status
             WHERE item = 'ledger_rows' OR subject IN ('settled', 'pending') AND item = 'reservations' ORDER BY item, subject",
            &[],
        )
        .unwrap();
    assert_eq!(scans(&mut transaction), before);
    let estimated = Some("estimated".to_owned());
    for (found, (expected, detail)) in rows.iter().zip([
        (60_000.0, &estimated),
        (60.0, &None),
        (59_879.0, &estimated),
    ]) {
        let value: f64 = found.get(1);
        assert!((value - expected).abs() <= expected / 100.0, "{value}");
        assert_eq!(&found.get::<_, Option<String>>(2), detail);
    }
    assert_eq!(rows.len(), 3);
}
