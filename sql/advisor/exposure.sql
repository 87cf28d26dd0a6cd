-- Tables, views and functions that requests can reach.
INSERT INTO insforge_integrations.advisor_facts (position, name, meaning, query) VALUES
(11, 'own_rows', 'For each table, the condition that selects the rows of the requesting user.', $fact$
  SELECT DISTINCT ON (u.relation) u.relation, u.name AS column,
         format(CASE WHEN u.type IN ('text'::regtype, 'varchar'::regtype) THEN '%I = %s' ELSE '%I::text = %s' END, u.name, '(SELECT @extschema@.requesting_user_id())') AS condition
  FROM user_columns u
  ORDER BY u.relation, EXISTS (SELECT FROM compared_columns c WHERE c.relation = u.relation AND c.attnum = u.attnum) DESC,
           array_position('{user_id,userId}'::name[], u.name), u.attnum
$fact$);

INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('rls_disabled', 'critical', 'security', 'A table with users'' rows has no row level security',
'Every request reaches the rows of every user.',
'Switches it on. Adds a policy on the column that holds the user''s id for each command that requests may send and that has no policy.',
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
    -- A table that names its authors and can only be read is taken to be public.
    AND (t.granted <> '{SELECT}' OR o.column <> ALL ('{author_id,authorId,created_by,createdBy}'))
    AND t.oid NOT IN (SELECT k.relation FROM credentials k)
  UNION ALL
  -- A request that names a partition is not held back by the parent's policies.
  SELECT t.name, format('Requests can name %s of its partitions, which have no row level security.', count(*)),
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
'Tokens, passwords, keys, one-time codes and accounts at providers are for a server only. A reader can use them, and a writer can become any user. A policy that limits users to their own rows does not help.',
'Takes all privileges on the table from PUBLIC, anon and authenticated, and switches row level security on. A server that connects with its own role keeps working.',
$rule$
  SELECT t.name AS affected_object,
         format('%s are granted to anon or authenticated; credentials are in %s.', array_to_string(t.granted, ', '), k.columns) AS detail,
         format(E'REVOKE ALL ON %1$s FROM PUBLIC, %2$s;\nALTER TABLE %1$s ENABLE ROW LEVEL SECURITY;', t.name,
                (SELECT string_agg(quote_ident(c.name), ', ') FROM clients c)) AS recommendation
  FROM relations t JOIN credentials k ON k.relation = t.oid
  WHERE t.granted <> '{}'
    -- An operator whose policies are for some rows has thought of the others. Better Auth's tables are the exception.
    AND (NOT t.relrowsecurity
         OR EXISTS (SELECT FROM policies p
                    WHERE p.relation = t.oid AND p.is_permissive AND p.is_for_clients
                      AND (k.is_better_auths OR 'true' IN (p.using_expression, p.check_expression))))
$rule$),
('command_without_policy', 'info', 'health', 'A command is granted, but no policy allows any row',
'With row level security, the command then finds no row and raises no error, so the app believes that it succeeded. An INSERT is refused.',
'Takes the privilege. The command is then refused with 42501, which is right for a table that only a server uses. If users may send the command, create the policy in the comment instead. There is no such comment for a table with credentials.',
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
'A view reads with the rights of its owner. Row level security does not hold back this owner.',
'Makes the view read with the rights of the caller (security_invoker = true). If everybody may see the view, set security_invoker = false instead: it is then not reported any more. A materialized view has no row level security, so the recommendation takes SELECT from requests.',
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
                            THEN format(E'-- Or, if everybody may see the view: ALTER VIEW %s SET (security_invoker = false);\n', regexp_replace(v.name, '\s+', ' ', 'g')) END,
                       format('ALTER VIEW %s SET (security_invoker = true);', v.name))
              ELSE format('REVOKE SELECT ON %s FROM PUBLIC, %s;', v.name, (SELECT string_agg(quote_ident(c.name), ', ') FROM clients c)) END AS recommendation
  FROM reads r JOIN relations v ON v.oid = r.view JOIN pg_class c ON c.oid = v.oid
    JOIN pg_class t ON t.oid = r.relation AND t.relkind IN ('r', 'p') AND t.relrowsecurity
    JOIN pg_roles o ON o.oid = v.relowner
  -- If the option is set, either way, somebody has decided.
  WHERE NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) opt WHERE opt.option_name = 'security_invoker')
    -- Rows that the table itself shows are no leak.
    AND EXISTS (SELECT FROM clients r
                WHERE has_any_column_privilege(r.oid, v.oid, 'SELECT')
                  AND (NOT has_table_privilege(r.oid, t.oid, 'SELECT')
                       OR NOT EXISTS (SELECT FROM policies p
                                      WHERE p.relation = t.oid AND p.is_permissive AND p.command IN ('SELECT', 'ALL') AND p.using_expression = 'true'
                                        AND EXISTS (SELECT FROM unnest(p.role_ids) role WHERE role = 0 OR pg_has_role(r.oid, role, 'USAGE')))
                       OR EXISTS (SELECT FROM policies p WHERE p.relation = t.oid AND NOT p.is_permissive AND p.command IN ('SELECT', 'ALL'))))
    AND (v.relkind = 'm' OR o.rolsuper OR o.rolbypassrls OR (t.relowner = v.relowner AND NOT t.relforcerowsecurity))
    -- A view that compares the user is meant to show these rows.
    AND NOT EXISTS (SELECT FROM identity_functions i,
                      LATERAL (SELECT regexp_replace(insforge_integrations_internal.flat_expression(pg_get_viewdef(v.oid)), '\s+', ' ', 'g')) d(text)
                    WHERE v.relkind = 'v' AND (strpos(d.text, ' = ' || insforge_integrations_internal.flat_expression(i.call)) > 0
                                               OR strpos(d.text, insforge_integrations_internal.flat_expression(i.call) || ' = ') > 0))
  GROUP BY v.oid, v.name, v.relkind
