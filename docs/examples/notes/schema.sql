-- Better Auth's connections look into its own schema first.
SET LOCAL search_path = public;

-- The guide docs/better_auth.md explains these statements.
SELECT insforge_integrations.register_better_auth('http://localhost:3000', schema_name => 'better_auth');
SELECT insforge_integrations.seal_better_auth('better_auth');
-- Only a verified token says who is asking, and no setting of the session does.
SELECT insforge_integrations.configure('identity_source', 'verified');

CREATE TABLE notes (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL DEFAULT requesting_user_id() REFERENCES better_auth."user"(id) ON DELETE CASCADE,
  body    text NOT NULL
);
CREATE INDEX ON notes (user_id);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON notes TO authenticated
  USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));
