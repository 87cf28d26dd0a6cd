//! Policies: who they take the user for, and what they let through.

use super::Mistake;

/// Tables as InsForge's guides have them, with text ids and the extension's function.
const GUIDES: &str = "
    CREATE TABLE public.good (user_id text NOT NULL DEFAULT requesting_user_id(), body text);
    CREATE INDEX ON public.good (user_id);
    ALTER TABLE public.good ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON public.good TO authenticated
      USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));";

#[test]
fn policy_casts_user_id_to_uuid() {
    Mistake {
        rule: "policy_casts_user_id_to_uuid",
        near_miss: &format!(
            "{GUIDES}
            -- A uuid that is no user's id.
            CREATE TABLE public.orders (id uuid, user_id text);
            ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.orders TO authenticated
              USING (user_id = requesting_user_id() AND id <> '00000000-0000-0000-0000-000000000000'::uuid);
            -- InsForge's own policies are not the operator's.
            CREATE SCHEMA storage;
            CREATE TABLE storage.objects (owner uuid);
            ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON storage.objects USING (owner = auth.uid());"
        ),
        broken: r#"
            CREATE TABLE auth.users (id uuid PRIMARY KEY);
            CREATE TABLE public.by_uid (
              id int, user_id uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users, "to" text);
            ALTER TABLE public.by_uid ENABLE ROW LEVEL SECURITY;
            CREATE POLICY select_own ON public.by_uid FOR SELECT TO authenticated USING (user_id = auth.uid());
            CREATE POLICY insert_own ON public.by_uid FOR INSERT TO authenticated
              WITH CHECK ((SELECT auth.uid()) = user_id AND auth.uid() IS NOT NULL);
            CREATE POLICY nothing_of_it ON public.by_uid AS RESTRICTIVE FOR DELETE TO PUBLIC USING (id > 0);
            -- By a cast, of the function and of the claim.
            CREATE TABLE public.by_cast (user_id uuid);
            ALTER TABLE public.by_cast ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.by_cast TO authenticated
              USING (user_id = (SELECT requesting_user_id())::uuid OR user_id = (SELECT requesting_user_id()::uuid));
            CREATE TABLE public.by_claim (user_id uuid);
            ALTER TABLE public.by_claim ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.by_claim TO authenticated USING ((auth.jwt() ->> 'sub')::uuid = user_id)
              WITH CHECK (user_id = (SELECT nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::uuid));
            -- Through functions, in a table with a name that wants quoting.
            CREATE SCHEMA "my ""app";
            CREATE FUNCTION "my ""app"."who; am I"() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT auth.uid()';
            CREATE FUNCTION public.me() RETURNS uuid LANGUAGE plpgsql STABLE AS
              $$ BEGIN RETURN "my ""app"."who; am I"(); END $$;
            CREATE TABLE "my ""app"."no;tes" ("owner of it" uuid);
            ALTER TABLE "my ""app"."no;tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY "o""wn; 1" ON "my ""app"."no;tes" TO authenticated, project_admin
              USING ("owner of it" = "my ""app"."who; am I"()) WITH CHECK (public.me() = "owner of it");"#,
        affected: &[
            r#""my ""app"."no;tes""#,
            "public.by_cast",
            "public.by_claim",
            "public.by_uid",
        ],
    }
    .is_found_and_mended();
}

/// What the recommendation makes of a table works for a provider's user, and for no other.
#[test]
fn policies_that_were_mended_let_a_providers_user_in() {
    let mistake = Mistake {
        rule: "policy_casts_user_id_to_uuid",
        near_miss: "",
        broken: "
            CREATE TABLE public.notes (user_id uuid NOT NULL DEFAULT auth.uid(), body text);
            INSERT INTO public.notes VALUES ('6a3f0d1e-0000-4000-8000-000000000001', 'a native user''s');
            ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.notes TO authenticated
              USING (user_id = (SELECT auth.uid())) WITH CHECK (user_id = (SELECT auth.uid()))",
        affected: &["public.notes"],
    };
    let mut client = mistake.is_found_and_mended();
    let mut sees = |user: &str, statement: &str| -> Vec<String> {
        let claims = serde_json::json!({ "sub": user }).to_string();
        insforge_integrations_tests::request(&mut client, "authenticated", &claims, |tx| {
            tx.query(statement, &[])
        })
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
    };
    let all = "SELECT body FROM notes";
    let write = "INSERT INTO notes (body) VALUES ('mine') RETURNING body";
    assert_eq!(sees("user_2alice", write), ["mine"]);
    assert_eq!(sees("user_2alice", all), ["mine"]);
    assert_eq!(
        sees("6a3f0d1e-0000-4000-8000-000000000001", all),
        ["a native user's"]
    );
    assert!(sees("user_2bob", all).is_empty());
}

