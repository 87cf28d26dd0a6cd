-- What requests reach: tables, views and functions in exposed schemas.
INSERT INTO insforge_integrations.advisor_facts (position, name, meaning, query) VALUES
(11, 'own_rows', 'The condition on a table''s rows that are the requesting user''s.', $fact$
  SELECT DISTINCT ON (u.relation) u.relation, u.name AS column,
         format(CASE WHEN u.type IN ('text'::regtype, 'varchar'::regtype) THEN '%I = %s' ELSE '%I::text = %s' END, u.name, '@extschema@.requesting_user_id()') AS condition
  FROM user_columns u
  ORDER BY u.relation, EXISTS (SELECT FROM compared_columns c WHERE c.relation = u.relation AND c.attnum = u.attnum) DESC,
           array_position('{user_id,userId}'::name[], u.name), u.attnum
$fact$);

INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('rls_disabled', 'critical', 'security', 'A table with users'' rows has no row level security',
'Every request reaches every user''s rows.',
'Switches it on, with a policy on the column that holds the user''s id for each command that requests may send and that has none.',
$rule$
  SELECT t.name AS affected_object,
         format('%s are granted to anon or authenticated, and column %I holds a user''s id.', array_to_string(t.granted, ', '), o.column) AS detail,
         concat_ws(E'\n',
           format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', t.name),
           (SELECT string_agg(format('CREATE POLICY %I ON %s FOR %s TO authenticated%s%s;', 'own_rows_' || lower(sent.command), t.name, sent.command,
                                     CASE WHEN sent.command <> 'INSERT' THEN format(' USING (%s)', o.condition) END,
                                     CASE WHEN sent.command IN ('INSERT', 'UPDATE') THEN format(' WITH CHECK (%s)', o.condition) END), E'\n')
            FROM unnest(t.granted) sent(command)
            WHERE NOT EXISTS (SELECT FROM policies p WHERE p.relation = t.oid AND p.is_permissive AND p.is_for_clients
                                AND p.command IN ('ALL', sent.command)))) AS recommendation
  FROM relations t JOIN own_rows o ON o.relation = t.oid
  WHERE NOT t.relrowsecurity AND t.granted <> '{}'
    -- What names its author and can be read, no more, is published.
    AND (t.granted <> '{SELECT}' OR o.column <> ALL ('{author_id,authorId,created_by,createdBy}'))
    AND t.oid NOT IN (SELECT k.relation FROM credentials k)
  UNION ALL
  -- What names a partition is not held back by the policies of the whole.
  SELECT t.name, format('Requests can name %s of its partitions, which have none of their own.', count(*)),
         string_agg(format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::regclass), E'\n' ORDER BY c.oid::regclass::text)
  FROM relations t JOIN own_rows o ON o.relation = t.oid
    CROSS JOIN LATERAL pg_partition_tree(t.oid) p
    JOIN pg_class c ON c.oid = p.relid AND p.level > 0 AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
    JOIN schemas s ON s.oid = c.relnamespace AND s.is_exposed
  WHERE t.relkind = 'p'
    AND EXISTS (SELECT FROM clients r
                WHERE has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
  GROUP BY t.oid, t.name
$rule$),
('credentials_exposed', 'critical', 'security', 'Requests reach a table with credentials',
'Tokens, passwords, keys, one-time codes and accounts at providers are for a server alone: who reads one has it, and who writes one can make himself anybody. A policy that lets users at their own rows does not help.',
'Takes from PUBLIC, anon and authenticated what they hold there, and switches row level security on. A server that connects with a role of its own goes on working.',
$rule$
  SELECT t.name AS affected_object,
         format('%s are granted to anon or authenticated; credentials are in %s.', array_to_string(t.granted, ', '), k.columns) AS detail,
         format(E'REVOKE ALL ON %1$s FROM PUBLIC, %2$s;\nALTER TABLE %1$s ENABLE ROW LEVEL SECURITY;', t.name,
                (SELECT string_agg(quote_ident(c.name), ', ') FROM clients c)) AS recommendation
  FROM relations t JOIN credentials k ON k.relation = t.oid
  WHERE t.granted <> '{}'
    -- Whose policies are for some rows has thought of the rest, but for what Better Auth makes.
    AND (NOT t.relrowsecurity
         OR EXISTS (SELECT FROM policies p
                    WHERE p.relation = t.oid AND p.is_permissive AND p.is_for_clients
                      AND (k.is_better_auths OR 'true' IN (p.using_expression, p.check_expression))))
$rule$),
('command_without_policy', 'info', 'health', 'A command is granted and no policy lets a row through',
'Under row level security the command then finds no row, without an error: the app takes it for done. An INSERT is refused.',
'Takes the privilege, so that the command is refused with 42501, as for a table of a server''s. If users may send it, create the policy instead that the comment has: there is none for a table with credentials.',
$rule$
  SELECT t.name AS affected_object, format('No policy for %s.', string_agg(missing.command, ', ' ORDER BY missing.place)) AS detail,
         string_agg(format(CASE WHEN t.oid NOT IN (SELECT k.relation FROM credentials k)
                                THEN E'-- Or: CREATE POLICY %1$I ON %2$s FOR %3$s TO authenticated%4$s%5$s;\n' ELSE '' END
                             || 'REVOKE %3$s ON %2$s FROM PUBLIC, %6$s;',
                           'own_rows_' || lower(missing.command), t.name, missing.command,
                           CASE WHEN missing.command <> 'INSERT' THEN format(' USING (%s)', o.condition) END,
                           CASE WHEN missing.command IN ('INSERT', 'UPDATE') THEN format(' WITH CHECK (%s)', o.condition) END,
                           (SELECT string_agg(quote_ident(c.name), ', ') FROM clients c)), E'\n' ORDER BY missing.place) AS recommendation
  FROM relations t JOIN own_rows o ON o.relation = t.oid
    CROSS JOIN LATERAL unnest(t.granted) WITH ORDINALITY AS missing (command, place)
  WHERE t.relrowsecurity
    AND NOT EXISTS (SELECT FROM policies p WHERE p.relation = t.oid AND p.is_permissive AND p.is_for_clients
                      AND p.command IN ('ALL', missing.command))
  GROUP BY t.oid, t.name
$rule$),
('view_bypasses_rls', 'critical', 'security', 'A view shows every user''s rows',
'A view reads with the rights of its owner, whom row level security does not hold back.',
'Has it read with the rights of who asks (security_invoker = true). A view that everybody may see, a projection say, is given security_invoker = false and found no longer. A materialized view has no row level security at all: takes SELECT from requests.',
$rule$
  WITH RECURSIVE reads(view, relation) AS (
    SELECT v.oid, d.refobjid
    FROM relations v JOIN pg_rewrite w ON w.ev_class = v.oid
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
    WHERE v.relkind IN ('v', 'm') AND 'SELECT' = ANY (v.granted)
    UNION
    SELECT r.view, d.refobjid
    FROM reads r JOIN pg_rewrite w ON w.ev_class = r.relation
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.relation
  )
  SELECT v.name AS affected_object, format('It reads %s.', string_agg(DISTINCT t.oid::regclass::text, ', ')) AS detail,
         CASE v.relkind WHEN 'v' THEN
                concat(CASE WHEN NOT bool_or(t.oid IN (SELECT k.relation FROM credentials k UNION ALL SELECT b.relation FROM better_auth b))
                            THEN format(E'-- Or, if everybody may see what it shows: ALTER VIEW %s SET (security_invoker = false);\n', regexp_replace(v.name, '\s+', ' ', 'g')) END,
                       format('ALTER VIEW %s SET (security_invoker = true);', v.name))
              ELSE format('REVOKE SELECT ON %s FROM PUBLIC, %s;', v.name, (SELECT string_agg(quote_ident(c.name), ', ') FROM clients c)) END AS recommendation
  FROM reads r JOIN relations v ON v.oid = r.view JOIN pg_class c ON c.oid = v.oid
    JOIN pg_class t ON t.oid = r.relation AND t.relkind IN ('r', 'p') AND t.relrowsecurity
    JOIN pg_roles o ON o.oid = v.relowner
  -- Whoever has set it, either way, has thought of it.
  WHERE NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) opt WHERE opt.option_name = 'security_invoker')
    -- What it shows is shown by the table, too.
    AND EXISTS (SELECT FROM clients r
                WHERE has_any_column_privilege(r.oid, v.oid, 'SELECT')
                  AND (NOT has_table_privilege(r.oid, t.oid, 'SELECT')
                       OR NOT EXISTS (SELECT FROM policies p
                                      WHERE p.relation = t.oid AND p.is_permissive AND p.command IN ('SELECT', 'ALL') AND p.using_expression = 'true'
                                        AND EXISTS (SELECT FROM unnest(p.role_ids) role WHERE role = 0 OR pg_has_role(r.oid, role, 'USAGE')))
                       OR EXISTS (SELECT FROM policies p WHERE p.relation = t.oid AND NOT p.is_permissive AND p.command IN ('SELECT', 'ALL'))))
    AND (v.relkind = 'm' OR o.rolsuper OR o.rolbypassrls OR (t.relowner = v.relowner AND NOT t.relforcerowsecurity))
    -- One that compares the user itself is meant so.
    AND NOT EXISTS (SELECT FROM identity_functions i,
                      LATERAL (SELECT regexp_replace(insforge_integrations.flat_expression(pg_get_viewdef(v.oid)), '\s+', ' ', 'g')) d(text)
                    WHERE v.relkind = 'v' AND (strpos(d.text, ' = ' || insforge_integrations.flat_expression(i.call)) > 0
                                               OR strpos(d.text, insforge_integrations.flat_expression(i.call) || ' = ') > 0))
  GROUP BY v.oid, v.name, v.relkind
