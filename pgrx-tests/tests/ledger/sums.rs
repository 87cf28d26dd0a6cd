//! The kept sums of past days: the views never differ from the ledger.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::*;

const REFRESH: &str = "SELECT insforge_integrations.refresh_x402_sums()";
/// What the views say, without what the test's ledgers do not have.
const VIEWS: &str = "
SELECT jsonb_build_array(
  (SELECT jsonb_object_agg(network || coalesce(asset, ''), ARRAY[payments, amount, mock_payments, mock_amount])
   FROM insforge_integrations.x402_totals),
  (SELECT jsonb_object_agg(day || endpoint || network || coalesce(asset, ''), ARRAY[payments, amount])
   FROM x402_revenue))";
/// The same from the ledger itself.
const LEDGER: &str = "
SELECT jsonb_build_array(
  (SELECT jsonb_object_agg(of, sums) FROM (
     SELECT network || coalesce(asset, '') AS of,
            ARRAY[count(*) FILTER (WHERE NOT is_mock), coalesce(sum(amount) FILTER (WHERE NOT is_mock), 0),
                  count(*) FILTER (WHERE is_mock), coalesce(sum(amount) FILTER (WHERE is_mock), 0)] AS sums
     FROM insforge_integrations.x402_settlements GROUP BY 1) totals),
  (SELECT jsonb_object_agg(of, sums) FROM (
     SELECT (created_at AT TIME ZONE 'UTC')::date || endpoint || network || coalesce(asset, '') AS of,
            ARRAY[count(*), sum(amount)] AS sums
     FROM insforge_integrations.x402_settlements WHERE NOT is_mock GROUP BY 1) days))";
const SUMMED: &str =
    "SELECT count(*), coalesce(sum(payments), 0)::bigint FROM insforge_integrations.x402_sums";

/// Settlements of the last `days` days, `rows` each day, as an import or a restored dump adds them.
fn add(client: &mut impl GenericClient, from: u64, days: i32, rows: i32) {
    let insert = "
        INSERT INTO insforge_integrations.x402_settlements
          (id, created_at, tx_hash, payer_address, endpoint, amount, network, asset, is_mock)
        SELECT gen_random_uuid(), now() - day * interval '1 day' - row * interval '1 minute',
               '0x' || lpad(to_hex($1::bigint + day * $3 + row), 64, '0'), lower($4),
               '/' || row % 3, 10000 + row, CASE row % 2 WHEN 0 THEN 'eip155:196' ELSE 'eip155:8453' END,
               CASE row % 5 WHEN 0 THEN '0x' || repeat('ab', 20) END, row % 7 = 0
        FROM generate_series(0, $2 - 1) AS day, generate_series(0, $3 - 1) AS row";
    let from = i64::try_from(from).unwrap();
    client
        .execute(insert, &[&from, &days, &rows, &PAYER])
        .unwrap();
}

fn assert_right(client: &mut impl GenericClient, when: &str) {
    let says = |client: &mut _, query| -> Value {
        GenericClient::query_one(client, query, &[]).unwrap().get(0)
    };
    assert_eq!(says(client, VIEWS), says(client, LEDGER), "{when}");
}

fn summed(client: &mut impl GenericClient) -> (i64, i64) {
    let row = client.query_one(SUMMED, &[]).unwrap();
    (row.get(0), row.get(1))
}

#[test]
fn the_views_are_the_same_with_sums_and_without() {
    let (database, mut admin) = database();
    let mut superuser = database.connect().unwrap();
    add(&mut superuser, 1, 40, 300);
    assert_right(&mut superuser, "without sums");
    admin.batch_execute(REFRESH).unwrap();
    let (rows, payments) = summed(&mut superuser);
    let old = "SELECT count(*) FROM insforge_integrations.x402_settlements
               WHERE created_at < date_trunc('day', now() - interval '1 day', 'UTC')";
    let old: i64 = superuser.query_one(old, &[]).unwrap().get(0);
    assert!(old >= 37 * 300, "{old}");
    assert_eq!(payments, old);
    assert!(rows < old / 2, "{rows}");
    assert_right(&mut superuser, "with sums");
    // The views take the sums from where they are kept.
    let mut transaction = superuser.transaction().unwrap();
    transaction
        .batch_execute("UPDATE insforge_integrations.x402_sums SET amount = amount + 1")
        .unwrap();
    let says: Value = transaction.query_one(VIEWS, &[]).unwrap().get(0);
    let ledger: Value = transaction.query_one(LEDGER, &[]).unwrap().get(0);
    assert_ne!(says[0], ledger[0]);
    assert_ne!(says[1], ledger[1]);
    transaction.rollback().unwrap();
    // Payments and corrections of today.
    record(&mut admin, &hash(1_000_000)).unwrap();
    admin.batch_execute(REFRESH).unwrap();
    assert_eq!(summed(&mut superuser), (rows, payments));
    assert_right(&mut superuser, "after a payment");
    let refund =
        "SELECT FROM correct_x402_settlement($1, 'refund', 'back', '10', reference => 'R1')";
    admin.query(refund, &[&hash(1_000_000)]).unwrap();
    admin
        .query(refund, &[&hash(30 * 300 + 3)])
        .expect("the refund of a summed payment");
    let corrections = "SELECT sum(corrections)::text FROM insforge_integrations.x402_totals";
    let corrections: String = admin.query_one(corrections, &[]).unwrap().get(0);
    assert_eq!(corrections, "-20");
}

