//! The guide's INSERT into `x402_payments` records by the ledger's rules.

use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::error::DbError;

use super::moving::{PAYER, hash};
use super::*;

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect_as("project_admin").unwrap();
    (database, client)
}

fn refused(client: &mut Client, statement: &str) -> DbError {
    let error = client.batch_execute(statement).unwrap_err();
    error
        .as_db_error()
        .unwrap_or_else(|| panic!("{statement}: {error:?}"))
        .clone()
}

/// An INSERT with other values in place of some of the guide's.
fn insert(tx_hash: &str, more: &[(&str, &str)]) -> String {
    let mut values = vec![
        ("payer_address", format!("'{PAYER}'")),
        ("endpoint", "'/r'".into()),
        ("amount", "'1'".into()),
        ("tx_hash", format!("'{tx_hash}'")),
    ];
    for (column, value) in more {
        values.retain(|(name, _)| name != column);
        values.push((column, (*value).to_owned()));
    }
    let columns: Vec<&str> = values.iter().map(|(column, _)| *column).collect();
    let given: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "INSERT INTO x402_payments ({}) VALUES ({})",
        columns.join(", "),
        given.join(", ")
    )
}

fn count(client: &mut Client) -> i64 {
    client
        .query_one("SELECT count(*) FROM x402_payments", &[])
        .unwrap()
        .get(0)
}

#[test]
fn an_insert_stores_what_the_function_stores_and_returns_it() {
    let (_database, mut client) = database();
    let bare = "AB".repeat(32);
    let returned: serde_json::Value = client
        .query_one(
            &format!(
                "{} RETURNING to_jsonb(x402_payments)",
                insert(
                    &bare,
                    &[
                        (
                            "payer_address",
                            "'0x857B06519E91E3A54538791BDBB0E22373E36B66'"
                        ),
                        ("chain", "NULL"),
                        ("response_summary", "'a report'")
                    ]
                )
            ),
            &[],
        )
        .unwrap()
        .get(0);
    let stored: serde_json::Value = client
        .query_one("SELECT to_jsonb(p) FROM x402_payments p", &[])
        .unwrap()
        .get(0);
    assert_eq!(returned, stored);
    for (column, expected) in [
        ("tx_hash", format!("0x{}", "ab".repeat(32))),
        ("payer_address", PAYER.to_owned()),
        ("chain", "xlayer".into()),
        ("network", "eip155:196".into()),
        ("status", "settled".into()),
        ("response_summary", "a report".into()),
    ] {
        assert_eq!(stored[column], expected, "{column}");
    }
    let recorded: serde_json::Value = client
        .query_one("SELECT to_jsonb(r) FROM record_x402_settlement('0x' || repeat('ab', 32), $1, '/r', '1', response_summary => 'a report', idempotent => true) r", &[&PAYER])
        .unwrap()
        .get(0);
    assert_eq!(recorded, stored);
}

#[test]
fn a_recorded_transaction_is_never_dropped_silently() {
    let (_database, mut client) = database();
    client.batch_execute(&insert(&hash(1, 1), &[])).unwrap();
    for (again, detail) in [
        (insert(&hash(1, 1), &[]), "identical"),
        (
            insert(&hash(1, 1).to_uppercase().replace("0X", "0x"), &[]),
            "identical",
        ),
        (insert(&hash(1, 1), &[("amount", "'2'")]), "amount"),
        // Without a target, Postgres ignores the clause on a view.
        (
            insert(&hash(1, 1), &[]) + " ON CONFLICT DO NOTHING",
            "identical",
        ),
    ] {
        let error = refused(&mut client, &again);
        assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION, "{again}");
        assert!(
            error.detail().unwrap().contains(detail),
            "{again}: {error:?}"
        );
    }
    for (clause, code) in [
        ("(tx_hash) DO NOTHING", SqlState::INVALID_COLUMN_REFERENCE),
        (
            "(tx_hash) DO UPDATE SET amount = excluded.amount",
            SqlState::INSUFFICIENT_PRIVILEGE,
        ),
    ] {
        for number in [1, 2] {
            let error = refused(
                &mut client,
                &(insert(&hash(1, number), &[]) + " ON CONFLICT " + clause),
            );
            assert_eq!(error.code(), &code, "{clause}");
        }
    }
    assert_eq!(count(&mut client), 1);
    // Several payments are recorded together, or none.
    let both = insert(&hash(1, 2), &[]) + &format!(", ('{PAYER}', '/r', '1', '{}')", hash(1, 3));
    client.batch_execute(&both).unwrap();
    let twice = insert(&hash(1, 4), &[]) + &format!(", ('{PAYER}', '/r', '1', '{}')", hash(1, 4));
    assert_eq!(
        refused(&mut client, &twice).code(),
        &SqlState::UNIQUE_VIOLATION
    );
    assert_eq!(count(&mut client), 3);
}

