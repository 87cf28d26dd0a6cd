-- Facts that the advisor's rules read. advise() puts these queries before the rules' queries; each can use the facts before it.
CREATE TABLE insforge_integrations.advisor_facts (
  position integer PRIMARY KEY,
  name     text NOT NULL UNIQUE,
  meaning  text NOT NULL,
  query    text NOT NULL
);
COMMENT ON TABLE insforge_integrations.advisor_facts IS
'Facts that the advisor''s rules read.

Each query can use the facts before it.';
COMMENT ON COLUMN insforge_integrations.advisor_facts.position IS 'Place in the statement.';
COMMENT ON COLUMN insforge_integrations.advisor_facts.name IS 'Name for later facts and for the rules.';
COMMENT ON COLUMN insforge_integrations.advisor_facts.meaning IS 'Meaning of the rows.';
COMMENT ON COLUMN insforge_integrations.advisor_facts.query IS 'The query.';

CREATE FUNCTION insforge_integrations_internal.flat_expression(expression text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
  -- The parentheses of calls stay.
  replace(replace(replace(replace(
    regexp_replace(regexp_replace(expression, '\( SELECT (.*?) AS (?:\w+|"[^"]*")\)', '\1', 'g'),
      '::(text|uuid|character varying|varchar|integer|bigint|smallint)', '', 'g'), '()', '[]'), '(', ''), ')', ''), '[]', '()');
COMMENT ON FUNCTION insforge_integrations_internal.flat_expression(text) IS
  'Removes parentheses, casts and SELECT around a call from an expression that pg_get_expr() wrote. The advisor then looks for a comparison in it.';

CREATE FUNCTION insforge_integrations_internal.steps(VARIADIC lines text[]) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
  -- A name can contain a line break. The text after it would be SQL.
  (SELECT pg_catalog.string_agg(pg_catalog.format('-- %s. %s', l.number, pg_catalog.regexp_replace(l.line, '[\n\r]+', ' ', 'g')), E'\n' ORDER BY l.number)
   FROM pg_catalog.unnest(lines) WITH ORDINALITY AS l(line, number));
COMMENT ON FUNCTION insforge_integrations_internal.steps(text[]) IS
  'Steps for a person, as numbered SQL comments. Each step is one line, even if a name in it has line breaks.';

INSERT INTO insforge_integrations.advisor_facts (position, name, meaning, query) VALUES
(1, 'clients', 'The roles of requests, without the administrator''s.', $fact$
  SELECT oid, rolname AS name, rolname = coalesce((SELECT s.value FROM insforge_integrations.settings s WHERE s.name = 'anon_role'), 'anon') AS is_anonymous
  FROM pg_roles WHERE rolname = ANY (insforge_integrations_internal.client_roles())
$fact$),
(2, 'schemas', 'The operator''s schemas, without those of Postgres, InsForge and extensions. is_exposed: requests can reach granted objects in it.', $fact$
  SELECT n.oid, n.nspname AS name,
         EXISTS (SELECT FROM clients c WHERE has_schema_privilege(c.oid, n.oid, 'USAGE'))
           -- InsForge hides these schemas from the data API, too.
           AND n.nspname <> ALL (regexp_split_to_array(coalesce(current_setting('insforge.internal_schemas', true), ''), '\s*,\s*')) AS is_exposed
  FROM pg_namespace n
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND n.nspname <> ALL ('{ai,auth,compute,deployments,email,functions,memory,payments,realtime,schedules,storage,system}')
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
$fact$),
(3, 'relations', 'Tables and views in the operator''s schemas. granted: the commands that requests may send.', $fact$
  SELECT c.oid, format('%I.%I', s.name, c.relname) AS name, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relpersistence,
         CASE WHEN s.is_exposed THEN ARRAY(
           SELECT command FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) command
           WHERE EXISTS (SELECT FROM clients r
                         WHERE has_table_privilege(r.oid, c.oid, command)
                            OR (command <> 'DELETE' AND has_any_column_privilege(r.oid, c.oid, command))))
         ELSE '{}' END AS granted
  FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
$fact$),
(4, 'identity_functions', 'Functions that answer with the requesting user.', $fact$
  WITH RECURSIVE candidate AS (
    SELECT p.oid, p.proname, p.prorettype, format('%I.%I()', n.nspname, p.proname) AS call, b.body
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      CROSS JOIN LATERAL (SELECT regexp_replace(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
                                                '--[^\n]*|/\*([^*]|\*+[^*/])*\*+/|\mdistinct\s+from\M', '', 'gi')) b(body)
    WHERE p.pronargs = 0 AND p.prokind = 'f' AND NOT p.proretset
      AND p.prorettype IN ('text'::regtype, 'uuid'::regtype, 'varchar'::regtype)
      AND n.nspname <> 'pg_catalog'
      -- A function that reads a table answers with something else, such as the user's team.
      AND b.body !~* '\mfrom\s'
  ), ours AS (
    SELECT '@extschema@.requesting_user_id()'::regprocedure::oid AS oid
    UNION
    SELECT d.objid FROM pg_depend d
    WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass
      AND d.refobjid = '@extschema@.requesting_user_id()'::regprocedure
  ), asking AS (
    SELECT c.*, CASE WHEN c.oid IN (SELECT o.oid FROM ours o) THEN 'ours'
                     WHEN c.prorettype = 'uuid'::regtype OR c.body ~* 'auth\.uid\M|::\s*uuid\M|\mas\s+uuid\M' THEN 'uuid'
                     ELSE 'text' END AS kind
    FROM candidate c
    WHERE c.oid IN (SELECT o.oid FROM ours o) OR c.body ~* 'auth\.uid\M|\mrequesting_user_id\M'
       -- Another claim is not the user's id. It may be the organization's.
       OR (c.body ~* 'request\.jwt|auth\.jwt\M' AND c.body ~ '\msub\M')
    UNION
    -- A function that calls such a function is one, too.
    SELECT c.*, CASE WHEN c.prorettype = 'uuid'::regtype OR c.body ~* '::\s*uuid\M' THEN 'uuid' ELSE a.kind END
    FROM asking a JOIN candidate c ON c.oid <> a.oid AND strpos(c.body, quote_ident(a.proname) || '(') > 0
    WHERE c.oid NOT IN (SELECT o.oid FROM ours o)
  )
  SELECT oid, min(call) AS call, max(kind) AS kind FROM asking GROUP BY oid
$fact$),
(5, 'better_auth', 'Tables and views of Better Auth. Only its server may read them.', $fact$
  SELECT * FROM insforge_integrations.better_auth_relations
$fact$),
(6, 'better_auth_users', 'Tables of Better Auth''s users, with the type of their ids.', $fact$
  SELECT b.relation, a.attnum, a.atttypid AS type
  FROM better_auth b JOIN pg_attribute a ON a.attrelid = b.relation AND a.attname = 'id'
  WHERE b.is_table = 'user'
$fact$),
(7, 'better_auth_references', 'Columns that refer to the id of a user of Better Auth and have its type.', $fact$
  SELECT f.conrelid AS relation, f.conkey[1] AS attnum, u.type
  FROM pg_constraint f
    JOIN better_auth_users u ON u.relation = f.confrelid AND f.confkey = ARRAY[u.attnum]
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1] AND a.atttypid = u.type
  WHERE f.contype = 'f'