#[test]
fn a_late_row_removes_the_sums_of_its_day_and_later() {
    let (database, mut admin) = database();
    let mut superuser = database.connect().unwrap();
    add(&mut superuser, 1, 40, 4);
    admin.batch_execute(REFRESH).unwrap();
    let (_, all) = summed(&mut superuser);
    // The guide's table, with a payment of 20 days ago and one of today.
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.guides (payer_address text, endpoint text, amount text, tx_hash text, created_at timestamptz);
             INSERT INTO public.guides VALUES ('{PAYER}', '/late', '7', '{}', now() - interval '20 days'),
                                              ('{PAYER}', '/late', '8', '{}', now());
             SELECT insforge_integrations.import_x402_payments('public.guides')",
            hash(1_000_001),
            hash(1_000_002)
        ))
        .unwrap();
    let (_, left) = summed(&mut superuser);
    assert!(
        (all - 20 * 4..all - 16 * 4).contains(&left),
        "{left} of {all}"
    );
    assert_right(&mut superuser, "after an import");
    admin.batch_execute(REFRESH).unwrap();
    assert_eq!(summed(&mut superuser).1, all + 1);
    assert_right(&mut superuser, "after the next refresh");
    // A row that is refused or rolled back leaves no trace.
    let mut transaction = superuser.transaction().unwrap();
    add(&mut transaction, 2_000_000, 30, 1);
    assert_right(&mut transaction, "in the transaction");
    transaction.rollback().unwrap();
    assert_eq!(summed(&mut superuser).1, all + 1);
    assert_right(&mut superuser, "after a rollback");
    // -infinity is a day, too.
    let oldest = format!(
        "INSERT INTO insforge_integrations.x402_settlements (id, created_at, tx_hash, payer_address, endpoint, amount, network, is_mock)
         SELECT gen_random_uuid(), t::timestamptz, '0x' || lpad(to_hex(3000000 + row_number() OVER ()), 64, '0'), lower('{PAYER}'), '/', 1, 'eip155:196', false
         FROM unnest('{{-infinity, infinity}}'::text[]) t"
    );
    superuser.batch_execute(&oldest).unwrap();
    assert_eq!(summed(&mut superuser), (0, 0));
    assert_right(&mut superuser, "with infinite times");
    admin.batch_execute(REFRESH).unwrap();
    assert_eq!(summed(&mut superuser).1, all + 2);
    assert_right(&mut superuser, "with infinite times and sums");
}

