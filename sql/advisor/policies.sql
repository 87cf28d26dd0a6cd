-- Policies: who they take the user for, and what they let through.

-- An expression as pg_get_expr() writes it, in which what answers a uuid is replaced by requesting_user_id().
CREATE FUNCTION insforge_integrations.with_text_user_id(expression text, uuid_calls text[]) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    WITH calls AS (
      SELECT pg_catalog.string_agg(pg_catalog.regexp_replace(call, '([^\w\s])', '\\\1', 'g'), '|') AS pattern
      FROM pg_catalog.unnest(uuid_calls) call
    ), text_id AS (
      SELECT '(?:@extschema@\.requesting_user_id\(\)|\((?:auth\.jwt\(\)|\(current_setting\(''request\.jwt\.claims''::text, true\)\)::jsonb?) ->> ''sub''::text\))' AS pattern
    ), cast_id AS (
      -- As it is, NULLIF of it, and either in a SELECT.
      SELECT pg_catalog.format('\((?:%1$s|NULLIF\(%1$s, ''''::text\)|\( SELECT (?:%1$s|NULLIF\(%1$s, ''''::text\)) AS [^)]*\))\)::uuid', t.pattern) AS pattern
      FROM text_id t
    )
    SELECT pg_catalog.regexp_replace(pg_catalog.regexp_replace(expression,
             coalesce(calls.pattern, '$^'), '@extschema@.requesting_user_id()', 'g'),
             cast_id.pattern, '@extschema@.requesting_user_id()', 'g')
    FROM calls, cast_id);
COMMENT ON FUNCTION insforge_integrations.with_text_user_id(text, text[]) IS
  'An expression of a policy with requesting_user_id() in the place of calls and casts that answer a uuid.';

