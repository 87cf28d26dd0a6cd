//! The JWT secret: where others can read it, and whether it can be guessed.

use super::{Finding, Mistake, assert_found, findings};
use insforge_integrations_tests::{Cluster, Fixture, shared_cluster};

const SECRET: &str = "q8Zr3'Vt6Yw9Bn2Mx5Kc7Ld4Pf1Hs0JgA+e";
const BASE64: &str = "cThacjMnVnQ2WXc5Qm4yTXg1S2M3TGQ0UGYxSHMwSmdBK2U";
const ANOTHER: &str = "2f7c1e90b64d3a8857f0c2be91d6a43f";

/// `$SECRET` as a literal, `$BASE64` and `$ANOTHER` as they are.
fn sql(text: &str) -> String {
    text.replace("$SECRET", &format!("'{}'", SECRET.replace('\'', "''")))
        .replace("$BASE64", BASE64)
        .replace("$ANOTHER", ANOTHER)
}

/// No answer of the advisor contains the secret.
fn assert_silent(found: &[Finding]) {
    let text = format!("{found:?}");
    for secret in [SECRET, BASE64, ANOTHER] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Debian has no package of the extension, so a row in the catalog stands for it.
const HTTP: &str = "
    INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES (99999, 'http', 10, 2200, false, '1.6');
    CREATE TYPE public.http_request AS (method text, uri text);
    CREATE FUNCTION public.http(request public.http_request) RETURNS text LANGUAGE sql AS 'SELECT NULL';
    CREATE FUNCTION public.http_set_curlopt(text, text) RETURNS text LANGUAGE sql AS 'SELECT NULL';
    ALTER EXTENSION http ADD FUNCTION public.http(public.http_request);
    ALTER EXTENSION http ADD FUNCTION public.http_set_curlopt(text, text);";

#[test]
fn http_functions_exposed() {
    Mistake {
        rule: "http_functions_exposed",
        near_miss: &format!(
            r#"{HTTP}
            REVOKE ALL ON FUNCTION public.http(public.http_request), public.http_set_curlopt(text, text) FROM PUBLIC;
            CREATE SCHEMA private;
            CREATE FUNCTION private.http_get(text) RETURNS text LANGUAGE sql AS 'SELECT NULL';
            ALTER EXTENSION http ADD FUNCTION private.http_get(text);
            CREATE FUNCTION public.http_get(text) RETURNS text LANGUAGE sql AS 'SELECT NULL';"#
        ),
        broken: &format!(
            r#"{HTTP}
            REVOKE ALL ON FUNCTION public.http(public.http_request) FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION public.http(public.http_request) TO authenticated;
            CREATE SCHEMA "web ""x""; DROP SCHEMA public";
            GRANT USAGE ON SCHEMA "web ""x""; DROP SCHEMA public" TO anon;
            CREATE DOMAIN "web ""x""; DROP SCHEMA public"."Ü, text" AS text;
            CREATE FUNCTION "web ""x""; DROP SCHEMA public"."get(""" ("Ü" "web ""x""; DROP SCHEMA public"."Ü, text") RETURNS text LANGUAGE sql AS 'SELECT NULL';
            ALTER EXTENSION http ADD FUNCTION "web ""x""; DROP SCHEMA public"."get(""" ("web ""x""; DROP SCHEMA public"."Ü, text");"#
        ),
        affected: &["extension http"],
    }
    .is_found_and_mended();
}

/// The test has its own cluster, because all databases share the settings of roles and of the
/// server.
#[test]
fn jwt_secret_in_settings() {
    const RULE: &str = "jwt_secret_in_settings";
    let escaped = SECRET.replace('\'', "''");
    let configuration =
        format!("app.encryption_key = '{escaped}'\npgrst.jwt_secret_is_base64 = 'true'");
    let cluster = Cluster::start_with(&configuration).unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute(
            r#"ALTER ROLE ALL SET "app.settings.jwt_exp" = '3600';
               ALTER ROLE ALL SET "app.settings.jwt_secret" = '';
               ALTER ROLE anon SET pgrst.jwt_secret = '{"kty": "RSA", "kid": "d", "n": "wz0k7Fgw", "e": "AQAB"}';
               SET app.settings.jwt_secret = 'this session''s own';"#,
        )
        .unwrap();
    // Without a stored secret, nobody can tell which key that is.
    assert_found(&findings(&mut superuser, RULE), &[]);

    superuser
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRET],
        )
        .unwrap();
    let name = database.name();
    for statement in [
        format!("ALTER DATABASE {name} SET \"app.settings.jwt_secret\" = 'stored nowhere else'"),
        "CREATE ROLE \"Rëader\"\"; DROP ROLE anon\"".to_owned(),
        format!(
            "ALTER ROLE \"Rëader\"\"; DROP ROLE anon\" IN DATABASE {name} SET app.key = '{{\"k\": \"{BASE64}\"}}'"
        ),
        format!("ALTER ROLE ALL SET app.signing = '{escaped}'"),
        format!("ALTER ROLE anon SET pgrst.jwt_secret = '{escaped}'"),
        "SET app.jwt_secret = ''".to_owned(),
        format!("ALTER SYSTEM SET app.jwt_secret = '{ANOTHER}'"),
    ] {
        superuser.batch_execute(&statement).unwrap();
    }
    let found = findings(&mut superuser, RULE);
    let expected = [
        "setting app.encryption_key in postgresql.conf",
        "setting app.jwt_secret in postgresql.auto.conf",
        "setting app.key of role \"Rëader\"\"; DROP ROLE anon\" in database db_0",
        "setting app.settings.jwt_secret of database db_0",
        "setting app.signing of all roles",
        "setting pgrst.jwt_secret of role anon",
    ];
    assert_found(&found, &expected);
    assert_silent(&found);
    for finding in found {
        if !finding.recommendation.starts_with("-- 1.") {
            superuser.batch_execute(&finding.recommendation).unwrap();
        }
    }
    let left = findings(&mut superuser, RULE);
    assert_found(&left, &[expected[0], expected[5]]);
    for finding in left {
        assert!(
            finding
                .recommendation
                .lines()
                .all(|line| line.starts_with("-- "))
        );
    }
    // The steps lead to another secret, and to PostgREST's secret in another place.
    superuser
        .batch_execute(&format!(
            "SELECT insforge_integrations.set_jwt_secret('{ANOTHER}', '0'); ALTER ROLE anon RESET pgrst.jwt_secret"
        ))
        .unwrap();
    assert_found(&findings(&mut superuser, RULE), &[]);
}