#[test]
fn sums_and_late_rows_wait_for_each_other() {
    let (database, mut admin) = database();
    let mut superuser = database.connect().unwrap();
    add(&mut superuser, 1, 10, 4);
    let timeout = "SET lock_timeout = '200ms'";
    for client in [&mut admin, &mut superuser] {
        client.batch_execute(timeout).unwrap();
    }
    let code = |error: postgres::Error| refused(&error).code().code().to_owned();
    // A late row that nobody sees yet.
    let mut writer = database.connect().unwrap();
    let mut late = writer.transaction().unwrap();
    add(&mut late, 1_000, 10, 1);
    assert_eq!(code(admin.batch_execute(REFRESH).unwrap_err()), "55P03");
    // Other payments are recorded meanwhile, and others read.
    record(&mut admin, &hash(5_000)).unwrap();
    assert_right(&mut superuser, "beside an import");
    late.commit().unwrap();
    admin.batch_execute(REFRESH).unwrap();
    assert_right(&mut superuser, "after the import");
    // Sums that nobody sees yet.
    let mut forget = superuser.transaction().unwrap();
    forget
        .batch_execute("DELETE FROM insforge_integrations.x402_sums; UPDATE insforge_integrations.x402_summed SET before = '-infinity'")
        .unwrap();
    forget.commit().unwrap();
    let mut refresher = database.connect_as("project_admin").unwrap();
    let mut refreshing = refresher.transaction().unwrap();
    refreshing.batch_execute(REFRESH).unwrap();
    let insert = format!(
        "INSERT INTO insforge_integrations.x402_settlements (id, created_at, tx_hash, payer_address, endpoint, amount, network, is_mock)
         VALUES (gen_random_uuid(), now() - interval '5 days', '{}', lower('{PAYER}'), '/', 1, 'eip155:196', false)",
        hash(6_000)
    );
    assert_eq!(code(superuser.batch_execute(&insert).unwrap_err()), "55P03");
    record(&mut admin, &hash(5_001)).unwrap();
    // A snapshot from before the sums does not hide them.
    let mut waiting = database.connect().unwrap();
    for isolation in ISOLATION_LEVELS {
        waiting
            .batch_execute(&format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM insforge_integrations.x402_settlements; COMMIT"))
            .unwrap();
    }
    waiting
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM insforge_integrations.x402_settlements")
        .unwrap();
    refreshing.commit().unwrap();
    assert_eq!(code(waiting.batch_execute(&insert).unwrap_err()), "40001");
    waiting.batch_execute("ROLLBACK").unwrap();
    waiting.batch_execute(&insert).unwrap();
    assert_right(&mut superuser, "after both");
}

#[test]
fn no_sum_is_made_while_older_rows_may_still_appear() {
    let (database, mut admin) = database();
    let mut superuser = database.connect().unwrap();
    add(&mut superuser, 1, 5, 2);
    let mut writer = database.connect().unwrap();
    // Nobody sees since when this session's transaction has run.
    writer.batch_execute("SET track_activities = off").unwrap();
    let mut transaction = writer.transaction().unwrap();
    record(&mut transaction, &hash(1_000)).unwrap();
    let error = admin.batch_execute(REFRESH).unwrap_err();
    let error = refused(&error);
    assert_eq!(error.code(), &SqlState::OBJECT_IN_USE);
    let pid: i32 = transaction
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let detail = error.detail().unwrap();
    assert!(detail.contains(&format!("process {pid} ")), "{detail}");
    assert_eq!(summed(&mut superuser), (0, 0));
    transaction.commit().unwrap();
    admin.batch_execute(REFRESH).unwrap();
    // One that is known to have begun today is no obstacle.
    let (_, all) = summed(&mut superuser);
    assert!(all > 0);
    superuser
        .batch_execute("DELETE FROM insforge_integrations.x402_sums; UPDATE insforge_integrations.x402_summed SET before = '-infinity'")
        .unwrap();
    let mut other = database.connect_as("project_admin").unwrap();
    let mut transaction = other.transaction().unwrap();
    record(&mut transaction, &hash(1_001)).unwrap();
    admin.batch_execute(REFRESH).unwrap();
    assert_eq!(summed(&mut superuser).1, all);
    transaction.commit().unwrap();
    assert_right(&mut superuser, "after both");
    for isolation in &ISOLATION_LEVELS[1..] {
        let refresh = format!("BEGIN ISOLATION LEVEL {isolation}; {REFRESH}");
        let error = admin.batch_execute(&refresh).unwrap_err();
        assert_eq!(
            refused(&error).code(),
            &SqlState::ACTIVE_SQL_TRANSACTION,
            "{isolation}"
        );
        admin.batch_execute("ROLLBACK").unwrap();
    }
}

/// Sets it at the end, also of a test that fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Payments, imports and refreshes at once. At every moment, every view is right.
#[test]
fn sums_are_right_while_everything_happens_at_once() {
    let (database, mut admin) = database();
    let mut superuser = database.connect().unwrap();
    add(&mut superuser, 1, 30, 5);
    let (number, done) = (AtomicU64::new(1_000_000), AtomicBool::new(false));
    let next = || number.fetch_add(1_000, Ordering::Relaxed);
    let (number_of_refreshes, number_of_imports) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let end = Done(&done);
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = database.connect_as("project_admin").unwrap();
                while !done.load(Ordering::Relaxed) {
                    record(&mut client, &hash(next())).unwrap();
                }
            });
            scope.spawn(|| {
                let mut client = database.connect().unwrap();
                while !done.load(Ordering::Relaxed) {
                    let mut transaction = client.transaction().unwrap();
                    add(&mut transaction, next(), 20, 1);
                    transaction.commit().unwrap();
                    number_of_imports.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(std::time::Duration::from_millis(5));
                }
            });
        }
        scope.spawn(|| {
            let mut client = database.connect_as("project_admin").unwrap();
            while !done.load(Ordering::Relaxed) {
                client.batch_execute(REFRESH).unwrap();
                number_of_refreshes.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..100 {
            let mut transaction = superuser
                .build_transaction()
                .isolation_level(postgres::IsolationLevel::RepeatableRead)
                .start()
                .unwrap();
            assert_right(&mut transaction, "meanwhile");
            transaction.commit().unwrap();
        }
        drop(end);
    });
    admin.batch_execute(REFRESH).unwrap();
    assert_right(&mut superuser, "in the end");
    let numbers = (
        number_of_refreshes.into_inner(),
        number_of_imports.into_inner(),
    );
    assert!(numbers.0 > 10 && numbers.1 > 10, "{numbers:?}");
}
