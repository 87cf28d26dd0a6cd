//! The rate of payments through `reserve_x402_payment()` and `settle_x402_reservation()`, compared
//! with the same two transactions written by hand: INSERT; UPDATE and INSERT. The same rows, in
//! tables with the same columns and indexes; 8 clients, fsync on. The second opponent also verifies
//! each payment, as a seller must. All of it twice: on this machine's disk, and as if each flush of
//! the WAL took a millisecond longer.

mod measure;
mod plot;

use std::time::Duration;

use insforge_integrations_tests::{Cluster, Database, Fixture, node::Process};
use measure::{median, ratio, time};
use plot::{Bar, Plot};
use postgres::{Client, Statement};
use serde_json::{Value, json};

const CLIENTS: usize = 8;
const ROUNDS: usize = 5;
/// What each flush of the WAL waits in addition, in microseconds (`commit_delay`).
const DELAYS: [usize; 2] = [0, 1_000];
/// Payments of each round and side.
const PAYMENTS: usize = 1_600;
const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

/// Tables with the same columns and indexes. Domains become their types, and there are no triggers.
const BY_HAND: &str = r#"
CREATE TABLE public.own_reservations (LIKE insforge_integrations.x402_reservations INCLUDING ALL);
CREATE TABLE public.own_settlements (LIKE insforge_integrations.x402_settlements INCLUDING ALL);
CREATE TABLE public.verified_reservations (LIKE insforge_integrations.x402_reservations INCLUDING ALL);
CREATE TABLE public.verified_settlements (LIKE insforge_integrations.x402_settlements INCLUDING ALL);
DO $$
DECLARE
  own record;
BEGIN
  FOR own IN SELECT a.attrelid::regclass AS name, a.attname, format_type(t.typbasetype, t.typtypmod) AS base,
                    CASE WHEN t.typcollation <> 0 THEN 'COLLATE "C"' END AS collation
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid AND t.typtype = 'd'
             WHERE a.attrelid = ANY ('{own_reservations, own_settlements, verified_reservations, verified_settlements}'::regclass[]) LOOP
    EXECUTE format('ALTER TABLE %s ALTER %I TYPE %s %s', own.name, own.attname, own.base, own.collation);
  END LOOP;
END
$$"#;

const INSERT: &str =
    "INSERT INTO own_reservations (endpoint, scheme, network, asset, payer_address, pay_to, amount, nonce_contract, nonce,
       valid_after, valid_before, is_signature_verified, payment, requirements)
     SELECT '/r', 'exact', 'eip155:196', $1, $2, $3, $4::text::numeric, $1, $5, to_timestamp($6), to_timestamp($7), true, $8, $9::jsonb";
const VERIFIED: &str = " FROM insforge_integrations.verify_x402_payment($8, $9) WHERE is_valid";
const UPDATE: &str =
    "UPDATE own_reservations SET state = 'settled', settled_amount = $3::text::numeric, tx_hash = $2, settled_at = now(),
       answers = answers || jsonb_build_object('at', clock_timestamp(), 'answer', $4::jsonb)
     WHERE id = $1::text::uuid";
const RECORD: &str =
    "INSERT INTO own_settlements (id, created_at, reservation_id, tx_hash, payer_address, endpoint, amount, network, asset, is_mock)
     VALUES (gen_random_uuid(), now(), $1::text::uuid, $2, $3, '/r', $4::text::numeric, 'eip155:196', $5, false)";

const SIDES: [&str; 3] = [
    "INSERT; UPDATE and INSERT, by hand",
    "reserve_x402_payment(); settle_x402_reservation()",
    "the same by hand, after verify_x402_payment()",
];

const RESERVE: &str =
    "SELECT reservation_id::text, facilitator_request FROM reserve_x402_payment($1, $2, '/r')";
const SETTLE: &str =
    "SELECT deliver, response_headers FROM settle_x402_reservation($1::text::uuid, $2)";

/// A payment that viem signed, and its transaction.
struct Payment {
    header: String,
    text: String,
    json: Value,
    hash: String,
}