$rule$),
('foreign_key_to_auth_users', 'critical', 'health', 'A foreign key requires a row in auth.users for a user''s id',
'Users of a provider have no row in auth.users, so no row can be written for them.',
'Drops the constraint.',
$rule$
  SELECT format('%I on %s', f.conname, t.name) AS affected_object, NULL AS detail,
         format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I;', t.name, f.conname) AS recommendation
  FROM pg_constraint f JOIN relations t ON t.oid = f.conrelid
  WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = to_regclass('auth.users')
    AND (EXISTS (SELECT FROM provider_users) OR EXISTS (SELECT FROM better_auth_users))
    AND EXISTS (SELECT FROM user_columns u WHERE u.relation = t.oid AND u.attnum = ANY (f.conkey))
    -- InsForge's own users have rows there. A table that uses requesting_user_id() expects other users.
    AND ((t.oid, f.conkey[1]) IN (SELECT c.relation, c.attnum FROM compared_columns c WHERE c.kind <> 'uuid')
         OR EXISTS (SELECT FROM pg_attrdef v JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = v.oid AND d.refclassid = 'pg_proc'::regclass
                    JOIN identity_functions i ON i.oid = d.refobjid AND i.kind <> 'uuid'
                    WHERE v.adrelid = t.oid AND v.adnum = ANY (f.conkey)))
$rule$),
('realtime_sender_is_uuid', 'warning', 'health', 'InsForge''s realtime messages cannot have a sender from a provider',
'Column sender_id of realtime.messages is a uuid. A message that a provider''s user publishes raises 22P02.',
'Makes the column text.',
$rule$
  SELECT 'realtime.messages(sender_id)' AS affected_object, NULL AS detail,
         'ALTER TABLE realtime.messages ALTER COLUMN sender_id TYPE text;' AS recommendation
  FROM pg_attribute a
  WHERE a.attrelid = to_regclass('realtime.messages') AND a.attname = 'sender_id' AND a.atttypid = 'uuid'::regtype
    AND EXISTS (SELECT FROM provider_users)
    -- A message needs a channel. A table without a page has no row.
    AND pg_relation_size(to_regclass('realtime.channels')) IS DISTINCT FROM 0
$rule$),
('definer_without_search_path', 'warning', 'security', 'A SECURITY DEFINER function looks up names in its caller''s search_path',
'Anybody who may create an object in a schema of that path, pg_temp included, can make the function call it with the rights of the function''s owner.',
'Sets a search_path for the function.',
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