$rule$),
('foreign_key_to_auth_users', 'critical', 'health', 'A foreign key wants a row in auth.users for a user''s id',
'A provider''s users have none there: nothing can be written for them.',
'Drops the constraint.',
$rule$
  SELECT format('%I on %s', f.conname, t.name) AS affected_object, NULL AS detail,
         format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I;', t.name, f.conname) AS recommendation
  FROM pg_constraint f JOIN relations t ON t.oid = f.conrelid
  WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = to_regclass('auth.users')
    AND (EXISTS (SELECT FROM provider_users) OR EXISTS (SELECT FROM better_auth_users))
    AND EXISTS (SELECT FROM user_columns u WHERE u.relation = t.oid AND u.attnum = ANY (f.conkey))
    -- InsForge's own users have rows there. Who asks by requesting_user_id() expects others.
    AND ((t.oid, f.conkey[1]) IN (SELECT c.relation, c.attnum FROM compared_columns c WHERE c.kind <> 'uuid')
         OR EXISTS (SELECT FROM pg_attrdef v JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid AND d.refclassid = 'pg_proc'::regclass
                    JOIN identity_functions i ON i.oid = d.refobjid AND i.kind <> 'uuid'
                    WHERE v.adrelid = t.oid AND v.adnum = ANY (f.conkey)))
$rule$),
('realtime_sender_is_uuid', 'warning', 'health', 'InsForge''s realtime messages take no provider''s user',
'Column sender_id of realtime.messages is a uuid: a message that a provider''s user publishes raises 22P02.',
'Makes the column text.',
$rule$
  SELECT 'realtime.messages(sender_id)' AS affected_object, NULL AS detail,
         'ALTER TABLE realtime.messages ALTER COLUMN sender_id TYPE text;' AS recommendation
  FROM pg_attribute a
  WHERE a.attrelid = to_regclass('realtime.messages') AND a.attname = 'sender_id' AND a.atttypid = 'uuid'::regtype
    AND EXISTS (SELECT FROM provider_users)
    -- A message wants a channel, and in a table without a page is none.
    AND pg_relation_size(to_regclass('realtime.channels')) IS DISTINCT FROM 0
$rule$),
('definer_without_search_path', 'warning', 'security', 'A SECURITY DEFINER function looks up names where its caller says',
'Whoever may create an object in a schema of the path, pg_temp included, has the function call it with its owner''s rights.',
'Fixes the function''s search_path.',
$rule$
  SELECT p.oid::regprocedure::text AS affected_object, format('It runs as %I.', pg_get_userbyid(p.proowner)) AS detail,
         format('ALTER FUNCTION %s SET search_path = pg_catalog, public, %spg_temp;', p.oid::regprocedure,
                CASE WHEN s.name <> 'public' THEN quote_ident(s.name) || ', ' END) AS recommendation
  FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace AND s.is_exposed JOIN pg_language l ON l.oid = p.prolang
  WHERE p.prosecdef AND p.prokind = 'f' AND l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
    AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c(item) WHERE c.item LIKE 'search\_path=%')
    AND EXISTS (SELECT FROM clients c WHERE has_function_privilege(c.oid, p.oid, 'EXECUTE'))
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
$rule$);