/// A statement that would change more than it can know of is not recommended.
#[test]
fn what_stands_in_the_way_of_a_conversion_is_named() {
    let (_, found) = Mistake {
        rule: "policy_casts_user_id_to_uuid",
        near_miss: GUIDES,
        broken: "
            CREATE TABLE public.members (team int, user_id uuid);
            CREATE TABLE public.teams (id int);
            ALTER TABLE public.teams ENABLE ROW LEVEL SECURITY;
            CREATE POLICY members ON public.teams TO authenticated
              USING (id IN (SELECT team FROM public.members m WHERE m.user_id = auth.uid()));
            CREATE TABLE public.profiles (user_id uuid PRIMARY KEY);
            CREATE TABLE public.posts (author uuid REFERENCES public.profiles);
            ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.profiles TO authenticated USING (user_id = auth.uid());
            CREATE TABLE public.viewed (user_id uuid);
            CREATE VIEW public.view WITH (security_invoker) AS SELECT user_id FROM public.viewed;
            ALTER TABLE public.viewed ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.viewed TO authenticated USING (user_id = auth.uid());",
        affected: &["public.profiles", "public.teams", "public.viewed"],
    }
    .is_found_with_steps();
    for (finding, obstacle) in found.iter().zip([
        "Foreign keys of other tables",
        "a query on other tables",
        "Views, or policies",
    ]) {
        assert!(finding.recommendation.contains(obstacle), "{finding:?}");
    }
}

#[test]
fn user_column_is_uuid() {
    Mistake {
        rule: "user_column_is_uuid",
        near_miss: &format!(
            "{GUIDES}
            -- Another column of the table is compared.
            CREATE TABLE public.transfers (user_id text, owner_id uuid);
            ALTER TABLE public.transfers ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.transfers TO authenticated USING (user_id = requesting_user_id());
            -- Nobody asks for the user.
            CREATE TABLE public.imported (user_id uuid);
            ALTER TABLE public.imported ENABLE ROW LEVEL SECURITY;
            CREATE POLICY everybody ON public.imported FOR SELECT USING (user_id IS NOT NULL);"
        ),
        broken: r#"
            CREATE TABLE auth.users (id uuid PRIMARY KEY);
            CREATE TABLE public."no""tes" ("user id" uuid REFERENCES auth.users);
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public."no""tes" TO authenticated USING ("user id"::text = requesting_user_id());
            -- No comparison that can be read, and a column that can only be the user's.
            CREATE TABLE public.likes (user_id uuid);
            ALTER TABLE public.likes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.likes TO authenticated USING (requesting_user_id() IN (user_id::text));"#,
        affected: &[r#"public."no""tes""#, "public.likes"],
    }
    .is_found_and_mended();
}

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
            CREATE POLICY everybody ON public.unreachable USING (true);"
        ),
        broken: r#"
            CREATE TABLE public."no""tes" ("user""Id" text DEFAULT requesting_user_id());
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY "al;l" ON public."no""tes" TO authenticated USING (true);
            CREATE TABLE public.posts (user_id uuid);
            ALTER TABLE public.posts ENABLE ROW LEVEL SECURITY;
            CREATE POLICY writes ON public.posts FOR INSERT WITH CHECK (true);
            CREATE POLICY reads ON public.posts FOR SELECT TO anon USING (true);"#,
        affected: &[
            r#""al;l" on public."no""tes""#,
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
            CREATE POLICY own ON public.likes TO authenticated USING (user_id = requesting_user_id());"
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