#[test]
fn what_the_ledger_cannot_hold_is_refused_and_named() {
    let (_database, mut client) = database();
    for (column, value) in [
        ("id", "gen_random_uuid()"),
        ("created_at", "now()"),
        ("network", "'eip155:196'"),
        ("asset", "'0x4ae46a509f6b1d9056937ba4500cb143933d2dc8'"),
        ("explorer_url", "'https://example.com'"),
        ("is_mock", "false"),
        ("user_id", "'alice'"),
        ("is_batched", "false"),
    ] {
        let error = refused(&mut client, &insert(&hash(2, 1), &[(column, value)]));
        assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE, "{column}");
        assert!(
            error.detail().unwrap().starts_with(&format!("{column}: ")),
            "{error:?}"
        );
    }
    // PostgREST sends NULL for a member that only another row of the same insert has.
    let nulls = ["id", "created_at", "is_mock", "user_id", "chain", "status"]
        .map(|column| (column, "NULL"));
    client.batch_execute(&insert(&hash(2, 1), &nulls)).unwrap();
    for (column, value, code) in [
        ("tx_hash", "NULL", "22P02"),
        ("tx_hash", "'0xmock'", "22P02"),
        ("payer_address", "'XKO1'", "22P02"),
        ("payer_address", "NULL", "22P02"),
        ("amount", "'0.01'", "22P02"),
        ("amount", "NULL", "22P02"),
        ("endpoint", "NULL", "22023"),
        ("chain", "'nowhere'", "22023"),
        ("status", "'pending'", "22023"),
    ] {
        let error = refused(&mut client, &insert(&hash(2, 2), &[(column, value)]));
        assert_eq!(error.code().code(), code, "{column} {value}: {error:?}");
        assert!(
            error.detail().is_some() && error.hint().is_some(),
            "{error:?}"
        );
    }
}

#[test]
fn only_roles_that_may_record_insert() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute("SELECT insforge_integrations.publish_x402_payments('authenticated', 'all')")
        .unwrap();
    for role in ["anon", "authenticated"] {
        let mut client = database.connect_as(role).unwrap();
        assert_eq!(
            refused(&mut client, &insert(&hash(3, 1), &[])).code(),
            &SqlState::INSUFFICIENT_PRIVILEGE
        );
    }
    // The privilege on the view alone is not enough.
    superuser
        .batch_execute("GRANT INSERT ON x402_payments TO anon")
        .unwrap();
    let mut anon = database.connect_as("anon").unwrap();
    let error = refused(&mut anon, &insert(&hash(3, 1), &[]));
    assert_eq!(error.code(), &SqlState::INSUFFICIENT_PRIVILEGE);
    assert!(
        error.message().contains("record_x402_settlement"),
        "{error:?}"
    );
    superuser
        .batch_execute("GRANT EXECUTE ON FUNCTION record_x402_settlement TO anon")
        .unwrap();
    anon.batch_execute(&insert(&hash(3, 1), &[])).unwrap();
    for statement in [
        "UPDATE x402_payments SET amount = '0'",
        "DELETE FROM x402_payments",
        "TRUNCATE x402_payments",
    ] {
        for client in [&mut client, &mut superuser] {
            let error = refused(client, statement);
            assert!(
                [
                    &SqlState::INSUFFICIENT_PRIVILEGE,
                    &SqlState::WRONG_OBJECT_TYPE
                ]
                .contains(&error.code()),
                "{statement}: {error:?}"
            );
        }
    }
    assert_eq!(count(&mut client), 1);
}

#[test]
fn copy_records_each_line() {
    use std::io::Write;
    let (_database, mut client) = database();
    let mut lines = client
        .copy_in("COPY x402_payments (tx_hash, payer_address, endpoint, amount) FROM STDIN")
        .unwrap();
    for number in 0..3 {
        writeln!(lines, "{}\t{PAYER}\t/r\t{number}", hash(4, number)).unwrap();
    }
    lines.finish().unwrap();
    assert_eq!(count(&mut client), 3);
}

/// A hash with a reservation: either statement may come first, and there is one row.
#[test]
fn an_insert_and_a_reservation_of_the_same_payment_make_one_row() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    let reserve = |superuser: &mut Client, nonce: &str| -> String {
        superuser
            .query_one(
                "INSERT INTO insforge_integrations.x402_reservations (endpoint, scheme, network, asset, payer_address, pay_to, amount,
                   nonce_contract, nonce, valid_after, valid_before, is_signature_verified, payment, requirements)
                 SELECT '/r', 'exact', 'eip155:196', a, $1::text, a, 1, a, $2::text, now(), now() + interval '1 hour', true, '{}', '{}'
                 FROM (VALUES ('0x' || repeat('1', 40))) AS v (a) RETURNING id::text",
                &[&PAYER, &nonce],
            )
            .unwrap()
            .get(0)
    };
    let settle = |client: &mut Client, id: &str, tx_hash: &str| -> String {
        let answer = serde_json::json!({"success": true, "transaction": tx_hash, "network": "eip155:196", "payer": PAYER});
        client
            .query_one(
                "SELECT state FROM settle_x402_reservation($1::text::uuid, $2)",
                &[&id, &answer],
            )
            .unwrap()
            .get(0)
    };
    let id = reserve(&mut superuser, &hash(5, 100));
    assert_eq!(settle(&mut client, &id, &hash(5, 1)), "settled");
    assert_eq!(
        refused(&mut client, &insert(&hash(5, 1), &[])).code(),
        &SqlState::UNIQUE_VIOLATION
    );
    let id = reserve(&mut superuser, &hash(5, 101));
    client.batch_execute(&insert(&hash(5, 2), &[])).unwrap();
    assert_eq!(settle(&mut client, &id, &hash(5, 2)), "settled");
    assert_eq!(count(&mut client), 2);
}