INSERT INTO insforge_integrations.advisor_facts (position, name, meaning, query) VALUES
(30, 'policies_on_uuid', 'Policies that fail for a provider''s id: they call a function that answers a uuid, or cast to one.', $fact$
  SELECT p.oid, p.relation, p.name
  FROM policies p
  -- Better Auth's users have uuids where it makes them.
  WHERE p.relation NOT IN (SELECT r.relation FROM better_auth_references r WHERE r.type = 'uuid'::regtype)
    AND (EXISTS (SELECT FROM pg_depend d JOIN identity_functions i ON i.oid = d.refobjid AND i.kind = 'uuid'
                 WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass)
         OR (strpos(concat(p.using_expression, p.check_expression), '::uuid') > 0
             AND concat(p.using_expression, p.check_expression)
                 <> concat(insforge_integrations.with_text_user_id(p.using_expression, NULL), insforge_integrations.with_text_user_id(p.check_expression, NULL))))
$fact$),
(31, 'uuid_user_columns', 'Columns that hold a user''s id and are of type uuid, in tables whose policies ask for the user, or whose default is a uuid.', $fact$
  SELECT u.relation, u.attnum, u.name
  FROM user_columns u JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.attnum
  -- A partition's is the parent's.
  WHERE a.attinhcount = 0
    AND (u.relation, u.attnum) NOT IN (SELECT r.relation, r.attnum FROM better_auth_references r)
    AND (EXISTS (SELECT FROM pg_attrdef v
                 JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid AND d.refclassid = 'pg_proc'::regclass
                 JOIN identity_functions i ON i.oid = d.refobjid AND i.kind = 'uuid'
                 WHERE v.adrelid = u.relation AND v.adnum = u.attnum)
         OR (u.type = 'uuid'::regtype
             AND (EXISTS (SELECT FROM compared_columns c WHERE c.relation = u.relation AND c.attnum = u.attnum)
                  -- Or in a way that cannot be read; but a policy on another column says nothing of this one.
                  OR (NOT EXISTS (SELECT FROM compared_columns c WHERE c.relation = u.relation)
                      AND EXISTS (SELECT FROM policies p
                                  JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
                                  JOIN identity_functions i ON i.oid = d.refobjid
                                  WHERE p.relation = u.relation)))))
$fact$),
(32, 'conversions', 'How a table comes to have user ids of type text: SQL, or what stands in its way.', $fact$
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
           -- What compares the user with another table's column cannot be told from here.
           bool_or(o.oid IS NOT NULL AND concat(p.using_expression, p.check_expression) LIKE '%( SELECT % FROM %') AS asks_elsewhere,
           string_agg(format('DROP POLICY IF EXISTS %I ON %s;', p.name, p.relation::regclass), E'\n' ORDER BY p.name) AS drops,
           string_agg(format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', p.name, p.relation::regclass,
                             CASE WHEN p.is_permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                             p.command,
                             p.roles, ' USING (' || insforge_integrations.with_text_user_id(p.using_expression, c.calls) || ')',
                             ' WITH CHECK (' || insforge_integrations.with_text_user_id(p.check_expression, c.calls) || ')'), E'\n' ORDER BY p.name) AS creates
    FROM policies p JOIN affected a ON a.relation = p.relation CROSS JOIN uuid_calls c LEFT JOIN policies_on_uuid o ON o.oid = p.oid
    GROUP BY p.relation
  ), referenced AS (
    SELECT f.confrelid FROM pg_constraint f JOIN converted u ON u.relation = f.confrelid AND f.confkey && u.attnums WHERE f.contype = 'f'
  )
  SELECT c.relation, c.name, c.policies, c.columns,
         CASE WHEN c.obstacle IS NULL THEN c.script
              ELSE insforge_integrations.steps(
                c.obstacle || ' Drop what does, and keep its definition.',
                'Make every column text that holds a user''s id: ALTER TABLE ... ALTER COLUMN ... TYPE text;',
                format('Create again what was dropped, and the policies of %s with @extschema@.requesting_user_id() in the place of auth.uid() and without casts to uuid.', c.name)) END AS recommendation
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
('policy_casts_user_id_to_uuid', 'critical', 'security', 'A policy takes the user''s id for a uuid',
'Providers'' ids are text. auth.uid(), and any cast to uuid, raises 22P02 for each of their users, so that every request of theirs fails.',
'Makes the policies compare requesting_user_id(), which answers for InsForge''s own users too, and the columns text.',
$rule$
  SELECT c.name AS affected_object, format('Policies %s do.', c.policies) AS detail, c.recommendation
  FROM conversions c WHERE c.policies IS NOT NULL AND EXISTS (SELECT FROM provider_users)
$rule$),
('policy_uses_auth_uid', 'info', 'health', 'A policy lets InsForge''s own users in alone',
'auth.uid() and casts to uuid raise 22P02 for a provider''s ids, which are text. No provider is registered and nothing calls requesting_user_id(), so that nobody is kept out yet.',
'Makes the policies compare requesting_user_id(), which answers for InsForge''s own users too, and the columns text.',
$rule$
  SELECT c.name AS affected_object, format('Policies %s do.', c.policies) AS detail, c.recommendation
  FROM conversions c WHERE c.policies IS NOT NULL AND NOT EXISTS (SELECT FROM provider_users) AND NOT EXISTS (SELECT FROM better_auth_users)
$rule$),
('user_column_is_uuid', 'critical', 'health', 'A column takes users'' ids for uuids',
'Providers'' ids are text: a row of their users cannot be written, and a comparison fails or finds nothing.',
'Makes the column and its default text, with the policies that use it and without a foreign key that a provider''s user has no row for.',
$rule$
  SELECT c.name AS affected_object, format('Column %s.', c.columns) AS detail, c.recommendation
  FROM conversions c WHERE c.columns IS NOT NULL AND EXISTS (SELECT FROM provider_users)
$rule$),
('policy_allows_everything', 'critical', 'security', 'A policy lets every user through',
'USING (true) for requests makes every row everybody''s, whatever other policies say, and WITH CHECK (true) lets everybody write in another user''s name: permissive policies add up. What anon may read as well, with no other policy for SELECT beside it, is published and not found.',
'Has it compare the column that holds the user''s id.',
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
    -- What is published is read by anon, too. But a policy that lets fewer rows be read is not there for nothing.
    AND (p.command <> 'SELECT'
         OR NOT EXISTS (SELECT FROM clients r, unnest(p.role_ids) role WHERE r.name = 'anon' AND (role = 0 OR pg_has_role(r.oid, role, 'USAGE')))
         OR EXISTS (SELECT FROM policies o
                    WHERE o.relation = p.relation AND o.is_permissive AND o.is_for_clients AND o.command = 'SELECT' AND o.using_expression <> 'true'))
$rule$),
('policy_without_check', 'warning', 'security', 'A policy says nothing of the rows that are written',
'Without WITH CHECK an INSERT is refused, and an UPDATE may leave any row that USING lets through: one that is shared, say, under another user''s id.',
'Adds WITH CHECK on the column that holds the user''s id.',
$rule$
  SELECT format('%I on %s', p.name, p.table_name) AS affected_object, format('USING is %s.', p.using_expression) AS detail,
         format('ALTER POLICY %I ON %s WITH CHECK (%s);', p.name, p.table_name, o.condition) AS recommendation
  FROM policies p JOIN relations t ON t.oid = p.relation AND t.granted <> '{}' JOIN own_rows o ON o.relation = p.relation
  WHERE p.is_permissive AND p.is_for_clients AND p.command IN ('INSERT', 'UPDATE', 'ALL') AND p.check_expression IS NULL
    -- USING stands for it, and is enough where each row must be the user's, or nobody's in particular. USING (true) has another finding.
    AND (p.using_expression IS NULL
         OR (p.using_expression ~ '\m(OR|CASE)\M|\mNOT \(' AND EXISTS (SELECT FROM compared_columns c WHERE c.policy = p.oid)))
$rule$),
('policy_check_left_to_using', 'info', 'health', 'A policy leaves to USING what may be written',
'USING holds for the rows that are written, too, so that nothing is open. Whoever lets more rows be read one day lets as many be written.',
'Says it in WITH CHECK as well.',
$rule$
  SELECT format('%I on %s', p.name, p.table_name) AS affected_object, format('USING is %s.', p.using_expression) AS detail,
         format('ALTER POLICY %I ON %s WITH CHECK (%s);', p.name, p.table_name, p.using_expression) AS recommendation
  FROM policies p JOIN relations t ON t.oid = p.relation AND t.granted <> '{}'
  WHERE p.is_permissive AND p.is_for_clients AND p.command IN ('UPDATE', 'ALL') AND p.check_expression IS NULL
    AND p.using_expression !~ '\m(OR|CASE)\M|\mNOT \('
    AND EXISTS (SELECT FROM compared_columns c WHERE c.policy = p.oid)
$rule$),
('policy_column_without_index', 'warning', 'performance', 'A policy compares a column that has no index',
'Every request reads the whole table for the few rows that are the user''s.',
'Creates the index.',
$rule$
  SELECT format('%s(%I)', t.name, c.name) AS affected_object, NULL AS detail,
         format('CREATE INDEX ON %s (%I);', t.name, c.name) AS recommendation
  FROM (SELECT DISTINCT relation, attnum, name FROM compared_columns WHERE is_read) c JOIN relations t ON t.oid = c.relation
  WHERE NOT EXISTS (SELECT FROM pg_index i
                    WHERE i.indrelid = c.relation AND i.indisvalid AND i.indkey[0] = c.attnum AND i.indpred IS NULL)
$rule$),
('function_calls_auth_uid', 'critical', 'health', 'A function takes the user''s id for a uuid',
'auth.uid() raises 22P02 for each user of a provider, and so does what needs the function: policies, triggers, calls.',
'Says what to write in the place of auth.uid().',
$rule$
  SELECT p.oid::regprocedure::text AS affected_object, NULL AS detail,
         insforge_integrations.steps(
           format('See it: SELECT pg_get_functiondef(%L::regprocedure);', p.oid::regprocedure),
           'Run that with @extschema@.requesting_user_id() in the place of auth.uid(), and text in the place of uuid where a user''s id is declared.') AS recommendation
  FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
  WHERE EXISTS (SELECT FROM provider_users)
    AND regexp_replace(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), '--[^\n]*|/\*([^*]|\*+[^*/])*\*+/', '', 'g') ~* '\mauth\.uid\s*\('
    -- What only passes it on is found in the policies and defaults that use it.
    AND p.oid NOT IN (SELECT i.oid FROM identity_functions i)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
$rule$),
('slow_requesting_user_id', 'warning', 'performance', 'A function of the guides tells who is asking',
'It parses the claims for every row that a policy looks at: a scan takes dozens of times as long as with requesting_user_id().',
'Puts requesting_user_id() under it; policies and defaults keep the function.',
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
('requesting_user_id_not_found', 'critical', 'health', 'A function calls a requesting_user_id() that is not there',
'The extension is in another schema than the function looks in: what calls it fails, policies included.',
'Creates one there that calls the extension''s.',
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
      -- Unqualified it is found in public, or where the function itself is told to look.
      AND (n.oid IS NOT NULL OR (call.parts[1] IS NULL AND p.proconfig IS NULL))
  ) m
  WHERE NOT EXISTS (SELECT FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
                    WHERE f.proname = 'requesting_user_id' AND f.pronargs = 0 AND n.nspname = m.schema)
  GROUP BY m.schema
$rule$);
