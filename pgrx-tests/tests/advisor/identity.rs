//! Identity: the extension's own functions, and the rights of users' tokens.

use super::{Mistake, assert_found, findings};
use insforge_integrations_tests::request::{claims_of, request};
use insforge_integrations_tests::{Cluster, Fixture};

#[test]
fn extension_object_changed() {
    let mut superuser = Mistake {
        rule: "extension_object_changed",
        near_miss: "
            CREATE SCHEMA app;
            CREATE FUNCTION app.requesting_user_id() RETURNS text LANGUAGE sql AS 'SELECT 1::text';
            CREATE VIEW app.x402_payments AS SELECT 1 AS one;
            CREATE OR REPLACE FUNCTION public.requesting_user_id(text) RETURNS text LANGUAGE sql AS 'SELECT 1::text';
            GRANT EXECUTE ON FUNCTION insforge_integrations.advise() TO anon;
            CREATE TRIGGER own BEFORE INSERT ON insforge_integrations.x402_settlements EXECUTE FUNCTION suppress_redundant_updates_trigger();
            COMMENT ON FUNCTION public.requesting_user_id() IS 'ours';",
        // As before this version, or with event_triggers = off, which Postgres 17 has.
        broken: "
            SELECT insforge_integrations.configure('identity_source', 'verified');
            ALTER EVENT TRIGGER keep_insforge_integrations DISABLE;
            CREATE OR REPLACE FUNCTION public.requesting_user_id() RETURNS text LANGUAGE sql STABLE
              AS $$ SELECT nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::text $$;
            ALTER FUNCTION public.requesting_org_id() VOLATILE;
            CREATE OR REPLACE FUNCTION insforge_integrations_internal.steps(VARIADIC lines text[]) RETURNS text LANGUAGE sql AS 'SELECT 1::text';
            ALTER EXTENSION insforge_integrations DROP FUNCTION insforge_integrations.keccak256(bytea);
            DROP FUNCTION insforge_integrations.keccak256(bytea);
            ALTER EXTENSION insforge_integrations DROP FUNCTION public.requesting_org_role();
            CREATE OR REPLACE FUNCTION public.requesting_org_role() RETURNS text LANGUAGE sql STABLE AS 'SELECT 1::text';
            CREATE OR REPLACE VIEW insforge_integrations.x402_totals AS SELECT * FROM (TABLE insforge_integrations.x402_totals) t WHERE false;
            ALTER EVENT TRIGGER keep_insforge_integrations ENABLE;
            CREATE FUNCTION public.lenient() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END';
            CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON insforge_integrations.x402_settlements
              FOR EACH ROW EXECUTE FUNCTION public.lenient();
            ALTER TABLE insforge_integrations.jwt_secrets DISABLE TRIGGER invalidate_table_cache;
            DROP TRIGGER refuse_change ON public.x402_payments;",
        affected: &[
            "event trigger keep_insforge_integrations",
            "function insforge_integrations.keccak256(pg_catalog.bytea)",
            "function insforge_integrations_internal.steps(pg_catalog.text[])",
            "function public.requesting_org_id()",
            "function public.requesting_org_role()",
            "function public.requesting_user_id()",
            "trigger invalidate_table_cache on insforge_integrations.jwt_secrets",
            "trigger refuse_change on insforge_integrations.x402_settlements",
            "trigger refuse_change on public.x402_payments",
            "view insforge_integrations.x402_totals",
        ],
    }
    .is_found_and_mended();
    // Claims that a session sets do not count again, and everybody may call the functions.
    let forged = request(&mut superuser, "authenticated", &claims_of("alice"), |tx| {
        tx.query_one("SELECT requesting_user_id(), requesting_org_role(), insforge_integrations.keccak256('')", &[])
    });
    let forged = forged.unwrap();
    assert_eq!(forged.get::<_, Option<String>>(0), None);
    assert_eq!(forged.get::<_, Option<String>>(1), None);
    superuser
        .batch_execute("DROP EXTENSION insforge_integrations")
        .unwrap();
}

