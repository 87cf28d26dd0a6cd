//! Acknowledged records survive every crash, with `synchronous_commit = off` wherever it can be
//! set.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use insforge_integrations_tests::Cluster;

use super::*;

const ROUNDS: u64 = 20;

#[test]
fn acknowledged_records_survive_kill_9() {
    let mut cluster =
        Cluster::start_with("fsync = on\nsynchronous_commit = off\nwal_writer_delay = 10s")
            .unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let config = database.config();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(&format!(
            "ALTER DATABASE {} SET synchronous_commit = off; ALTER ROLE project_admin SET synchronous_commit = off",
            database.name()
        ))
        .unwrap();
    // CREATE EXTENSION itself is not acknowledged to be on disk under these settings.
    client.batch_execute("CHECKPOINT").unwrap();
    let mut buyer = Buyer::new(&mut client);
    let payments: Vec<String> = (0..ROUNDS * 6).map(|_| buyer.pay().0).collect();
    let requirements = buyer.requirements.clone();
    drop(client);
    drop(database);

    let number = AtomicU64::new(0);
    let mut recorded: Vec<String> = Vec::new();
    let mut reserved: Vec<(String, Option<String>)> = Vec::new();
    let mut payments = payments.chunks(6);
    for round in 0..ROUNDS {
        let stop = AtomicBool::new(false);
        let (records, reservations) = (AtomicU64::new(0), AtomicU64::new(0));
        let own = payments.next().unwrap();
        let connect = || {
            config
                .clone()
                .user("project_admin")
                .connect(postgres::NoTls)
        };
        std::thread::scope(|scope| {
            let recorders: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut acknowledged = Vec::new();
                        let Ok(mut client) = connect() else {
                            return acknowledged;
                        };
                        while !stop.load(Ordering::Relaxed) {
                            let hash = hash(number.fetch_add(1, Ordering::Relaxed) + 1);
                            let mut record = || -> Result<(), postgres::Error> {
                                let mut transaction = client.transaction()?;
                                transaction.batch_execute("SET LOCAL synchronous_commit = off")?;
                                record(&mut transaction, &hash)?;
                                transaction.commit()
                            };
                            match record() {
                                Ok(()) => {
                                    acknowledged.push(hash);
                                    records.fetch_add(1, Ordering::Relaxed);
                                }
                                Err(_) => break,
                            }
                        }
                        acknowledged
                    })
                })
                .collect();
            let shop = scope.spawn(|| {
                let mut acknowledged = Vec::new();
                let Ok(mut client) = connect() else {
                    return acknowledged;
                };
                for (place, payment) in own.iter().enumerate() {
                    let Ok(row) = client.query_one(
                        "SELECT reservation_id::text FROM reserve_x402_payment($1, $2, $3)",
                        &[payment, &requirements, &ENDPOINT],
                    ) else {
                        break;
                    };
                    let id: String = row.get(0);
                    let hash = hash((1 << 40) + round * 100 + place as u64);
                    let settled = client.query_one(
                        "SELECT FROM settle_x402_reservation($1::text::uuid, $2)",
                        &[&id, &json!({"success": true, "transaction": hash})],
                    );
                    acknowledged.push((id, settled.is_ok().then_some(hash)));
                    reservations.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(10));
                }
                acknowledged
            });
            // Something was acknowledged before the crash, even on a slow machine.
            let seen = |count: &AtomicU64| count.load(Ordering::Relaxed) > 1;
            while !(seen(&records) && seen(&reservations) || shop.is_finished()) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(round * 7));
            // Some clients are in the middle of a commit now.
            cluster.crash().unwrap();
            stop.store(true, Ordering::Relaxed);
            for recorder in recorders {
                recorded.extend(recorder.join().unwrap());
            }
            reserved.extend(shop.join().unwrap());
        });
    }

    let mut client = config.connect(postgres::NoTls).unwrap();
    let mut count = |condition: &str, hash: &str| -> i64 {
        let statement = format!("SELECT count(*) FROM {condition}");
        client.query_one(&statement, &[&hash]).unwrap().get(0)
    };
    for hash in recorded
        .iter()
        .chain(reserved.iter().filter_map(|(_, hash)| hash.as_ref()))
    {
        let stored = count(
            "insforge_integrations.x402_settlements WHERE tx_hash = $1",
            hash,
        );
        assert_eq!(stored, 1, "{hash} was acknowledged");
    }
    for (id, hash) in &reserved {
        let settled = count(
            "insforge_integrations.x402_reservations r JOIN insforge_integrations.x402_settlements s
               ON s.tx_hash = r.tx_hash AND s.reservation_id = r.id WHERE r.state = 'settled' AND r.id::text = $1",
            id,
        );
        let unsettled = count(
            "insforge_integrations.unsettled_x402_reservations WHERE reservation_id::text = $1",
            id,
        );
        assert_eq!(settled + unsettled, 1, "{id}");
        assert!(
            hash.is_none() || settled == 1,
            "{id} was acknowledged as settled"
        );
    }
    let twice = count(
        "(SELECT FROM insforge_integrations.x402_settlements WHERE tx_hash <> $1 GROUP BY tx_hash HAVING count(*) > 1) twice",
        "",
    );
    assert_eq!(twice, 0);
    println!(
        "{ROUNDS} crashes: {} records and {} reservations acknowledged, none lost, none twice",
        recorded.len(),
        reserved.len()
    );
    assert!(recorded.len() as u64 > ROUNDS && reserved.len() as u64 > ROUNDS);
}
