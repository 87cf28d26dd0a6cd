//! Citus: a coordinator and two workers, prepared with the statements of docs/operations.md. Where the
//! server has no Citus, each test says so and checks nothing.

mod requests;
#[path = "../real_postgrest/server.rs"]
#[allow(dead_code)]
mod server;

use std::sync::OnceLock;
use std::thread;

use insforge_integrations_tests::node::{self, Process};
use insforge_integrations_tests::provider_tokens::register;
use insforge_integrations_tests::{Cluster, Database, Fixture, has_extension};
use jsonwebtoken::{EncodingKey, Header};
use postgres::error::{DbError, SqlState};
use postgres::{Client, Transaction};
use serde_json::{Value, json};

use server::{Call, SECRET, Server};

const PAYER: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const ENDPOINT: &str = "https://api.example.com/report";
const NAME: &str = "db_0";
const OPERATIONS: &str = include_str!("../../../docs/operations.md");

/// The coordinator, and the workers.
struct Citus([Cluster; 3]);

/// All tests share one cluster of servers.
fn citus() -> Option<&'static Citus> {
    static CITUS: OnceLock<Citus> = OnceLock::new();
    has_extension("citus").then(|| CITUS.get_or_init(|| Citus::start("")))
}

impl Citus {
    fn start(more: &str) -> Self {
        let configuration =
            format!("shared_preload_libraries = 'citus'\nmax_prepared_transactions = 100\n{more}");
        let start = || Cluster::start_with(&configuration).unwrap();
        let citus = Self([start(), start(), start()]);
        for server in &citus.0 {
            let database = server.database(Fixture::InsForge).unwrap();
            assert_eq!(database.name(), NAME);
            // A directory with a Unix socket is an address, too.
            let directory = server.socket_directory().display();
            let host = format!("ALTER SYSTEM SET citus.local_hostname = '{directory}'");
            for statement in [
                host.as_str(),
                "SELECT pg_reload_conf()",
                "CREATE EXTENSION citus",
            ] {
                database
                    .connect()
                    .unwrap()
                    .batch_execute(statement)
                    .unwrap();
            }
        }
        let mut coordinator = citus.connect(0);
        for (number, server) in citus.0.iter().enumerate() {
            let directory = server.socket_directory().display();
            let add = match number {
                0 => format!("SELECT citus_set_coordinator_host('{directory}', 5432)"),
                _ => format!("SELECT citus_add_node('{directory}', 5432)"),
            };
            coordinator.batch_execute(&add).unwrap();
        }
        for statement in citus_statements() {
            coordinator
                .batch_execute(&statement)
                .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        citus
    }

    fn database(&self, server: usize) -> Database<'_> {
        Database::named(&self.0[server], NAME)
    }

    fn connect(&self, server: usize) -> Client {
        self.database(server).connect().unwrap()
    }
}

/// The statements of the section on Citus, except the request at the end of step 4.
fn citus_statements() -> Vec<String> {
    let section = OPERATIONS.split("\n## Citus\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```text\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks
        .filter(|block| !block.starts_with("BEGIN"))
        .flat_map(|block| block.split(";\n"))
        .filter(|statement| !statement.trim().is_empty())
        .map(|statement| statement.replace("DATABASE app", &format!("DATABASE {NAME}")))
        .collect()
}

fn hash(number: u64) -> String {
    format!("0x{number:064x}")
}

fn record(
    client: &mut Client,
    hash: &str,
    amount: &str,
    idempotent: bool,
) -> Result<String, postgres::Error> {
    let row = client.query_one(
        "SELECT tx_hash || ' ' || amount || ' ' || chain
         FROM record_x402_settlement($1, $2, $3, $4, idempotent => $5)",
        &[&hash, &PAYER, &ENDPOINT, &amount, &idempotent],
    )?;
    Ok(row.get(0))
}

/// Postgres' error.
fn refused(error: &postgres::Error) -> &DbError {
    error.as_db_error().unwrap_or_else(|| panic!("{error:?}"))
}

fn count(client: &mut Client, rows: &str) -> i64 {
    let question = format!("SELECT count(*) FROM {rows}");
    let answer = client.query_one(&question, &[]);
    answer
        .unwrap_or_else(|error| panic!("{rows}: {error:?}"))
        .get(0)
}

#[test]
fn a_transaction_is_recorded_once_from_any_server() {
    let Some(citus) = citus() else { return };
    for first in 0..3 {
        let hash = &hash(100 + first as u64);
        let row = record(&mut citus.connect(first), hash, "7", false).unwrap();
        assert_eq!(row, format!("{hash} 7 xlayer"));
        for server in 0..3 {
            let mut client = citus.connect(server);
            assert_eq!(record(&mut client, hash, "7", true).unwrap(), row);
            for (amount, idempotent, detail) in [
                ("7", false, "is identical."),
                ("8", false, "differs in: amount."),
                ("8", true, "differs in: amount."),
            ] {
                let error = record(&mut client, hash, amount, idempotent).unwrap_err();
                let error = refused(&error);
                assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION, "{error:?}");
                assert!(error.detail().unwrap().ends_with(detail), "{error:?}");
            }
            // A snapshot from before does not hide the row.
            client
                .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT")
                .unwrap();
            assert_eq!(record(&mut client, hash, "7", true).unwrap(), row);
            client.batch_execute("COMMIT").unwrap();
            for table in ["x402_payments", "insforge_integrations.x402_settlements"] {
                let rows = format!("{table} WHERE tx_hash = '{hash}'");
                assert_eq!(count(&mut client, &rows), 1, "{rows}");
            }
        }
    }
}

