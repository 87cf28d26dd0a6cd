//! Users' ids: providers' ids are text, and some code treats them as uuids.

use super::Mistake;
use super::policies::GUIDES;

/// Users of a provider, whose ids are text.
const PROVIDER: &str = "SELECT insforge_integrations.register_clerk('clerk.example.com');";

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
            CREATE POLICY own ON storage.objects USING (owner = auth.uid());
            -- Another claim; what a table says of the user.
            CREATE FUNCTION public.my_org() RETURNS uuid LANGUAGE sql STABLE AS
              $$ SELECT nullif(auth.jwt() ->> 'org_id', '')::uuid $$;
            CREATE FUNCTION public.my_team() RETURNS uuid LANGUAGE sql STABLE AS
              $$ SELECT o.id FROM public.orders o WHERE o.user_id = requesting_user_id() $$;
            CREATE FUNCTION public.my_other_team() RETURNS uuid LANGUAGE sql STABLE
              RETURN (SELECT o.id FROM public.orders o WHERE o.user_id = requesting_user_id());
            CREATE TABLE public.invoices (org_id uuid DEFAULT my_org(), team_id uuid, created_by text);
            ALTER TABLE public.invoices ENABLE ROW LEVEL SECURITY;
            CREATE POLICY org ON public.invoices TO authenticated USING (org_id = my_org());
            CREATE POLICY team ON public.invoices TO authenticated USING (team_id = my_team() OR team_id = my_other_team());"
        ),
        broken: &format!(r#"{PROVIDER}
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
              USING ("owner of it" = "my ""app"."who; am I"()) WITH CHECK (public.me() = "owner of it");"#),
        affected: &[
            r#""my ""app"."no;tes""#,
            "public.by_cast",
            "public.by_claim",
            "public.by_uid",
        ],
    }
    .is_found_and_mended();
}

