//! The move and the way back on docs/adoption.md, while the app of the guides runs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::*;

/// The block of docs/adoption.md that contains a text.
pub(crate) fn block(part: &str) -> String {
    let page = include_str!("../../../docs/adoption.md");
    let mut blocks = page.split("```sql\n").skip(1);
    let block =
        blocks.find_map(|rest| Some(rest.split_once("```")?.0).filter(|b| b.contains(part)));
    block
        .unwrap_or_else(|| panic!("no block with {part}"))
        .to_owned()
}

pub(crate) const THE_MOVE: &str = "RENAME TO x402_payments_guide";
pub(crate) const THE_OLD_BODY: &str = "CREATE OR REPLACE FUNCTION";
pub(crate) const THE_WAY_BACK: &str = "DROP EXTENSION";

/// The guide's INSERT, as PostgREST 12 writes it.
const BY_POSTGREST: &str = r#"WITH pgrst_source AS (
  INSERT INTO "public"."x402_payments"("amount", "endpoint", "payer_address", "response_summary", "status", "tx_hash")
  SELECT "pgrst_body"."amount", "pgrst_body"."endpoint", "pgrst_body"."payer_address", "pgrst_body"."response_summary",
         "pgrst_body"."status", "pgrst_body"."tx_hash"
  FROM (SELECT $1::text::json AS json_data) pgrst_payload,
       LATERAL (SELECT "amount", "endpoint", "payer_address", "response_summary", "status", "tx_hash"
                FROM json_to_recordset(pgrst_payload.json_data) AS _("amount" text, "endpoint" text,
                  "payer_address" text, "response_summary" text, "status" text, "tx_hash" text)) pgrst_body
  RETURNING "public"."x402_payments".*)
  SELECT coalesce(json_agg(_postgrest_t), '[]')::text FROM (SELECT * FROM pgrst_source) _postgrest_t"#;

/// The ledger makes ids of the first half of a hash, so that half differs.
pub(crate) fn hash(writer: usize, number: usize) -> String {
    format!("0x{:08x}{writer:04x}{:052x}", number + 1, 0)
}

pub(crate) const PAYER: &str = "0x857b06519e91e3a54538791bdbb0e22373e36b66";

/// One request of the app's server, which has just settled a payment.
fn pay(client: &mut Client, way: &Way, tx_hash: &str) -> Result<(), postgres::Error> {
    let mut request = client.transaction()?;
    request.batch_execute("SET LOCAL ROLE project_admin")?;
    let answered: String = match way {
        Way::PostgRest(statement) => {
            let body = serde_json::json!([{"payer_address": PAYER, "endpoint": "/api/report", "amount": "1",
                "tx_hash": tx_hash, "status": "settled", "response_summary": "Crypto Market Analysis report"}]);
            let rows: String = request.query_one(statement, &[&body.to_string()])?.get(0);
            let rows: serde_json::Value = serde_json::from_str(&rows).unwrap();
            rows[0]["tx_hash"].as_str().unwrap().to_owned()
        }
        Way::Prepared(statement) => {
            let rows = request.execute(statement, &[&tx_hash, &PAYER])?;
            assert_eq!(rows, 1);
            tx_hash.to_owned()
        }
        Way::Plain => {
            let row = request.query_one(
                "INSERT INTO x402_payments (payer_address, endpoint, amount, tx_hash)
                 VALUES ($1, '/api/report', '1', $2) RETURNING tx_hash, status || chain || (id IS NOT NULL) || (created_at IS NOT NULL)",
                &[&PAYER, &tx_hash],
            )?;
            assert_eq!(row.get::<_, String>(1), "settledxlayertruetrue");
            row.get(0)
        }
    };
    assert_eq!(answered, tx_hash);
    request.commit()
}

enum Way {
    PostgRest(postgres::Statement),
    Prepared(postgres::Statement),
    Plain,
}

