//! The advisor finds nothing in applications without a mistake.

use insforge_integrations_tests::{Cluster, Fixture};

/// Checks that the advisor finds only the given rules in a database like InsForge's with these
/// statements.
fn has_findings(application: &str, expected: &[(&str, &str)]) {
    let cluster = Cluster::start_with("fsync = on").unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client.batch_execute(application).unwrap();
    let found = client
        .query(
            "SELECT rule_id, affected_object FROM insforge_integrations.advise()",
            &[],
        )
        .unwrap();
    let found: Vec<(&str, &str)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, expected);
}

/// InsForge's own users, whose ids are uuids: the extension is there for the payments.
#[test]
fn an_app_for_insforges_own_users() {
    has_findings(
        "CREATE TABLE auth.users (id uuid PRIMARY KEY);
         CREATE TABLE public.posts (
           id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text,
           user_id uuid DEFAULT auth.uid() REFERENCES auth.users ON DELETE CASCADE);
         CREATE INDEX ON public.posts (user_id);
         ALTER TABLE public.posts ENABLE ROW LEVEL SECURITY;
         CREATE POLICY read ON public.posts FOR SELECT TO anon, authenticated USING (true);
         CREATE POLICY add ON public.posts FOR INSERT TO authenticated WITH CHECK (user_id = (SELECT auth.uid()));
         CREATE POLICY change ON public.posts FOR UPDATE TO authenticated USING (user_id = (auth.jwt() ->> 'sub')::uuid) WITH CHECK (user_id = (SELECT auth.uid()));
         CREATE POLICY remove ON public.posts FOR DELETE TO authenticated USING (user_id = (SELECT auth.uid()));
         CREATE TABLE public.members (
           org uuid, user_id uuid REFERENCES auth.users, role text, PRIMARY KEY (user_id, org));
         ALTER TABLE public.members ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION public.is_member(of_org uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
           SET search_path = pg_catalog, public, pg_temp AS
           $$ SELECT EXISTS (SELECT FROM public.members m WHERE m.org = of_org AND m.user_id = auth.uid()) $$;
         CREATE POLICY members ON public.members TO authenticated USING (is_member(org)) WITH CHECK (is_member(org));
         CREATE VIEW public.titles AS SELECT id, title FROM public.posts;
         CREATE SCHEMA realtime;
         CREATE TABLE realtime.messages (sender_id uuid);",
        // For information.
        &[("policy_uses_auth_uid", "public.posts")],
    );
}

/// Users of a provider, in teams.
#[test]
fn an_app_for_a_providers_users() {
    has_findings(
        "CREATE TABLE public.teams (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), created_by text DEFAULT requesting_user_id());
         CREATE INDEX ON public.teams (created_by);
         CREATE TABLE public.team_members (team uuid REFERENCES public.teams, user_id text, PRIMARY KEY (user_id, team));
         ALTER TABLE public.teams ENABLE ROW LEVEL SECURITY;
         ALTER TABLE public.team_members ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION public.my_team() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
           $$ SELECT m.team FROM public.team_members m WHERE m.user_id = public.requesting_user_id() $$;
         CREATE POLICY own ON public.teams TO authenticated
           USING (created_by = (SELECT requesting_user_id())) WITH CHECK (created_by = (SELECT requesting_user_id()));
         CREATE POLICY team ON public.team_members TO authenticated USING (team = my_team()) WITH CHECK (team = my_team());
         CREATE TABLE public.tasks (team uuid, created_by text DEFAULT requesting_user_id(), title text, done_at timestamptz);
         CREATE INDEX ON public.tasks (team);
         ALTER TABLE public.tasks ENABLE ROW LEVEL SECURITY;
         REVOKE DELETE ON public.tasks FROM anon, authenticated;
         CREATE POLICY read ON public.tasks FOR SELECT TO authenticated USING (team = my_team() AND done_at IS NULL);
         CREATE POLICY add ON public.tasks FOR INSERT TO authenticated
           WITH CHECK (team = my_team() AND created_by = requesting_user_id());
         CREATE POLICY change ON public.tasks FOR UPDATE TO authenticated USING (team = my_team());
         CREATE TABLE public.invoices (org uuid, created_by text, amount numeric);
         ALTER TABLE public.invoices ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION public.my_org() RETURNS uuid LANGUAGE sql STABLE AS
           $$ SELECT nullif(auth.jwt() ->> 'org_id', '')::uuid $$;
         CREATE POLICY org ON public.invoices TO authenticated USING (org = my_org());
         CREATE TABLE public.webhooks (user_id text, payload jsonb);
         ALTER TABLE public.webhooks ENABLE ROW LEVEL SECURITY;
         REVOKE ALL ON public.webhooks FROM anon, authenticated;
         CREATE TABLE public.countries (code text PRIMARY KEY);",
        &[],
    );
}