#[test]
fn one_of_many_connections_to_all_servers_records_a_transaction() {
    let Some(citus) = citus() else { return };
    for round in 0..10 {
        let hash = &hash(200 + round);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let calls: Vec<_> = (0..12)
                .map(|number| {
                    scope.spawn(move || record(&mut citus.connect(number % 3), hash, "7", false))
                })
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        let (new, known): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((new.len(), known.len()), (1, 11));
        for error in known {
            let error = error.unwrap_err();
            assert_eq!(refused(&error).code(), &SqlState::UNIQUE_VIOLATION);
        }
    }
}

#[test]
fn views_totals_and_the_advisor_answer_on_every_server() {
    let Some(citus) = citus() else { return };
    let hash = &hash(300);
    record(&mut citus.connect(1), hash, "1000", false).unwrap();
    let correct = "SELECT FROM correct_x402_settlement($1, 'refund', 'too much', amount => '10', reference => $2)";
    for server in 0..3 {
        let row = citus
            .connect(server)
            .query(correct, &[&hash, &format!("refund {server}")])
            .unwrap();
        assert_eq!(row.len(), 1);
    }
    for (server, role) in [(0, "postgres"), (1, "postgres"), (0, "project_admin")] {
        let mut client = citus.database(server).connect_as(role).unwrap();
        let receipt: Value = client
            .query_one("SELECT x402_receipt($1)", &[&hash])
            .unwrap()
            .get(0);
        assert_eq!(receipt["amount"], "1000", "{role} on {server}");
        assert_eq!(receipt["refunded"], "30", "{role} on {server}");
        let rows = count(&mut client, "insforge_integrations.x402_settlements");
        let payments: i64 = client
            .query_one(
                "SELECT sum(payments)::bigint FROM insforge_integrations.x402_totals",
                &[],
            )
            .unwrap()
            .get(0);
        // Other tests add rows.
        assert!(rows > 0 && payments >= rows, "{payments} of {rows}");
        for view in [
            "x402_payments",
            "x402_revenue",
            "insforge_integrations.status WHERE item = 'ledger_rows' AND value > 0",
            "insforge_integrations.advise() WHERE rule_id = 'durability_off'",
        ] {
            assert!(count(&mut client, view) > 0, "{role} on {server}: {view}");
        }
        for view in [
            "unsettled_x402_reservations",
            "undelivered_x402_reservations",
        ] {
            count(&mut client, &format!("insforge_integrations.{view}"));
        }
        // A server does not see what the others have not yet committed.
        let error = client
            .batch_execute("SELECT insforge_integrations.refresh_x402_sums()")
            .unwrap_err();
        assert_eq!(
            refused(&error).code(),
            &SqlState::FEATURE_NOT_SUPPORTED,
            "{role} on {server}"
        );
    }
}

