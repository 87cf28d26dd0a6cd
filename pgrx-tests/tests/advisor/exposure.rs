//! Tables, views and functions that requests can reach.

use super::Mistake;

#[test]
fn rls_disabled() {
    Mistake {
        rule: "rls_disabled",
        near_miss: r#"
            CREATE TABLE public.no_user (id int, body text);
            CREATE TABLE public.hidden (user_id text);
            REVOKE ALL ON public.hidden FROM anon, authenticated;
            CREATE TABLE public.safe (user_id text);
            ALTER TABLE public.safe ENABLE ROW LEVEL SECURITY;
            CREATE SCHEMA private;
            CREATE TABLE private.notes (user_id text);
            GRANT ALL ON private.notes TO anon;
            -- Kept from the data API.
            CREATE SCHEMA inner_part;
            GRANT USAGE ON SCHEMA inner_part TO anon;
            CREATE TABLE inner_part.notes (user_id text);
            GRANT ALL ON inner_part.notes TO anon;
            SET LOCAL insforge.internal_schemas = 'auth, inner_part';
            -- Published, with its author.
            CREATE TABLE public.plans (price numeric, created_by text);
            REVOKE INSERT, UPDATE, DELETE ON public.plans FROM anon, authenticated;
            -- Partitions that nobody can name.
            CREATE TABLE public.days (user_id text, day int) PARTITION BY LIST (day);
            CREATE TABLE public.day_1 PARTITION OF public.days FOR VALUES IN (1);
            CREATE TABLE public.day_2 PARTITION OF public.days FOR VALUES IN (2);
            REVOKE ALL ON public.day_1 FROM anon, authenticated;
            ALTER TABLE public.day_2 ENABLE ROW LEVEL SECURITY;
            ALTER TABLE public.days ENABLE ROW LEVEL SECURITY;"#,
        broken: r#"
            CREATE TABLE public.days (user_id text, day int) PARTITION BY LIST (day);
            CREATE TABLE public."day 1" PARTITION OF public.days FOR VALUES IN (1);
            CREATE TABLE public.day_2 PARTITION OF public.days FOR VALUES IN (2);
            ALTER TABLE public.days ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.days TO authenticated USING (user_id = requesting_user_id());
            CREATE TABLE public.notes (user_id text);
            CREATE TABLE public."no""tes; DROP TABLE notes" ("userId" varchar, other text DEFAULT requesting_user_id());
            CREATE TABLE public.by_column (user_id uuid);
            REVOKE ALL ON public.by_column FROM anon, authenticated;
            GRANT SELECT (user_id) ON public.by_column TO anon;"#,
        affected: &[
            r#"public."no""tes; DROP TABLE notes""#,
            "public.by_column",
            "public.days",
            "public.notes",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn credentials_exposed() {
    Mistake {
        rule: "credentials_exposed",
        near_miss: r#"
            CREATE TABLE public.hidden (user_id text, password text);
            REVOKE ALL ON public.hidden FROM anon, authenticated;
            CREATE SCHEMA private;
            CREATE TABLE private.accounts (user_id text, access_token text);
            GRANT ALL ON private.accounts TO anon;
            -- Each user's own, which somebody has thought of.
            CREATE TABLE public.api_keys (user_id text, key_hash bytea);
            ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.api_keys FOR SELECT TO authenticated USING (user_id = requesting_user_id());
            CREATE TABLE public.closed (user_id text, secret text);
            ALTER TABLE public.closed ENABLE ROW LEVEL SECURITY;
            -- Numbers and flags are none.
            CREATE TABLE public.usage (token integer, secret boolean, otp timestamptz);
            -- Better Auth's home has a finding of its own.
            CREATE TABLE public.users (id text, email text, email_verified boolean);
            CREATE TABLE public.accounts (id text, user_id text, account_id text, provider_id text, password text);"#,
        broken: r#"
            CREATE TABLE public."pass""word; resets" (user_id text, token_hash text);
            CREATE TABLE public.settings (id int, "apiKey" text);
            -- Better Auth's, one by one, with the policies that a table of users' rows would have.
            CREATE TABLE public.jwks (id text, public_key text, private_key text);
            CREATE TABLE public.sessions (id text, token text, user_id text, expires_at timestamp);
            ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.sessions TO authenticated USING (user_id = requesting_user_id());
            -- A policy that lets everybody through.
            CREATE TABLE public.links (user_id text, refresh_token varchar(99));
            ALTER TABLE public.links ENABLE ROW LEVEL SECURITY;
            CREATE POLICY everybody ON public.links FOR SELECT TO authenticated USING (true);"#,
        affected: &[
            r#"public."pass""word; resets""#,
            "public.jwks",
            "public.links",
            "public.sessions",
            "public.settings",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn command_without_policy() {
    Mistake {
        rule: "command_without_policy",
        near_miss: r#"
            CREATE TABLE public.whole (user_id text);
            ALTER TABLE public.whole ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.whole TO authenticated USING (user_id = requesting_user_id());
            -- What has no policy is not granted.
            CREATE TABLE public.read_only (user_id text);
            REVOKE INSERT, UPDATE, DELETE ON public.read_only FROM anon, authenticated;
            ALTER TABLE public.read_only ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.read_only FOR SELECT USING (user_id = requesting_user_id());
            -- No user's rows.
            CREATE TABLE public.news (id int);
            ALTER TABLE public.news ENABLE ROW LEVEL SECURITY;"#,
        broken: r#"
            CREATE TABLE public."no""tes" (user_id text);
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public."no""tes" FOR SELECT TO authenticated USING (user_id = requesting_user_id());
            CREATE POLICY restricting ON public."no""tes" AS RESTRICTIVE FOR UPDATE USING (true);
            CREATE POLICY admins ON public."no""tes" FOR DELETE TO project_admin USING (true);
            CREATE TABLE public.forgotten (user_id text);
            ALTER TABLE public.forgotten ENABLE ROW LEVEL SECURITY;"#,
        affected: &[r#"public."no""tes""#, "public.forgotten"],
    }
    .is_found_and_mended();
}

#[test]
fn view_bypasses_rls() {
    let mut client = Mistake {
        rule: "view_bypasses_rls",
        near_miss: r#"
            CREATE TABLE public.notes (user_id text, body text);
            ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
            CREATE VIEW public.invoker WITH (security_invoker = on) AS SELECT * FROM public.notes;
            CREATE VIEW public.own AS SELECT * FROM public.notes WHERE user_id = (SELECT requesting_user_id());
            CREATE VIEW public.hidden AS SELECT * FROM public.notes;
            REVOKE ALL ON public.hidden FROM anon, authenticated;
            CREATE VIEW public.meant WITH (security_invoker = off) AS SELECT body FROM public.notes;
            CREATE TABLE public.posts (user_id text, body text);
            ALTER TABLE public.posts ENABLE ROW LEVEL SECURITY;
            CREATE POLICY everybody ON public.posts FOR SELECT TO anon, authenticated USING (true);
            CREATE VIEW public.published AS SELECT * FROM public.posts;
            CREATE TABLE public.news (id int);
            CREATE VIEW public.of_news AS SELECT * FROM public.news;
            -- Of one whom the policies hold back.
            CREATE VIEW public.of_clients AS SELECT * FROM public.notes;
            ALTER VIEW public.of_clients OWNER TO authenticated;"#,
        broken: r#"
            CREATE TABLE public.notes (user_id text, body text);
            ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
            -- Everybody is not anon alone.
            CREATE POLICY readers ON public.notes FOR SELECT TO anon USING (true);
            CREATE VIEW public."all ""of; it" AS SELECT * FROM public.notes;
            CREATE VIEW public.of_the_view AS SELECT body, requesting_user_id() AS me FROM public."all ""of; it";
            CREATE MATERIALIZED VIEW public.kept AS SELECT count(*) FROM public.notes;"#,
        affected: &[
            r#"public."all ""of; it""#,
            "public.kept",
            "public.of_the_view",
        ],
    }
    .is_found_and_mended();
    client
        .batch_execute("INSERT INTO notes VALUES ('alice', 'a secret'); SET ROLE authenticated")
        .unwrap();
    assert!(
        client
            .query("SELECT FROM of_the_view", &[])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn foreign_key_to_auth_users() {
    Mistake {
        rule: "foreign_key_to_auth_users",
        near_miss: r#"
            CREATE TABLE auth.users (id text PRIMARY KEY);
            CREATE TABLE public."user" (id text PRIMARY KEY);
            CREATE TABLE public.to_another (user_id text DEFAULT requesting_user_id() REFERENCES public."user");
            -- Which user it is says nobody's token.
            CREATE TABLE public.staff (badge text REFERENCES auth.users, user_id text DEFAULT requesting_user_id());"#,
        broken: r#"
            CREATE TABLE auth.users (id text PRIMARY KEY);
            CREATE TABLE public."no""tes" (user_id text CONSTRAINT "to ""users; x" REFERENCES auth.users);
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public."no""tes" USING (user_id = requesting_user_id());
            CREATE TABLE public.by_default (owner text DEFAULT requesting_user_id() REFERENCES auth.users);"#,
        affected: &[
            r#""to ""users; x" on public."no""tes""#,
            "by_default_owner_fkey on public.by_default",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn realtime_sender_is_uuid() {
    Mistake {
        rule: "realtime_sender_is_uuid",
        near_miss: "
            CREATE SCHEMA realtime;
            CREATE TABLE realtime.messages (sender_id uuid);
            -- Nobody sends anything.
            CREATE TABLE realtime.channels (pattern text);
            SELECT insforge_integrations.register_clerk('clerk.example.com')",
        broken: "
            CREATE SCHEMA realtime;
            CREATE TABLE realtime.messages (sender_id uuid);
            CREATE TABLE realtime.channels AS SELECT 'room' AS pattern;
            SELECT insforge_integrations.register_clerk('clerk.example.com')",
        affected: &["realtime.messages(sender_id)"],
    }
    .is_found_and_mended();
}

#[test]
fn definer_without_search_path() {
    Mistake {
        rule: "definer_without_search_path",
        near_miss: r#"
            CREATE FUNCTION public.pinned() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';
            CREATE FUNCTION public.invoker() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION public.standard() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1;
            CREATE FUNCTION public.hidden() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
            REVOKE ALL ON FUNCTION public.hidden() FROM PUBLIC;
            CREATE SCHEMA private;
            CREATE FUNCTION private.unreachable() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"#,
        broken: r#"
            CREATE SCHEMA "my ""app; x"; GRANT USAGE ON SCHEMA "my ""app; x" TO anon;
            CREATE TYPE "my ""app; x"."t y" AS (a int);
            CREATE FUNCTION "my ""app; x"."do; it"("my ""app; x"."t y", text) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
            CREATE FUNCTION public.fill() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
              SET work_mem = '5MB' AS 'BEGIN RETURN NEW; END';"#,
        affected: &[
            r#""my ""app; x"."do; it"("my ""app; x"."t y",text)"#,
            "public.fill()",
        ],
    }
    .is_found_and_mended();
}
