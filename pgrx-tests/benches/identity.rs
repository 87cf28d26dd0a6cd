//! The time of `requesting_user_id()` in a policy, compared with the guides' function, with
//! `current_setting()` and with a literal.
//!
//! All sides of a comparison run one after the other in each of many rounds. Therefore a change of
//! the machine's speed affects all of them. The figures are medians.

mod measure;
mod plot;

use insforge_integrations_tests::{Cluster, Fixture};
use measure::{median, ratio, time};
use plot::{Bar, Plot};
use postgres::Client;

const ROWS: i64 = 100_000;
/// Many short rounds: while other programs use the machine, that disturbs the ratios least.
const ROUNDS: usize = 101;
/// The guide's function parses the claims for every row, so one round takes long enough.
const SLOW_ROUNDS: usize = 1;
const CALL_ROUNDS: usize = 15;

/// The sides of a sequential scan: name, expression that the user id column is compared with,
/// rounds.
const SIDES: [(&str, &str, usize); 7] = [
    ("literal", "'user_77'", ROUNDS),
    ("(SELECT ours)", "(SELECT requesting_user_id())", ROUNDS),
    ("current_setting", "current_setting('app.uid')", ROUNDS),
    // PostgREST 9's setting for the same answer. Postgres searches a setting by its name, so a long name costs more.
    (
        "… of a long name",
        "current_setting('request.jwt.claim.sub')",
        ROUNDS,
    ),
    ("ours", "requesting_user_id()", ROUNDS),
    ("guide's, adopted", "guide.adopted()", ROUNDS),
    ("guide's", "guide.requesting_user_id()", SLOW_ROUNDS),
];

fn main() {
    let cluster = Cluster::start().expect("a test server");
    let database = cluster.database(Fixture::Extension).expect("a database");
    let mut client = database.connect().expect("a connection");
    prepare(&mut client);
    let version = client.query_one("SHOW server_version", &[]);
    println!(
        "PostgreSQL {}",
        version.expect("a version").get::<_, String>(0)
    );

    println!(
        "Sequential scan of {ROWS} rows under user_id = …, no index, no parallelism: median ms"
    );
    println!("(ours = requesting_user_id(); guide's = the SQL function of the InsForge guides)\n");
    println!(
        "  claims{}",
        SIDES.map(|(name, ..)| format!("{name:>18}")).join("")
    );
    for size in [100, 600, 2_000, 16_000] {
        set_claims(&mut client, size);
        let times = scan(&mut client);
        let cells = times
            .each_ref()
            .map(|times| format!("{:>18.2}", median(times) * 1e3));
        println!("{size:>6} B{}", cells.join(""));
        let [literal, once, setting, long_name, ours, adopted, guide] = &times;
        println!(
            "          (SELECT ours) / literal = {:.3} (at most 1.05)   ours / current_setting = {:.3}, of a long name {:.3} (at most 1.15)\n\
             \x20         adopted / ours = {:.3}   guide's / ours = {:.1}\n",
            ratio(once, literal),
            ratio(ours, setting),
            ratio(ours, long_name),
            ratio(adopted, ours),
            median(guide) / median(ours),
        );
        if size == 600 {
            draw(literal, once, long_name, ours);
        }
    }

    set_claims(&mut client, 600);
    println!("One call outside a scan, claims of 600 bytes: median ns");
    for call in [
        "requesting_user_id()",
        "requesting_permissions()",
        "current_setting('app.uid')",
        "guide.requesting_user_id()",
    ] {
        println!("{call:>31}{:>8.0}", call_cost(&mut client, call));
    }
    println!(
        "{:>31}{:>8.0}",
        "… after the claims changed",
        recompute_cost(&mut client)
    );

    index(&mut client);
}

fn prepare(client: &mut Client) {
    for statement in [
        "CREATE SCHEMA guide",
        "CREATE FUNCTION guide.requesting_user_id() RETURNS text LANGUAGE sql STABLE
           AS $$ SELECT nullif(auth.jwt() ->> 'sub', '')::text $$",
        "CREATE FUNCTION guide.adopted() RETURNS text LANGUAGE sql STABLE AS $$ SELECT '' $$",
        "SELECT insforge_integrations.adopt_requesting_user_id('guide.adopted()')",
        &format!(
            "CREATE TABLE notes AS
               SELECT 'user_' || i % 1000 AS user_id, i AS id FROM generate_series(1, {ROWS}) i"
        ),
        "VACUUM (FREEZE, ANALYZE) notes",
        "SET max_parallel_workers_per_gather = 0",
        "SET jit = off",
        "SET app.uid = 'user_77'",
        "SET request.jwt.claim.sub = 'user_77'",
    ] {
        client.batch_execute(statement).expect(statement);
    }
}