#[test]
fn the_ledger_is_append_only_on_every_server() {
    let Some(citus) = citus() else { return };
    let kept = hash(400);
    record(&mut citus.connect(0), &kept, "7", false).unwrap();
    let insert = "INSERT INTO insforge_integrations.x402_settlements
        (id, created_at, tx_hash, payer_address, endpoint, amount, network, is_mock)
        VALUES (gen_random_uuid(), now(), '0xAB', '0x' || repeat('ab', 20), '/', 1, 'eip155:196', false)";
    let denied = SqlState::INSUFFICIENT_PRIVILEGE;
    for server in 0..3 {
        let mut client = citus.connect(server);
        for (statement, code) in [
            (
                "UPDATE insforge_integrations.x402_settlements SET amount = 1",
                &denied,
            ),
            (
                "DELETE FROM insforge_integrations.x402_settlements",
                &denied,
            ),
            ("TRUNCATE insforge_integrations.x402_settlements", &denied),
            (insert, &SqlState::INVALID_TEXT_REPRESENTATION),
        ] {
            let error = client.batch_execute(statement).unwrap_err();
            assert_eq!(refused(&error).code(), code, "{statement}: {error:?}");
        }
    }
    let mut coordinator = citus.connect(0);
    let error = coordinator.batch_execute("DROP EXTENSION insforge_integrations CASCADE");
    let error = error.unwrap_err();
    assert_eq!(refused(&error).message(), "the x402 ledger is not empty");
    let publish = "SELECT insforge_integrations.publish_x402_payments('authenticated', 'own')";
    let error = coordinator.batch_execute(publish).unwrap_err();
    assert_eq!(refused(&error).code(), &SqlState::FEATURE_NOT_SUPPORTED);
    assert!(refused(&error).hint().is_some());
}

#[test]
fn a_payment_is_reserved_settled_and_delivered_once_whichever_server_is_asked() {
    let Some(citus) = citus() else { return };
    let [mut coordinator, mut one, mut two] = [0, 1, 2].map(|server| citus.connect(server));
    let offer = coordinator
        .query_one(
            "SELECT r, insforge_integrations.x402_payment_required_header(r)
             FROM insforge_integrations.x402_payment_requirements($1, '10000', $2) r",
            &[&PAYER, &ENDPOINT],
        )
        .unwrap();
    let (requirements, header): (Value, String) = (offer.get(0), offer.get(1));
    let mut buyer = Process::start("x402_clients.mjs", &[]).unwrap();
    let paid = buyer
        .ask(&json!({"client": "viem", "header": header}))
        .unwrap();
    let payment = paid["header"].as_str().unwrap();
    let reserve = |client: &mut Client, key: Option<&str>| {
        client.query_one(
            "SELECT reservation_id::text, is_new FROM reserve_x402_payment($1, $2, $3, $4)",
            &[&payment, &requirements, &ENDPOINT, &key],
        )
    };
    let reserved = reserve(&mut one, Some("k")).unwrap();
    assert!(reserved.get::<_, bool>(1));
    let id: String = reserved.get(0);
    let again = reserve(&mut two, Some("k")).unwrap();
    assert_eq!(
        (again.get::<_, &str>(0), again.get::<_, bool>(1)),
        (id.as_str(), false)
    );
    let error = reserve(&mut coordinator, None).unwrap_err();
    assert_eq!(refused(&error).code(), &SqlState::UNIQUE_VIOLATION);
    assert!(refused(&error).detail().unwrap().contains(&id), "{error:?}");

    let answer = json!({"success": true, "transaction": hash(500), "network": "eip155:196", "payer": paid["payer"]});
    let settle = "SELECT state, tx_hash FROM settle_x402_reservation($1::text::uuid, $2)";
    for client in [&mut two, &mut one, &mut coordinator] {
        let settled = client.query_one(settle, &[&id, &answer]).unwrap();
        assert_eq!(settled.get::<_, &str>(0), "settled");
        assert_eq!(settled.get::<_, String>(1), hash(500));
    }
    let deliver = "SELECT is_new FROM mark_x402_delivered($1::text::uuid)";
    let delivered = [&mut coordinator, &mut one, &mut two]
        .map(|client| client.query_one(deliver, &[&id]).unwrap().get::<_, bool>(0));
    assert_eq!(delivered, [true, false, false]);
}

#[test]
fn an_acknowledged_record_survives_a_crash_of_every_worker() {
    if !has_extension("citus") {
        return;
    }
    // Without the ledger's own wait for the disk, the last commits would be lost.
    let mut citus = Citus::start("synchronous_commit = off\nwal_writer_delay = '10s'");
    for round in 1..=3 {
        let mut client = citus.connect(0);
        for number in 0..10 {
            record(&mut client, &hash(1000 * round + number), "7", false).unwrap();
        }
        for worker in &mut citus.0[1..] {
            worker.crash().unwrap();
        }
        let rows = count(
            &mut citus.connect(0),
            "insforge_integrations.x402_settlements",
        );
        assert_eq!(rows, i64::try_from(10 * round).unwrap());
    }
}
