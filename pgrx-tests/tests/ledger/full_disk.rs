//! A full disk.

use std::sync::atomic::{AtomicU64, Ordering};

use insforge_integrations_tests::Cluster;
use postgres::{Config, NoTls};

use super::*;

/// A segment of the write-ahead log.
const SEGMENT: u64 = 16 << 20;

/// Records on four connections until each was refused `refusals` times, or is closed. Returns the
/// acknowledged records, and the others with their errors.
fn record_until_refused(
    config: &Config,
    number: &AtomicU64,
    summary: Option<&str>,
    refusals: usize,
) -> (Vec<String>, Vec<(String, postgres::Error)>) {
    let connection = || {
        let mut client = config.clone().user("project_admin").connect(NoTls).unwrap();
        let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
        while refused.len() < refusals && !client.is_closed() {
            let hash = hash(number.fetch_add(1, Ordering::Relaxed) + 1);
            let recorded = client.query_one(
                "SELECT FROM record_x402_settlement($1, $2, $3, '10000', response_summary => $4)",
                &[&hash, &PAYER, &ENDPOINT, &summary],
            );
            match recorded {
                Ok(_) => acknowledged.push(hash),
                Err(error) => refused.push((hash, error)),
            }
        }
        (acknowledged, refused)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(connection)).collect();
        let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
        for thread in threads {
            let (own, own_refused) = thread.join().unwrap();
            acknowledged.extend(own);
            refused.extend(own_refused);
        }
        (acknowledged, refused)
    })
}

fn assert_each_is_there_once(client: &mut Client, hashes: &[String]) {
    let row = client
        .query_one(
            "SELECT count(*), count(DISTINCT tx_hash) FROM insforge_integrations.x402_settlements WHERE tx_hash = ANY($1)",
            &[&hashes],
        )
        .unwrap();
    let expected = hashes.len() as i64;
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1)),
        (expected, expected)
    );
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::start_with(
        "restart_after_crash = off\nautovacuum = off\nsynchronous_commit = off\nwal_writer_delay = 10s",
    )
    .unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let config = database.config();
    let mut client = database.connect().unwrap();
    let mut buyer = Buyer::new(&mut client);
    let payment = buyer.pay().0;
    let reservation: String = client
        .query_one(
            "SELECT reservation_id::text FROM reserve_x402_payment($1, $2, $3)",
            &[&payment, &buyer.requirements, &ENDPOINT],
        )
        .unwrap()
        .get(0);
    drop(database);
    let number = AtomicU64::new(0);

    // There is no room for the write-ahead log: the server stops, and clients get no answer.
    client
        .batch_execute(
            "SELECT pg_switch_wal(); CHECKPOINT;
             SELECT pg_logical_emit_message(true, '', repeat('x', 1000000)) FROM generate_series(1, 3)",
        )
        .unwrap();
    cluster.limit_files(Some(SEGMENT / 4)).unwrap();
    let (in_log, cut_off) = record_until_refused(&config, &number, None, usize::MAX);
    assert!(!in_log.is_empty() && !cut_off.is_empty());
    let log = cluster.log().unwrap();
    assert!(log.contains("PANIC:  could not write to log file"), "{log}");
    cluster.start_again().unwrap();
    let mut client = config.connect(NoTls).unwrap();
    assert_each_is_there_once(&mut client, &in_log);
    // These may or may not have been recorded. Recording them again makes it certain.
    let cut_off: Vec<String> = cut_off.into_iter().map(|(hash, _)| hash).collect();
    for hash in &cut_off {
        client
            .query_one(
                "SELECT FROM record_x402_settlement($1, $2, $3, '10000', idempotent => true)",
                &[hash, &PAYER, &ENDPOINT],
            )
            .unwrap();
    }
    assert_each_is_there_once(&mut client, &cut_off);

    // There is room for the log and none for the table: each record is refused, and the server goes
    // on. Four rows to a page, none of them long enough to be compressed.
    let summary = "x".repeat(1700);
    client
        .execute(
            "INSERT INTO insforge_integrations.x402_settlements
               (id, created_at, tx_hash, payer_address, endpoint, amount, network, response_summary, is_mock)
             SELECT gen_random_uuid(), now(), '0xff' || lpad(to_hex(i), 62, '0'), lower($1), $2, 1, 'eip155:196', $3, false
             FROM generate_series(1, 7600) i",
            &[&PAYER, &ENDPOINT, &summary],
        )
        .unwrap();
    cluster.limit_files(Some(SEGMENT)).unwrap();
    let (in_table, refused_hashes) = record_until_refused(&config, &number, Some(&summary), 10);
    assert!(!in_table.is_empty());
    assert_eq!(refused_hashes.len(), 40);
    for (_, error) in &refused_hashes {
        let error = refused(error);
        assert!(
            error.message().starts_with("could not extend file")
                && error.message().ends_with("File too large"),
            "{error:?}"
        );
    }
    let landed = hash(1 << 40);
    let settle = |client: &mut Client| -> Result<String, postgres::Error> {
        let row = client.query_one(
            "SELECT state FROM settle_x402_reservation($1::text::uuid, $2, $3)",
            &[
                &reservation,
                &json!({"success": true, "transaction": landed}),
                &summary,
            ],
        )?;
        Ok(row.get(0))
    };
    let mut shop = config.connect(NoTls).unwrap();
    assert!(settle(&mut shop).is_err());
    let listed = shop
        .query_one(
            "SELECT state FROM insforge_integrations.unsettled_x402_reservations WHERE reservation_id::text = $1",
            &[&reservation],
        )
        .unwrap();
    assert_eq!(listed.get::<_, String>(0), "reserved");

    cluster.limit_files(None).unwrap();
    assert_each_is_there_once(&mut client, &in_log);
    assert_each_is_there_once(&mut client, &in_table);
    // A refused record leaves nothing behind: the same sessions and new ones can record it.
    let again: Vec<String> = refused_hashes.into_iter().map(|(hash, _)| hash).collect();
    for hash in &again {
        record(&mut client, hash).unwrap();
    }
    assert_each_is_there_once(&mut client, &again);
    assert_eq!(settle(&mut shop).unwrap(), "settled");
    assert_each_is_there_once(&mut client, std::slice::from_ref(&landed));
    println!(
        "log full: {} acknowledged, {} cut off; table full: {} acknowledged, {} refused",
        in_log.len(),
        cut_off.len(),
        in_table.len(),
        again.len()
    );
}
