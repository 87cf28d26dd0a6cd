//! A standby, and neighbours that fail.

use std::sync::{Arc, Mutex};

use insforge_integrations_tests::Cluster;
use insforge_integrations_tests::request::{claims_of, request};
use postgres::NoTls;

use super::*;

#[test]
fn a_standby_shows_the_ledger_and_records_nothing() {
    let primary = Cluster::start().unwrap();
    let database = primary.database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let mut buyer = Buyer::new(&mut client);
    let requirements = buyer.requirements.clone();
    let reserve = "SELECT reservation_id::text FROM reserve_x402_payment($1, $2, $3)";
    let (payment, payer) = buyer.pay();
    let id: String = client
        .query_one(reserve, &[&payment, &requirements, &ENDPOINT])
        .unwrap()
        .get(0);
    client
        .execute(
            "SELECT insforge_integrations.publish_x402_payments('authenticated', 'own'),
                    insforge_integrations.map_x402_payer($1, 'alice')",
            &[&PAYER],
        )
        .unwrap();
    let standby = primary.start_standby().unwrap();
    record(&mut client, &hash(1)).unwrap();
    standby.wait_for_replay(&mut client).unwrap();

    let mut reader = database.on(&standby).connect_as("project_admin").unwrap();
    let row = reader
        .query_one("SELECT tx_hash, amount, chain FROM x402_payments", &[])
        .unwrap();
    assert_eq!(
        (row.get(0), row.get(1), row.get(2)),
        (hash(1), "10000".to_owned(), "xlayer".to_owned())
    );
    let row = reader
        .query_one(
            "SELECT reservation_id::text, payer_address, state, authorization_state_call IS NOT NULL
             FROM insforge_integrations.unsettled_x402_reservations",
            &[],
        )
        .unwrap();
    assert_eq!(
        (row.get(0), row.get(1), row.get(2), row.get(3)),
        (
            id.clone(),
            payer.to_lowercase(),
            "reserved".to_owned(),
            true
        )
    );
    let totals = reader
        .query_one(
            "SELECT amount::text FROM insforge_integrations.x402_totals",
            &[],
        )
        .unwrap();
    assert_eq!(totals.get::<_, String>(0), "10000");
    let mut users = database.on(&standby).connect_as("authenticated").unwrap();
    for (user, sees) in [("alice", 1), ("bob", 0)] {
        let rows = request(&mut users, "authenticated", &claims_of(user), |tx| {
            tx.query("SELECT FROM x402_payments", &[])
        });
        assert_eq!(rows.unwrap().len(), sees, "{user}");
    }

    let other = buyer.pay().0;
    for begin in ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"] {
        let mut attempt =
            |what: &str, attempt: &dyn Fn(&mut Client) -> Result<(), postgres::Error>| {
                reader.batch_execute(begin).unwrap();
                let error = attempt(&mut reader).unwrap_err();
                assert_eq!(
                    error.code(),
                    Some(&SqlState::READ_ONLY_SQL_TRANSACTION),
                    "{what} after {begin}: {error:?}"
                );
                reader.batch_execute("ROLLBACK").unwrap();
            };
        for hash in [hash(1), hash(2)] {
            attempt("record", &|client| record(client, &hash).map(drop));
        }
        attempt("reserve", &|client| {
            let arguments: [&(dyn postgres::types::ToSql + Sync); 3] =
                [&other, &requirements, &ENDPOINT];
            client.query_one(reserve, &arguments).map(drop)
        });
        attempt("settle", &|client| {
            client
                .query_one(
                    "SELECT FROM settle_x402_reservation($1::text::uuid, $2)",
                    &[&id, &json!({"success": true, "transaction": hash(3)})],
                )
                .map(drop)
        });
    }
    // That it is taken can be seen here too.
    let error = reader
        .query_one(reserve, &[&payment, &requirements, &ENDPOINT])
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
}

#[test]
fn a_record_that_nobody_can_be_told_of_is_kept_with_a_warning() {
    let (database, _) = database();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute("SELECT insforge_integrations.configure('realtime', 'on')")
        .unwrap();
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let mut client = database
        .config()
        .user("project_admin")
        .notice_callback(move |notice| {
            assert_eq!(notice.severity(), "WARNING");
            assert_eq!(
                notice.message(),
                "an x402 settlement was recorded and not published"
            );
            assert!(notice.hint().is_some());
            heard
                .lock()
                .unwrap()
                .push(notice.detail().unwrap_or_default().to_owned());
        })
        .connect(NoTls)
        .unwrap();
    let publish = "CREATE SCHEMA realtime;
        CREATE TABLE realtime.heard (payload jsonb);
        CREATE FUNCTION realtime.publish(text, text, jsonb) RETURNS uuid LANGUAGE sql AS
          'INSERT INTO realtime.heard VALUES ($3); SELECT NULL::uuid'";
    // Filling the queue takes 7 GB of files, so a function reports it as full.
    superuser
        .batch_execute(
            "ALTER FUNCTION pg_catalog.pg_notification_queue_usage() RENAME TO real_queue_usage;
             CREATE FUNCTION pg_catalog.pg_notification_queue_usage() RETURNS double precision
               LANGUAGE sql AS 'SELECT pg_catalog.real_queue_usage()'",
        )
        .unwrap();
    let full = |usage: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION pg_catalog.pg_notification_queue_usage() RETURNS double precision
               LANGUAGE sql AS 'SELECT {usage}::double precision'"
        )
    };
    let steps = [
        (
            String::new(),
            Some("There is no function realtime.publish(text, text, jsonb)."),
            0,
        ),
        (publish.to_owned(), None, 1),
        (
            full("0.91"),
            Some("The notification queue is nearly full."),
            1,
        ),
        (full("0.9"), None, 2),
        (
            "DROP TABLE realtime.heard".to_owned(),
            Some("realtime.publish raised: relation \"realtime.heard\" does not exist"),
            0,
        ),
    ];
    for (number, (prepare, detail, is_heard)) in steps.into_iter().enumerate() {
        superuser.batch_execute(&prepare).unwrap();
        let hash = hash(number as u64 + 1);
        record(&mut client, &hash).unwrap();
        let warned = std::mem::take(&mut *warnings.lock().unwrap());
        assert_eq!(warned, detail.into_iter().collect::<Vec<_>>(), "{prepare}");
        let stored = superuser
            .query("SELECT FROM x402_payments WHERE tx_hash = $1", &[&hash])
            .unwrap();
        assert_eq!(stored.len(), 1, "{prepare}");
        let heard = superuser.query("SELECT FROM realtime.heard", &[]);
        assert_eq!(heard.map_or(0, |rows| rows.len()), is_heard, "{prepare}");
    }
}
