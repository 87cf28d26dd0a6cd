INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('durability_off', 'critical', 'health', 'The server can lose data that it has acknowledged',
'After a crash of the machine, recorded payments can be missing, and the database can be damaged. Without full_page_writes, only a file system that never writes a part of a page is safe.',
'Switches the setting on. Run ALTER SYSTEM alone, outside a transaction.',
$rule$
  SELECT s.name AS affected_object, format('%s is off.', s.name) AS detail,
         CASE s.source
           WHEN 'command line' THEN format(
             E'-- The server is started with -c %1$s=off, which overrides its configuration files.\n-- Remove that from its command line (command: in docker-compose.yml) and restart it.', s.name)
           ELSE format(E'ALTER SYSTEM SET %s = on;\nSELECT pg_reload_conf();', s.name)
         END AS recommendation
  FROM pg_settings s
  WHERE s.name IN ('fsync', 'full_page_writes') AND s.setting = 'off'
$rule$),
('postgrest_clients_roll_back', 'warning', 'health', 'PostgREST rolls requests back',
'PostgREST answers as if the request had written, and then rolls it back. A payment that your server believes to be recorded is not in the ledger.',
'Sets pgrst.db_tx_end to commit for the role that PostgREST connects as, and reloads PostgREST''s configuration.',
$rule$
  -- PostgREST reads the settings of its own role. Those for the database override those for all databases.
  SELECT quote_ident(r.rolname) AS affected_object,
         format('pgrst.db_tx_end is %s%s.', tx_end.value,
                CASE WHEN tx_end.value = 'commit-allow-override' THEN ': a client that sends Prefer: tx=rollback decides' ELSE '' END) AS detail,
         format(E'ALTER ROLE %I%s SET pgrst.db_tx_end = ''commit'';\nNOTIFY pgrst, ''reload config'';', r.rolname,
                CASE WHEN tx_end.setdatabase <> 0 THEN format(' IN DATABASE %I', current_database()) ELSE '' END) AS recommendation
  FROM (
    SELECT DISTINCT ON (d.setrole) d.setrole, d.setdatabase, substr(c.setting, strpos(c.setting, '=') + 1) AS value
    FROM pg_db_role_setting d, unnest(d.setconfig) AS c (setting)
    WHERE d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND split_part(c.setting, '=', 1) = 'pgrst.db_tx_end'
    ORDER BY d.setrole, d.setdatabase DESC
  ) tx_end JOIN pg_roles r ON r.oid = tx_end.setrole
  WHERE tx_end.value IN ('commit-allow-override', 'rollback', 'rollback-allow-override') AND r.rolcanlogin
$rule$),
('statement_logging', 'warning', 'security', 'Tokens and secrets are written to the server log',
'The log has the arguments of exchange_provider_token(), set_jwt_secret() and register_better_auth(), as parameters or in the statement. Anybody who reads the log can act as one user, or as all users.',
'Logs only statements that change something or take a second. If tokens and secrets are given as parameters, log_parameter_max_length = 0 works too. Run ALTER SYSTEM alone, outside a transaction. Logged lines stay in the log: if the JWT secret is there, set ENCRYPTION_KEY in InsForge''s environment to it, and then another JWT_SECRET.',
$rule$
  WITH logged (name, when_it_is, needs, instead) AS (VALUES
    ('log_statement',                     'all',  '{log_parameter_max_length}'::text[], 'mod'),
    -- An exchange takes a millisecond, and more on a busy server.
    ('log_min_duration_statement',        'soon', '{log_parameter_max_length}', '1s'),
    ('log_min_duration_sample',           'soon', '{log_parameter_max_length,log_statement_sample_rate}', '1s'),
    ('log_transaction_sample_rate',       'on',   '{log_parameter_max_length}', '0'),
    -- A token that was refused here may be valid elsewhere.
    ('log_parameter_max_length_on_error', 'on',   '{}', '0'),
    -- A plan contains the values of its parameters.
    ('debug_print_plan',                  'on',   '{}', 'off'),
    ('auto_explain.log_min_duration',     'soon', '{auto_explain.sample_rate,auto_explain.log_verbose|auto_explain.log_parameter_max_length}', '1s'),
    ('pgaudit.log_parameter',             'on',   '{pgaudit.log_statement,pgaudit.log}', 'off')
  ), configured AS (
    -- If this session has its own value, the server's value is in its configuration files.
    SELECT true AS is_servers, NULL::oid AS role, NULL::oid AS database, s.name, s.source = 'command line' AS is_fixed,
           CASE WHEN s.source IN ('default', 'environment variable', 'configuration file', 'command line', 'override') THEN s.reset_val
                ELSE coalesce((SELECT f.setting FROM pg_file_settings f WHERE f.name = s.name AND f.applied
                               ORDER BY f.seqno DESC LIMIT 1), s.boot_val) END AS value
    FROM pg_settings s
    WHERE s.name IN (SELECT 'session_preload_libraries' UNION ALL SELECT l.name FROM logged l
                     UNION ALL SELECT unnest(string_to_array(need, '|')) FROM logged l, unnest(l.needs) need)
    UNION ALL
    SELECT false, d.setrole, d.setdatabase, lower(split_part(c.setting, '=', 1)), false, substr(c.setting, strpos(c.setting, '=') + 1)
    FROM pg_db_role_setting d, unnest(d.setconfig) AS c (setting)
    WHERE d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  ), judged AS (
    -- is_on: not zero and not off. For pgaudit.log: with a class of statements that call functions.
    SELECT c.*, c.value !~* '^\s*(\+?(0+(\.0*)?|\.0+)\s*[a-z]*|off|of|f|fa|fal|fals|false|n|no|)\s*$'
                AND (c.name <> 'pgaudit.log'
                     OR (c.value ~* '(^|,)\s*(all|read|function)\M' AND NOT (c.value ~* '-\s*read' AND c.value ~* '-\s*function'))) AS is_on
    FROM configured c
  )
  SELECT CASE WHEN c.is_servers THEN c.name
              WHEN c.role = 0 AND c.database = 0 THEN format('%s of all roles', c.name)
              WHEN c.role = 0 THEN format('%s of database %I', c.name, current_database())
              WHEN c.database = 0 THEN format('%s of role %I', c.name, pg_get_userbyid(c.role))
              ELSE format('%s of role %I in database %I', c.name, pg_get_userbyid(c.role), current_database()) END AS affected_object,
         format('%s is %s.', c.name, c.value) AS detail,
         CASE WHEN c.is_fixed THEN format(
                E'-- The server is started with -c %1$s=%2$s, which overrides its configuration files.\n-- Remove that from its command line (command: in docker-compose.yml) and restart it.', c.name, c.value)
              WHEN c.is_servers THEN format(E'ALTER SYSTEM SET %s = %L;\nSELECT pg_reload_conf();', c.name, l.instead)
              WHEN c.role = 0 AND c.database = 0 THEN format('ALTER ROLE ALL RESET %s;', c.name)
              WHEN c.role = 0 THEN format('ALTER DATABASE %I RESET %s;', current_database(), c.name)
              WHEN c.database = 0 THEN format('ALTER ROLE %I RESET %s;', pg_get_userbyid(c.role), c.name)
              ELSE format('ALTER ROLE %I IN DATABASE %I RESET %s;', pg_get_userbyid(c.role), current_database(), c.name)
         END AS recommendation
  FROM judged c JOIN logged l USING (name)
  WHERE CASE l.when_it_is
          WHEN 'all' THEN lower(c.value) = 'all'
          WHEN 'on' THEN c.is_on
          -- A number without a unit is in milliseconds. -1 means never.
          ELSE CASE WHEN c.value ~ '^\s*\+?[0-9]{1,12}(\.[0-9]*)?\s*(us|ms|s|min|h|d)?\s*$'
                    THEN (c.value || CASE WHEN c.value ~ '[a-z]' THEN '' ELSE 'ms' END)::interval < '100 ms' END
        END
    AND NOT EXISTS (
      SELECT FROM unnest(l.needs) need
      WHERE NOT EXISTS (
        SELECT FROM unnest(string_to_array(need, '|')) alternative
        -- The default sample rate is 1.
        WHERE coalesce((SELECT n.is_on FROM judged n
                        WHERE n.name = alternative AND (n.is_servers OR (n.role = c.role AND n.database = c.database))
                        ORDER BY n.is_servers LIMIT 1), alternative = 'auto_explain.sample_rate')))
    -- A setting of a library that is not loaded has no effect.
    AND (strpos(c.name, '.') = 0
         OR EXISTS (SELECT FROM pg_settings s WHERE s.name = c.name)
         OR EXISTS (SELECT FROM configured p
                    WHERE p.name = 'session_preload_libraries' AND strpos(p.value, split_part(c.name, '.', 1)) > 0))
$rule$);
