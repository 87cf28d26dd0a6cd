//! No request is answered as another user's, whatever happened to earlier requests on the same
//! connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use insforge_integrations_tests::provider_tokens::a_token_of;
use insforge_integrations_tests::{Database, node};
use postgres::Client;
use serde_json::{Value, json};

use super::server::{Answer, Call, Program, Server, Setup, programs, say};
use super::{APPLICATIONS, HEADER, OURS, broken_request, insforge_token, prepared, text, who};

const ROUNDS: usize = 5;

/// Number of PostgREST's idle sessions with an open transaction.
fn left_open(superuser: &mut Client, database: &Database) -> i64 {
    thread::sleep(Duration::from_millis(50));
    let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1
                 AND state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > '20 ms'";
    superuser
        .query_one(query, &[&database.name()])
        .unwrap()
        .get(0)
}

/// PostgREST 12 and 14 are known to do so. If a version no longer does, this test must be changed.
fn leaves_transactions_open(program: &Program) -> bool {
    ["PostgREST 12.", "PostgREST 14."]
        .iter()
        .any(|known| program.version.starts_with(known))
}

fn victim(number: usize) -> String {
    format!("user_2victim{number}")
}

/// Requests without a provider's token, and what they must be answered: twenty users', the
/// attacker's own, an administrator's and anybody's, and rows that the users write.
fn victims(identity_source: &str) -> Vec<(Call, Answer)> {
    // In verified mode, claims identify nobody, so nobody can write.
    let by_claims = identity_source == "claims";
    let signed_in = |user: &str| insforge_token("authenticated", Some(user));
    let ask = || Call::get("/rpc/who");
    let mut all = vec![
        (ask(), who("anon", None, None)),
        (
            ask().bearer(&insforge_token("project_admin", None)),
            who("project_admin", None, None),
        ),
    ];
    let attacker = text(&a_token_of("clerk")["user_id"]).to_owned();
    for user in (0..20).map(victim).chain([attacker]) {
        let expected = who("authenticated", by_claims.then_some(&*user), None);
        all.push((ask().bearer(&signed_in(&user)), expected));
    }
    if by_claims {
        all.extend(
            (0..20)
                .map(victim)
                .map(|user| write_a_note(&user, &signed_in(&user))),
        );
    }
    all
}

/// A request that writes a row. Its answer shows the row's user.
fn write_a_note(user: &str, token: &str) -> (Call, Answer) {
    let call = Call::post("/notes?select=user_id", &json!({"body": "new"}));
    let answer = Answer {
        status: 201,
        challenge: None,
        body: json!([{ "user_id": user }]),
    };
    let call = call.header("prefer", "return=representation").bearer(token);
    (call, answer)
}

