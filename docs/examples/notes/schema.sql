-- The guide docs/better_auth.md explains each statement.
SELECT insforge_integrations.register_better_auth('http://localhost:3000', schema_name => 'better_auth');
SELECT insforge_integrations.seal_better_auth('better_auth');

CREATE TABLE public.notes (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL DEFAULT requesting_user_id() REFERENCES better_auth."user"(id) ON DELETE CASCADE,
  body    text NOT NULL
);
CREATE INDEX ON public.notes (user_id);
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON public.notes TO authenticated
  USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));
