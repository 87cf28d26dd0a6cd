-- Better Auth's tables: who can reach them, and who will be able to reach the next one.
INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('better_auth_exposed', 'critical', 'security', 'Requests reach Better Auth''s tables',
'Through PostgREST, anybody can read these tables: session tokens in clear text, email addresses, password hashes and second-factor secrets. If anybody can write them, anybody can create a session for any user.',
'Takes all privileges on these tables from PUBLIC, anon and authenticated. Better Auth''s server and this extension keep working.',
$rule$
  WITH grantee(name) AS (
    SELECT c.name::text FROM clients c UNION ALL SELECT 'public'
  ), reached AS (
    SELECT t.schema, t.schema_name, t.name, g.name AS grantee
    FROM better_auth t
      CROSS JOIN grantee g
    WHERE has_schema_privilege(g.name, t.schema, 'USAGE')
      AND (has_table_privilege(g.name, t.relation, 'TRUNCATE')
           OR ((has_table_privilege(g.name, t.relation, 'SELECT, INSERT, UPDATE, DELETE')
                OR has_any_column_privilege(g.name, t.relation, 'SELECT, INSERT, UPDATE'))
               -- With row level security and no policy for them, they see no row.
               AND (NOT t.row_security
                    OR EXISTS (SELECT FROM pg_policy p, unnest(p.polroles) role
                               WHERE p.polrelid = t.relation AND p.polpermissive
                                 AND (role = 0 OR EXISTS (SELECT FROM clients c WHERE pg_has_role(c.oid, role, 'USAGE')))))))
  )
  SELECT format('schema %I', r.schema_name) AS affected_object,
         format('Open to %s: %s.', string_agg(DISTINCT CASE r.grantee WHEN 'public' THEN 'PUBLIC' ELSE r.grantee END, ', '),
                string_agg(DISTINCT quote_ident(r.name), ', ')) AS detail,
         format('SELECT * FROM insforge_integrations.seal_better_auth(%L);', r.schema_name) AS recommendation
  FROM reached r
  GROUP BY r.schema, r.schema_name
$rule$),
('better_auth_default_privileges', 'warning', 'security', 'The next table of Better Auth will be open',
'Plugins of Better Auth add tables. Default privileges give each new table to requests at once.',
'Takes the schema from PUBLIC, anon and authenticated, and the default privileges in it.',
-- Only schemas that hold nothing but Better Auth's tables. In public, the data API needs InsForge's default
-- privileges, and better_auth_exposed finds a table once it exists.
$rule$
  SELECT format('schema %I', n.nspname) AS affected_object,
         format('New tables of %2$s are open to %1$s.', string_agg(DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, ', '),
                string_agg(DISTINCT quote_ident(pg_get_userbyid(d.defaclrole)), ', ')) AS detail,
         format('SELECT * FROM insforge_integrations.seal_better_auth(%L);', n.nspname) AS recommendation
  FROM (SELECT DISTINCT t.schema FROM better_auth t WHERE NOT t.is_shared) own
    JOIN pg_namespace n ON n.oid = own.schema
    JOIN pg_default_acl d ON d.defaclobjtype = 'r' AND (d.defaclnamespace = n.oid OR (d.defaclnamespace = 0 AND EXISTS (
      -- Default privileges of the roles that create tables there.
      SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relowner = d.defaclrole)))
    CROSS JOIN LATERAL aclexplode(d.defaclacl) x
    JOIN (SELECT 0::oid AS oid, 'public' AS name UNION ALL SELECT c.oid, c.name::text FROM clients c) g ON g.oid = x.grantee
  WHERE EXISTS (SELECT FROM (SELECT 'public' UNION ALL SELECT c.name::text FROM clients c) h(name)
                WHERE (x.grantee = 0 OR h.name = g.name) AND has_schema_privilege(h.name, n.oid, 'USAGE'))
    AND x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
  GROUP BY n.oid, n.nspname
$rule$);
