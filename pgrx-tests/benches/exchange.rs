//! The time of an exchange over the Unix socket, compared with `SELECT 1` and with only a
//! verification over the same socket. Also the number of exchanges a second with eight clients.

mod measure;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use insforge_integrations_tests::{Cluster, Database, Fixture, node};
use measure::{median, ratio, time};
use postgres::{Client, Statement};
use serde_json::json;

/// More tokens than a session remembers, so every token is verified again.
const TOKENS: usize = 600;
const ROUNDS: usize = 9;
const CLIENTS: usize = 8;

const CALLS: [(&str, &str); 3] = [
    ("SELECT 1", "SELECT $1"),
    (
        "verify_provider_jwt",
        "SELECT insforge_integrations.verify_provider_jwt($1)",
    ),
    (
        "exchange_provider_token",
        "SELECT exchange_provider_token($1)",
    ),
];

fn main() {
    let cluster = Cluster::start().expect("a test server");
    let database = cluster.database(Fixture::Extension).expect("a database");
    let mut superuser = database.connect().expect("a connection");
    superuser
        .batch_execute(
            "SELECT insforge_integrations.set_jwt_secret('a secret for a benchmark, of 32 bytes and more');
             SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks',
               '{api}', algorithms => '{RS256}', subject_prefix => 'p:')",
        )
        .expect("a provider");
    let now = node::now();
    let wanted: Vec<_> = (0..TOKENS)
        .map(|number| {
            json!({"alg": "RS256", "kid": "k", "claims": {"iss": "https://i.example", "aud": "api",
                   "sub": format!("user_{number}"), "iat": now, "exp": now + 3600, "sid": "session", "jti": number}})
        })
        .collect();
    let signed = node::sign(&json!(wanted)).expect("tokens");
    superuser
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('p', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .expect("keys");

    println!(
        "{TOKENS} different RS256 tokens, one statement each, as anon: median µs a call of {ROUNDS} rounds\n"
    );
    let mut client = database.connect_as("anon").expect("a connection");
    let mut seconds = CALLS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, sql), seconds) in CALLS.iter().zip(&mut seconds) {
            let statement = prepare(&mut client, sql);
            seconds.push(time(|| call_all(&mut client, &statement, &signed.tokens)).0);
        }
    }
    println!(
        "{:>24}{:>10}{:>14}{:>18}",
        "", "µs", "× SELECT 1", "× verification"
    );
    for ((name, _), own) in CALLS.iter().zip(&seconds) {
        println!(
            "{name:>24}{:>10.1}{:>14.2}{:>18.2}",
            median(own) / TOKENS as f64 * 1e6,
            ratio(own, &seconds[0]),
            ratio(own, &seconds[1]),
        );
    }

    println!("\n{CLIENTS} clients for two seconds each, calls a second:");
    for (name, sql) in CALLS {
        println!(
            "{name:>24}{:>10.0}",
            throughput(&database, sql, &signed.tokens)
        );
    }
}

fn prepare(client: &mut Client, sql: &str) -> Statement {
    client
        .prepare_typed(sql, &[postgres::types::Type::TEXT])
        .expect("a statement")
}

fn call_all(client: &mut Client, statement: &Statement, tokens: &[String]) {
    for token in tokens {
        client.query_one(statement, &[token]).expect("an answer");
    }
}

fn throughput(database: &Database, sql: &str, tokens: &[String]) -> f64 {
    let ready = Barrier::new(CLIENTS);
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = database.connect_as("anon").expect("a connection");
                    let statement = prepare(&mut client, sql);
                    ready.wait();
                    let start = Instant::now();
                    let mut calls = 0;
                    while start.elapsed() < Duration::from_secs(2) {
                        call_all(&mut client, &statement, tokens);
                        calls += tokens.len();
                    }
                    calls as f64 / start.elapsed().as_secs_f64()
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("a client"))
            .collect()
    });
    rates.iter().sum()
}