/// After the recommendation, the table works for a provider's user, and shows nothing to others.
#[test]
fn policies_that_were_mended_let_a_providers_user_in() {
    let mistake = Mistake {
        rule: "policy_casts_user_id_to_uuid",
        near_miss: "SELECT",
        broken: &format!("{PROVIDER}
            CREATE TABLE public.notes (user_id uuid NOT NULL DEFAULT auth.uid(), body text);
            INSERT INTO public.notes VALUES ('6a3f0d1e-0000-4000-8000-000000000001', 'a native user''s');
            ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.notes TO authenticated
              USING (user_id = (SELECT auth.uid())) WITH CHECK (user_id = (SELECT auth.uid()))"),
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

/// No statement is recommended that would change objects which the advisor does not see.
#[test]
fn what_stands_in_the_way_of_a_conversion_is_named() {
    let (_, found) = Mistake {
        rule: "policy_casts_user_id_to_uuid",
        near_miss: GUIDES,
        broken: &format!(
            "{PROVIDER}
            CREATE TABLE public.days (user_id uuid, day int) PARTITION BY LIST (day);
            CREATE TABLE public.day_1 PARTITION OF public.days FOR VALUES IN (1);
            ALTER TABLE public.days ENABLE ROW LEVEL SECURITY;
            ALTER TABLE public.day_1 ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.days TO authenticated USING (user_id = auth.uid());
            CREATE POLICY own ON public.day_1 TO authenticated USING (user_id = auth.uid());
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
            CREATE POLICY own ON public.viewed TO authenticated USING (user_id = auth.uid());"
        ),
        affected: &[
            "public.day_1",
            "public.days",
            "public.profiles",
            "public.teams",
            "public.viewed",
        ],
    }
    .is_found_with_steps();
    for (finding, obstacle) in found.iter().zip([
        "Policies of partitions",
        "Policies of partitions",
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
        broken: &format!(r#"{PROVIDER}
            CREATE TABLE auth.users (id uuid PRIMARY KEY);
            CREATE TABLE public."no""tes" ("user id" uuid REFERENCES auth.users);
            ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public."no""tes" TO authenticated USING ("user id"::text = requesting_user_id());
            -- No comparison that can be read, and a column that can only be the user's.
            CREATE TABLE public.likes (user_id uuid);
            ALTER TABLE public.likes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.likes TO authenticated USING (requesting_user_id() IN (user_id::text));
            -- Text, whose default is a uuid.
            CREATE TABLE public.stamped (user_id text DEFAULT auth.uid());
            ALTER TABLE public.stamped ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.stamped TO authenticated USING (user_id = requesting_user_id());"#),
        affected: &[r#"public."no""tes""#, "public.likes", "public.stamped"],
    }
    .is_found_and_mended();
}

#[test]
fn function_calls_auth_uid() {
    Mistake {
        rule: "function_calls_auth_uid",
        near_miss: &format!(
            "{GUIDES}
            CREATE FUNCTION public.is_mine(id text) RETURNS boolean LANGUAGE sql STABLE AS
              $$ SELECT id = requesting_user_id() -- not auth.uid()
              $$;
            -- The policies that call it have a finding.
            CREATE FUNCTION public.me() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT auth.uid()';"
        ),
        broken: r#"
            CREATE TABLE public.teams (id int, user_id text);
            CREATE FUNCTION public."is; mine"(team int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
              SET search_path = pg_catalog, public, pg_temp AS
              $$ SELECT EXISTS (SELECT FROM public.teams t WHERE t.id = team AND t.user_id = auth.uid()::text) $$;
            CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN /* Who */ NEW.user_id := auth.uid (); /* asks */ RETURN NEW; END $$;
            ALTER TABLE public.teams ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.teams TO authenticated USING (user_id = requesting_user_id());
            CREATE POLICY members ON public.teams FOR SELECT TO authenticated USING ("is; mine"(id));"#,
        affected: &[r#"public."is; mine"(integer)"#, "public.stamp()"],
    }
    .is_found_with_steps();
}

/// While only InsForge's own users are possible, the finding is information.
#[test]
fn policy_uses_auth_uid() {
    let own = r#"
        CREATE TABLE public."no""tes" (user_id uuid DEFAULT auth.uid());
        ALTER TABLE public."no""tes" ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON public."no""tes" TO authenticated USING (user_id = (SELECT auth.uid()));"#;
    Mistake {
        rule: "policy_uses_auth_uid",
        near_miss: &format!("{PROVIDER} {own}"),
        broken: own,
        affected: &[r#"public."no""tes""#],
    }
    .is_found_and_mended();
}

/// A call of requesting_user_id() means that a provider's users are expected, even if no provider
/// is registered.
#[test]
fn a_call_of_requesting_user_id_says_that_ids_are_text() {
    Mistake {
        rule: "user_column_is_uuid",
        near_miss: "SELECT",
        broken: "
            CREATE TABLE public.notes (user_id uuid);
            ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON public.notes TO authenticated USING (user_id::text = requesting_user_id());",
        affected: &["public.notes"],
    }
    .is_found_and_mended();
}

/// Better Auth makes ids of three types, and a table that refers to its users is right in each of
/// them, as docs/better_auth.md writes it.
#[test]
fn better_auths_ids_are_what_its_table_says() {
    for (of_type, cast) in [("text", ""), ("uuid", "::uuid"), ("integer", "::integer")] {
        let database = insforge_integrations_tests::shared_cluster()
            .database(insforge_integrations_tests::Fixture::Extension)
            .unwrap();
        let mut client = database.connect().unwrap();
        client
            .batch_execute(&format!(
                "CREATE TABLE users (id {of_type} PRIMARY KEY, email text, email_verified boolean);
                 CREATE TABLE sessions (id {of_type}, token text, user_id {of_type} REFERENCES users (id), expires_at timestamp);
                 CREATE TABLE accounts (id {of_type}, user_id {of_type} REFERENCES users (id), account_id text, provider_id text);
                 SELECT insforge_integrations.seal_better_auth('public');
                 SELECT insforge_integrations.register_better_auth('https://app.example.com', 'public', 'a secret', allow_uuid_subjects => {});
                 CREATE TABLE notes (user_id {of_type} NOT NULL DEFAULT requesting_user_id(){cast} REFERENCES users (id), body text);
                 CREATE INDEX ON notes (user_id);
                 ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY own_rows ON notes TO authenticated
                   USING (user_id = (SELECT requesting_user_id()){cast}) WITH CHECK (user_id = (SELECT requesting_user_id()){cast});",
                cast == "::uuid"
            ))
            .unwrap();
        let found = |client: &mut postgres::Client| -> Vec<(String, String, String)> {
            client
                .query(
                    "SELECT rule_id, affected_object, recommendation FROM insforge_integrations.advise() WHERE affected_object LIKE '%notes%'",
                    &[],
                )
                .unwrap()
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2)))
                .collect()
        };
        assert_eq!(found(&mut client), [], "{of_type}");
        // A provider whose ids are text, too. Its users have no rows in this table.
        client
            .batch_execute("SELECT insforge_integrations.register_clerk('clerk.example.com')")
            .unwrap();
        assert_eq!(found(&mut client), [], "{of_type}");
        // Without policies it is found, whatever the type, and the recommendation works for it.
        client
            .batch_execute(
                "DROP POLICY own_rows ON notes; ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
            )
            .unwrap();
        let open = found(&mut client);
        assert_eq!(open.len(), 1, "{of_type}: {open:?}");
        assert_eq!(open[0].0, "rls_disabled");
        client.batch_execute(&open[0].2).unwrap();
        assert!(
            !found(&mut client)
                .iter()
                .any(|found| found.0 == "rls_disabled")
        );
    }
}