fn main() {
    let cluster = Cluster::start_with(
        "fsync = on\ncommit_siblings = 0\nshared_buffers = '1GB'\nmax_wal_size = '16GB'",
    )
    .expect("a test server");
    let database = cluster.database(Fixture::Extension).expect("a database");
    let mut client = database.connect().expect("a connection");
    client.batch_execute(BY_HAND).expect("tables");
    let requirements: Value = client
        .query_one(
            "SELECT insforge_integrations.x402_payment_requirements($1, '10000', '/r')",
            &[&PAY_TO],
        )
        .expect("requirements")
        .get(0);
    let mut rounds = signed(&mut client, &requirements);
    // Connections and plans are made in the first round.
    let mut ours = sessions(&database, Ours::new);
    let mut by_hand = sessions(&database, |client| ByHand::new(client, "own", ""));
    let mut verified = sessions(&database, |client| {
        ByHand::new(client, "verified", VERIFIED)
    });
    let warm_up = rounds.pop().expect("a round");
    let mut round = |payments: &[Payment]| {
        [
            pay(&mut by_hand, payments, &requirements),
            pay(&mut ours, payments, &requirements),
            pay(&mut verified, payments, &requirements),
        ]
    };
    round(&warm_up);
    println!(
        "{CLIENTS} clients, fsync on, payments per second, two transactions each, median of {ROUNDS} alternated rounds of {PAYMENTS}"
    );
    for (delay, rounds) in DELAYS.into_iter().zip(rounds.chunks(ROUNDS)) {
        for set in [
            format!("ALTER SYSTEM SET commit_delay = {delay}"),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            client.batch_execute(&set).expect("a setting");
        }
        // The sessions read it before their next statement, when the signal has arrived.
        std::thread::sleep(Duration::from_millis(200));
        let mut times: [Vec<f64>; 3] = Default::default();
        for payments in rounds {
            for (times, time) in times.iter_mut().zip(round(payments)) {
                times.push(time);
            }
        }
        show(delay, &times);
    }
    check(&mut client);
}

fn show(delay: usize, times: &[Vec<f64>; 3]) {
    println!("\ncommit_delay = {delay}");
    let rate = |times: &[f64]| PAYMENTS as f64 / median(times);
    for (side, base) in [(0, 0), (1, 0), (2, 2), (1, 2)] {
        let (name, times, base) = (SIDES[side], &times[side], &times[base]);
        println!("{name:58}{:8.0}   {:.2} ×", rate(times), ratio(base, times));
    }
    let [file, title] = match delay {
        0 => [
            "reservations",
            "Payments per second, 8 clients, two transactions each",
        ],
        _ => [
            "reservations_slow_disk",
            "Payments per second, with a disk that takes a millisecond longer",
        ],
    };
    Plot {
        file,
        title,
        bars: vec![
            Bar::other(SIDES[0], rate(&times[0])),
            Bar::other(SIDES[2], rate(&times[2])),
            Bar::ours(SIDES[1], rate(&times[1])),
        ],
        limit: Some((0.6 * rate(&times[0]), "0.6 × by hand")),
    }
    .write();
}

/// Payments for all rounds, and one more.
fn signed(client: &mut Client, requirements: &Value) -> Vec<Vec<Payment>> {
    let header: String = client
        .query_one(
            "SELECT insforge_integrations.x402_payment_required_header($1)",
            &[requirements],
        )
        .expect("a header")
        .get(0);
    let decode = client
        .prepare("SELECT insforge_integrations.x402_decode_header($1), '0x' || encode(sha256($1::text::bytea), 'hex')")
        .expect("a statement");
    let mut buyer = Process::start("x402_clients.mjs", &[]).expect("node");
    let question = json!({"client": "viem", "header": header});
    let mut payment = || {
        let paid = buyer.ask(&question).expect("a payment");
        let header = paid["header"].as_str().expect("a header").to_owned();
        let row = client.query_one(&decode, &[&header]).expect("JSON");
        Payment {
            header,
            text: row.get::<_, Value>(0).to_string(),
            json: row.get(0),
            hash: row.get(1),
        }
    };
    (0..=ROUNDS * DELAYS.len())
        .map(|_| (0..PAYMENTS).map(|_| payment()).collect())
        .collect()
}

/// A client that pays.
trait Pays: Send {
    fn pay(&mut self, payment: &Payment, requirements: &Value, answer: &Value);
}

fn sessions<T>(database: &Database, new: impl Fn(Client) -> T) -> Vec<T> {
    (0..CLIENTS)
        .map(|_| new(database.connect().expect("a connection")))
        .collect()
}