/// The app's requests from several connections, while `during` changes the database. `during` gets
/// a function that waits until ten more requests of each kind were served. Returns the
/// transactions that the database acknowledged. Every request must be answered, and rightly.
fn while_the_app_runs(
    database: &Database,
    first: usize,
    during: impl FnOnce(&dyn Fn()),
) -> BTreeSet<String> {
    let stop = AtomicBool::new(false);
    let served: [AtomicUsize; 5] = Default::default();
    let wait_for_more = || {
        let before: Vec<usize> = served.iter().map(|count| count.load(SeqCst)).collect();
        let deadline = Instant::now() + Duration::from_secs(60);
        while served
            .iter()
            .zip(&before)
            .any(|(now, before)| now.load(SeqCst) < before + 10)
        {
            assert!(
                Instant::now() < deadline,
                "requests are not answered: {served:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // Also after a panic.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    std::thread::scope(|scope| {
        let ending = Stop(&stop);
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (stop, served) = (&stop, &served[writer]);
                scope.spawn(move || {
                    let mut client = database.connect().unwrap();
                    let way = match writer {
                        0 => Way::PostgRest(client.prepare(BY_POSTGREST).unwrap()),
                        1 => Way::Prepared(client.prepare("INSERT INTO x402_payments (tx_hash, payer_address, endpoint, amount) VALUES ($1, $2, '/api/report', '1')").unwrap()),
                        _ => Way::Plain,
                    };
                    let mut acknowledged = Vec::new();
                    while !stop.load(SeqCst) {
                        let tx_hash = hash(first + writer, acknowledged.len());
                        pay(&mut client, &way, &tx_hash).unwrap();
                        acknowledged.push(tx_hash);
                        served.fetch_add(1, SeqCst);
                    }
                    acknowledged
                })
            })
            .collect();
        // The dashboard, which reads as anon: no payment disappears.
        let (stop, counts) = (&stop, &served);
        let dashboard = scope.spawn(move || {
            let mut client = database.connect().unwrap();
            let mut seen = 0;
            while !stop.load(SeqCst) {
                let now: i64 = request(&mut client, "anon", "{}", |tx| {
                    tx.query_one("SELECT count(*) FROM x402_payments", &[])
                })
                .unwrap()
                .get(0);
                assert!(now >= seen, "{now} payments after {seen}");
                seen = now;
                counts[3].fetch_add(1, SeqCst);
            }
        });
        let users = scope.spawn(move || {
            let mut client = database.connect().unwrap();
            while !stop.load(SeqCst) {
                for user in ["alice", "bob"] {
                    let rows = request(&mut client, "authenticated", &claims_of(user), |tx| {
                        tx.execute("INSERT INTO notes (body) VALUES ('hers')", &[])?;
                        tx.query("SELECT DISTINCT user_id FROM notes", &[])
                    })
                    .unwrap();
                    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                    assert_eq!(rows, [user]);
                }
                counts[4].fetch_add(1, SeqCst);
            }
        });
        wait_for_more();
        during(&wait_for_more);
        wait_for_more();
        drop(ending);
        dashboard.join().unwrap();
        users.join().unwrap();
        let acknowledged = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap());
        acknowledged.collect()
    })
}

