//! Policies: the rows that they let through, and their speed.

use super::Mistake;

/// Tables as InsForge's guides have them, with text ids and the extension's function.
pub(super) const GUIDES: &str = "
    CREATE TABLE public.good (user_id text NOT NULL DEFAULT requesting_user_id(), body text);
    CREATE INDEX ON public.good (user_id);
    ALTER TABLE public.good ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON public.good TO authenticated
      USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));";

#[test]
fn policy_allows_everything() {
    Mistake {
        rule: "policy_allows_everything",
        near_miss: &format!(
            "{GUIDES}
            -- For an administrator; without users' rows; restrictive; not reached.
            CREATE POLICY admin ON public.good TO project_admin USING (true) WITH CHECK (true);
            CREATE POLICY every ON public.good AS RESTRICTIVE TO authenticated USING (true);
            CREATE TABLE public.news (id int);
            ALTER TABLE public.news ENABLE ROW LEVEL SECURITY;
            CREATE POLICY everybody ON public.news FOR SELECT USING (true);
            CREATE TABLE public.unreachable (user_id text);
            REVOKE ALL ON public.unreachable FROM anon, authenticated;
            ALTER TABLE public.unreachable ENABLE ROW LEVEL SECURITY;
            CREATE POLICY everybody ON public.unreachable USING (true);
            -- Published: everybody reads, each writes their own.
            CREATE TABLE public.published (user_id text);
            ALTER TABLE public.published ENABLE ROW LEVEL SECURITY;
            CREATE POLICY everybody ON public.published FOR SELECT USING (true);
            CREATE POLICY own ON public.published TO authenticated USING (user_id = requesting_user_id());"
        ),
        broken: r#"
            CREATE TABLE public."no""tes" ("user""Id" text DEFAULT requesting_user_id());
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY "al;l" ON public."no""tes" TO authenticated USING (true);
            CREATE TABLE public.posts (user_id uuid);
            ALTER TABLE public.posts ENABLE ROW LEVEL SECURITY;
            CREATE POLICY writes ON public.posts FOR INSERT WITH CHECK (true);
            -- Beside one that lets fewer be read.
            CREATE POLICY reads ON public.posts FOR SELECT TO anon USING (true);
            CREATE POLICY reads_own ON public.posts FOR SELECT TO authenticated USING (user_id::text = requesting_user_id());
            -- Not published, and everybody's who has signed up.
            CREATE TABLE public.letters (user_id text);
            ALTER TABLE public.letters ENABLE ROW LEVEL SECURITY;
            CREATE POLICY members ON public.letters FOR SELECT TO authenticated USING (true);"#,
        affected: &[
            r#""al;l" on public."no""tes""#,
            "members on public.letters",
            "reads on public.posts",
            "writes on public.posts",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn policy_without_check() {
    Mistake {
        rule: "policy_without_check",
        near_miss: &format!(
            "{GUIDES}
            -- USING alone, which then holds for what is written too.
            CREATE POLICY update_own ON public.good FOR UPDATE TO authenticated USING (requesting_user_id() = user_id);
            CREATE POLICY update_live ON public.good FOR UPDATE TO authenticated USING (user_id = requesting_user_id() AND body IS NOT NULL);
            -- Who wrote it is not the question.
            CREATE POLICY update_teams ON public.good FOR UPDATE TO authenticated USING (starts_with(body, 'team'));
            CREATE POLICY shared ON public.good FOR SELECT TO authenticated USING (body = 'shared' OR user_id = requesting_user_id());"
        ),
        broken: r#"
            CREATE TABLE public."no""tes" ("user_id" text, is_shared boolean);
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY "up;date" ON public."no""tes" FOR UPDATE TO authenticated
              USING (is_shared OR user_id = requesting_user_id());
            CREATE POLICY insert_none ON public."no""tes" FOR INSERT TO authenticated;"#,
        affected: &[
            r#""up;date" on public."no""tes""#,
            r#"insert_none on public."no""tes""#,
        ],
    }
    .is_found_and_mended();
}

#[test]
fn policy_column_without_index() {
    Mistake {
        rule: "policy_column_without_index",
        near_miss: &format!(
            "{GUIDES}
            -- The first column of a longer index, and of a key.
            CREATE TABLE public.likes (user_id text, post int, PRIMARY KEY (user_id, post));
            ALTER TABLE public.likes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.likes TO authenticated USING (user_id = requesting_user_id());
            -- No row is looked for by it.
            CREATE TABLE public.tasks (team int, created_by text);
            ALTER TABLE public.tasks ENABLE ROW LEVEL SECURITY;
            CREATE POLICY writes ON public.tasks FOR INSERT TO authenticated WITH CHECK (created_by = requesting_user_id());"
        ),
        broken: r#"
            CREATE TABLE public."no""tes" ("user;Id" varchar, at timestamptz);
            CREATE INDEX ON public."no""tes" (at, "user;Id");
            CREATE INDEX ON public."no""tes" ("user;Id") WHERE at IS NOT NULL;
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public."no""tes" TO authenticated USING ("user;Id" = (SELECT requesting_user_id()));
            CREATE POLICY more ON public."no""tes" TO authenticated USING (at > now() AND requesting_user_id() = "user;Id");"#,
        affected: &[r#"public."no""tes"("user;Id")"#],
    }
    .is_found_and_mended();
}

#[test]
fn slow_requesting_user_id() {
    Mistake {
        rule: "slow_requesting_user_id",
        near_miss: &format!(
            "{GUIDES}
            -- Over ours; of another claim; used by nobody.
            CREATE FUNCTION public.me() RETURNS text LANGUAGE sql STABLE RETURN requesting_user_id();
            CREATE FUNCTION public.my_email() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'email' $$;
            CREATE TABLE public.letters (email text DEFAULT my_email());
            CREATE FUNCTION public.debug_sub() RETURNS text LANGUAGE sql STABLE AS $$ SELECT auth.jwt() ->> 'sub' $$;"
        ),
        broken: r#"
            CREATE FUNCTION public.requesting_user_id_guide() RETURNS text LANGUAGE sql STABLE
              AS $$ SELECT nullif(auth.jwt() ->> 'sub', '')::text $$;
            CREATE SCHEMA "a""pp";
            CREATE FUNCTION "a""pp"."who;"() RETURNS text LANGUAGE plpgsql STABLE
              AS $$ BEGIN RETURN current_setting('request.jwt.claims', true)::json->>'sub'; END $$;
            CREATE TABLE public.notes (user_id text DEFAULT "a""pp"."who;"());"#,
        affected: &[
            r#""a""pp"."who;"()"#,
            "public.requesting_user_id_guide()",
        ],
    }
    .is_found_and_mended();
}

#[test]
fn requesting_user_id_not_found() {
    Mistake {
        rule: "requesting_user_id_not_found",
        near_miss: &format!(
            "{GUIDES}
            CREATE FUNCTION public.mine() RETURNS bigint LANGUAGE sql STABLE
              AS 'SELECT count(*) FROM public.good WHERE user_id = requesting_user_id() OR user_id = public.requesting_user_id()';
            CREATE SCHEMA app;
            CREATE FUNCTION app.requesting_user_id() RETURNS text LANGUAGE sql STABLE AS 'SELECT ''x''';
            CREATE FUNCTION app.mine() RETURNS text LANGUAGE sql STABLE AS 'SELECT app.requesting_user_id()';"
        ),
        broken: "
            CREATE SCHEMA app;
            CREATE FUNCTION public.mine() RETURNS text LANGUAGE plpgsql STABLE
              AS 'BEGIN RETURN app.requesting_user_id(); END'",
        affected: &["app.requesting_user_id()"],
    }
    .is_found_and_mended();
}

#[test]
fn policy_check_left_to_using() {
    Mistake {
        rule: "policy_check_left_to_using",
        near_miss: &format!(
            "{GUIDES}
            -- Nothing is written; more than the comparison has another finding.
            CREATE POLICY reads ON public.good FOR SELECT TO authenticated USING (user_id = requesting_user_id());
            CREATE POLICY removes ON public.good FOR DELETE TO authenticated USING (user_id = requesting_user_id());
            CREATE POLICY shared ON public.good FOR UPDATE TO authenticated
              USING (body = 'shared' OR user_id = requesting_user_id());"
        ),
        broken: r#"
            CREATE TABLE public."no""tes" (user_id text, body text);
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY "a;ll" ON public."no""tes" TO authenticated USING (user_id = (SELECT requesting_user_id()));
            CREATE POLICY change ON public."no""tes" FOR UPDATE TO authenticated
              USING (requesting_user_id() = user_id AND body IS NOT NULL);"#,
        affected: &[
            r#""a;ll" on public."no""tes""#,
            r#"change on public."no""tes""#,
        ],
    }
    .is_found_and_mended();
}