/// A part of it, and the whole in rows of a table.
const NOT_THE_SECRET: &str = r#"
    SELECT insforge_integrations.set_jwt_secret($SECRET);
    CREATE FUNCTION public.part() RETURNS text LANGUAGE sql AS 'SELECT ''r3''''Vt6Yw9Bn2Mx5Kc7Ld4Pf1Hs0JgA+e''';
    CREATE TABLE public.rows AS SELECT $SECRET AS secret;
    COMMENT ON TABLE public.rows IS 'q8Zr3';"#;

#[test]
fn jwt_secret_in_code() {
    let (mut superuser, found) = Mistake {
        rule: "jwt_secret_in_code",
        near_miss: &sql(NOT_THE_SECRET),
        broken: &sql(r#"
            SELECT insforge_integrations.set_jwt_secret($SECRET);
            CREATE SCHEMA "S; x";
            CREATE TABLE "S; x"."T""
1" (id int DEFAULT length($SECRET), body text CONSTRAINT "C""" CHECK (body <> $SECRET));
            CREATE FUNCTION public.sign(claims jsonb) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RETURN md5($SECRET); END $f$;
            CREATE FUNCTION public.standard() RETURNS text RETURN md5($SECRET);
            CREATE FUNCTION public.by_default(secret text DEFAULT $SECRET) RETURNS text LANGUAGE sql AS 'SELECT secret';
            CREATE FUNCTION public.configured() RETURNS text LANGUAGE sql SET app.secret = $SECRET AS 'SELECT 1';
            CREATE FUNCTION public.encoded() RETURNS bytea LANGUAGE sql AS $f$ SELECT decode('$BASE64=', 'base64') $f$;
            CREATE FUNCTION public.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE VIEW "S; x".v AS SELECT $SECRET::bytea AS secret;
            CREATE POLICY "P; --" ON "S; x"."T""
1" USING (body = $SECRET);
            CREATE TRIGGER arguments BEFORE INSERT ON "S; x"."T""
1" FOR EACH ROW EXECUTE FUNCTION public.fires('x', $SECRET);
            CREATE TRIGGER condition BEFORE INSERT ON "S; x"."T""
1" FOR EACH ROW WHEN (NEW.body = $SECRET) EXECUTE FUNCTION public.fires();
            CREATE RULE r AS ON DELETE TO "S; x"."T""
1" DO ALSO SELECT $SECRET;
            CREATE INDEX i ON "S; x"."T""
1" (id) WHERE body = $SECRET;
            CREATE DOMAIN public.d AS text DEFAULT $SECRET;"#),
        affected: &[
            "function public.by_default(pg_catalog.text)",
            "function public.configured()",
            "function public.encoded()",
            "function public.sign(pg_catalog.jsonb)",
            "function public.standard()",
            r#"index "S; x".i"#,
            "policy \"P; --\" on \"S; x\".\"T\"\"\n1\"",
            "rule r on \"S; x\".\"T\"\"\n1\"",
            "table column \"S; x\".\"T\"\"\n1\".id",
            "table constraint \"C\"\"\" on \"S; x\".\"T\"\"\n1\"",
            "trigger arguments on \"S; x\".\"T\"\"\n1\"",
            "trigger condition on \"S; x\".\"T\"\"\n1\"",
            "type public.d",
            r#"view "S; x".v"#,
        ],
    }
    .is_found_with_steps();
    assert_silent(&found);
    superuser
        .batch_execute(&sql(
            "SELECT insforge_integrations.set_jwt_secret('$ANOTHER')",
        ))
        .unwrap();
    let previous = findings(&mut superuser, "jwt_secret_in_code");
    assert_eq!(
        previous.len(),
        found.len(),
        "tokens of the old one are accepted still"
    );
    superuser
        .batch_execute("UPDATE insforge_integrations.jwt_secrets SET valid_until = now() WHERE valid_until > now()")
        .unwrap();
    assert_found(&findings(&mut superuser, "jwt_secret_in_code"), &[]);
}

#[test]
fn jwt_secret_in_comments() {
    Mistake {
        rule: "jwt_secret_in_code",
        near_miss: &sql(NOT_THE_SECRET),
        broken: &sql(r#"
            SELECT insforge_integrations.set_jwt_secret($SECRET);
            CREATE SCHEMA "S; x""";
            COMMENT ON SCHEMA "S; x""" IS $SECRET;
            CREATE TABLE "S; x"""."T on" ("c.""1" int CONSTRAINT "C on" CHECK (true));
            COMMENT ON TABLE "S; x"""."T on" IS 'signed with $BASE64==';
            COMMENT ON COLUMN "S; x"""."T on"."c.""1" IS $SECRET;
            COMMENT ON CONSTRAINT "C on" ON "S; x"""."T on" IS $SECRET;
            CREATE POLICY "P" ON "S; x"""."T on";
            COMMENT ON POLICY "P" ON "S; x"""."T on" IS $SECRET;
            CREATE VIEW public.v AS SELECT 1 AS "One";
            COMMENT ON VIEW public.v IS $SECRET;
            COMMENT ON COLUMN public.v."One" IS $SECRET;
            CREATE MATERIALIZED VIEW public.m AS SELECT 1;
            COMMENT ON MATERIALIZED VIEW public.m IS $SECRET;
            CREATE FUNCTION public.f("a b" "S; x"""."T on") RETURNS int LANGUAGE sql AS 'SELECT 1';
            COMMENT ON FUNCTION public.f IS $SECRET;
            CREATE DOMAIN public."D on" AS text CONSTRAINT "K on" CHECK (VALUE <> '');
            COMMENT ON DOMAIN public."D on" IS $SECRET;
            COMMENT ON CONSTRAINT "K on" ON DOMAIN public."D on" IS $SECRET;
            CREATE FOREIGN DATA WRAPPER w;
            COMMENT ON FOREIGN DATA WRAPPER w IS $SECRET;"#),
        affected: &[
            r#"comment on domain constraint "K on" on public."D on""#,
            r#"comment on foreign-data wrapper w"#,
            r#"comment on function public.f("S; x"""."T on")"#,
            r#"comment on materialized view public.m"#,
            r#"comment on policy "P" on "S; x"""."T on""#,
            r#"comment on schema "S; x""""#,
            r#"comment on table "S; x"""."T on""#,
            r#"comment on table column "S; x"""."T on"."c.""1""#,
            r#"comment on table constraint "C on" on "S; x"""."T on""#,
            r#"comment on type public."D on""#,
            r#"comment on view column public.v."One""#,
            r#"comment on view public.v"#,
        ],
    }
    .is_found_and_mended();
}

#[test]
fn jwt_secret_weak() {
    const RULE: &str = "jwt_secret_weak";
    let (mut superuser, _) = Mistake {
        rule: RULE,
        near_miss: "SELECT insforge_integrations.set_jwt_secret('2f7c1e90b64d3a8857f0c2be91d6a43f')",
        // InsForge's .env.example.
        broken: "SELECT insforge_integrations.set_jwt_secret('your-secret-key-here-must-be-32-char-or-above')",
        affected: &["insforge_integrations.jwt_secrets"],
    }
    .is_found_with_steps();
    let mut found = |secret: &str| {
        superuser
            .execute(
                "SELECT insforge_integrations.set_jwt_secret($1)",
                &[&secret],
            )
            .unwrap();
        findings(&mut superuser, RULE)
    };
    for weak in [
        "dev-secret-please-change-in-production", // InsForge's compose file
        "your-super-secret-jwt-token-with-at-least-32-characters-long", // Supabase's .env.example
        "the JWT_SECRET of InsForge, 32 bytes or more", // our docs
        "MyInsForgeProjectJwtSecretKey2025!!",
        "correct horse battery staple secret",
        "SuperSecretPassword1234567890123456",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "01001101011100110100110101110011",
        "k3J9x!k3J9x!k3J9x!k3J9x!k3J9x!k3J9x!",
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "zyxwvutsrqponmlkjihgfedcba9876543210",
    ] {
        assert_eq!(found(weak).len(), 1, "{weak}");
    }
    for strong in [
        "Vj3mQ0c9w2l8rXq1TnB7uE5kYpZ4sHd6aGfLoPiKxyU=",
        "48213907561928374650918273645091",
        "0b8f6c1e-5d1b-4f0a-9c57-3f6f2b1d7e90",
        "prod_jwt_secret_9f86d081884c7d659a2feaa0c55ad015",
        "kurbis-lampe-tigris-wolken-sattel-brezel",
    ] {
        assert_found(&found(strong), &[]);
    }
}

/// Texts that share more and more with the secret. With such texts its characters could once be
/// guessed one by one. A test in src/secret_search.rs checks that the search does the same work for
/// all of them. This test checks that nothing is found until a text has the whole secret.
#[test]
fn planted_texts_tell_nothing_of_the_secret() {
    const RULE: &str = "jwt_secret_in_code";
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    let mut administrator = database.connect_as("project_admin").unwrap();
    superuser
        .batch_execute("GRANT USAGE, CREATE ON SCHEMA public TO project_admin")
        .unwrap();
    administrator
        .batch_execute("CREATE FUNCTION public.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        .unwrap();
    for secret in [SECRET, ANOTHER] {
        superuser
            .execute(
                "SELECT insforge_integrations.set_jwt_secret($1, '0')",
                &[&secret],
            )
            .unwrap();
        for planted in [SECRET, BASE64, ANOTHER] {
            for shared in [1, planted.len() / 2, planted.len() - 1] {
                let (head, tail) = planted.split_at(shared);
                let text = [head, "~", tail, "~", &tail.repeat(9)].concat();
                administrator
                    .batch_execute(&format!(
                        "COMMENT ON FUNCTION public.planted() IS $planted${text}$planted$"
                    ))
                    .unwrap();
                assert_found(&findings(&mut administrator, RULE), &[]);
            }
            administrator
                .batch_execute(&format!(
                    "COMMENT ON FUNCTION public.planted() IS $planted$~{planted}~$planted$"
                ))
                .unwrap();
            let is_it = (planted == ANOTHER) == (secret == ANOTHER);
            let expected: &[&str] = if is_it {
                &["comment on function public.planted()"]
            } else {
                &[]
            };
            assert_found(&findings(&mut administrator, RULE), expected);
        }
    }
}

/// No rule compares the secret itself with texts of other roles.
#[test]
fn secrets_are_compared_by_digest_alone() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    let queries = superuser
        .query(
            "SELECT name, query FROM insforge_integrations.advisor_facts
             UNION ALL SELECT rule_id, findings FROM insforge_integrations.advisor_rules
             UNION ALL SELECT p.proname::text, p.prosrc FROM pg_proc p WHERE p.pronamespace IN ('insforge_integrations'::regnamespace, 'insforge_integrations_internal'::regnamespace)",
            &[],
        )
        .unwrap();
    let mut seen = 0;
    for row in queries {
        let (name, query): (String, String) = (row.get(0), row.get(1));
        for (at, _) in query.match_indices("secret_spellings") {
            let before = &query[..at];
            assert!(
                before.ends_with("(SELECT w.texts FROM ") && before.contains("holds_secret(")
                    || before.ends_with("(SELECT w.texts IS NOT NULL FROM "),
                "{name}"
            );
            seen += 1;
        }
        // Named arguments and IS NULL are not comparisons.
        let query = ["secret =>", "secret <> ''", "secret = ''"]
            .iter()
            .fold(query, |query, allowed| query.replace(allowed, ""));
        for comparison in ["secret =", "secret <>", "= secret", "secret IN"] {
            assert!(!query.contains(comparison), "{name}: {comparison}");
        }
    }
    assert_eq!(seen, 3);
}
