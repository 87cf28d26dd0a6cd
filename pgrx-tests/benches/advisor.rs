//! The time of advise() on a large database, compared with a query on pg_policies.

mod measure;

use insforge_integrations_tests::{Cluster, Fixture};
use measure::{median, ratio, time};

const ROUNDS: usize = 9;

/// 5,000 tables with a policy and an index each, 500 views and 500 functions; every tenth table has
/// a mistake.
const LARGE: &str = "
    DO $$ BEGIN
      FOR n IN 1..5000 LOOP
        EXECUTE format(
          'CREATE TABLE public.t%1$s (id bigint PRIMARY KEY, user_id text NOT NULL DEFAULT requesting_user_id(), body text);
           CREATE INDEX ON public.t%1$s (user_id);
           ALTER TABLE public.t%1$s ENABLE ROW LEVEL SECURITY;
           CREATE POLICY own ON public.t%1$s TO authenticated
             USING (%2$s) WITH CHECK (user_id = requesting_user_id())',
          n, CASE WHEN n % 10 = 0 THEN 'true' ELSE 'user_id = requesting_user_id()' END);
        COMMIT;
      END LOOP;
      FOR n IN 1..500 LOOP
        EXECUTE format('CREATE VIEW public.v%1$s WITH (security_invoker) AS SELECT * FROM public.t%1$s;
                        CREATE FUNCTION public.f%1$s() RETURNS bigint LANGUAGE sql STABLE AS ''SELECT count(*) FROM public.t%1$s''', n);
      END LOOP;
    END $$";

fn main() {
    let cluster =
        Cluster::start_with("fsync = on\nmax_locks_per_transaction = 256").expect("a test server");
    let small = cluster.database(Fixture::Extension).expect("a database");
    let large = cluster.database(Fixture::Extension).expect("a database");
    large
        .connect()
        .and_then(|mut client| Ok(client.batch_execute(LARGE)?))
        .and_then(|()| Ok(large.connect()?.batch_execute("VACUUM ANALYZE")?))
        .expect("a large database");
    println!("advise(), median of {ROUNDS} rounds, each in a new session\n");
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (times, (database, statement)) in times.iter_mut().zip([
            (&large, "SELECT * FROM pg_policies"),
            (&large, "SELECT * FROM insforge_integrations.advise()"),
            (&small, "SELECT * FROM insforge_integrations.advise()"),
        ]) {
            let mut client = database.connect().expect("a connection");
            let (seconds, _rows) = time(|| client.query(statement, &[]).expect("rows"));
            times.push(seconds);
        }
    }
    for (what, times, base) in [
        ("pg_policies, 5,000 policies", &times[0], &times[0]),
        (
            "advise(), 5,000 tables and policies, 500 mistakes",
            &times[1],
            &times[0],
        ),
        ("advise(), a new database", &times[2], &times[0]),
    ] {
        println!(
            "{what:52}{:8.1} ms   {:.2} ×",
            median(times) * 1e3,
            ratio(times, base)
        );
    }
}
