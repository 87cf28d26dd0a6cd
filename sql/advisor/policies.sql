-- Policies: how they identify the user, and which rows they let through.

-- Replaces calls and casts that answer a uuid by requesting_user_id(), in an expression that pg_get_expr() wrote.
CREATE FUNCTION insforge_integrations_internal.with_text_user_id(expression text, uuid_calls text[]) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    WITH calls AS (
      SELECT pg_catalog.string_agg(pg_catalog.regexp_replace(call, '([^\w\s])', '\\\1', 'g'), '|') AS pattern
      FROM pg_catalog.unnest(uuid_calls) call
    ), text_id AS (
      SELECT '(?:@extschema@\.requesting_user_id\(\)|\((?:auth\.jwt\(\)|\(current_setting\(''request\.jwt\.claims''::text, true\)\)::jsonb?) ->> ''sub''::text\))' AS pattern
    ), cast_id AS (
      -- The id itself, NULLIF of the id, and both inside a SELECT.
      SELECT pg_catalog.format('\((?:%1$s|NULLIF\(%1$s, ''''::text\)|\( SELECT (?:%1$s|NULLIF\(%1$s, ''''::text\)) AS [^)]*\))\)::uuid', t.pattern) AS pattern
      FROM text_id t
    )
    SELECT pg_catalog.regexp_replace(pg_catalog.regexp_replace(expression,
             coalesce(calls.pattern, '$^'), '@extschema@.requesting_user_id()', 'g'),
             cast_id.pattern, '@extschema@.requesting_user_id()', 'g')
    FROM calls, cast_id);
COMMENT ON FUNCTION insforge_integrations_internal.with_text_user_id(text, text[]) IS
  'Replaces calls and casts that answer a uuid by requesting_user_id(), in an expression of a policy.';

