-- Identity: whether the extension's own functions are intact, and what users' tokens can do.
INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('extension_object_changed', 'critical', 'security', 'An object of this extension was changed after it was installed',
'Somebody replaced or changed a function, view or trigger, or removed it from the extension. The statement in InsForge''s guides that creates requesting_user_id() does this. Policies and the ledger rely on these objects. After such a change, claims that a session sets may count although identity_source is verified, or rows of the ledger may be changed.',
'Restores the installed objects and their privileges. One call restores all objects.',
$rule$
  SELECT format('%s %s', o.kind, o.identity) AS affected_object,
         CASE WHEN o.present IS NULL THEN 'The extension does not have this object.' END AS detail,
         'SELECT insforge_integrations.restore_installed_objects();' AS recommendation
  FROM insforge_integrations_internal.compare_installed_objects() o
  WHERE NOT o.is_as_installed AND o.installed IS NOT NULL
$rule$),
('token_role_unsafe', 'critical', 'security', 'Tokens give users a role that bypasses policies or does not exist',
'A superuser, a role with BYPASSRLS and a member of such a role can read and write every row. If the role does not exist, every request of a user fails.',
'Returns to the default role, authenticated, if policies hold for it. Otherwise takes from the role what lets it bypass policies, or creates the role.',
$rule$
  SELECT 'setting token_role' AS affected_object, format('It is %s. %s', t.name, t.problem) AS detail,
         CASE
           WHEN t.name <> 'authenticated' AND insforge_integrations_internal.token_role_problem('authenticated') IS NULL THEN
             'SELECT insforge_integrations.configure(''token_role'', NULL);'
           WHEN r.oid IS NULL THEN
             format(E'CREATE ROLE %I NOLOGIN;\nSELECT insforge_integrations.grant_to_insforge_roles();', t.name)
           ELSE concat_ws(E'\n',
             CASE WHEN r.rolsuper OR r.rolbypassrls THEN format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS;', t.name) END,
             (SELECT string_agg(format('REVOKE %I FROM %I;', g.rolname, t.name), E'\n' ORDER BY g.rolname)
              FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
              WHERE m.member = r.oid AND insforge_integrations_internal.token_role_problem(g.rolname) IS NOT NULL))
         END AS recommendation
  FROM (SELECT w.name, w.is_chosen, insforge_integrations_internal.token_role_problem(w.name) AS problem
        FROM (SELECT coalesce(max(s.value), 'authenticated') AS name, count(*) > 0 AS is_chosen
              FROM insforge_integrations.settings s WHERE s.name = 'token_role') w) t
    LEFT JOIN pg_roles r ON r.rolname = t.name
  WHERE t.problem IS NOT NULL
    -- A missing default role does no harm if no provider is enabled.
    AND (r.oid IS NOT NULL OR t.is_chosen OR EXISTS (SELECT FROM insforge_integrations.auth_providers p WHERE p.enabled))
$rule$),
('anon_role_unfit', 'warning', 'health', 'pre_request() does not recognise requests without a token',
'A request without a token has PostgREST''s db-anon-role. If setting anon_role names another role, or one that does not exist, a provider''s token in such a request''s header has no effect. If the role can read every row, policies hold back nobody.',
'Sets anon_role to the role that the settings of PostgREST''s role name. Without such a setting, steps instead.',
$rule$
  SELECT 'setting anon_role' AS affected_object,
         concat_ws(' ', format('It is %s.', a.name), a.problem, 'PostgREST''s db-anon-role is ' || other.role || '.') AS detail,
         coalesce('SELECT insforge_integrations.configure(''anon_role'', ' || quote_literal(other.role) || ');', insforge_integrations_internal.steps(
           'Look up PostgREST''s db-anon-role: PGRST_DB_ANON_ROLE in its environment, or its configuration file. It must be a role for which row level security holds.',
           'Run with that role: SELECT insforge_integrations.configure(''anon_role'', ''web_anon'');')) AS recommendation
  FROM (SELECT coalesce(max(s.value), 'anon') AS name, count(*) > 0 AS is_chosen,
               insforge_integrations_internal.token_role_problem(coalesce(max(s.value), 'anon')) AS problem
        FROM insforge_integrations.settings s WHERE s.name = 'anon_role') a
    CROSS JOIN (SELECT array_agg(substr(c.item, 20) ORDER BY c.item) FILTER (WHERE c.item LIKE 'pgrst.db\_anon\_role=%') AS roles,
                       bool_or(c.item LIKE 'pgrst.db\_pre\_request=%insforge_integrations.pre_request%') AS calls_us
                FROM pg_db_role_setting d, unnest(d.setconfig) AS c(item)
                -- PostgREST reads only settings of its role, not those of the database.
                WHERE d.setrole <> 0 AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) pgrst
    CROSS JOIN LATERAL (SELECT CASE WHEN a.name <> ALL (pgrst.roles) THEN pgrst.roles[1] END) AS other(role)
  WHERE insforge_integrations_internal.token_role_problem(other.role) IS NULL AND other.role <> ''
    OR (a.problem IS NOT NULL AND (a.is_chosen OR pgrst.calls_us))
$rule$),
('exchanged_tokens_identify_nobody', 'warning', 'health', 'Tokens are exchanged, but identity_source is verified',
'InsForge and PostgREST verify an exchanged token and pass its claims on in request.jwt.claims. They do not call authenticate(), so with this setting the claims identify nobody. Users who signed in that way see no rows.',
'Says how PostgREST can verify the provider''s own token, which works with this setting, and how to return to claims.',
$rule$
  SELECT 'setting identity_source' AS affected_object, NULL AS detail,
         insforge_integrations_internal.steps(
           'To keep the setting, let PostgREST call pre_request(), and let clients send the provider''s token in the header that setting provider_token_header names. For the role that PostgREST connects as: ALTER ROLE ... SET pgrst.db_pre_request = ''insforge_integrations.pre_request''; NOTIFY pgrst, ''reload config'';',
           'If PostgREST''s environment sets that, or your own pre-request function calls authenticate(), forbid the exchange: REVOKE EXECUTE ON FUNCTION @extschema@.exchange_provider_token(text, text) FROM PUBLIC, anon, authenticated;',
           'To exchange tokens, let claims identify users: SELECT insforge_integrations.configure(''identity_source'', ''claims'');') AS recommendation
  FROM insforge_integrations.settings s
  WHERE s.name = 'identity_source' AND s.value = 'verified'
    AND EXISTS (SELECT FROM clients c WHERE has_function_privilege(c.oid, '@extschema@.exchange_provider_token(text, text)'::regprocedure, 'EXECUTE'))
    -- PostgREST reads only settings of its role, not those of the database.
    AND NOT EXISTS (SELECT FROM pg_db_role_setting d, unnest(d.setconfig) AS c(item)
                    WHERE d.setrole <> 0 AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                      AND c.item LIKE 'pgrst.db_pre_request=%insforge_integrations.pre_request%')
$rule$),
('unverified_claims_in_policy', 'critical', 'security', 'A policy believes claims that nobody verified',
'identity_source is verified, but the policy asks a function other than requesting_user_id(), or reads request.jwt.claims itself. A session that sets the claims can then be any user. An adopted function becomes one of these again when somebody runs the guides'' statement that creates it.',
'Makes the function call requesting_user_id(). If a policy reads the claims itself, says what to write there.',
$rule$
  SELECT i.oid::regprocedure::text AS affected_object,
         format('Policies on %s call it.', string_agg(DISTINCT p.table_name, ', ')) AS detail,
         format('SELECT * FROM insforge_integrations.adopt_requesting_user_id(%L);', i.oid::regprocedure) AS recommendation
  FROM identity_functions i
    JOIN pg_proc f ON f.oid = i.oid AND f.prorettype = 'text'::regtype
    JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = i.oid AND d.classid = 'pg_policy'::regclass
    JOIN policies p ON p.oid = d.objid
  WHERE i.kind = 'text'
    AND EXISTS (SELECT FROM insforge_integrations.settings s WHERE s.name = 'identity_source' AND s.value = 'verified')
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = i.oid AND e.deptype = 'e')
  GROUP BY i.oid
  UNION ALL
  SELECT format('%I on %s', p.name, p.table_name), NULL,
         insforge_integrations_internal.steps(
           'Where the policy reads the user''s id from the claims, write @extschema@.requesting_user_id() instead. For an organisation, role or permissions: requesting_org_id(), requesting_org_role(), requesting_permissions(). For any other claim: requesting_claims().',
           format('Change the policy: ALTER POLICY %I ON %s ...', p.name, p.table_name))
  FROM policies p
  WHERE concat(p.using_expression, ' ', p.check_expression) ~ '\mauth\.jwt\(\)|request\.jwt'
    AND EXISTS (SELECT FROM insforge_integrations.settings s WHERE s.name = 'identity_source' AND s.value = 'verified')
$rule$);