/// The test has its own cluster, because all databases share the roles.
#[test]
fn token_role_unsafe() {
    const RULE: &str = "token_role_unsafe";
    const FOUND: &[&str] = &["setting token_role"];
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute(
            "CREATE ROLE \"app \"\"user\"; CREATE ROLE free BYPASSRLS; CREATE ROLE heir; GRANT free TO heir; CREATE ROLE harmless;
             GRANT harmless TO authenticated;
             SELECT insforge_integrations.configure('token_role', 'app \"user')",
        )
        .unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);
    for (broken, detail) in [
        ("ALTER ROLE \"app \"\"user\" BYPASSRLS", "has BYPASSRLS"),
        ("ALTER ROLE \"app \"\"user\" SUPERUSER", "is a superuser"),
        (
            "GRANT heir TO \"app \"\"user\"",
            "is a member of free, which has BYPASSRLS",
        ),
        ("DROP ROLE \"app \"\"user\"", "There is no such role"),
        // With the default role, which does not exist either.
        (
            "SELECT insforge_integrations.configure('token_role', NULL); ALTER ROLE authenticated BYPASSRLS SUPERUSER",
            "is a superuser",
        ),
        (
            "GRANT heir, free, project_admin TO authenticated",
            "is a member of free",
        ),
        (
            "ALTER ROLE authenticated RENAME TO somebody; SELECT insforge_integrations.register_workos('client_1')",
            "There is no such role",
        ),
    ] {
        superuser.batch_execute(broken).unwrap();
        let mut administrator = database.connect_as("project_admin").unwrap();
        let found = findings(&mut administrator, RULE);
        assert_found(&found, FOUND);
        assert!(found[0].description.contains(detail), "{found:?}");
        superuser.batch_execute(&found[0].recommendation).unwrap();
        assert_found(&findings(&mut superuser, RULE), &[]);
        if !broken.starts_with("DROP") {
            superuser
                .batch_execute("DO $$ BEGIN
                   ALTER ROLE \"app \"\"user\" NOSUPERUSER NOBYPASSRLS; REVOKE heir FROM \"app \"\"user\";
                   PERFORM insforge_integrations.configure('token_role', 'app \"user');
                 EXCEPTION WHEN undefined_object THEN NULL; END $$")
                .unwrap();
        }
    }
}

/// The test has its own cluster, because all databases share the roles.
#[test]
fn anon_role_unfit() {
    const RULE: &str = "anon_role_unfit";
    const FOUND: &[&str] = &["setting anon_role"];
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    let set = |name: &str, value: &str| {
        format!(
            "ALTER ROLE rest IN DATABASE \"{}\" SET pgrst.{name} = '{value}';",
            database.name()
        )
    };
    superuser
        .batch_execute(&format!(
            // PostgREST does not read a database's settings.
            "CREATE ROLE \"web anon\"; CREATE ROLE rest LOGIN; {} {} ALTER DATABASE \"{}\" SET pgrst.db_anon_role = 'other'",
            set("db_anon_role", "anon"),
            set("db_pre_request", "insforge_integrations.pre_request"),
            database.name()
        ))
        .unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);

    superuser
        .batch_execute(&set("db_anon_role", "web anon"))
        .unwrap();
    let mut administrator = database.connect_as("project_admin").unwrap();
    let found = findings(&mut administrator, RULE);
    assert_found(&found, FOUND);
    assert!(
        found[0].description.contains("db-anon-role is web anon"),
        "{found:?}"
    );
    superuser.batch_execute(&found[0].recommendation).unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);

    let unset = format!(
        "ALTER ROLE rest IN DATABASE \"{}\" RESET pgrst.db_anon_role;",
        database.name()
    );
    superuser
        .batch_execute(&format!("{unset} ALTER ROLE \"web anon\" BYPASSRLS"))
        .unwrap();
    let found = findings(&mut superuser, RULE);
    assert_found(&found, FOUND);
    assert!(found[0].description.contains("has BYPASSRLS"), "{found:?}");
    assert!(found[0].recommendation.starts_with("-- 1. "), "{found:?}");
    superuser
        .batch_execute("SELECT insforge_integrations.configure('anon_role', NULL)")
        .unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);

    // On plain PostgREST there is no role anon. A server without PostgREST does not need one.
    superuser
        .batch_execute("ALTER ROLE anon RENAME TO web_anon")
        .unwrap();
    let found = findings(&mut superuser, RULE);
    assert_found(&found, FOUND);
    assert!(
        found[0].description.contains("There is no such role"),
        "{found:?}"
    );
    let unset = format!(
        "ALTER ROLE rest IN DATABASE \"{}\" RESET pgrst.db_pre_request",
        database.name()
    );
    superuser.batch_execute(&unset).unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);
}