$fact$),
(8, 'policies', 'Row level security policies in the operator''s schemas, on tables that are not Better Auth''s. command: ALL, or one by name.', $fact$
  SELECT p.oid, p.polname AS name, p.polrelid AS relation, c.oid::regclass::text AS table_name,
         CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
         p.polpermissive AS is_permissive,
         p.polroles AS role_ids,
         (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ') FROM unnest(p.polroles) role) AS roles,
         EXISTS (SELECT FROM clients r, unnest(p.polroles) role
                 WHERE role = 0 OR pg_has_role(r.oid, role, 'USAGE')) AS is_for_clients,
         pg_get_expr(p.polqual, p.polrelid) AS using_expression, pg_get_expr(p.polwithcheck, p.polrelid) AS check_expression
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
       JOIN schemas s ON s.oid = c.relnamespace
  WHERE p.polrelid NOT IN (SELECT b.relation FROM better_auth b)
$fact$),
(9, 'compared_columns', 'Columns that a policy compares with the requesting user. is_read: in USING, for existing rows.', $fact$
  WITH expression AS MATERIALIZED (
    SELECT p.oid, p.relation, e.is_using, concat(' ', insforge_integrations_internal.flat_expression(e.expression), ' ') AS flat
    FROM policies p, LATERAL (VALUES (true, p.using_expression), (false, p.check_expression)) e(is_using, expression)
    WHERE e.expression IS NOT NULL
  ), asking AS MATERIALIZED (
    SELECT insforge_integrations_internal.flat_expression(i.call) AS call, i.kind FROM identity_functions i
    UNION ALL
    SELECT 'auth.jwt() ->> ''sub''', 'text'
  ), used AS MATERIALIZED (
    SELECT DISTINCT p.oid, a.attnum, a.attname, a.atttypid, insforge_integrations_internal.flat_expression(quote_ident(a.attname)) AS flat
    FROM policies p
      JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.relation AND d.refobjsubid > 0
      JOIN pg_attribute a ON a.attrelid = p.relation AND a.attnum = d.refobjsubid
  )
  SELECT e.oid AS policy, e.relation, u.attnum, u.attname AS name, u.atttypid AS type, f.kind, bool_or(e.is_using) AS is_read
  FROM expression e JOIN used u ON u.oid = e.oid CROSS JOIN asking f
  WHERE strpos(e.flat, format(' %s = %s ', u.flat, f.call)) > 0 OR strpos(e.flat, format(' %s = %s ', f.call, u.flat)) > 0
  GROUP BY e.oid, e.relation, u.attnum, u.attname, u.atttypid, f.kind
$fact$),
(10, 'user_columns', 'Columns that hold a user''s id: by their name, because a policy compares them, or because their default is the requesting user.', $fact$
  SELECT relation, attnum, name, type FROM compared_columns
  UNION
  SELECT a.attrelid, a.attnum, a.attname, a.atttypid
  FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
    JOIN schemas s ON s.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid NOT IN (SELECT b.relation FROM better_auth b)
    AND (a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype)
         -- A number is a user's id if Better Auth numbers its users.
         OR (a.attrelid, a.attnum) IN (SELECT r.relation, r.attnum FROM better_auth_references r))
    AND (a.attname IN ('user_id', 'userId', 'owner_id', 'ownerId', 'author_id', 'authorId', 'created_by', 'createdBy')
         OR EXISTS (SELECT FROM pg_attrdef v
                    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid AND d.refclassid = 'pg_proc'::regclass
                    JOIN identity_functions i ON i.oid = d.refobjid
                    WHERE v.adrelid = a.attrelid AND v.adnum = a.attnum))
$fact$),
(12, 'provider_users', 'Signs that this database has users of a provider whose ids are not uuids: a row for each sign.', $fact$
  SELECT p.name FROM insforge_integrations.auth_providers p
  -- register_better_auth() makes this of allow_uuid_subjects.
  WHERE p.enabled AND NOT (p.allow_uuid_subjects AND p.subject_pattern = '[0-9a-f-]{36}')
  UNION ALL
  SELECT b.name FROM better_auth b WHERE b.schema NOT IN (
    SELECT o.schema FROM better_auth o JOIN better_auth_users u ON u.relation = o.relation AND u.type = 'uuid'::regtype)
  UNION ALL
  -- A policy that calls requesting_user_id() expects them. InsForge's own ids are compared as uuids, and so are
  -- Better Auth's if it makes uuids.
  SELECT asked.name FROM (
    SELECT i.call AS name FROM identity_functions i
      JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = i.oid AND d.classid IN ('pg_policy'::regclass, 'pg_attrdef'::regclass)
    WHERE i.kind = 'ours'
    UNION ALL
    SELECT c.name FROM compared_columns c WHERE c.kind = 'text' AND c.type <> 'uuid'::regtype) asked
  WHERE NOT EXISTS (SELECT FROM better_auth_users u WHERE u.type = 'uuid'::regtype)
$fact$),
(13, 'credentials', 'Tables that hold credentials: the columns, and whether the table has the shape of one of Better Auth''s.', $fact$
  SELECT t.oid AS relation, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns,
         bool_or(k.relation IS NOT NULL) AS is_better_auths
  FROM relations t LEFT JOIN insforge_integrations.better_auth_tables k ON k.relation = t.oid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type y ON y.oid = a.atttypid AND y.typcategory NOT IN ('B', 'D', 'N', 'T')
  WHERE t.relkind IN ('r', 'p') AND t.oid NOT IN (SELECT b.relation FROM better_auth b)
    AND ((k.is_table = 'verification' AND a.attname = 'value') OR (k.is_table = 'account' AND a.attname IN ('accountId', 'account_id'))
         OR lower(replace(a.attname, '_', '')) IN (
      'token', 'accesstoken', 'refreshtoken', 'idtoken', 'sessiontoken', 'authtoken', 'bearertoken', 'resettoken', 'verificationtoken',
      'tokenhash', 'hashedtoken', 'password', 'passwordhash', 'hashedpassword', 'encryptedpassword', 'passwd', 'secret', 'clientsecret',
      'totpsecret', 'otpsecret', 'mfasecret', 'secretkey', 'privatekey', 'signingkey', 'encryptionkey', 'apikey', 'apikeyhash', 'keyhash',
      'hashedkey', 'otp', 'otpcode', 'otphash', 'onetimecode', 'codehash', 'backupcodes', 'recoverycodes', 'usercode', 'credentialid',
      'provideraccountid'))
  GROUP BY t.oid
$fact$);