INSERT INTO insforge_integrations.advisor_facts (position, name, meaning, query) VALUES
(30, 'policies_on_uuid', 'Policies that fail for a provider''s id, because they call a function that answers a uuid or cast to uuid.', $fact$
  SELECT p.oid, p.relation, p.name
  FROM policies p
  -- Better Auth can be set to make uuids.
  WHERE p.relation NOT IN (SELECT r.relation FROM better_auth_references r WHERE r.type = 'uuid'::regtype)
    AND (EXISTS (SELECT FROM pg_depend d JOIN identity_functions i ON i.oid = d.refobjid AND i.kind = 'uuid'
                 WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass)
         OR (strpos(concat(p.using_expression, p.check_expression), '::uuid') > 0
             AND concat(p.using_expression, p.check_expression)
                 <> concat(insforge_integrations_internal.with_text_user_id(p.using_expression, NULL), insforge_integrations_internal.with_text_user_id(p.check_expression, NULL))))
$fact$),
(31, 'uuid_user_columns', 'Columns for users'' ids that are of type uuid, in tables whose policies ask for the user, or that have a uuid function as default.', $fact$
  SELECT u.relation, u.attnum, u.name
  FROM user_columns u JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.attnum
  -- The parent's column stands for those of partitions.
  WHERE a.attinhcount = 0
    AND (u.relation, u.attnum) NOT IN (SELECT r.relation, r.attnum FROM better_auth_references r)
    AND (EXISTS (SELECT FROM pg_attrdef v
                 JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid AND d.refclassid = 'pg_proc'::regclass
                 JOIN identity_functions i ON i.oid = d.refobjid AND i.kind = 'uuid'
                 WHERE v.adrelid = u.relation AND v.adnum = u.attnum)
         OR (u.type = 'uuid'::regtype
             AND (EXISTS (SELECT FROM compared_columns c WHERE c.relation = u.relation AND c.attnum = u.attnum)
                  -- Or in a way that is not understood. But a policy on another column says nothing about this one.
                  OR (NOT EXISTS (SELECT FROM compared_columns c WHERE c.relation = u.relation)
                      AND EXISTS (SELECT FROM policies p
                                  JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
                                  JOIN identity_functions i ON i.oid = d.refobjid
                                  WHERE p.relation = u.relation)))))
$fact$),
(32, 'conversions', 'How to give a table user ids of type text: SQL, or steps if there is an obstacle.', $fact$
  WITH uuid_calls AS (
    SELECT array_agg(i.call) AS calls FROM identity_functions i WHERE i.kind = 'uuid'
  ), affected AS (
    SELECT relation FROM policies_on_uuid UNION SELECT relation FROM uuid_user_columns
  ), converted AS (
    SELECT u.relation, array_agg(u.attnum) AS attnums, string_agg(quote_ident(u.name), ', ' ORDER BY u.attnum) AS columns,
           string_agg(format('ALTER TABLE %s%s ALTER COLUMN %I TYPE text%s;', u.relation::regclass,
                             CASE WHEN has_default.calls THEN format(' ALTER COLUMN %I DROP DEFAULT,', u.name) END, u.name,
                             CASE WHEN has_default.calls THEN format(', ALTER COLUMN %I SET DEFAULT @extschema@.requesting_user_id()', u.name) END),
                      E'\n' ORDER BY u.attnum) AS script
    FROM uuid_user_columns u, LATERAL (
      SELECT EXISTS (SELECT FROM pg_attrdef v
                     JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid AND d.refclassid = 'pg_proc'::regclass
                     JOIN identity_functions i ON i.oid = d.refobjid
                     WHERE v.adrelid = u.relation AND v.adnum = u.attnum) AS calls) has_default
    GROUP BY u.relation
  ), rewritten AS (
    SELECT p.relation, string_agg(DISTINCT quote_ident(o.name), ', ') AS policies,
           -- The advisor cannot tell how a query on another table compares the user.
           bool_or(o.oid IS NOT NULL AND concat(p.using_expression, p.check_expression) LIKE '%( SELECT % FROM %') AS asks_elsewhere,
           string_agg(format('DROP POLICY IF EXISTS %I ON %s;', p.name, p.relation::regclass), E'\n' ORDER BY p.name) AS drops,
           string_agg(format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', p.name, p.relation::regclass,
                             CASE WHEN p.is_permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                             p.command,
                             p.roles, ' USING (' || insforge_integrations_internal.with_text_user_id(p.using_expression, c.calls) || ')',
                             ' WITH CHECK (' || insforge_integrations_internal.with_text_user_id(p.check_expression, c.calls) || ')'), E'\n' ORDER BY p.name) AS creates
    FROM policies p JOIN affected a ON a.relation = p.relation CROSS JOIN uuid_calls c LEFT JOIN policies_on_uuid o ON o.oid = p.oid
    GROUP BY p.relation
  ), referenced AS (
    SELECT f.confrelid FROM pg_constraint f JOIN converted u ON u.relation = f.confrelid AND f.confkey && u.attnums WHERE f.contype = 'f'
  )
  SELECT c.relation, c.name, c.policies, c.columns,
         CASE WHEN c.obstacle IS NULL THEN c.script
              ELSE insforge_integrations_internal.steps(
                c.obstacle || ' Drop these objects, and keep their definitions.',
                'Make every column that holds a user''s id text: ALTER TABLE ... ALTER COLUMN ... TYPE text;',
                format('Create the dropped objects again, and the policies of %s. Write @extschema@.requesting_user_id() instead of auth.uid(), without casts to uuid.', c.name)) END AS recommendation
  FROM (
    SELECT a.relation, a.relation::regclass::text AS name, r.policies, u.columns,
           CASE
             WHEN EXISTS (SELECT FROM pg_inherits h JOIN pg_policy p ON p.polrelid = h.inhrelid
                          WHERE a.relation IN (h.inhrelid, h.inhparent)) THEN 'Policies of partitions or child tables use the column.'
             WHEN a.relation IN (SELECT f.confrelid FROM referenced f) THEN 'Foreign keys of other tables refer to the column.'
             WHEN EXISTS (SELECT FROM pg_depend d LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
                          WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.relation AND d.refobjsubid = ANY (u.attnums)
                            AND (d.classid = 'pg_rewrite'::regclass OR p.polrelid <> a.relation)) THEN 'Views, or policies of other tables, use the column.'
             WHEN r.asks_elsewhere THEN 'A policy compares the user in a query on other tables.'
           END AS obstacle,
           concat_ws(E'\n', r.drops,
             (SELECT string_agg(format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I;', a.relation::regclass, f.conname), E'\n' ORDER BY f.conname)
              FROM pg_constraint f WHERE f.conrelid = a.relation AND f.contype = 'f' AND f.conkey && u.attnums),
             u.script, r.creates) AS script
    FROM affected a LEFT JOIN rewritten r USING (relation) LEFT JOIN converted u USING (relation)
  ) c
$fact$);

INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('policy_casts_user_id_to_uuid', 'critical', 'security', 'A policy treats the user''s id as a uuid',
'Providers'' ids are text. auth.uid(), and every cast to uuid, raises 22P02 for every user of a provider, so all their requests fail.',
'Makes the policies compare requesting_user_id(), which also answers for InsForge''s own users, and makes the columns text.',
$rule$
  SELECT c.name AS affected_object, format('These policies do: %s.', c.policies) AS detail, c.recommendation
  FROM conversions c WHERE c.policies IS NOT NULL AND EXISTS (SELECT FROM provider_users)
$rule$),
('policy_uses_auth_uid', 'info', 'health', 'A policy works only for InsForge''s own users',
'auth.uid() and casts to uuid raise 22P02 for a provider''s ids, which are text. No provider is registered and nothing calls requesting_user_id(), so nobody is affected yet.',
'Makes the policies compare requesting_user_id(), which also answers for InsForge''s own users, and makes the columns text.',
$rule$
  SELECT c.name AS affected_object, format('These policies do: %s.', c.policies) AS detail, c.recommendation
  FROM conversions c WHERE c.policies IS NOT NULL AND NOT EXISTS (SELECT FROM provider_users) AND NOT EXISTS (SELECT FROM better_auth_users)
$rule$),
('user_column_is_uuid', 'critical', 'health', 'A column for users'' ids is a uuid',
'Providers'' ids are text. A row of their users cannot be written, and a comparison fails or finds nothing.',
'Makes the column and its default text, with the policies that use it. Drops a foreign key for which a provider''s users have no row.',
$rule$
  SELECT c.name AS affected_object, format('Columns: %s.', c.columns) AS detail, c.recommendation
  FROM conversions c WHERE c.columns IS NOT NULL AND EXISTS (SELECT FROM provider_users)
$rule$),
('policy_allows_everything', 'critical', 'security', 'A policy lets every user through',
'Permissive policies add up. USING (true) shows every row to everybody, whatever other policies say. WITH CHECK (true) lets everybody write in another user''s name. A table that anon may read too, with no other SELECT policy, is taken to be public and is not reported.',
'Makes the policy compare the column that holds the user''s id.',
$rule$
  SELECT format('%I on %s', p.name, p.table_name) AS affected_object,
         format('For %s, to %s.', p.command, p.roles) AS detail,
         format('ALTER POLICY %I ON %s%s%s;', p.name, p.table_name,
                CASE WHEN p.using_expression = 'true' THEN format(' USING (%s)', o.condition) END,
                CASE WHEN p.check_expression = 'true' THEN format(' WITH CHECK (%s)', o.condition) END) AS recommendation
  FROM policies p
    JOIN relations t ON t.oid = p.relation AND t.relrowsecurity
                    AND (p.command = ANY (t.granted) OR (p.command = 'ALL' AND t.granted <> '{}'))
    JOIN own_rows o ON o.relation = p.relation
  WHERE p.is_permissive AND p.is_for_clients AND 'true' IN (p.using_expression, p.check_expression)
    AND p.relation NOT IN (SELECT k.relation FROM credentials k)
    -- A public table can be read by anon, too. But another policy that lets fewer rows through has a purpose.
    AND (p.command <> 'SELECT'
         OR NOT EXISTS (SELECT FROM clients r, unnest(p.role_ids) role WHERE r.is_anonymous AND (role = 0 OR pg_has_role(r.oid, role, 'USAGE')))
         OR EXISTS (SELECT FROM policies o
                    WHERE o.relation = p.relation AND o.is_permissive AND o.is_for_clients AND o.command = 'SELECT' AND o.using_expression <> 'true'))
$rule$),
('policy_without_check', 'warning', 'security', 'A policy does not check the rows that are written',
'Without WITH CHECK, an INSERT is refused, and an UPDATE may leave any row that USING allows: for example a shared row under another user''s id.',
'Adds WITH CHECK on the column that holds the user''s id.',
$rule$
  SELECT format('%I on %s', p.name, p.table_name) AS affected_object, format('USING is %s.', p.using_expression) AS detail,
         format('ALTER POLICY %I ON %s WITH CHECK (%s);', p.name, p.table_name, o.condition) AS recommendation
  FROM policies p JOIN relations t ON t.oid = p.relation AND t.granted <> '{}' JOIN own_rows o ON o.relation = p.relation
  WHERE p.is_permissive AND p.is_for_clients AND p.command IN ('INSERT', 'UPDATE', 'ALL') AND p.check_expression IS NULL
    -- Postgres then checks USING. That is enough if USING requires the user's own row. USING (true) has another rule.
    AND (p.using_expression IS NULL
         OR (p.using_expression ~ '\m(OR|CASE)\M|\mNOT \(' AND EXISTS (SELECT FROM compared_columns c WHERE c.policy = p.oid)))
$rule$),
('policy_check_left_to_using', 'info', 'health', 'A policy has no WITH CHECK and relies on USING',
'USING also holds for the rows that are written, so nothing is open now. If USING is later widened to let users read more rows, they can write those rows too.',
'Adds the same condition as WITH CHECK.',
$rule$
  SELECT format('%I on %s', p.name, p.table_name) AS affected_object, format('USING is %s.', p.using_expression) AS detail,
         format('ALTER POLICY %I ON %s WITH CHECK (%s);', p.name, p.table_name, p.using_expression) AS recommendation
  FROM policies p JOIN relations t ON t.oid = p.relation AND t.granted <> '{}'
  WHERE p.is_permissive AND p.is_for_clients AND p.command IN ('UPDATE', 'ALL') AND p.check_expression IS NULL
    AND p.using_expression !~ '\m(OR|CASE)\M|\mNOT \('
    AND EXISTS (SELECT FROM compared_columns c WHERE c.policy = p.oid)
$rule$),
('policy_column_without_index', 'warning', 'performance', 'A policy compares a column that has no index',
'Every request reads the whole table to find the few rows of one user.',
'Creates the index.',
$rule$
  SELECT format('%s(%I)', t.name, c.name) AS affected_object, NULL AS detail,
         format('CREATE INDEX ON %s (%I);', t.name, c.name) AS recommendation
  FROM (SELECT DISTINCT relation, attnum, name FROM compared_columns WHERE is_read) c JOIN relations t ON t.oid = c.relation
  WHERE NOT EXISTS (SELECT FROM pg_index i
                    WHERE i.indrelid = c.relation AND i.indisvalid AND i.indkey[0] = c.attnum AND i.indpred IS NULL)
$rule$),
('function_calls_auth_uid', 'critical', 'health', 'A function treats the user''s id as a uuid',
'auth.uid() raises 22P02 for every user of a provider. Everything that needs the function then fails too: policies, triggers, calls.',
'Says what to write instead of auth.uid().',
$rule$
  SELECT p.oid::regprocedure::text AS affected_object, NULL AS detail,
         insforge_integrations_internal.steps(
           format('Look at it: SELECT pg_get_functiondef(%L::regprocedure);', p.oid::regprocedure),
           'Run that statement with @extschema@.requesting_user_id() instead of auth.uid(), and with text instead of uuid where it declares a user''s id.') AS recommendation
  FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
  WHERE EXISTS (SELECT FROM provider_users)
    AND regexp_replace(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), '--[^\n]*|/\*([^*]|\*+[^*/])*\*+/', '', 'g') ~* '\mauth\.uid\s*\('
    -- A function that only passes the id on is reported with the policies and defaults that use it.
    AND p.oid NOT IN (SELECT i.oid FROM identity_functions i)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
