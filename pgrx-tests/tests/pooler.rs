//! Many clients share a few connections through pgbouncer in transaction mode, as PostgREST behind a
//! pooler does. No request has the identity of another one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Barrier;

use insforge_integrations_tests::node::{now, sign};
use insforge_integrations_tests::request::claims_of;
use insforge_integrations_tests::{Fixture, Pooler, shared_cluster};
use postgres::{Client, NoTls, SimpleQueryMessage};
use serde_json::json;

const CLIENTS: usize = 200;
const CONNECTIONS: u32 = 8;
const TRANSACTIONS: usize = 100_000;
const USERS: usize = 1000;
/// Users with a provider's token.
const TOKENS: usize = 10;

/// The requesting user, the owners of the rows that the request sees, and the server process.
const LOOK: &str =
    "SELECT requesting_user_id(), (SELECT string_agg(user_id, ',') FROM notes), pg_backend_pid()";

/// How a transaction says who is asking, and how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Claims,
    ClaimsRolledBack,
    ClaimsAndError,
    ClaimsAndDisconnect,
    Token,
    Nobody,
}

impl Kind {
    const fn of(number: usize) -> Self {
        match number % 20 {
            0 => Self::ClaimsRolledBack,
            1 => Self::ClaimsAndError,
            2..=4 => Self::Token,
            5..=7 => Self::Nobody,
            8 if number.is_multiple_of(29) => Self::ClaimsAndDisconnect,
            _ => Self::Claims,
        }
    }
}

/// The first row of the last statement.
fn row(messages: &[SimpleQueryMessage]) -> Vec<Option<String>> {
    let row = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.expect("a row");
    (0..row.len())
        .map(|at| row.get(at).map(str::to_owned))
        .collect()
}

struct Seen {
    kinds: BTreeMap<Kind, usize>,
    /// Server process and user.
    served: HashSet<(String, Option<String>)>,
    wrong: Vec<String>,
}

fn run(pooler: &Pooler, number: usize, tokens: &[String]) -> Seen {
    let connect = || -> Client { pooler.config().connect(NoTls).unwrap() };
    let mut client = connect();
    let mut seen = Seen {
        kinds: BTreeMap::new(),
        served: HashSet::new(),
        wrong: Vec::new(),
    };
    for round in 0..TRANSACTIONS / CLIENTS {
        let kind = Kind::of(number * 7 + round);
        *seen.kinds.entry(kind).or_default() += 1;
        let user = (number * 31 + round * 17) % USERS;
        let (identify, expected) = match kind {
            Kind::Nobody => (String::new(), None),
            Kind::Token => {
                let user = user % TOKENS;
                let call = format!(", insforge_integrations.authenticate('{}')", tokens[user]);
                (call, Some(format!("p:u{user}")))
            }
            _ => {
                let claims = claims_of(&format!("p:u{user}"));
                let call = format!(", set_config('request.jwt.claims', '{claims}', true)");
                (call, Some(format!("p:u{user}")))
            }
        };
        let begin = format!("BEGIN; SELECT set_config('role', 'authenticated', true){identify}");
        client.simple_query(&begin).unwrap();
        let end = match kind {
            Kind::ClaimsRolledBack => "; ROLLBACK",
            Kind::ClaimsAndError | Kind::ClaimsAndDisconnect => "",
            _ => "; COMMIT",
        };
        let found = client.simple_query(&format!("{LOOK}{end}")).unwrap();
        let found = row(&found);
        if found[0] != expected || found[1] != expected {
            seen.wrong
                .push(format!("{kind:?}: {found:?} for {expected:?}"));
        }
        seen.served.insert((found[2].clone().unwrap(), expected));
        if kind == Kind::ClaimsAndError {
            assert!(client.simple_query("SELECT 1 / 0").is_err());
            client.simple_query("ROLLBACK").unwrap();
        }
        if kind == Kind::ClaimsAndDisconnect {
            client = connect();
        }
    }
    seen
}

#[test]
fn no_request_has_the_identity_of_another_one() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    let users = |user: usize| {
        let claims = json!({"iss": "https://i.example", "aud": "api", "sub": format!("u{user}"), "iat": now(), "exp": now() + 3600});
        json!({"alg": "ES256", "kid": "one", "claims": claims})
    };
    let signed = sign(&(0..TOKENS).map(users).collect()).unwrap();
    superuser
        .batch_execute(&format!(
            "SELECT insforge_integrations.register_auth_provider('p', '{{https://i.example}}', 'https://i.example/jwks',
               '{{api}}', algorithms => '{{ES256}}', subject_prefix => 'p:');
             SELECT insforge_integrations.set_provider_jwks('p', '{}');
             CREATE TABLE notes (user_id text NOT NULL PRIMARY KEY);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes TO authenticated USING (user_id = (SELECT requesting_user_id()));
             INSERT INTO notes SELECT 'p:u' || n FROM generate_series(0, {USERS} - 1) n;
             ANALYZE notes",
            signed.jwks
        ))
        .unwrap();

    let pooler = Pooler::start(&database, CONNECTIONS).unwrap();
    let start = Barrier::new(CLIENTS);
    let all: Vec<Seen> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (pooler, tokens, start) = (&pooler, &signed.tokens, &start);
                scope.spawn(move || {
                    start.wait();
                    run(pooler, number, tokens)
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });

    let wrong: Vec<&String> = all.iter().flat_map(|seen| &seen.wrong).collect();
    assert!(
        wrong.is_empty(),
        "{} of {TRANSACTIONS}: {:?}",
        wrong.len(),
        wrong.first()
    );
    let mut kinds = BTreeMap::<Kind, usize>::new();
    for (kind, count) in all.iter().flat_map(|seen| &seen.kinds) {
        *kinds.entry(*kind).or_default() += count;
    }
    assert_eq!(kinds.values().sum::<usize>(), TRANSACTIONS);
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    // The connections were really shared: each process served many users.
    let served: HashSet<_> = all.iter().flat_map(|seen| seen.served.clone()).collect();
    let mut of_process = BTreeMap::<&str, usize>::new();
    for (process, _) in &served {
        *of_process.entry(process).or_default() += 1;
    }
    let busiest = of_process.values().max().copied().unwrap_or(0);
    assert!(
        busiest > USERS / 10,
        "{busiest} users of {} processes",
        of_process.len()
    );
    println!(
        "{TRANSACTIONS} transactions of {CLIENTS} clients, {} server processes: {kinds:?}",
        of_process.len()
    );
}