/// Claims of a token in issuers' form, filled up to a size in bytes.
fn set_claims(client: &mut Client, size: usize) {
    let claims = |filler: usize| {
        serde_json::json!({
            "iss": "https://example.com", "aud": "api", "iat": 1_700_000_000, "exp": 1_700_003_600,
            "sub": "user_77", "filler": "x".repeat(filler),
        })
        .to_string()
    };
    let claims = claims(size.saturating_sub(claims(0).len()));
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims],
        )
        .expect("claims");
}

/// Seconds of each side's rounds. A round runs every side once, so the ratio of two sides is taken
/// in each round.
fn scan(client: &mut Client) -> [Vec<f64>; SIDES.len()] {
    let mut times = SIDES.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for ((_, side, rounds), times) in SIDES.iter().zip(&mut times) {
            if round < *rounds {
                let statement = format!("SELECT count(*) FROM notes WHERE user_id = {side}");
                let (seconds, found) = time(|| {
                    client
                        .query_one(&statement, &[])
                        .expect("a count")
                        .get::<_, i64>(0)
                });
                assert_eq!(found, ROWS / 1000);
                times.push(seconds);
            }
        }
    }
    times
}

/// Nanoseconds of one call: the time of a loop of calls minus that of the empty loop.
fn call_cost(client: &mut Client, call: &str) -> f64 {
    per_call(1_000_000, call, |expression, calls| {
        let statement = format!("SELECT count({expression}) FROM generate_series(1, {calls})");
        time(|| client.query_one(&statement, &[]).expect("a count")).0
    })
}

/// Draws the plot of docs/plots.
fn draw(literal: &[f64], once: &[f64], long_name: &[f64], ours: &[f64]) {
    let milliseconds = |times: &[f64]| median(times) * 1e3;
    let long_name = milliseconds(long_name);
    Plot {
        file: "requesting_user_id",
        title: "A scan of 100,000 rows under user_id = …, claims of 600 bytes, ms",
        bars: vec![
            Bar::other("a literal", milliseconds(literal)),
            Bar::ours("(SELECT requesting_user_id())", milliseconds(once)),
            Bar::other("current_setting() of a name as long", long_name),
            Bar::ours("requesting_user_id()", milliseconds(ours)),
        ],
        limit: Some((1.15 * long_name, "1.15 × current_setting()")),
    }
    .write();
}

/// Nanoseconds of a call after the claims have changed.
fn recompute_cost(client: &mut Client) -> f64 {
    per_call(100_000, "requesting_user_id()", |expression, calls| {
        let statement = format!(
            "DO $$ DECLARE
               claims text[] := ARRAY[current_setting('request.jwt.claims'), current_setting('request.jwt.claims') || ' '];
               answer text;
             BEGIN
               FOR i IN 1..{calls} LOOP
                 PERFORM set_config('request.jwt.claims', claims[1 + i % 2], true);
                 answer := {expression};
               END LOOP;
             END $$"
        );
        time(|| client.batch_execute(&statement).expect("a loop")).0
    })
}

fn per_call(calls: u32, call: &str, mut seconds: impl FnMut(&str, u32) -> f64) -> f64 {
    let differences: Vec<f64> = (0..CALL_ROUNDS)
        .map(|_| seconds(call, calls) - seconds("'x'::text", calls))
        .collect();
    median(&differences) * 1e9 / f64::from(calls)
}

fn index(client: &mut Client) {
    client
        .batch_execute("CREATE INDEX ON notes (user_id, id); ANALYZE notes")
        .expect("an index");
    println!("\nWith an index, one row, prepared: median µs of 4000 executions, and the plan");
    let statement = |side: &str| format!("SELECT id FROM notes WHERE user_id = {side} AND id = 77");
    let prepared = SIDES.map(|(_, side, _)| client.prepare(&statement(side)).expect("a statement"));
    let mut times = SIDES.map(|_| Vec::new());
    for _ in 0..4000 {
        for (prepared, times) in prepared.iter().zip(&mut times) {
            times.push(time(|| client.query_one(prepared, &[]).expect("one row")).0);
        }
    }
    for ((name, side, _), times) in SIDES.iter().zip(&times) {
        let explain = format!("EXPLAIN (COSTS OFF) {}", statement(side));
        let plan = client.query(&explain, &[]).expect("a plan");
        let node: String = plan.first().expect("a line").get(0);
        println!("{name:>31}{:>8.1}   {node}", median(times) * 1e6);
    }
}