#[test]
fn a_request_that_postgrest_left_open_answers_no_other() {
    let mut wrong = Vec::new();
    for program in programs() {
        for pool in [1, 10] {
            for pre_request in [OURS, APPLICATIONS] {
                for identity_source in ["claims", "verified"] {
                    wrong.extend(answered_as_others(
                        program,
                        pool,
                        pre_request,
                        identity_source,
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
}

/// Requests that were answered as another user's while an attacker leaves transactions open.
fn answered_as_others(
    program: &Program,
    pool: u32,
    pre_request: &str,
    identity_source: &str,
) -> Vec<String> {
    let (database, mut superuser) = prepared();
    superuser
        .execute(
            "SELECT insforge_integrations.configure('identity_source', $1)",
            &[&identity_source],
        )
        .unwrap();
    let setup = Setup {
        pre_request: Some(pre_request),
        pool,
    };
    let server = Server::start(program, &database, setup);
    let attack = broken_request(text(&a_token_of("clerk")["token"]));
    let victims = victims(identity_source);
    let mut open = 0;
    let mut wrong: Vec<String> = Vec::new();
    for _round in 0..ROUNDS {
        // Each request comes right after a broken one.
        let answers = at_once(&victims, |(call, expected)| {
            server.answer(&attack);
            let answer = server.answer(call);
            (answer != *expected).then(|| format!("{call:?}: {answer:?}"))
        });
        wrong.extend(answers.into_iter().flatten());
        at_once(&vec![(); pool as usize], |()| server.answer(&attack));
        open += left_open(&mut superuser, &database);
    }
    say(&format!(
        "{}, pool of {pool}, {pre_request}, {identity_source}: {open} transactions left open; {} of {} \
         requests of others answered as somebody else",
        program.version,
        wrong.len(),
        ROUNDS * victims.len()
    ));
    assert!(
        open > 0 || !leaves_transactions_open(program),
        "the test left nothing open"
    );
    wrong
}

/// Runs each in its own thread.
fn at_once<T: Sync, R: Send>(items: &[T], ask: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| ask(item))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

const USERS: usize = 50;
const REQUESTS: usize = 5000;

/// A provider whose tokens are those of the users, each in an organisation of its own.
fn register_users(superuser: &mut Client) -> Vec<String> {
    let wanted: Vec<Value> = (0..USERS)
        .map(|user| {
            json!({"alg": "ES256", "kid": "k", "claims": {"iss": "https://issuer.example", "aud": "api",
                "sub": format!("load_{user}"), "org_id": format!("org_{user}"), "exp": node::now() + 3000}})
        })
        .collect();
    let signed = node::sign(&json!(wanted)).unwrap();
    superuser
        .batch_execute(&format!(
            "SELECT insforge_integrations.register_auth_provider('issuer', '{{https://issuer.example}}',
               'https://issuer.example/jwks', '{{api}}', algorithms => '{{ES256}}', subject_pattern => 'load_[0-9]+');
             SELECT insforge_integrations.set_provider_jwks('issuer', '{}')",
            signed.jwks
        ))
        .unwrap();
    signed.tokens
}

#[test]
fn interleaved_requests_are_each_answered_as_their_own_user() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        let tokens = register_users(&mut superuser);
        let setup = Setup {
            pre_request: Some(OURS),
            pool: 10,
        };
        let server = Server::start(program, &database, setup);
        let bearers: Vec<String> = (0..USERS)
            .map(|user| insforge_token("authenticated", Some(&format!("load_{user}"))))
            .collect();
        let admin = insforge_token("project_admin", None);
        // Whether the request with this number was answered as another's.
        let is_wrong = |number: usize| -> Option<String> {
            let user = number * 7919 % USERS;
            let (name, org) = (format!("load_{user}"), format!("org_{user}"));
            if number.is_multiple_of(20) {
                server.answer(&broken_request(&tokens[user]));
            }
            let call = Call::get("/rpc/who");
            let signed_in = |org| who("authenticated", Some(&name), org);
            let (call, expected) = match number % 6 {
                0 => (call.bearer(&bearers[user]), signed_in(None)),
                1 => (call.header(HEADER, &tokens[user]), signed_in(Some(&org))),
                2 => (
                    call.bearer(&bearers[user]).header(HEADER, &tokens[user]),
                    signed_in(Some(&org)),
                ),
                3 => (call.bearer(&admin), who("project_admin", None, None)),
                4 => (call, who("anon", None, None)),
                _ => write_a_note(&name, &bearers[user]),
            };
            let answer = server.answer(&call);
            (answer != expected).then(|| format!("{expected:?} wanted: {answer:?}"))
        };
        let next = AtomicUsize::new(0);
        let wrong: Vec<String> = at_once(&[(); 8], |()| {
            std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)))
                .take_while(|number| *number < REQUESTS)
                .filter_map(is_wrong)
                .collect::<Vec<_>>()
        })
        .concat();
        let log = database.cluster().log().unwrap();
        let is_about_this = |line: &&str| line.contains(&format!("@{} ", database.name()));
        let found_open = log
            .lines()
            .filter(is_about_this)
            .filter(|line| line.contains("already a transaction in progress"))
            .count();
        say(&format!(
            "{}: {} of {REQUESTS} interleaved requests of {USERS} users answered as somebody else; {found_open} \
             transactions begun in one that had been left open",
            program.version,
            wrong.len(),
        ));
        assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
    }
}
