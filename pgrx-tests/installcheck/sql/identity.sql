-- Who is asking: row level security tells two users apart by the claims of a request.
\set VERBOSITY sqlstate
CREATE EXTENSION insforge_integrations;
CREATE TABLE notes (user_id text NOT NULL DEFAULT requesting_user_id(), body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY notes_of_the_user ON notes USING (user_id = (SELECT requesting_user_id()));
-- Every server has the role pg_monitor, so that this makes none.
GRANT SELECT, INSERT ON notes TO pg_monitor;

BEGIN;
SET LOCAL ROLE pg_monitor;
SET LOCAL request.jwt.claims = '{"sub": "user_2alice"}';
INSERT INTO notes (body) VALUES ('milk');
SELECT user_id, body FROM notes;
SET LOCAL request.jwt.claims = '{"sub": "auth0|bob"}';
SELECT user_id, body FROM notes;
INSERT INTO notes VALUES ('user_2alice', 'forged');
ROLLBACK;
