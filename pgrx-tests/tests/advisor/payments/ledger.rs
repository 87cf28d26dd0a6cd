//! Settings of payments, the ledger and its reservations.

use crate::{Mistake, findings};

/// Makes a reservation of a state, an age, a time that is left to it and an idempotency key.
const RESERVE: &str = r"
    CREATE FUNCTION pg_temp.reserve(number int, state text, age interval, valid interval, key text, is_resolved boolean)
      RETURNS uuid LANGUAGE sql AS $$
      INSERT INTO insforge_integrations.x402_reservations
        (created_at, state, endpoint, idempotency_key, holds_key, scheme, network, asset, nonce_contract, payer_address,
         pay_to, amount, nonce, valid_after, valid_before, is_signature_verified, payment, requirements, resolved_at)
      VALUES (now() - age, state, '/report', key, key IS NULL, 'exact', 'eip155:196', '0x' || repeat('a', 40),
              '0x' || repeat('a', 40), '0x' || repeat('b', 40),
              '0x' || repeat('c', 40), 10000, '0x' || lpad(to_hex(number), 64, '0'), now() - interval '1 day', now() + valid, true,
              '{}', '{}', CASE WHEN is_resolved THEN now() END)
      RETURNING id $$;";

/// Makes a row of the ledger.
const SETTLE: &str = r"
    CREATE FUNCTION pg_temp.settle(number int, age interval, endpoint text, amount int, reservation uuid, is_mock boolean)
      RETURNS void LANGUAGE sql AS $$
      INSERT INTO insforge_integrations.x402_settlements
        (id, created_at, reservation_id, tx_hash, payer_address, endpoint, amount, network, is_mock)
      VALUES (gen_random_uuid(), now() - age, reservation, '0x' || lpad(to_hex(number), 64, '0'), '0x' || repeat('b', 40),
              endpoint, amount, 'eip155:196', is_mock) $$;";

fn hash(number: u32) -> String {
    format!("0x{number:064x}")
}

#[test]
fn mock_mode_on() {
    Mistake {
        rule: "mock_mode_on",
        near_miss: "SELECT insforge_integrations.configure('allow_mock_settlements', 'off'), insforge_integrations.configure('realtime', 'on')",
        broken: "SELECT insforge_integrations.configure('allow_mock_settlements', 'on')",
        affected: &["allow_mock_settlements"],
    }
    .is_found_and_mended();
}

#[test]
fn ledger_drop_allowed() {
    Mistake {
        rule: "ledger_drop_allowed",
        near_miss: "SELECT insforge_integrations.configure('allow_ledger_drop', 'keep')",
        broken: "SELECT insforge_integrations.configure('allow_ledger_drop', 'on')",
        affected: &["allow_ledger_drop"],
    }
    .is_found_and_mended();
}

#[test]
fn kept_ledger_not_put_back() {
    Mistake {
        rule: "kept_ledger_not_put_back",
        near_miss: "CREATE SCHEMA insforge_integrations_kept AUTHORIZATION anon; SET ROLE anon;
                    CREATE TABLE insforge_integrations_kept.x402_ledger (); RESET ROLE",
        broken: "SELECT record_x402_settlement('0x' || repeat('ab', 32), '0x' || repeat('b', 40), '/', '1');
                 SELECT insforge_integrations.configure('allow_ledger_drop', 'keep');
                 DROP EXTENSION insforge_integrations; CREATE EXTENSION insforge_integrations",
        affected: &["insforge_integrations_kept.x402_ledger"],
    }
    .is_found_and_mended();
}

#[test]
fn mock_payments() {
    let near_miss = format!(
        "{SETTLE}
         SELECT pg_temp.settle(1, '1 day', '/', 1, NULL, false), pg_temp.settle(2, '31 days', '/', 1, NULL, true),
                pg_temp.settle(3, '1 day', '/', 1, NULL, true);
         SELECT correct_x402_settlement('{}', 'note', 'development')",
        hash(3)
    );
    let (mut superuser, found) = Mistake {
        rule: "mock_payments",
        near_miss: &near_miss,
        broken: &format!("{SETTLE} SELECT pg_temp.settle(4, '29 days', '/', 1, NULL, true), pg_temp.settle(5, '0', '/', 1, NULL, true)"),
        affected: &["insforge_integrations.x402_settlements"],
    }
    .is_found_with_steps();
    assert!(
        found[0]
            .description
            .starts_with("Rows of the last 30 days: 2, "),
        "{found:?}"
    );
    let (_, note) = found[0]
        .recommendation
        .rsplit_once("looked at them: ")
        .unwrap();
    superuser.batch_execute(note).unwrap();
    assert!(findings(&mut superuser, "mock_payments").is_empty());
}

