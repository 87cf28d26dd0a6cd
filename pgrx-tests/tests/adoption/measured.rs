//! The table on docs/adoption.md: what each statement of the move does, locks and costs.

use std::collections::BTreeSet;
use std::time::Instant;

use super::moving::{PAYER, THE_MOVE, block, hash};
use super::*;

/// Two more policies on the guide's function, so that there are six, and 10,000 payments.
const THE_APP: &str = "
  CREATE TABLE documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id text NOT NULL,
    title text NOT NULL
  );
  ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
  CREATE POLICY documents_read ON documents FOR SELECT TO authenticated USING (owner_id = requesting_user_id());
  CREATE POLICY documents_write ON documents FOR INSERT TO authenticated WITH CHECK (owner_id = requesting_user_id());
  INSERT INTO notes (user_id, body) SELECT user_id, 'before' FROM unnest(ARRAY['alice', 'bob']) user_id, generate_series(1, 50);
  INSERT INTO documents (owner_id, title) SELECT owner_id, 'before' FROM unnest(ARRAY['alice', 'bob']) owner_id, generate_series(1, 20);
  -- Some hashes and addresses in capitals, some payments with no summary.
  INSERT INTO x402_payments (payer_address, endpoint, amount, tx_hash, response_summary, created_at)
  SELECT '0x' || CASE WHEN n % 3 = 0 THEN upper(payer) ELSE payer END, '/api/report/' || n % 7, (n * 10)::text,
         '0x' || CASE WHEN n % 5 = 0 THEN upper(hash) ELSE hash END, CASE WHEN n % 2 = 0 THEN 'report ' || n END,
         '2026-01-01'::timestamptz + n * interval '1 minute'
  FROM generate_series(1, 10000) n, encode(sha256(n::text::bytea), 'hex') hash,
       substr(encode(sha256((n % 100)::text::bytea), 'hex'), 1, 40) payer;
  ANALYZE";

/// The page's statements, without its comments.
fn statements() -> Vec<String> {
    let lines = block(THE_MOVE);
    let lines: Vec<&str> = lines
        .lines()
        .filter(|line| !line.starts_with("--"))
        .collect();
    lines
        .join("\n")
        .split_terminator(";")
        .map(|statement| statement.trim().to_owned())
        .collect()
}

/// The rows of the page's table, as lists of cells.
fn table() -> Vec<Vec<String>> {
    let page = include_str!("../../../docs/adoption.md");
    let (_, table) = page.split_once("| statement | answer |").unwrap();
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    rows.map(cells).collect()
}

