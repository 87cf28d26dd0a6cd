//! The rate of recording payments, compared with the INSERT into the table of InsForge's guide: 8
//! clients, one record for each transaction, fsync on. Also the rate with BENCH_ROWS (5,000,000)
//! rows.

mod measure;
mod plot;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use insforge_integrations_tests::{Cluster, Database, Fixture};
use measure::{median, ratio, time};
use plot::{Bar, Plot};

const CLIENTS: u64 = 8;
const PAIRS: usize = 5;
const SECONDS: u64 = 3;

const PLAIN_INSERT: &str =
    "INSERT INTO guide_payments (payer_address, endpoint, amount, tx_hash, response_summary)
     VALUES ($2, $3, $4, $1, $5)";
/// The answer is as small as that of the INSERT.
const RECORD: &str = "SELECT FROM record_x402_settlement($1, $2, $3, $4, response_summary => $5)";
const INSERT_RETURNING: &str =
    "INSERT INTO guide_payments (payer_address, endpoint, amount, tx_hash, response_summary)
     VALUES ($2, $3, $4, $1, $5) RETURNING *";
const RECORD_RETURNING: &str =
    "SELECT * FROM record_x402_settlement($1, $2, $3, $4, response_summary => $5)";

/// The table of the guide, without its trigger.
const GUIDE: &str = "
CREATE TABLE public.guide_payments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), payer_address text NOT NULL, endpoint text NOT NULL, amount text NOT NULL,
  tx_hash text NOT NULL UNIQUE, chain text DEFAULT 'xlayer', status text DEFAULT 'settled', response_summary text,
  created_at timestamptz DEFAULT now());
CREATE INDEX ON public.guide_payments (payer_address);
CREATE INDEX ON public.guide_payments (created_at DESC);
ALTER TABLE public.guide_payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY public_read ON public.guide_payments FOR SELECT USING (true)";

