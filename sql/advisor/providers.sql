-- Identity providers: their keys, and which tokens are accepted.
INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('provider_without_keys', 'warning', 'health', 'A provider has no keys',
'Every token of this provider is refused.',
'Fetches the keys. Better Auth''s keys are in its own table: for it, steps that create the table or use session cookies instead.',
$rule$
  SELECT format('provider %I', p.name) AS affected_object, NULL AS detail,
         format('SELECT * FROM insforge_integrations.refresh_provider_jwks(%L);', p.name) AS recommendation
  FROM insforge_integrations.auth_providers p
  WHERE p.enabled AND p.key_source NOT LIKE 'better\_auth:%' AND p.jwks IS NULL
    -- A failed fetch has another rule.
    AND NOT EXISTS (SELECT FROM insforge_integrations.jwks_fetches f
                    WHERE f.provider = p.name AND f.error IS NOT NULL AND f.fetched_at >= p.updated_at)
  UNION ALL
  -- An empty table is right: Better Auth makes a key when it first signs. Without the jwt plugin there is no table,
  -- which is right if sessions are exchanged.
  SELECT format('provider %I', p.name), format('Schema %I has no table jwks, and sessions are not accepted.', b.schema),
         insforge_integrations_internal.steps(
           format('To exchange tokens of the jwt plugin, add jwt() to the plugins of Better Auth and run its migration with schema %I first in the search_path.', b.schema),
           format('To exchange session cookies, register again: SELECT * FROM insforge_integrations.register_better_auth(%L, schema_name => %L, session_secret => ''BETTER_AUTH_SECRET'', name => %L, names => %L);',
                  p.issuers[1], b.schema, p.name, coalesce(p.better_auth_names, '{}')),
           format('If you exchange neither: UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = %L;', p.name))
  FROM insforge_integrations.auth_providers p, LATERAL (SELECT substr(p.key_source, 13)) AS b(schema)
  WHERE p.enabled AND p.key_source LIKE 'better\_auth:%' AND NOT p.allow_bare_sessions
    AND NOT EXISTS (SELECT FROM insforge_integrations.session_secrets s WHERE s.provider = p.name)
    AND NOT EXISTS (SELECT FROM insforge_integrations.better_auth_tables t WHERE t.schema_name = b.schema AND t.is_table = 'jwks')
$rule$),
('provider_keys_stale', 'warning', 'health', 'Nobody has looked for a provider''s new keys for more than a day',
'When the provider signs with its next key, every token is refused until the keys are fetched. Until then, a key that the provider withdrew is trusted.',
'Fetches the keys now. If pg_cron is installed, also every five minutes.',
$rule$
  SELECT format('provider %I', p.name) AS affected_object,
         format('Last checked at %s.', to_char(greatest(p.jwks_updated_at, f.fetched_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')) AS detail,
         CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron')
              THEN format(E'SELECT * FROM insforge_integrations.refresh_provider_jwks(%L);\nSELECT insforge_integrations.schedule_jwks_refresh();', p.name)
              ELSE format(E'-- Let a cron on any machine repeat this every five minutes, without the argument.\nSELECT * FROM insforge_integrations.refresh_provider_jwks(%L);', p.name)
         END AS recommendation
  FROM insforge_integrations.auth_providers p
    LEFT JOIN insforge_integrations.jwks_fetches f ON f.provider = p.name
  WHERE p.enabled AND p.jwks IS NOT NULL AND p.jwks_url IS NOT NULL
    -- A failed fetch has another rule. A job that runs once a day is often enough.
    AND f.error IS NULL
    AND greatest(p.jwks_updated_at, f.fetched_at) < now() - interval '25 hours'
$rule$),
('provider_refresh_failing', 'warning', 'health', 'A provider''s keys could not be fetched',
'Only the keys that were stored before are used, if there are any. When the provider signs with its next key, every token is refused.',
'Says what to check, for each kind of error.',
$rule$
  SELECT format('provider %I', p.name) AS affected_object,
         concat_ws(' ', format('Last tried at %s.', to_char(f.fetched_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
                   -- An address can contain a password, and an error can repeat the address.
                   CASE WHEN p.jwks_url ~ '[@?]' THEN 'The error is in insforge_integrations.jwks_fetches.' ELSE f.error END) AS detail,
         insforge_integrations_internal.steps(
           format('Try again: SELECT * FROM insforge_integrations.refresh_provider_jwks(%L);', p.name),
           'If there is no answer: check DNS and the firewall, so that this server can reach the address over https. If the certificate is from a private authority: SELECT insforge_integrations.configure(''jwks_ca'', ''-----BEGIN CERTIFICATE-----...'');',
           format('If the answer is a redirect, 404 or not a key set: register the provider again with the address in its documentation. The present one: SELECT jwks_url FROM insforge_integrations.auth_providers WHERE name = %L;', p.name),
           format('Until then, give the keys by hand: SELECT insforge_integrations.set_provider_jwks(%L, ''{"keys": [...]}'');', p.name),
           format('If the provider is not used: UPDATE insforge_integrations.auth_providers SET enabled = false WHERE name = %L;', p.name)) AS recommendation
  FROM insforge_integrations.auth_providers p
    JOIN insforge_integrations.jwks_fetches f ON f.provider = p.name
  WHERE p.enabled AND p.jwks_url IS NOT NULL AND f.error IS NOT NULL
    -- The error is out of date if keys were given or an address was registered since.
    AND f.fetched_at >= greatest(p.jwks_updated_at, p.updated_at)
$rule$),
('provider_audience_too_wide', 'warning', 'security', 'A provider''s tokens for other applications are accepted',
'Neither the audience nor the authorized party of a token is checked. Another application or page with the same issuer can use its visitors'' tokens here, in their name.',
'Registers the provider again with the values of your application.',
$rule$
  SELECT format('provider %I', p.name) AS affected_object,
         CASE p.audience_rule WHEN 'if_present' THEN 'A token without an audience is accepted, whichever application it is for.' END AS detail,
         insforge_integrations_internal.steps(CASE p.preset
           WHEN 'clerk' THEN format('Run with the origins of your pages: SELECT * FROM insforge_integrations.register_clerk(%L, authorized_parties => ''{https://app.example.com}'', name => %L);',
                                    p.issuers[1], p.name)
           WHEN 'kinde' THEN format('Run with the client ids of your applications: SELECT * FROM insforge_integrations.register_kinde(%L, %sauthorized_parties => ''{client id}'', name => %L);',
                                    p.issuers[1], 'audience => ' || quote_literal(p.audiences[1]) || ', ', p.name)
           ELSE format('Decode a token of one of your users. Register the provider again by register_auth_provider() under the name %L, with the token''s "aud" in audiences and audience_rule => ''required'', or its "azp" in authorized_parties.', p.name)
         END) AS recommendation
  FROM insforge_integrations.auth_providers p
  WHERE p.enabled AND p.audience_rule <> 'required' AND p.authorized_parties = '{}'
    -- WorkOS has separate keys for each client.
    AND NOT (p.preset IN ('workos', 'oidc') AND p.jwks_url LIKE 'https://api.workos.com/sso/jwks/client%')
$rule$),
('provider_jwks_over_http', 'critical', 'security', 'A provider''s keys come from an address that is not https',
'An attacker between this server and that address can replace the keys and sign a token as any user. The refresh refuses such an address, so this server has not fetched keys from it.',
'Says how to register the https address and to fetch the keys again. They replace keys that somebody fetched over http.',
$rule$
  SELECT format('provider %I', p.name) AS affected_object, NULL AS detail,
         insforge_integrations_internal.steps(
           format('Register the provider again by %s() under the name %L with an https address. On this machine, http://localhost is allowed.',
                  CASE p.preset WHEN 'custom' THEN 'register_auth_provider' WHEN 'oidc' THEN 'register_oidc_provider' ELSE 'register_' || p.preset END, p.name),
           format('Run: SELECT * FROM insforge_integrations.refresh_provider_jwks(%L);', p.name)) AS recommendation
  FROM insforge_integrations.auth_providers p
  WHERE p.jwks_url !~ '^https://' AND p.jwks_url !~ '^http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]*)?(/|$)'
$rule$);