$rule$),
('slow_requesting_user_id', 'warning', 'performance', 'Policies ask a slow function of the guides who the user is',
'The function parses the claims for every row that a policy checks. A scan takes dozens of times as long as with requesting_user_id().',
'Makes the function call requesting_user_id(). Policies and defaults keep the function.',
$rule$
  SELECT p.oid::regprocedure::text AS affected_object, NULL AS detail,
         format('SELECT * FROM insforge_integrations.adopt_requesting_user_id(%L);', p.oid::regprocedure) AS recommendation
  FROM identity_functions i JOIN pg_proc p ON p.oid = i.oid JOIN schemas s ON s.oid = p.pronamespace
  WHERE i.kind = 'text' AND p.prorettype = 'text'::regtype AND NOT p.prosecdef
    AND coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~* '(auth\.jwt\(\)|request\.jwt\.claims''[^)]*\)[^>]*)\s*->>\s*''sub''|request\.jwt\.claim\.sub'
    AND (p.proname ~ 'requesting_user_id'
         OR EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
                      AND d.classid IN ('pg_policy'::regclass, 'pg_attrdef'::regclass)))
$rule$),
('requesting_user_id_not_found', 'critical', 'health', 'A function calls a requesting_user_id() that does not exist',
'The function does not look in the schema of the extension. Every call of the function fails, in policies too.',
'Creates a function there that calls the extension''s.',
$rule$
  SELECT format('%I.requesting_user_id()', m.schema) AS affected_object,
         format('Called by %s.', string_agg(m.caller, ', ' ORDER BY m.caller)) AS detail,
         format('CREATE FUNCTION %I.requesting_user_id() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN @extschema@.requesting_user_id();', m.schema) AS recommendation
  FROM (
    SELECT DISTINCT p.oid::regprocedure::text AS caller, coalesce(n.nspname, 'public') AS schema
    FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace,
         regexp_matches(p.prosrc, '(?:([A-Za-z_][\w$]*)\s*\.\s*)?\mrequesting_user_id\s*\(\s*\)', 'g') AS call(parts)
         LEFT JOIN pg_namespace n ON n.nspname = lower(call.parts[1])
    WHERE p.prolang IN (SELECT l.oid FROM pg_language l WHERE l.lanname IN ('sql', 'plpgsql'))
      -- An unqualified name is looked up in public, or in the function's own search_path.
      AND (n.oid IS NOT NULL OR (call.parts[1] IS NULL AND p.proconfig IS NULL))
  ) m
  WHERE NOT EXISTS (SELECT FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
                    WHERE f.proname = 'requesting_user_id' AND f.pronargs = 0 AND n.nspname = m.schema)
  GROUP BY m.schema
$rule$);
