//! Many connections at once.

use std::sync::Barrier;

use super::*;

pub(crate) const CONNECTIONS: usize = 16;

/// Runs a call on many connections at once and returns the SQLSTATEs; empty for success.
pub(crate) fn at_once<T: Sync>(
    database: &Database,
    inputs: &[T],
    call: impl Fn(&mut Client, &T) -> Result<(), postgres::Error> + Sync,
) -> Vec<String> {
    let barrier = Barrier::new(inputs.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = inputs
            .iter()
            .map(|input| {
                scope.spawn(|| {
                    let mut client = database.connect_as("project_admin").unwrap();
                    barrier.wait();
                    match call(&mut client, input) {
                        Ok(()) => String::new(),
                        Err(error) => refused(&error).code().code().to_owned(),
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

pub(crate) fn assert_one_wins(mut codes: Vec<String>) {
    codes.sort();
    let mut expected = vec![String::new()];
    expected.resize(CONNECTIONS, "23505".to_owned());
    assert_eq!(codes, expected);
}

#[test]
fn one_of_many_connections_records_a_transaction() {
    let (database, mut client) = database();
    let mut number = 0;
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        for idempotent in [false, true] {
            for _ in 0..10 {
                number += 1;
                let hash = hash(number);
                let mut codes = at_once(&database, &[(); CONNECTIONS], |client, ()| {
                    let mut transaction = client.build_transaction();
                    transaction = transaction.isolation_level(match isolation {
                        "READ COMMITTED" => postgres::IsolationLevel::ReadCommitted,
                        "REPEATABLE READ" => postgres::IsolationLevel::RepeatableRead,
                        _ => postgres::IsolationLevel::Serializable,
                    });
                    let mut transaction = transaction.start()?;
                    // The snapshot is older than all commits of the others.
                    transaction.query("SELECT 1", &[])?;
                    transaction.query_one(
                        "SELECT * FROM record_x402_settlement($1, $2, $3, '10000', idempotent => $4)",
                        &[&hash, &PAYER, &ENDPOINT, &idempotent],
                    )?;
                    transaction.commit()
                });
                let stored: i64 = client
                    .query_one(
                        "SELECT count(*) FROM x402_payments WHERE tx_hash = $1",
                        &[&hash],
                    )
                    .unwrap()
                    .get(0);
                assert_eq!(stored, 1);
                codes.sort();
                let (one, others) = codes.split_first().unwrap();
                assert_eq!(one, "");
                for code in others {
                    let allowed: &[&str] = match (isolation, idempotent) {
                        ("SERIALIZABLE", true) => &["", "40001"],
                        ("SERIALIZABLE", false) => &["23505", "40001"],
                        (_, true) => &[""],
                        (_, false) => &["23505"],
                    };
                    assert!(
                        allowed.contains(&code.as_str()),
                        "{isolation} {idempotent} {codes:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn one_of_many_connections_reserves_an_authorization_or_a_key() {
    let (database, mut client) = database();
    let mut buyer = Buyer::new(&mut client);
    let requirements = buyer.requirements.clone();
    let reserve = |client: &mut Client, payment: &String, key: Option<&str>| {
        client
            .query_one(
                "SELECT is_new FROM reserve_x402_payment($1, $2, $3, $4)",
                &[payment, &requirements, &ENDPOINT, &key],
            )
            .map(|row| row.get::<_, bool>(0))
    };
    for round in 0..5 {
        let payment = buyer.pay().0;
        let codes = at_once(
            &database,
            &vec![payment.clone(); CONNECTIONS],
            |client, payment| reserve(client, payment, None).map(drop),
        );
        assert_one_wins(codes);

        // The same with a key: one is new, and the others get its reservation.
        let payment = buyer.pay().0;
        let key = format!("request {round}");
        let new = std::sync::atomic::AtomicUsize::new(0);
        let codes = at_once(&database, &vec![payment; CONNECTIONS], |client, payment| {
            if reserve(client, payment, Some(&key))? {
                new.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Ok(())
        });
        assert!(codes.iter().all(String::is_empty), "{codes:?}");
        assert_eq!(new.into_inner(), 1);

        // Different authorizations of one payer under one key.
        let payments: Vec<String> = (0..CONNECTIONS).map(|_| buyer.pay().0).collect();
        let key = format!("other request {round}");
        let codes = at_once(&database, &payments, |client, payment| {
            reserve(client, payment, Some(&key)).map(drop)
        });
        assert_one_wins(codes);
    }
}

/// The server recorded the transaction, and its reservations hear of it all at once.
#[test]
fn one_of_many_reservations_has_a_row_that_the_server_recorded() {
    let (database, mut client) = database();
    let mut buyer = Buyer::new(&mut client);
    for round in 0..5 {
        let hash = hash(round + 1);
        let mut payer = String::new();
        let ids = [(); CONNECTIONS].map(|()| -> String {
            let (payment, address) = buyer.pay();
            payer = address;
            let reserve = "SELECT reservation_id::text FROM reserve_x402_payment($1, $2, $3)";
            client
                .query_one(reserve, &[&payment, &buyer.requirements, &ENDPOINT])
                .unwrap()
                .get(0)
        });
        let record = "SELECT FROM record_x402_settlement($1, $2, $3, '10000')";
        client
            .query_one(record, &[&hash, &payer, &ENDPOINT])
            .unwrap();
        let answer = json!({"success": true, "transaction": hash});
        let states = std::sync::Mutex::new(Vec::new());
        let codes = at_once(&database, &ids, |client, id| {
            let settle = "SELECT state, reason FROM settle_x402_reservation($1::text::uuid, $2)";
            let row = client.query_one(settle, &[id, &answer])?;
            let state = (row.get::<_, String>(0), row.get::<_, Option<String>>(1));
            states.lock().unwrap().push(state);
            Ok(())
        });
        assert!(codes.iter().all(String::is_empty), "{codes:?}");
        let mut states = states.into_inner().unwrap();
        states.sort();
        let conflict = ("conflict".to_owned(), Some("transaction_taken".to_owned()));
        let mut expected = vec![conflict; CONNECTIONS - 1];
        expected.push(("settled".to_owned(), None));
        assert_eq!(states, expected);
    }
}