/// Seconds for all payments.
fn pay<T: Pays>(sessions: &mut [T], payments: &[Payment], requirements: &Value) -> f64 {
    let (seconds, ()) = time(|| {
        std::thread::scope(|scope| {
            for (session, payments) in sessions
                .iter_mut()
                .zip(payments.chunks(PAYMENTS.div_ceil(CLIENTS)))
            {
                scope.spawn(move || {
                    for payment in payments {
                        let answer = json!({"success": true, "transaction": payment.hash});
                        session.pay(payment, requirements, &answer);
                    }
                });
            }
        });
    });
    seconds
}

struct Ours {
    client: Client,
    reserve: Statement,
    settle: Statement,
}

impl Ours {
    fn new(mut client: Client) -> Self {
        client
            .batch_execute("SET ROLE project_admin")
            .expect("a role");
        Self {
            reserve: client.prepare(RESERVE).expect("a statement"),
            settle: client.prepare(SETTLE).expect("a statement"),
            client,
        }
    }
}

impl Pays for Ours {
    fn pay(&mut self, payment: &Payment, requirements: &Value, answer: &Value) {
        let id: String = self
            .client
            .query_one(&self.reserve, &[&payment.header, requirements])
            .expect("a reservation")
            .get(0);
        let row = self
            .client
            .query_one(&self.settle, &[&id, answer])
            .expect("a settlement");
        assert!(row.get::<_, bool>(0));
    }
}

struct ByHand {
    client: Client,
    insert: Statement,
    update: Statement,
    record: Statement,
}

impl ByHand {
    fn new(mut client: Client, tables: &str, condition: &str) -> Self {
        let mut prepare = |statement: &str| {
            let statement = statement.replace("own_", &format!("{tables}_"));
            client.prepare(&statement).expect("a statement")
        };
        Self {
            insert: prepare(&format!("{INSERT}{condition} RETURNING id::text")),
            update: prepare(UPDATE),
            record: prepare(RECORD),
            client,
        }
    }
}

impl Pays for ByHand {
    fn pay(&mut self, payment: &Payment, requirements: &Value, answer: &Value) {
        let signed = &payment.json["payload"]["authorization"];
        let text = |name: &str| signed[name].as_str().expect("a text").to_lowercase();
        let seconds = |name: &str| text(name).parse::<f64>().expect("seconds");
        let asset = requirements["asset"].as_str().expect("an asset");
        let (payer, amount) = (text("from"), text("value"));
        let id: String = self
            .client
            .query_one(
                &self.insert,
                &[
                    &asset,
                    &payer,
                    &text("to"),
                    &amount,
                    &text("nonce"),
                    &seconds("validAfter"),
                    &seconds("validBefore"),
                    &payment.text,
                    requirements,
                ],
            )
            .expect("a reservation")
            .get(0);
        let mut transaction = self.client.transaction().expect("a transaction");
        let values: [&(dyn postgres::types::ToSql + Sync); 4] =
            [&id, &payment.hash, &amount, answer];
        transaction.execute(&self.update, &values).expect("a row");
        let values: [&(dyn postgres::types::ToSql + Sync); 5] =
            [&id, &payment.hash, &payer, &amount, &asset];
        transaction.execute(&self.record, &values).expect("a row");
        transaction.commit().expect("a commit");
    }
}

/// All sides must have the same rows.
fn check(client: &mut Client) {
    const COLUMNS: &str = "state, endpoint, idempotency_key, holds_key, scheme, network, asset, payer_address, pay_to, amount,
       nonce_contract, nonce, valid_after, valid_before, is_signature_verified, payment::jsonb, requirements, user_id, asked_amount,
       settled_amount, tx_hash, reason, message, answers -> 0 -> 'answer', response_summary, is_mock, is_batched, note";
    let mut count = |query: &str| -> i64 {
        let query = format!("SELECT count(*) FROM {query}");
        client.query_one(&query, &[]).expect("a count").get(0)
    };
    for by_hand in ["own", "verified"] {
        let rows = format!(
            "(SELECT {COLUMNS} FROM {by_hand}_reservations EXCEPT SELECT {COLUMNS} FROM insforge_integrations.x402_reservations) AS others"
        );
        assert_eq!(count(&rows), 0, "{by_hand}");
        for table in ["reservations", "settlements"] {
            let expected = ((ROUNDS * DELAYS.len() + 1) * PAYMENTS) as i64;
            assert_eq!(count(&format!("{by_hand}_{table}")), expected);
            assert_eq!(
                count(&format!("insforge_integrations.x402_{table}")),
                expected
            );
        }
    }
}
