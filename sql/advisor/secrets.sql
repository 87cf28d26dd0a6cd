-- Secrets: whether others can read or guess them. No answer of a rule contains a secret.
CREATE FUNCTION insforge_integrations_internal.rotation_steps() RETURNS text[]
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ARRAY[
    'If ENCRYPTION_KEY is not set in InsForge''s environment (.env), set it to the present JWT_SECRET. Otherwise InsForge can no longer read what it encrypted with that secret, and refuses every key.',
    'Set JWT_SECRET there to the output of: openssl rand -base64 32',
    'So that InsForge tells its functions the new secret, run: DELETE FROM system.secrets WHERE key = ''JWT_SECRET'';',
    'Let InsForge, PostgREST and Postgres start again with the new environment: docker compose up -d. Put the new JWT_SECRET into a file on the server of Postgres, then run: SELECT insforge_integrations.set_jwt_secret_from_file(''/run/secrets/jwt_secret''); tokens of the old one are accepted, and this finding stays, for one more hour.'];
COMMENT ON FUNCTION insforge_integrations_internal.rotation_steps() IS
  'The steps that give InsForge a new JWT secret, for steps().';

INSERT INTO insforge_integrations.advisor_facts (position, name, meaning, query) VALUES
(40, 'secret_spellings', 'The spellings of the JWT secret, and of the previous one while it is valid: plain, quoted, in hexadecimal digits, in base64. One row; NULL without a secret.', $fact$
  -- Only for holds_secret(). Otherwise somebody who plants texts could learn from a search's time how much of the secret they match.
  SELECT array_agg(DISTINCT w.text) AS texts
  FROM (SELECT s.secret, convert_to(s.secret, getdatabaseencoding()) AS bytes FROM insforge_integrations.jwt_secrets s
        WHERE s.valid_until IS NULL OR s.valid_until > now()) h,
       LATERAL (VALUES (h.secret), (replace(h.secret, '''', '''''')), (encode(h.bytes, 'hex')),
                       (rtrim(translate(encode(h.bytes, 'base64'), E'\n', ''), '=')),
                       (rtrim(translate(encode(h.bytes, 'base64'), E'+/\n', '-_'), '='))) w(text)
$fact$);

INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('http_functions_exposed', 'critical', 'security', 'Requests can call the functions of extension http',
'Anybody can make this server call addresses in its own network. An option that one request sets with http_set_curlopt stays on the pooled connection: with a proxy that is set there, an attacker reads what later requests send.',
'Takes EXECUTE on these functions from PUBLIC, anon and authenticated. Your own functions that call them keep working as SECURITY DEFINER. project_admin keeps the privileges that it was granted.',
$rule$
  SELECT format('extension %I', e.extname) AS affected_object,
         format('%s of its functions can be called through RPC.', count(DISTINCT p.oid)) AS detail,
         string_agg(DISTINCT format('REVOKE ALL ON ROUTINE %s FROM %s CASCADE;', p.oid::regprocedure,
                                    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END), E'\n') AS recommendation
  FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    JOIN clients r ON has_function_privilege(r.oid, p.oid, 'EXECUTE') AND has_schema_privilege(r.oid, p.pronamespace, 'USAGE')
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
  WHERE e.extname = 'http' AND (x.grantee = 0 OR pg_has_role(r.oid, x.grantee, 'USAGE'))
  GROUP BY e.extname
$rule$),
('jwt_secret_in_settings', 'critical', 'security', 'The JWT secret is in a setting',
'Every role can read pg_db_role_setting and the settings of its session. Anybody with the secret can sign a token as any user.',
'Removes the setting. This extension does not need it. If InsForge or PostgREST uses it, the recommendation is a list of steps that keep them working. The old secret could be read. Therefore set ENCRYPTION_KEY in InsForge''s environment to it, then give InsForge a new JWT_SECRET, and call set_jwt_secret() with the new one.',
$rule$
  WITH setting(name, value, place, reset) AS (
    SELECT split_part(c.item, '=', 1), substr(c.item, strpos(c.item, '=') + 1),
           CASE WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'of all roles'
                ELSE concat_ws(' ', 'of', 'role ' || quote_ident(r.rolname), 'in ' || CASE WHEN s.setrole <> 0 THEN 'database ' || quote_ident(d.datname) END,
                               CASE WHEN s.setrole = 0 THEN 'database ' || quote_ident(d.datname) END) END,
           CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN format('ALTER DATABASE %I', d.datname)
                ELSE concat('ALTER ROLE ', coalesce(quote_ident(r.rolname), 'ALL'), ' IN DATABASE ' || quote_ident(d.datname)) END
    FROM pg_db_role_setting s
      LEFT JOIN pg_database d ON d.oid = s.setdatabase
      LEFT JOIN pg_roles r ON r.oid = s.setrole
      CROSS JOIN unnest(s.setconfig) AS c(item)
    UNION ALL
    SELECT f.name, f.setting, format('in %s', substring(f.sourcefile FROM '[^/]*$')),
           CASE WHEN f.sourcefile LIKE '%/postgresql.auto.conf' THEN 'ALTER SYSTEM' END
    FROM pg_file_settings f
    UNION ALL
    -- The server's command line. No view shows a setting that no library has defined.
    SELECT replace(o.match[1], '-', '_'), o.match[2], 'on the command line of Postgres', NULL
    FROM regexp_matches(encode(pg_read_binary_file('postmaster.opts', 0, 1000000, true), 'escape'),
                        '"(?:-c|--)?\s*([A-Za-z_][\w$-]*(?:\.[\w$-]+)+)=([^"]*)"', 'g') AS o(match)
  ), told AS (
    SELECT s.*, insforge_integrations_internal.holds_secret(s.value, NULL, NULL, (SELECT w.texts FROM secret_spellings w)) AS is_it
    FROM setting s
  )
  SELECT format('setting %s %s', s.name, s.place) AS affected_object,
         CASE WHEN NOT s.is_it THEN 'The name says that it is the secret.' END AS detail,
         CASE
           WHEN s.name = 'app.encryption_key' THEN
             insforge_integrations_internal.steps(VARIADIC ARRAY[
               'Keep this setting. InsForge reads it to decrypt, and without an ENCRYPTION_KEY its compose file passes JWT_SECRET on. Change the JWT secret instead.']
               || insforge_integrations_internal.rotation_steps())
           WHEN s.name LIKE 'pgrst.%' THEN
             insforge_integrations_internal.steps(
               'Give PostgREST the secret in its environment instead: PGRST_JWT_SECRET. Restart it.',
               CASE WHEN s.reset IS NULL THEN format('Remove the line with %s from the configuration.', s.name)
                    ELSE format('Run: %s RESET %I;', s.reset, s.name) END,
               'Run: NOTIFY pgrst, ''reload config'';')
           WHEN s.reset = 'ALTER SYSTEM' THEN
             format(E'-- Run this alone, outside a transaction. Afterwards: SELECT pg_reload_conf();\nALTER SYSTEM RESET %I;', s.name)
           WHEN s.reset IS NOT NULL THEN format('%s RESET %I;', s.reset, s.name)
           ELSE insforge_integrations_internal.steps(
             format('Remove %s where it is set, %s: in a container, compose file or service.', s.name, s.place),
             'Restart Postgres. After a change of its configuration file, run this instead: SELECT pg_reload_conf();')
         END AS recommendation
  FROM told s
  WHERE s.is_it
     -- PostgREST also accepts public keys under this name. Another setting says whether the secret is in base64.
     OR (s.name ~* 'jwt_?secret' AND s.name !~* 'base64$' AND s.value <> '' AND NOT (s.value ~ '"kty"' AND s.value !~ '"(d|k)"\s*:'))
$rule$),
('jwt_secret_missing', 'critical', 'health', 'The JWT secret of this database is lost',
'exchange_provider_token() fails for every user, and InsForge''s own tokens are not verified. A dump does not contain the secret, so a restored database has none.',
'Stores the secret again.',
$rule$
  SELECT 'insforge_integrations.jwt_secrets' AS affected_object,
         format('Enabled: %s.', string_agg(quote_ident(p.name), ', ' ORDER BY p.name)) AS detail,
         insforge_integrations_internal.steps(
           'Put the JWT_SECRET of InsForge''s environment into a file on the server of Postgres and run: SELECT insforge_integrations.set_jwt_secret_from_file(''/run/secrets/jwt_secret''); or give it to set_jwt_secret() as a parameter.',
           'If Better Auth''s session cookies are exchanged, register Better Auth again: its session_secret is not in a dump either.',
           'If no token is exchanged any more, no secret is needed. Then run: DELETE FROM insforge_integrations.stored_secrets WHERE name = ''jwt_secret'';') AS recommendation
  FROM insforge_integrations.auth_providers p
  WHERE p.enabled
    AND EXISTS (SELECT FROM insforge_integrations.stored_secrets s WHERE s.name = 'jwt_secret')
    AND NOT EXISTS (SELECT FROM insforge_integrations.jwt_secrets s WHERE s.valid_until IS NULL)
    AND EXISTS (SELECT FROM clients c WHERE has_function_privilege(c.oid, '@extschema@.exchange_provider_token(text, text)'::regprocedure, 'EXECUTE'))
  HAVING count(*) > 0
$rule$),
('jwt_secret_in_code', 'critical', 'security', 'The JWT secret is written into an object of the database',
'Every role can read definitions and comments. They are also in every dump and in migrations. Anybody with the secret can sign a token as any user.',
'Deletes the comment, or says how to take the secret out of a definition. The old secret could be read. Therefore set ENCRYPTION_KEY in InsForge''s environment to it, then give InsForge a new JWT_SECRET, and call set_jwt_secret() with the new one.',
$rule$
  WITH code(classid, objid, objsubid, is_comment, texts, trees, bytes) AS (
    SELECT 'pg_proc'::regclass, p.oid, 0, false, concat_ws(' ', p.prosrc, array_to_string(p.proconfig, ' ')), concat(p.proargdefaults, p.prosqlbody), NULL::bytea
      FROM pg_proc p WHERE p.oid >= 16384
    UNION ALL
    SELECT CASE r.rulename WHEN '_RETURN' THEN 'pg_class'::regclass ELSE 'pg_rewrite'::regclass END,
           CASE r.rulename WHEN '_RETURN' THEN r.ev_class ELSE r.oid END, 0, false, NULL, concat(r.ev_qual, r.ev_action), NULL
      FROM pg_rewrite r WHERE r.oid >= 16384
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, 0, false, NULL, concat(p.polqual, p.polwithcheck), NULL FROM pg_policy p
    UNION ALL
    SELECT 'pg_trigger'::regclass, t.oid, 0, false, NULL, t.tgqual::text, t.tgargs FROM pg_trigger t WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'pg_class'::regclass, a.adrelid, a.adnum, false, NULL, a.adbin::text, NULL FROM pg_attrdef a
    UNION ALL
    SELECT 'pg_constraint'::regclass, c.oid, 0, false, NULL, c.conbin::text, NULL FROM pg_constraint c WHERE c.conbin IS NOT NULL
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, 0, false, NULL, concat(i.indexprs, i.indpred), NULL
      FROM pg_index i WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 0, false, NULL, t.typdefaultbin::text, NULL FROM pg_type t WHERE t.typdefaultbin IS NOT NULL
    UNION ALL
    SELECT d.classoid, d.objoid, d.objsubid, true, d.description, NULL, NULL FROM pg_description d
    UNION ALL
    SELECT d.classoid, d.objoid, 0, true, d.description, NULL, NULL FROM pg_shdescription d
  ), place AS (
    SELECT c.classid, c.objid, c.objsubid, c.is_comment
    FROM code c
    WHERE (SELECT w.texts IS NOT NULL FROM secret_spellings w)
      AND insforge_integrations_internal.holds_secret(c.texts, c.trees, c.bytes, (SELECT w.texts FROM secret_spellings w))
  ), named AS (
    SELECT p.is_comment, p.objid, o.type, o.identity
    FROM place p, LATERAL pg_identify_object(p.classid, p.objid, p.objsubid) o
  )
  SELECT concat(CASE WHEN n.is_comment THEN 'comment on ' END, n.type, ' ', n.identity) AS affected_object,
         NULL AS detail,
         CASE WHEN n.is_comment THEN
           format('COMMENT ON %s %s IS NULL;',
             CASE WHEN n.type LIKE '% column' THEN 'COLUMN'
                  WHEN n.type LIKE '% constraint' THEN 'CONSTRAINT'
                  WHEN n.type = 'composite type' THEN 'TYPE'
                  WHEN n.type = 'statistics object' THEN 'STATISTICS'
                  WHEN n.type = 'foreign-data wrapper' THEN 'FOREIGN DATA WRAPPER'
                  ELSE upper(n.type) END,
             CASE WHEN n.type = 'domain constraint'
                  THEN (SELECT format('%I ON DOMAIN %s', c.conname, c.contypid::regtype) FROM pg_constraint c WHERE c.oid = n.objid)
                  ELSE n.identity END)
         ELSE insforge_integrations_internal.steps(VARIADIC ARRAY[
           concat('Remove the secret from ', n.type, ' ', n.identity, '. If it signs tokens there, call insforge_integrations.issue_insforge_token(user_id, claims) instead: it uses the stored secret.')]
           || insforge_integrations_internal.rotation_steps())
         END AS recommendation
  FROM named n
$rule$),
('jwt_secret_weak', 'critical', 'security', 'The JWT secret can be guessed',
'The secret repeats or counts, has few different characters, or consists of common words, as in the examples of documentation and compose files. An attacker with one token can try guesses against it. With the right guess the attacker can sign a token as any user.',
'Gives InsForge a random secret.',
$rule$
  WITH held AS (
    SELECT s.secret, lower(s.secret) AS text FROM insforge_integrations.jwt_secrets s WHERE s.valid_until IS NULL
  ), stripped AS (
    -- A word in front of random digits does not weaken them.
    SELECT h.text AS text, 32 AS enough FROM held h
    UNION ALL
    SELECT regexp_replace(regexp_replace(h.text,
      'a|above|access|admin|and|api|app|at|auth|authentication|backend|base64|be|better|by|bytes?|change|changed|changeit|changeme|char|chars|characters?'
      '|client|company|config|correct|database|db|default|demo|deployment|dev|development|do|dummy|empty|encryption|environment|env|example|for|generated?|hash|here'
      '|hello|hs256|hmac|horse|battery|staple|if|in|insecure|insforge|is|it|json|jwt|keep|key|keys|least|length|letmein|local|localhost|long|longer|me|min|minimum|more|must|my'
      '|needs?|never|new|not|now|of|only|openssl|or|our|over|passphrase|passw0rd|password|pass|phrase|placeholder|please|postgres|postgrest|private|prod|production|project|public|put'
      '|qwerty|qwertyuiop|asdfghjkl|zxcvbnm|rand|random|real|replace|safe|sample|secret|secrets|secure|security|server|service|session|set|sha256|should|sign|signing|signature|some|staging'
      '|something|string|strong|super|supabase|supersecret|temp|temporary|test|testing|that|the|this|to|todo|token|tokens|use|used|user|value|very|web|website|welcome|with|world|your|yours'
      '|(19|20)\d\d|\m\d{1,3}\M', '', 'g'), '[^[:alnum:]]+', '', 'g'), 16
    FROM held h
  ), judged AS (
    SELECT s.text, s.enough, length(s.text) AS length,
           (SELECT count(DISTINCT c) FROM regexp_split_to_table(s.text, '') c) AS characters,
           (SELECT count(*) FROM generate_series(2, length(s.text)) i
            WHERE ascii(substr(s.text, i, 1)) - ascii(substr(s.text, i - 1, 1)) IN (-1, 0, 1)) AS counting,
           EXISTS (SELECT FROM generate_series(1, length(s.text) / 2) period
                   WHERE left(s.text, length(s.text) - period) = substr(s.text, period + 1)) AS repeats
    FROM stripped s
  )
  SELECT 'insforge_integrations.jwt_secrets' AS affected_object, NULL AS detail,
         insforge_integrations_internal.steps(VARIADIC insforge_integrations_internal.rotation_steps()) AS recommendation
  FROM judged j
  WHERE (j.enough = 16 AND j.length < 16) OR j.characters < 8 OR j.counting * 2 > j.length OR j.repeats
  HAVING count(*) > 0
$rule$),
('better_auth_secret_reused', 'critical', 'security', 'Better Auth signs its cookies with the JWT secret',
'Better Auth''s server holds the secret that signs InsForge''s tokens. If the secret leaks there, an attacker can sign a token as any user. A new secret for one of the two means a new secret for the other.',
'Gives Better Auth its own secret. Its users must sign in again.',
$rule$
  SELECT format('provider %I', p.name) AS affected_object, NULL AS detail,
         insforge_integrations_internal.steps(
           'Set BETTER_AUTH_SECRET in the environment of the Better Auth server to the output of: openssl rand -base64 32',
           'Restart that server, then run: SELECT * FROM insforge_integrations.register_better_auth('
             || concat_ws(', ', quote_literal(p.issuers[1]), 'schema_name => ' || quote_literal(substr(p.key_source, 13)),
                          'session_secret => ''the new BETTER_AUTH_SECRET''',
                          CASE WHEN p.allow_bare_sessions THEN 'allow_bare_sessions => true' END,
                          'subject_pattern => ' || quote_literal(p.subject_pattern),
                          CASE WHEN p.allow_uuid_subjects THEN 'allow_uuid_subjects => true' END,
                          'names => ' || quote_literal(nullif(p.better_auth_names, '{}')::text),
                          'name => ' || quote_literal(p.name)) || ');',
           'Remove the JWT secret from that server''s environment. If others can read that environment, give InsForge a new JWT_SECRET too, and set ENCRYPTION_KEY before to the present one if it is not set.') AS recommendation
  FROM insforge_integrations.auth_providers p
    JOIN insforge_integrations.session_secrets b ON b.provider = p.name
    JOIN insforge_integrations.jwt_secrets s ON sha256(convert_to(s.secret, 'UTF8')) = sha256(convert_to(b.secret, 'UTF8'))
                                            AND (s.valid_until IS NULL OR s.valid_until > now())
$rule$);
