//! Better Auth: access to its tables and to future ones; its secret.

use super::{Mistake, assert_found, findings};

/// The tables that Better Auth always has, in the first schema of the search_path; who made them
/// names nobody, and the default privileges of public do.
const TABLES: &str = r#"
    CREATE TABLE "user" (id text PRIMARY KEY, name text, email text, "emailVerified" boolean);
    CREATE TABLE session (id text, token text, "userId" text, "expiresAt" timestamptz);
    CREATE TABLE account (id text, "userId" text, "accountId" text, "providerId" text, password text);
    CREATE TABLE verification (id text, identifier text, value text, "expiresAt" timestamptz);"#;

#[test]
fn better_auth_exposed() {
    Mistake {
        rule: "better_auth_exposed",
        near_miss: &format!(
            r#"
            CREATE SCHEMA better_auth; SET LOCAL search_path = better_auth; {TABLES}
            -- Granted, and out of reach.
            GRANT ALL ON ALL TABLES IN SCHEMA better_auth TO PUBLIC;
            -- The guide in public: a REVOKE, or row level security without policies.
            SET LOCAL search_path = public; {TABLES}
            REVOKE ALL ON public."user", public.session, public.verification FROM anon, authenticated;
            ALTER TABLE public.account ENABLE ROW LEVEL SECURITY;
            GRANT SELECT ON public.session TO project_admin;
            -- The application's own: others of the name, and one that refers to a user.
            CREATE TABLE public.team (id int, label text);
            CREATE TABLE public.notes (id int, "userId" text REFERENCES public."user"(id));
            CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO anon, authenticated;
            CREATE TABLE app."user" (id int, email text);
            CREATE TABLE app.account (id int, "userId" text);
            GRANT ALL ON ALL TABLES IN SCHEMA app TO anon, authenticated;
            -- Together in one schema: what has policies is the application's, and Better Auth's is closed.
            CREATE SCHEMA mixed; GRANT USAGE ON SCHEMA mixed TO anon, authenticated;
            SET LOCAL search_path = mixed; {TABLES}
            CREATE TABLE mixed.notes (user_id text);
            ALTER TABLE mixed.notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON mixed.notes USING (user_id = public.requesting_user_id());
            GRANT ALL ON mixed.notes TO authenticated;
            RESET search_path;"#
        ),
        broken: &format!(
            r#"
            -- As Better Auth's migration leaves them in public, a plugin's too.
            SET search_path = public; {TABLES}
            CREATE TABLE public."twoFactor" (id text, secret text, "backupCodes" text, "userId" text);
            REVOKE ALL ON public."user", public.session, public.account, public.verification FROM anon, authenticated;
            -- One column, of a view.
            CREATE SCHEMA better_auth; GRANT USAGE ON SCHEMA better_auth TO anon; SET search_path = better_auth; {TABLES}
            CREATE VIEW better_auth.emails AS SELECT id, email FROM better_auth."user";
            GRANT SELECT (email) ON better_auth.emails TO anon;
            -- A plugin that nobody knows, granted to all; no table of sessions.
            CREATE SCHEMA "B'; DROP ""x Ü"; GRANT USAGE ON SCHEMA "B'; DROP ""x Ü" TO PUBLIC; SET search_path = "B'; DROP ""x Ü"; {TABLES}
            DROP TABLE "B'; DROP ""x Ü".session;
            CREATE TABLE "B'; DROP ""x Ü"."plug""; in" (secret text);
            GRANT INSERT ON "B'; DROP ""x Ü"."plug""; in" TO PUBLIC;
            -- Row level security with a policy for them, and one that TRUNCATE walks around.
            CREATE SCHEMA policies; GRANT USAGE ON SCHEMA policies TO authenticated; SET search_path = policies; {TABLES}
            ALTER TABLE policies.session ENABLE ROW LEVEL SECURITY;
            GRANT SELECT ON policies.session TO authenticated;
            CREATE POLICY all_of_them ON policies.session FOR SELECT TO authenticated USING (true);
            CREATE SCHEMA truncated; GRANT USAGE ON SCHEMA truncated TO authenticated; SET search_path = truncated; {TABLES}
            ALTER TABLE truncated.session ENABLE ROW LEVEL SECURITY;
            GRANT TRUNCATE ON truncated.session TO authenticated;
            -- Together with the application.
            CREATE SCHEMA mixed; GRANT USAGE ON SCHEMA mixed TO anon; SET search_path = mixed; {TABLES}
            CREATE TABLE mixed.notes (user_id text);
            ALTER TABLE mixed.notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON mixed.notes USING (user_id = public.requesting_user_id());
            GRANT ALL ON mixed.notes, mixed.verification TO anon;
            RESET search_path;"#
        ),
        affected: &[
            r#"schema "B'; DROP ""x Ü""#,
            "schema better_auth",
            "schema mixed",
            "schema policies",
            "schema public",
            "schema truncated",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn better_auth_default_privileges() {
    Mistake {
        rule: "better_auth_default_privileges",
        near_miss: &format!(
            r#"
            -- InsForge's own for public, which its data API lives on.
            SET LOCAL search_path = public; {TABLES}
            -- Nobody can look into the schema.
            CREATE SCHEMA better_auth; SET LOCAL search_path = better_auth; {TABLES}
            ALTER DEFAULT PRIVILEGES IN SCHEMA better_auth GRANT ALL ON TABLES TO anon, PUBLIC;
            -- Functions alone; another role's; an administrator's; another schema's.
            CREATE SCHEMA usable; GRANT USAGE ON SCHEMA usable TO anon; SET LOCAL search_path = usable; {TABLES}
            ALTER DEFAULT PRIVILEGES IN SCHEMA usable GRANT EXECUTE ON FUNCTIONS TO anon;
            ALTER DEFAULT PRIVILEGES FOR ROLE project_admin GRANT SELECT ON TABLES TO anon;
            ALTER DEFAULT PRIVILEGES IN SCHEMA usable GRANT ALL ON TABLES TO project_admin;
            CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO anon;
            ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO anon;
            RESET search_path;"#
        ),
        broken: &format!(
            r#"
            CREATE SCHEMA better_auth; GRANT USAGE ON SCHEMA better_auth TO anon; SET search_path = better_auth; {TABLES}
            ALTER DEFAULT PRIVILEGES FOR ROLE project_admin IN SCHEMA better_auth GRANT INSERT ON TABLES TO anon;
            CREATE SCHEMA "B'; DROP ""x Ü"; GRANT USAGE ON SCHEMA "B'; DROP ""x Ü" TO PUBLIC; SET search_path = "B'; DROP ""x Ü"; {TABLES}
            ALTER DEFAULT PRIVILEGES IN SCHEMA "B'; DROP ""x Ü" GRANT SELECT ON TABLES TO authenticated, PUBLIC;
            RESET search_path;
            -- Of every schema in which the role makes tables.
            CREATE SCHEMA everywhere; GRANT USAGE ON SCHEMA everywhere TO authenticated; SET search_path = everywhere; {TABLES}
            ALTER TABLE everywhere."user" OWNER TO project_admin;
            ALTER DEFAULT PRIVILEGES FOR ROLE project_admin GRANT SELECT ON TABLES TO PUBLIC;
            RESET search_path;"#
        ),
        affected: &[
            r#"schema "B'; DROP ""x Ü""#,
            "schema better_auth",
            "schema everywhere",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn better_auth_secret_reused() {
    const RULE: &str = "better_auth_secret_reused";
    let (mut superuser, found) = Mistake {
        rule: RULE,
        near_miss: "SELECT insforge_integrations.set_jwt_secret('2f7c1e90b64d3a8857f0c2be91d6a43f');
            CREATE SCHEMA better_auth;
            SELECT insforge_integrations.register_better_auth('https://a.example', session_secret => '2f7c1e90b64d3a8857f0c2be91d6a43e')",
        broken: r#"SELECT insforge_integrations.set_jwt_secret('2f7c1e90b64d3a8857f0c2be91d6a43f');
            CREATE SCHEMA better_auth; CREATE SCHEMA U&"it's\000ADROP TABLE x";
            SELECT insforge_integrations.register_better_auth('https://a.example', schema_name => E'it''s\nDROP TABLE x',
              session_secret => '2f7c1e90b64d3a8857f0c2be91d6a43f', subject_pattern => '[a-z]+', name => E'"x\n; ');
            SELECT insforge_integrations.register_better_auth('https://b.example', session_secret => 'of its own')"#,
        affected: &["provider \"\"\"x\n; \""],
    }
    .is_found_with_steps();
    assert!(
        !format!("{found:?}").contains("2f7c1e90b64d3a88"),
        "{found:?}"
    );
    superuser
        .batch_execute(
            r#"SELECT insforge_integrations.register_better_auth('https://a.example', session_secret => 'another', name => E'"x\n; ')"#,
        )
        .unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);
}

/// As Drizzle makes them, with `usePlural`.
const SNAKE: &str = r#"
    CREATE TABLE users (id text PRIMARY KEY, name text, email text, email_verified boolean, role text, banned boolean);
    CREATE TABLE sessions (id text, token text, user_id text REFERENCES users (id), expires_at timestamp);
    CREATE TABLE accounts (id text, user_id text REFERENCES users (id), account_id text, provider_id text, password text);
    CREATE TABLE verifications (id text, identifier text, value text, expires_at timestamp);
    CREATE TABLE jwkss (id text, public_key text, private_key text, created_at timestamp);"#;

/// The policies that an advisor would make if it took these tables for tables of users' rows.
const POLICIES: &str = "
    ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON sessions TO authenticated USING (user_id = requesting_user_id()) WITH CHECK (user_id = requesting_user_id());
    ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own_rows_insert ON accounts FOR INSERT TO authenticated WITH CHECK (user_id = requesting_user_id());
    CREATE POLICY own_rows_update ON accounts FOR UPDATE TO authenticated USING (user_id = requesting_user_id());";

/// Follows recommendations until there are none. Then no request reaches a table with credentials,
/// and no recommendation has opened one.
#[test]
fn no_advice_opens_a_table_with_credentials() {
    let uuids = SNAKE
        .replace("id text PRIMARY KEY", "id uuid PRIMARY KEY")
        .replace("user_id text", "user_id uuid");
    for made in [
        SNAKE,
        &uuids,
        &format!("{SNAKE} {POLICIES}"),
        &format!("{uuids} {}", POLICIES.replace("requesting_user_id()", "requesting_user_id()::uuid")),
        &format!("{SNAKE} ALTER TABLE sessions ENABLE ROW LEVEL SECURITY; ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
                  CREATE POLICY everything ON sessions FOR SELECT TO authenticated USING (true);
                  CREATE VIEW mine WITH (security_invoker = true) AS SELECT token FROM sessions"),
        // Not all of them are there, or known.
        &format!("{SNAKE} DROP TABLE accounts"),
        &format!("{SNAKE} ALTER TABLE accounts RENAME provider_id TO p; ALTER TABLE users RENAME email_verified TO v"),
        &format!("{SNAKE} {POLICIES} DROP TABLE users CASCADE"),
        TABLES,
    ] {
        let database = insforge_integrations_tests::shared_cluster()
            .database(insforge_integrations_tests::Fixture::Extension)
            .unwrap();
        let mut client = database.connect().unwrap();
        client
            .batch_execute(
                "SELECT insforge_integrations.register_clerk('clerk.example.com');
                 SELECT insforge_integrations.set_jwt_secret('Rk9yIHRlc3RzIG9ubHksIGJ1dCByYW5kb20gZW5vdWdo')",
            )
            .unwrap();
        client.batch_execute(made).unwrap();
        for _ in 0..3 {
            let found = client
                .query(
                    "SELECT rule_id, recommendation FROM insforge_integrations.advise()
                     WHERE rule_id NOT IN ('durability_off', 'statement_logging') AND recommendation !~ '^--'",
                    &[],
                )
                .unwrap();
            for row in found {
                let recommendation: String = row.get(1);
                for opening in ["CREATE POLICY", "GRANT", "security_invoker = false"] {
                    assert!(!recommendation.contains(opening), "{made}: {recommendation}");
                }
                client.batch_execute(&recommendation).unwrap_or_else(|error| panic!("{made}: {recommendation}: {error:?}"));
            }
        }
        let reached = client
            .query(
                "SELECT c.relname::text FROM pg_class c, unnest('{anon,authenticated}'::name[]) role
                 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname !~ '^users?$'
                   AND (has_table_privilege(role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                        OR has_any_column_privilege(role, c.oid, 'SELECT, INSERT, UPDATE'))",
                &[],
            )
            .unwrap();
        let reached: Vec<String> = reached.iter().map(|row| row.get(0)).collect();
        assert_eq!(reached, [""; 0], "{made}");
    }
}