fn main() {
    let rows: u64 = std::env::var("BENCH_ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(5_000_000);
    let cluster = Cluster::start_with("fsync = on\nshared_buffers = '1GB'\nmax_wal_size = '16GB'")
        .expect("a test server");
    let database = with_both_tables(&cluster);
    let mut times: [Vec<f64>; 6] = Default::default();
    for _ in 0..PAIRS {
        times[0].push(seconds_each(&database, PLAIN_INSERT));
        times[1].push(seconds_each(&database, RECORD));
        times[4].push(seconds_each(&database, INSERT_RETURNING));
        times[5].push(seconds_each(&database, RECORD_RETURNING));
    }
    let version = database
        .connect()
        .and_then(|mut client| Ok(client.query_one("SHOW server_version", &[])?));
    println!(
        "PostgreSQL {}; record_x402_settlement() must reach 0.80 × a plain INSERT\n",
        version.expect("a version").get::<_, String>(0)
    );
    println!(
        "{CLIENTS} clients, fsync on, transactions per second, median of {PAIRS} alternated runs of {SECONDS} s\n"
    );
    let line = |what: &str, times: &[f64], base: &[f64]| {
        println!(
            "{what:58}{:8.0}   {:.2} ×",
            1.0 / median(times),
            ratio(base, times)
        );
    };
    line("INSERT into the guide's table", &times[0], &times[0]);
    line("record_x402_settlement()", &times[1], &times[0]);
    line("INSERT … RETURNING *", &times[4], &times[4]);
    line(
        "SELECT * FROM record_x402_settlement()",
        &times[5],
        &times[4],
    );

    let [insert, record] = [&times[0], &times[1]].map(|times| 1.0 / median(times));
    Plot {
        file: "ledger",
        title: "Payments recorded per second, 8 clients",
        bars: vec![
            Bar::other("INSERT into the guide's table", insert),
            Bar::ours("record_x402_settlement()", record),
        ],
        limit: Some((0.8 * insert, "0.8 × INSERT")),
    }
    .write();

    let full = with_both_tables(&cluster);
    fill(&full, rows);
    for _ in 0..PAIRS {
        times[2].push(seconds_each(&database, RECORD));
        times[3].push(seconds_each(&full, RECORD));
    }
    println!("\nat {rows} rows\n");
    line(
        "record_x402_settlement() into a ledger that was empty",
        &times[2],
        &times[2],
    );
    line(
        "record_x402_settlement() into the full one",
        &times[3],
        &times[2],
    );
    println!(
        "{:58}{:8.2} ×",
        "time per record, full / empty",
        ratio(&times[3], &times[2])
    );
    let mut client = full.connect().expect("a connection");
    let mut bytes = |table: &str| -> f64 {
        let size =
            format!("SELECT pg_total_relation_size('{table}')::float8 / count(*) FROM {table}");
        client.query_one(&size, &[]).expect("a size").get(0)
    };
    let (ours, guide) = (
        bytes("insforge_integrations.x402_settlements"),
        bytes("guide_payments"),
    );
    println!(
        "bytes per payment with indexes: ledger {ours:.0}, guide's table {guide:.0}, {:.2} ×",
        ours / guide
    );
    let newest = "SELECT * FROM x402_payments ORDER BY created_at DESC LIMIT 50";
    let read = |role: &str, query: &str| {
        let mut reader = full.connect_as(role).expect("a connection");
        let claims = "SET request.jwt.claims = '{\"sub\": \"user_of_100_payments\"}'";
        reader.batch_execute(claims).expect("claims");
        let seconds: Vec<f64> = (0..5)
            .map(|_| time(|| reader.query(query, &[]).expect("rows")).0)
            .collect();
        println!("{:7.2} ms  {role}: {query}", median(&seconds) * 1e3);
    };
    for query in [
        newest,
        "SELECT * FROM x402_payments WHERE tx_hash = '0x' || repeat('ab', 32)",
        "SELECT * FROM x402_payments WHERE payer_address = '0x' || lpad('7', 40, '0') ORDER BY created_at DESC LIMIT 50",
    ] {
        read("project_admin", query);
    }
    client
        .batch_execute(
            "SELECT insforge_integrations.publish_x402_payments('authenticated', 'own');
             SELECT insforge_integrations.map_x402_payer('0x' || lpad('7', 40, '0'), 'user_of_100_payments')",
        )
        .expect("a publication");
    read("authenticated", newest);
}

fn with_both_tables(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database(Fixture::Extension).expect("a database");
    let mut client = database.connect().expect("a connection");
    client.batch_execute(GUIDE).expect("the guide's table");
    database
}

/// Inserts the same payments, of 100,000 payers, into both tables.
fn fill(database: &Database, rows: u64) {
    let mut client = database.connect().expect("a connection");
    let facts = format!(
        "SELECT gen_random_uuid() AS id, now() - ({rows} - n) * interval '1 s' AS created_at,
                '0x' || encode(sha256(n::text::bytea), 'hex') AS tx_hash, '0x' || lpad(to_hex(n::bigint * 7919 % 100000), 40, '0') AS payer
         FROM generate_series(1, {rows}) n"
    );
    client
        .batch_execute(&format!(
            "INSERT INTO guide_payments SELECT id, payer, '/api/report', '10000', tx_hash, 'xlayer', 'settled', 'a report', created_at FROM ({facts}) f;
             INSERT INTO insforge_integrations.x402_settlements (id, created_at, tx_hash, payer_address, endpoint, amount, network, response_summary, is_mock)
             SELECT id, created_at, tx_hash, payer, '/api/report', 10000, 'eip155:196', 'a report', false FROM ({facts}) f;
             ANALYZE",
        ))
        .expect("rows");
    client
        .batch_execute("VACUUM guide_payments")
        .expect("vacuum");
    client
        .batch_execute("VACUUM insforge_integrations.x402_settlements")
        .expect("vacuum");
    client.batch_execute("CHECKPOINT").expect("a checkpoint");
}

/// Seconds between two commits, over all clients.
fn seconds_each(database: &Database, statement: &str) -> f64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1 << 50);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let (seconds, ()) = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = database.connect_as("project_admin").expect("a connection");
                let statement = client.prepare(statement).expect("a statement");
                while !stop.load(Ordering::Relaxed) {
                    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                    // As random as a hash.
                    let hash = format!("0x{}", random_hash(number));
                    let payer = format!("0x{:040x}", number.wrapping_mul(7919) % 100_000);
                    client
                        .execute(
                            &statement,
                            &[&hash, &payer, &"/api/report", &"10000", &"a report"],
                        )
                        .expect("a row");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        time(|| {
            std::thread::sleep(Duration::from_secs(SECONDS));
            stop.store(true, Ordering::Relaxed);
        })
    });
    seconds / done.load(Ordering::Relaxed) as f64
}

fn random_hash(number: u64) -> String {
    use sha3::{Digest, Keccak256};
    hex::encode(Keccak256::digest(number.to_be_bytes()))
}