/// The locks that a session holds on the app's tables, as another session sees them.
fn locks(observer: &mut Client, session: i32, tables: &[u32]) -> BTreeSet<String> {
    let held = "SELECT format('%s on %s', mode, relation::regclass) FROM pg_locks
                WHERE pid = $1 AND granted AND locktype = 'relation' AND relation = ANY ($2)";
    let rows = observer.query(held, &[&session, &tables]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Sends each kind of the app's requests and rolls it back. Returns those that wait for a lock.
fn waiting(app: &mut Client) -> Vec<&'static str> {
    let pay = format!(
        "INSERT INTO x402_payments (payer_address, endpoint, amount, tx_hash) VALUES ('{PAYER}', '/r', '1', '{}')",
        hash(1, 1)
    );
    let requests = [
        (
            "reads of payments",
            "anon",
            "SELECT FROM x402_payments LIMIT 1",
        ),
        ("writes of payments", "project_admin", &pay),
        ("reads of notes", "authenticated", "SELECT FROM notes"),
        (
            "writes of notes",
            "authenticated",
            "INSERT INTO notes (body) VALUES ('hers')",
        ),
        (
            "reads of documents",
            "authenticated",
            "SELECT FROM documents",
        ),
        (
            "writes of documents",
            "authenticated",
            "INSERT INTO documents (owner_id, title) VALUES ('alice', 'hers')",
        ),
    ];
    let mut waiting = Vec::new();
    for (name, role, statement) in requests {
        let mut request = app.transaction().unwrap();
        let as_alice = "SELECT set_config('request.jwt.claims', $1, true), set_config('role', $2, true), set_config('lock_timeout', '20ms', true)";
        request
            .execute(as_alice, &[&claims_of("alice"), &role])
            .unwrap();
        if let Err(error) = request.execute(statement, &[]) {
            assert_eq!(
                error.code(),
                Some(&SqlState::LOCK_NOT_AVAILABLE),
                "{name}: {error:?}"
            );
            waiting.push(name);
        }
    }
    waiting
}

/// What the users and the dashboard see, and the policies, whatever the function's and table's names are now.
fn seen(client: &mut Client) -> Vec<String> {
    let mut seen = Vec::new();
    for (role, user, statement) in [
        ("authenticated", "alice", "SELECT n::text FROM notes n ORDER BY id"),
        ("authenticated", "bob", "SELECT n::text FROM notes n ORDER BY id"),
        ("authenticated", "alice", "SELECT d::text FROM documents d ORDER BY id"),
        (
            "anon",
            "nobody",
            "SELECT (id, lower(payer_address), endpoint, amount, lower(tx_hash), chain, status, response_summary, created_at)::text
             FROM x402_payments ORDER BY id",
        ),
    ] {
        let rows = request(client, role, &claims_of(user), |tx| tx.query(statement, &[])).unwrap();
        assert!(!rows.is_empty(), "{statement}");
        seen.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    let policies = client.query(
        "SELECT replace(replace(to_jsonb(p)::text, 'requesting_user_id_guide()', 'requesting_user_id()'), 'x402_payments_guide', 'x402_payments')
         FROM pg_policies p ORDER BY policyname",
        &[],
    );
    let policies = policies.unwrap();
    assert_eq!(
        policies.len(),
        6 + 1,
        "six on the function, and the guide's public_read"
    );
    seen.extend(policies.iter().map(|row| row.get::<_, String>(0)));
    seen
}

/// A statement's answer in the words of the table.
fn answer(client: &mut Client, statement: &str) -> String {
    let rows = client.query(statement, &[]).unwrap();
    if statement.contains("adopt_requesting_user_id") {
        let (policies, defaults): (i64, i64) = (rows[0].get(1), rows[0].get(2));
        return format!("{policies} policies, {defaults} column default");
    }
    if statement.contains("import_x402_payments") {
        let imported = "SELECT count(*) FROM insforge_integrations.x402_settlements";
        let imported: i64 = client.query_one(imported, &[]).unwrap().get(0);
        return format!("{imported} payments, {} refused", rows.len());
    }
    String::new()
}

/// `--nocapture` shows the times, which the page has from a release build.
#[test]
fn each_statement_of_the_move_locks_what_the_page_says() {
    let (database, mut client) = guide();
    client.batch_execute(THE_APP).unwrap();
    let before = seen(&mut client);
    let tables = "SELECT array_agg(oid) FROM pg_class WHERE relkind = 'r' AND oid >= 16384";
    let tables: Vec<u32> = client.query_one(tables, &[]).unwrap().get(0);
    let session = client.query_one("SELECT pg_backend_pid()", &[]).unwrap();
    let session = session.get(0);
    let (mut observer, mut app) = (database.connect().unwrap(), database.connect().unwrap());

    let mut held = BTreeSet::new();
    let mut rows = table().into_iter();
    for statement in statements() {
        let begun = Instant::now();
        let answer = answer(&mut client, &statement);
        println!(
            "{:8.1} ms  {statement}",
            begun.elapsed().as_secs_f64() * 1000.0
        );
        let now = locks(&mut observer, session, &tables);
        let new: Vec<&str> = now.difference(&held).map(String::as_str).collect();
        let waiting = waiting(&mut app);
        let none_if_empty = |names: Vec<&str>| {
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        let found = [answer, none_if_empty(new), none_if_empty(waiting)];
        if statement == "BEGIN" || statement.starts_with("SET LOCAL") {
            assert_eq!(found, ["", "none", "none"], "{statement}");
        } else {
            let row = rows
                .next()
                .unwrap_or_else(|| panic!("the table has no row for {statement}"));
            assert!(
                row[0]
                    .split('…')
                    .all(|part| statement.contains(part.trim())),
                "{statement}: {row:?}"
            );
            assert_eq!(found, [row[1].as_str(), &row[3], &row[4]], "{statement}");
        }
        held = now;
    }
    assert_eq!(
        rows.next(),
        None,
        "the table has more rows than the page has statements"
    );
    assert_eq!(seen(&mut client), before);
    let kept = client.query_one("SELECT count(*) FROM x402_payments_guide", &[]);
    assert_eq!(kept.unwrap().get::<_, i64>(0), 10_000);
}
