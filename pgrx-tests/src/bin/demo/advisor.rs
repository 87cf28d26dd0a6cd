//! The advisor, on a database in which the guides were followed and their warnings were not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use postgres::Client;

use super::stage::{Demo, job, say};

const SECRET: &str = "3q2+7wW0hYc9ZtR1uVxKpLmNsEoJiGfB8d6aQyXz";

/// Mistakes that the guides warn of, or make.
const MISTAKES: &str = r#"CREATE TABLE auth.users (id uuid PRIMARY KEY);
CREATE TABLE documents (id bigint GENERATED ALWAYS AS IDENTITY,
  user_id uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users, body text);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON documents TO authenticated USING (user_id = auth.uid()) WITH CHECK (user_id = auth.uid());
CREATE TABLE favourites (user_id text NOT NULL DEFAULT requesting_user_id(), what text);
CREATE FUNCTION guides_user_id() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(auth.jwt() ->> 'sub', '')::text $$;
CREATE TABLE orders (user_id text NOT NULL DEFAULT guides_user_id(), what text);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON orders TO authenticated USING (user_id = guides_user_id());
CREATE POLICY debugging ON orders TO authenticated USING (true);
CREATE VIEW all_orders AS SELECT * FROM orders;
CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM orders';
CREATE UNLOGGED TABLE payments (tx_hash text NOT NULL, payer_address text NOT NULL, amount text NOT NULL);
CREATE FUNCTION ignore_small() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF NEW.amount = ''0'' THEN RETURN NULL; END IF; RETURN NEW; END';
CREATE TRIGGER ignore_small BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION ignore_small();
CREATE TABLE "user" (id text PRIMARY KEY, email text, "emailVerified" boolean);
CREATE TABLE session (token text UNIQUE, "userId" text, "expiresAt" timestamptz);
CREATE TABLE account (id text, "userId" text, "accountId" text, "providerId" text, password text);
CREATE SCHEMA realtime;
CREATE TABLE realtime.messages (sender_id uuid, payload jsonb);
SELECT insforge_integrations.configure('allow_mock_settlements', 'on')"#;

/// Finds them, does what is recommended, and finds nothing any more.
pub(crate) fn show(demo: &mut Demo) -> Result<()> {
    job(
        5,
        "The advisor: a database that made the mistakes of which the guides warn",
    );
    demo.client.batch_execute(MISTAKES)?;
    // And the JWT secret where everybody can read it.
    demo.client.batch_execute(&format!(
        "SELECT insforge_integrations.set_jwt_secret('{SECRET}');
COMMENT ON TABLE orders IS 'signed with {SECRET}';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.settings.jwt_secret = ''{SECRET}''', current_database()); END $$"
    ))?;

    let mut rounds = 0;
    loop {
        let found = findings(&mut demo.client)?;
        if found.is_empty() {
            break;
        }
        rounds += 1;
        ensure!(rounds < 4, "still found: {found:?}");
        ensure!(
            !format!("{found:?}").contains(SECRET),
            "the secret was told"
        );
        for (finding, recommendation) in &found {
            say(finding);
            // One by one, as in psql: ALTER SYSTEM is run in no transaction.
            let alone = recommendation.contains("ALTER SYSTEM");
            let separator = if alone { '\n' } else { '\0' };
            for statement in recommendation.split(separator) {
                demo.client.batch_execute(statement)?;
            }
        }
        say("  (each recommendation was run unchanged)");
        wait_for_configuration(&mut demo.client)?;
    }
    demo.run("SELECT severity, title, recommendation FROM insforge_integrations.advise()")?
        .shows(&[])
}

/// What was found, in a line, and what is recommended.
fn findings(client: &mut Client) -> Result<Vec<(String, String)>> {
    let rows = client.query(
        "SELECT format('%s: %s: %s', severity, affected_object, title), recommendation FROM insforge_integrations.advise()",
        &[],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Until this session has read the files that pg_reload_conf() had read.
fn wait_for_configuration(client: &mut Client) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let pending = "SELECT FROM pg_file_settings f JOIN pg_settings s USING (name)
                   WHERE f.applied AND f.name IN ('fsync', 'full_page_writes') AND f.setting <> s.setting";
    while !client.query(pending, &[])?.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