#[test]
fn exchanged_tokens_identify_nobody() {
    let (mut superuser, found) = Mistake {
        rule: "exchanged_tokens_identify_nobody",
        near_miss: "
            SELECT insforge_integrations.configure('identity_source', 'verified');
            REVOKE EXECUTE ON FUNCTION public.exchange_provider_token(text, text) FROM PUBLIC, anon, authenticated",
        broken: "SELECT insforge_integrations.configure('identity_source', 'verified')",
        affected: &["setting identity_source"],
    }
    .is_found_with_steps();
    assert!(
        found[0]
            .recommendation
            .contains("let PostgREST call pre_request()"),
        "{found:?}"
    );
    for mended in [
        "SELECT insforge_integrations.configure('identity_source', 'claims')",
        "REVOKE EXECUTE ON FUNCTION public.exchange_provider_token(text, text) FROM PUBLIC, anon, authenticated",
        "DO $do$ BEGIN
           EXECUTE format('ALTER ROLE postgres IN DATABASE %I SET pgrst.db_pre_request = %L', current_database(), 'insforge_integrations.pre_request');
         END $do$",
    ] {
        superuser
            .batch_execute(&format!("BEGIN; {mended}"))
            .unwrap();
        assert_found(&findings(&mut superuser, "exchanged_tokens_identify_nobody"), &[]);
        superuser.batch_execute("ROLLBACK").unwrap();
    }
}

/// The guides' function under two policies, and a policy that reads the claims itself.
const POLICIES: &str = r#"
    CREATE FUNCTION public."asking; x"() RETURNS text LANGUAGE sql STABLE
      AS $$ SELECT nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::text $$;
    CREATE TABLE public.notes (user_id text, org_id text);
    CREATE POLICY one ON public.notes USING (user_id = public."asking; x"());
    CREATE POLICY "two; x" ON public.notes USING (org_id = auth.jwt() ->> 'org_id');
    CREATE POLICY ours ON public.notes USING (user_id = requesting_user_id());
"#;

#[test]
fn unverified_claims_in_policy() {
    const RULE: &str = "unverified_claims_in_policy";
    let verified = "SELECT insforge_integrations.configure('identity_source', 'verified');";
    let (mut superuser, found) = Mistake {
        rule: RULE,
        near_miss: POLICIES,
        broken: &format!("{POLICIES} {verified}"),
        affected: &["\"two; x\" on public.notes", "public.\"asking; x\"()"],
    }
    .is_found();
    superuser.batch_execute(&found[1].recommendation).unwrap();
    assert_found(
        &findings(&mut superuser, RULE),
        &["\"two; x\" on public.notes"],
    );
    superuser
        .batch_execute(
            r#"ALTER POLICY "two; x" ON public.notes USING (org_id = requesting_org_id())"#,
        )
        .unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);
    // The adopted function is the operator's own: nothing stops its replacement, and it is found.
    superuser
        .batch_execute(
            r#"CREATE OR REPLACE FUNCTION public."asking; x"() RETURNS text LANGUAGE sql STABLE
               AS $$ SELECT nullif(auth.jwt() ->> 'sub', '')::text $$"#,
        )
        .unwrap();
    assert_found(&findings(&mut superuser, RULE), &["public.\"asking; x\"()"]);
}