/// Everything that the app sees or that an operator would miss, after the guides alone.
fn state(client: &mut Client) -> Vec<String> {
    let rows = client.query(
        "SELECT concat_ws(' ', prolang, provolatile, proparallel, proconfig, proowner::regrole, proacl, obj_description(oid))
           FROM pg_proc WHERE oid = 'public.requesting_user_id()'::regprocedure
         UNION ALL (SELECT to_jsonb(p)::text FROM pg_policies p ORDER BY 1)
         UNION ALL (SELECT concat(adrelid::regclass, pg_get_expr(adbin, adrelid)) FROM pg_attrdef WHERE adrelid IN ('notes'::regclass, 'x402_payments'::regclass) ORDER BY 1)
         UNION ALL (SELECT concat(c.oid::regclass, relkind, relacl, relrowsecurity) FROM pg_class c WHERE relnamespace = 'public'::regnamespace ORDER BY 1)
         UNION ALL (SELECT concat(pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1)
         UNION ALL (SELECT extname FROM pg_extension ORDER BY 1)",
        &[],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

fn payments(client: &mut Client) -> BTreeSet<String> {
    let rows = client
        .query("SELECT tx_hash FROM x402_payments", &[])
        .unwrap();
    let hashes: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let distinct: BTreeSet<String> = hashes.iter().cloned().collect();
    assert_eq!(hashes.len(), distinct.len(), "a payment has two rows");
    distinct
}

/// The transactions that were published, each once.
fn published(client: &mut Client) -> BTreeSet<String> {
    let rows = client
        .query(
            "SELECT payload->'new'->>'tx_hash', count(*) FROM realtime.messages GROUP BY 1",
            &[],
        )
        .unwrap();
    let once = |row: &postgres::Row| {
        assert_eq!(row.get::<_, i64>(1), 1, "{row:?}");
        row.get(0)
    };
    rows.iter().map(once).collect()
}

#[test]
fn the_pages_transactions_lose_no_request_of_the_running_app_there_and_back() {
    let (database, mut client) = guide();
    // Rows that are only the guide's: spelled in capitals, and by an app with its own chain.
    client
        .batch_execute(
            "INSERT INTO x402_payments (payer_address, endpoint, amount, tx_hash, chain, response_summary, created_at)
             VALUES ('0x857B06519E91E3A54538791BDBB0E22373E36B66', '/old', '250', '0x' || repeat('AB', 32), 'base', 'old', '2025-05-05 05:05+00');
             TRUNCATE realtime.messages",
        )
        .unwrap();
    let old = format!("0x{}", "ab".repeat(32));
    let before = state(&mut client);
    let mut moving = database.connect().unwrap();
    let mut paid = while_the_app_runs(&database, 1, |_| {
        moving.batch_execute(&block(THE_MOVE)).unwrap();
    });
    assert_eq!(published(&mut client), paid);
    paid.insert(old.clone());
    assert_eq!(payments(&mut client), paid);
    let in_the_ledger = "SELECT count(*) FROM insforge_integrations.x402_settlements";
    let in_the_ledger: i64 = client.query_one(in_the_ledger, &[]).unwrap().get(0);
    assert_eq!(usize::try_from(in_the_ledger).unwrap(), paid.len());

    let more = while_the_app_runs(&database, 10, |wait_for_more| {
        moving.batch_execute(&block(THE_OLD_BODY)).unwrap();
        wait_for_more();
        moving.batch_execute(&block(THE_WAY_BACK)).unwrap();
    });
    let mut expected = paid.clone();
    expected.remove(&old);
    expected.extend(more.iter().cloned());
    assert_eq!(published(&mut client), expected);
    // The guide's table has its own spelling again.
    expected.insert(format!("0x{}", "AB".repeat(32)));
    assert_eq!(payments(&mut client), expected);
    assert_eq!(state(&mut client), before);
    let imported = client.query_one("SELECT chain, amount, endpoint, response_summary, created_at = '2025-05-05 05:05+00' FROM x402_payments WHERE endpoint = '/old'", &[]).unwrap();
    assert_eq!(
        (
            imported.get(0),
            imported.get(1),
            imported.get(2),
            imported.get(3),
            imported.get(4)
        ),
        ("base", "250", "/old", "old", true)
    );

    // Empty claims, as in a session that never had a request, identify nobody.
    for claims in ["", "{}", r#"{"sub": ""}"#] {
        client
            .execute(
                "SELECT set_config('request.jwt.claims', $1, false)",
                &[&claims],
            )
            .unwrap();
        let user = client
            .query_one("SELECT requesting_user_id()", &[])
            .unwrap();
        assert_eq!(user.get::<_, Option<String>>(0), None, "{claims:?}");
    }

    // And there again: the ledger that was kept, and what the guide's table got meanwhile.
    let restore = "SELECT * FROM insforge_integrations.restore_kept_x402_ledger();\n";
    assert!(include_str!("../../../docs/adoption.md").contains(restore.trim()));
    let import = "SELECT * FROM insforge_integrations.import_x402_payments";
    let again = block(THE_MOVE).replace(import, &format!("{restore}{import}"));
    client.batch_execute(&again).unwrap();
    expected.remove(&format!("0x{}", "AB".repeat(32)));
    expected.insert(old);
    assert_eq!(payments(&mut client), expected);
}

/// A rename that waits lets all new requests on the table wait, so it gives up soon.
#[test]
fn a_busy_table_ends_the_move_and_changes_nothing() {
    let (database, mut client) = guide();
    let before = state(&mut client);
    let hint = commands_of_the_hint(&mut client);
    let mut report = database.connect().unwrap();
    let mut report = report.transaction().unwrap();
    report.query("SELECT FROM x402_payments", &[]).unwrap();
    for commands in [block(THE_MOVE), hint] {
        assert!(commands.contains("SET LOCAL lock_timeout = '2s';"));
        let error = client.batch_execute(&commands.replace("'2s'", "'50ms'"));
        let error = error.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
        client.batch_execute("ROLLBACK").unwrap();
        assert_eq!(state(&mut client), before);
    }
    report.rollback().unwrap();
    client.batch_execute(&block(THE_MOVE)).unwrap();
}

/// Only a prepared SELECT whose columns change has to be prepared again.
#[test]
fn a_prepared_select_says_that_it_must_be_prepared_again() {
    let (database, mut client) = guide();
    let mut server = database.connect().unwrap();
    let select = "SELECT endpoint FROM x402_payments";
    let prepared = server.prepare(select).unwrap();
    server.query(&prepared, &[]).unwrap();
    client.batch_execute(&block(THE_MOVE)).unwrap();
    let error = server.query(&prepared, &[]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    server.query(select, &[]).unwrap();
}