#[test]
fn unsettled_reservations() {
    let near_miss = format!(
        "{RESERVE}
         SELECT pg_temp.reserve(1, 'reserved', '1 hour', '-4 minutes', NULL, false), pg_temp.reserve(2, 'pending', '9 minutes', '-5 minutes', NULL, false),
                pg_temp.reserve(3, 'pending', '1 day', '-1 day', NULL, true), pg_temp.reserve(4, 'failed', '1 day', '-1 day', NULL, false),
                pg_temp.reserve(5, 'settled', '1 day', '-1 day', NULL, false)"
    );
    let (mut superuser, found) = Mistake {
        rule: "unsettled_reservations",
        near_miss: &near_miss,
        broken: &format!(
            "{RESERVE}
             SELECT pg_temp.reserve(6, 'reserved', '1 hour', '-6 minutes', NULL, false), pg_temp.reserve(7, 'pending', '1 day', '1 day', NULL, false),
                    pg_temp.reserve(8, 'pending', '1 hour', '-1 day', NULL, false), pg_temp.reserve(9, 'conflict', '1 year', '-1 day', NULL, false)"
        ),
        affected: &["conflict reservations", "pending reservations", "reserved reservations"],
    }
    .is_found_with_steps();
    assert!(
        found[1]
            .description
            .starts_with("Reservations: 2, the oldest from "),
        "{found:?}"
    );
    superuser
        .batch_execute(
            "SELECT insforge_integrations.resolve_x402_reservation(reservation_id, 'failed', note => 'nonce unused')
             FROM insforge_integrations.unsettled_x402_reservations",
        )
        .unwrap();
    assert!(findings(&mut superuser, "unsettled_reservations").is_empty());
}

#[test]
fn payments_look_duplicated() {
    let near_miss = format!(
        "{RESERVE}{SETTLE}
         -- Eleven minutes, another price, another endpoint, a week.
         SELECT pg_temp.settle(1, '11 minutes', '/', 1, NULL, false), pg_temp.settle(2, '0', '/', 1, NULL, false),
                pg_temp.settle(3, '1 minute', '/', 2, NULL, false), pg_temp.settle(4, '1 minute', '/other', 1, NULL, false),
                pg_temp.settle(5, '8 days', '/', 1, NULL, false), pg_temp.settle(6, '8 days', '/', 1, NULL, false);
         -- A mock, two requests with and without a key, a buyer who asks every minute.
         SELECT pg_temp.settle(7, '1 minute', '/mock', 1, NULL, false), pg_temp.settle(8, '0', '/mock', 1, NULL, true);
         SELECT pg_temp.settle(10, '1 minute', '/keys', 1, pg_temp.reserve(1, 'settled', '0', '1 day', 'a', false), false),
                pg_temp.settle(11, '0', '/keys', 1, pg_temp.reserve(2, 'settled', '0', '1 day', 'b', false), false),
                pg_temp.settle(12, '1 minute', '/nonces', 1, pg_temp.reserve(3, 'settled', '0', '1 day', NULL, false), false),
                pg_temp.settle(13, '0', '/nonces', 1, pg_temp.reserve(4, 'settled', '0', '1 day', NULL, false), false);
         SELECT pg_temp.settle(20 + i, i * interval '1 minute', '/often', 1, NULL, false) FROM generate_series(0, 5) i;
         SELECT pg_temp.settle(30, '1 minute', '/seen', 1, NULL, false), pg_temp.settle(31, '0', '/seen', 1, NULL, false);
         SELECT correct_x402_settlement('{}', 'note', 'asked twice')",
        hash(30)
    );
    let broken = format!(
        "{RESERVE}{SETTLE}
         SELECT pg_temp.settle(40, '6 days 00:09', '/a; --', 1, NULL, false), pg_temp.settle(41, '6 days', '/a; --', 1, NULL, false);
         SELECT pg_temp.settle(42, '9 minutes', '/keys', 1, pg_temp.reserve(1, 'settled', '0', '1 day', 'a', false), false),
                pg_temp.settle(43, '0', '/keys', 1, pg_temp.reserve(2, 'settled', '0', '1 day', 'a', false), false);
         SELECT pg_temp.settle(44, '0', '/half', 1, NULL, false),
                pg_temp.settle(45, '1 second', '/half', 1, pg_temp.reserve(3, 'settled', '0', '1 day', NULL, false), false)"
    );
    let (mut superuser, found) = Mistake {
        rule: "payments_look_duplicated",
        near_miss: &near_miss,
        broken: &broken,
        affected: &[&hash(41), &hash(43), &hash(44)],
    }
    .is_found_with_steps();
    for finding in &found {
        let (_, note) = finding.recommendation.rsplit_once("If twice: ").unwrap();
        superuser
            .batch_execute(note.lines().next().unwrap())
            .unwrap();
    }
    assert!(findings(&mut superuser, "payments_look_duplicated").is_empty());
}

#[test]
fn sums_not_kept() {
    // The planner's number of rows, as after an ANALYZE.
    let rows = |number: u32| {
        format!(
            "UPDATE pg_class SET reltuples = {number} WHERE oid = 'insforge_integrations.x402_settlements'::regclass;"
        )
    };
    let mut superuser = Mistake {
        rule: "sums_not_kept",
        near_miss: &rows(499_999),
        broken: &rows(500_000),
        affected: &["insforge_integrations.x402_settlements"],
    }
    .is_found_and_mended();
    for (age, is_found) in [("6 days", false), ("8 days", true)] {
        superuser
            .batch_execute(&format!(
                "UPDATE insforge_integrations.x402_summed SET before = now() - interval '{age}'"
            ))
            .unwrap();
        let found = findings(&mut superuser, "sums_not_kept");
        assert_eq!(!found.is_empty(), is_found, "{age}");
    }
}
