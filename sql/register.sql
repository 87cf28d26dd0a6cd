CREATE FUNCTION insforge_integrations_internal.store_auth_provider(
    provider text, preset text, arguments jsonb, kept jsonb, session_secret text DEFAULT NULL)
  RETURNS insforge_integrations.auth_providers
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  wanted insforge_integrations.auth_providers;
  present jsonb;
  other text;
  refused text;
BEGIN
  LOCK TABLE insforge_integrations.auth_providers IN SHARE ROW EXCLUSIVE MODE;
  SELECT to_jsonb(p) INTO present FROM insforge_integrations.auth_providers p WHERE p.name = provider;
  -- NULL leaves what the provider's row has.
  SELECT coalesce(jsonb_object_agg(k.key, coalesce(nullif(k.value, 'null'), present -> k.key)), '{}') INTO kept FROM jsonb_each(kept) k;
  wanted := jsonb_populate_record(
    NULL::insforge_integrations.auth_providers,
    insforge_integrations_internal.provider_registration(preset, arguments || jsonb_strip_nulls(kept)));
  SELECT p.name INTO other FROM insforge_integrations.auth_providers p
    WHERE p.name IS DISTINCT FROM provider AND p.key_source = wanted.key_source AND p.issuers && wanted.issuers;
  refused := coalesce(CASE
    WHEN other IS NOT NULL THEN format('Provider "%s" has the same issuer and the same keys: the laxer of two policies could decide on a token.', other)
    WHEN session_secret = '' THEN 'The session secret is empty.'
    WHEN provider = 'insforge' THEN 'The name insforge belongs to the built-in provider.'
    -- Messages repeat names. A token or a payment is longer.
    WHEN octet_length(provider) BETWEEN 1 AND 63 IS NOT TRUE THEN 'The name is empty, or longer than 63 bytes.'
  END, (
    -- register_better_auth() makes this pattern for users with integer ids.
    SELECT format('Provider "%s" counts its users, too: user 1 of one would be user 1 of the other.', p.name)
    FROM insforge_integrations.auth_providers p
    WHERE p.name IS DISTINCT FROM provider AND wanted.subject_pattern = '[1-9][0-9]*' AND wanted.subject_prefix IS NULL
      AND p.subject_pattern = wanted.subject_pattern AND p.subject_prefix IS NULL LIMIT 1), (
    SELECT format('The user ids of provider "%s" begin with "%s": a user of one provider could have the id of another''s user.', p.name, p.subject_prefix)
    FROM insforge_integrations.auth_providers p
    WHERE p.name IS DISTINCT FROM provider AND 'oidc' IN (p.preset, wanted.preset) AND p.subject_prefix <> '' AND wanted.subject_prefix <> ''
      AND (starts_with(p.subject_prefix, wanted.subject_prefix) OR starts_with(wanted.subject_prefix, p.subject_prefix)) LIMIT 1));
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid registration of an identity provider',
      DETAIL = refused,
      HINT = 'To change a provider''s policy, register it again under its name. For another provider, give another name.';
  END IF;

  INSERT INTO insforge_integrations.auth_providers AS stored (
      name, preset, issuers, key_source, jwks_url, discovery_url, algorithms, audience_rule, audiences, authorized_parties,
      authorized_party_rule, required_claims, forbidden_claims, token_types, token_categories, max_age_seconds, leeway_seconds,
      subject_pattern, subject_prefix, allow_uuid_subjects, allow_bare_sessions, better_auth_names,
      passed_claims, org_id_claim, org_role_claim, permissions_claim)
    VALUES (
      provider, wanted.preset, wanted.issuers, wanted.key_source, wanted.jwks_url, wanted.discovery_url, wanted.algorithms,
      wanted.audience_rule, wanted.audiences, wanted.authorized_parties, wanted.authorized_party_rule, wanted.required_claims,
      wanted.forbidden_claims, wanted.token_types, wanted.token_categories, wanted.max_age_seconds,
      wanted.leeway_seconds, wanted.subject_pattern, wanted.subject_prefix, wanted.allow_uuid_subjects,
      wanted.allow_bare_sessions, wanted.better_auth_names,
      wanted.passed_claims, wanted.org_id_claim, wanted.org_role_claim, wanted.permissions_claim)
    ON CONFLICT (name) DO UPDATE SET
      -- The keys stay only if they are from the same source.
      jwks = CASE WHEN stored.key_source = excluded.key_source THEN stored.jwks END,
      jwks_updated_at = CASE WHEN stored.key_source = excluded.key_source THEN stored.jwks_updated_at END,
      updated_at = now(),
      preset = excluded.preset, issuers = excluded.issuers, key_source = excluded.key_source,
      jwks_url = excluded.jwks_url, discovery_url = excluded.discovery_url, algorithms = excluded.algorithms, audience_rule = excluded.audience_rule,
      audiences = excluded.audiences, authorized_parties = excluded.authorized_parties,
      authorized_party_rule = excluded.authorized_party_rule,
      required_claims = excluded.required_claims, forbidden_claims = excluded.forbidden_claims,
      token_types = excluded.token_types, token_categories = excluded.token_categories,
      max_age_seconds = excluded.max_age_seconds, leeway_seconds = excluded.leeway_seconds,
      subject_pattern = excluded.subject_pattern, subject_prefix = excluded.subject_prefix,
      allow_uuid_subjects = excluded.allow_uuid_subjects, allow_bare_sessions = excluded.allow_bare_sessions,
      better_auth_names = excluded.better_auth_names, passed_claims = excluded.passed_claims,
      org_id_claim = excluded.org_id_claim, org_role_claim = excluded.org_role_claim,
      permissions_claim = excluded.permissions_claim
    RETURNING * INTO wanted;
  DELETE FROM insforge_integrations.session_secrets s WHERE s.provider = store_auth_provider.provider;
  INSERT INTO insforge_integrations.session_secrets SELECT provider, session_secret WHERE session_secret <> '';
  -- register_oidc_provider() fetches them itself.
  IF wanted.jwks IS NULL AND wanted.jwks_url IS NOT NULL AND wanted.discovery_url IS NULL THEN
    -- Without the name: somebody may have given a secret in its place.
    RAISE NOTICE 'the registered provider has no keys yet'
      USING HINT = 'Next, fetch them: SELECT * FROM insforge_integrations.refresh_provider_jwks();';
  END IF;
  RETURN wanted;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.store_auth_provider(text, text, jsonb, jsonb, text) IS
  'Stores the rules that a preset makes of its arguments, for the functions register_.... kept: arguments whose NULL leaves the value that the provider already has.';

CREATE FUNCTION insforge_integrations.register_clerk(
    frontend_api text, authorized_parties text[] DEFAULT NULL, audiences text[] DEFAULT NULL, name text DEFAULT 'clerk',
    leeway_seconds integer DEFAULT NULL, passed_claims text[] DEFAULT NULL, authorized_party_rule text DEFAULT 'required')
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN insforge_integrations_internal.store_auth_provider(name, 'clerk', jsonb_build_object(
    'frontend_api', frontend_api, 'authorized_parties', authorized_parties, 'audiences', audiences,
    'authorized_party_rule', authorized_party_rule),
    jsonb_build_object('leeway_seconds', leeway_seconds, 'passed_claims', passed_claims));
COMMENT ON FUNCTION insforge_integrations.register_clerk(text, text[], text[], text, integer, text[], text) IS
'Trusts Clerk''s session tokens.

- frontend_api: the instance''s Frontend API URL, or its publishable key
- authorized_parties: the origins of your pages ("azp"); without them another site on a subdomain could use its visitors'' tokens
- authorized_party_rule: if_present also accepts tokens without "azp", as native applications have them
- audiences: accepts the tokens of JWT templates with one of these audiences, instead of session tokens
- leeway_seconds, passed_claims: columns of auth_providers; NULL leaves them as they are';

CREATE FUNCTION insforge_integrations.register_auth0(
    domain text, audience text DEFAULT NULL, custom_domains text[] DEFAULT NULL, name text DEFAULT 'auth0',
    leeway_seconds integer DEFAULT NULL, passed_claims text[] DEFAULT NULL, org_id_claim text DEFAULT NULL,
    org_role_claim text DEFAULT NULL, permissions_claim text DEFAULT NULL, audiences text[] DEFAULT NULL)
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN insforge_integrations_internal.store_auth_provider(name, 'auth0', jsonb_build_object(
    'domain', domain, 'audience', audience, 'audiences', audiences, 'custom_domains', custom_domains), jsonb_build_object(
    'leeway_seconds', leeway_seconds, 'passed_claims', passed_claims, 'org_id_claim', org_id_claim,
    'org_role_claim', org_role_claim, 'permissions_claim', permissions_claim));
COMMENT ON FUNCTION insforge_integrations.register_auth0(text, text, text[], text, integer, text[], text, text, text, text[]) IS
'Trusts Auth0''s access tokens for users.

- domain: the tenant''s domain
- audience: the identifier of your API in Auth0
- audiences: those of several APIs, beside audience or instead of it
- custom_domains: other domains at which users sign in to the same tenant
- org_id_claim, org_role_claim, permissions_claim: where a token names them; NULL leaves them as they are
- leeway_seconds, passed_claims: columns of auth_providers; NULL leaves them as they are';

CREATE FUNCTION insforge_integrations.register_workos(
    client_id text, issuers text[] DEFAULT NULL, name text DEFAULT 'workos',
    leeway_seconds integer DEFAULT NULL, passed_claims text[] DEFAULT NULL)
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN insforge_integrations_internal.store_auth_provider(name, 'workos', jsonb_build_object(
    'client_id', client_id, 'issuers', issuers),
    jsonb_build_object('leeway_seconds', leeway_seconds, 'passed_claims', passed_claims));
COMMENT ON FUNCTION insforge_integrations.register_workos(text, text[], text, integer, text[]) IS
'Trusts WorkOS AuthKit''s session tokens.

- client_id: "client_..."
- issuers: the values of "iss" in your environment, if they are not WorkOS'' two usual ones
- leeway_seconds, passed_claims: columns of auth_providers; NULL leaves them as they are';

CREATE FUNCTION insforge_integrations.register_kinde(
    domain text, audience text DEFAULT NULL, authorized_parties text[] DEFAULT NULL, name text DEFAULT 'kinde',
    leeway_seconds integer DEFAULT NULL, passed_claims text[] DEFAULT NULL, authorized_party_rule text DEFAULT 'required')
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN insforge_integrations_internal.store_auth_provider(name, 'kinde', jsonb_build_object(
    'domain', domain, 'audience', audience, 'authorized_parties', authorized_parties,
    'authorized_party_rule', authorized_party_rule),
    jsonb_build_object('leeway_seconds', leeway_seconds, 'passed_claims', passed_claims));
COMMENT ON FUNCTION insforge_integrations.register_kinde(text, text, text[], text, integer, text[], text) IS
'Trusts Kinde''s access tokens for users.

- domain: https://<subdomain>.kinde.com or your own
- audience: the audience of your API; Kinde''s empty list is accepted too
- authorized_parties: the client ids of your applications ("azp")
- authorized_party_rule: if_present also accepts tokens without "azp"
- leeway_seconds, passed_claims: columns of auth_providers; NULL leaves them as they are';

CREATE FUNCTION insforge_integrations.register_stytch(
    project_id text, base_url text DEFAULT NULL, name text DEFAULT 'stytch',
    leeway_seconds integer DEFAULT NULL, passed_claims text[] DEFAULT NULL)
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN insforge_integrations_internal.store_auth_provider(name, 'stytch', jsonb_build_object(
    'project_id', project_id, 'base_url', base_url),
    jsonb_build_object('leeway_seconds', leeway_seconds, 'passed_claims', passed_claims));
COMMENT ON FUNCTION insforge_integrations.register_stytch(text, text, text, integer, text[]) IS
'Trusts session JWTs of a Stytch consumer project.

- project_id: "project-..."
- base_url: the project''s custom base URL, if it has one
- leeway_seconds, passed_claims: columns of auth_providers; NULL leaves them as they are';

CREATE FUNCTION insforge_integrations.register_stytch_b2b(
    project_id text, base_url text DEFAULT NULL, name text DEFAULT 'stytch_b2b',
    leeway_seconds integer DEFAULT NULL, passed_claims text[] DEFAULT NULL)
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN insforge_integrations_internal.store_auth_provider(name, 'stytch_b2b', jsonb_build_object(
    'project_id', project_id, 'base_url', base_url),
    jsonb_build_object('leeway_seconds', leeway_seconds, 'passed_claims', passed_claims));
COMMENT ON FUNCTION insforge_integrations.register_stytch_b2b(text, text, text, integer, text[]) IS
'Trusts session JWTs of a Stytch B2B project.

- project_id: "project-..."
- base_url: the project''s custom base URL, if it has one
- leeway_seconds, passed_claims: columns of auth_providers; NULL leaves them as they are';

CREATE FUNCTION insforge_integrations_internal.better_auth_names(schema_name text, names jsonb, takes_sessions boolean) RETURNS jsonb
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  refused text;
  found jsonb;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = schema_name) THEN
    SELECT string_agg(DISTINCT quote_ident(r.schema_name), ', ') INTO refused FROM insforge_integrations.better_auth_relations r;
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid registration of an identity provider',
      DETAIL = 'There is no schema of the name that was given as schema_name. '
        || coalesce('Better Auth''s tables are in: ' || refused || '.', 'No schema has Better Auth''s tables yet.'),
      HINT = 'Give the first schema in the search_path of your Better Auth server, and run Better Auth''s migration first. Nothing was changed.';
  END IF;
  PERFORM insforge_integrations_internal.better_auth_problems(coalesce(schema_name, ''), coalesce(names, '{}'));
  -- Somebody may have given a secret in place of a name, so the message does not show it.
  SELECT format('The name given for "%s" is not one of the schema''s tables.', given.key) INTO refused
    FROM jsonb_each_text(coalesce(names, '{}')) given
    WHERE strpos(given.key, '.') = 0 AND given.value <> ''
      AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = schema_name AND c.relname = given.value AND c.relkind = 'r');
  WITH candidate AS (
    SELECT r.name, r.looks_like, rank() OVER (PARTITION BY r.looks_like ORDER BY r.spelling) AS place
    FROM insforge_integrations.better_auth_tables r
    WHERE r.schema_name = better_auth_names.schema_name AND r.looks_like IS NOT NULL AND (names ? r.looks_like) IS NOT TRUE
  ), chosen AS (
    SELECT looks_like, array_agg(name::text ORDER BY name) AS names FROM candidate WHERE place = 1 GROUP BY looks_like
  )
  SELECT coalesce(jsonb_object_agg(c.looks_like, c.names[1]), '{}') || coalesce(better_auth_names.names, '{}'),
         coalesce(refused, min(format('Tables %s of schema %I can each be Better Auth''s "%s".',
                                      array_to_string(c.names, ', '), schema_name, c.looks_like)) FILTER (WHERE cardinality(c.names) > 1))
    INTO found, refused FROM chosen c;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid registration of an identity provider',
      DETAIL = refused,
      HINT = 'Give the names of Better Auth''s tables: names => ''{"session": "the table of its sessions"}''. Nothing was changed.';
  END IF;
  FOREACH refused IN ARRAY insforge_integrations_internal.better_auth_problems(schema_name, found) LOOP
    RAISE WARNING 'a table of Better Auth cannot be read: %', refused
      USING HINT = 'Until it can be read, everything that needs the table is refused. The other tables work.';
  END LOOP;
  -- An empty table is right: Better Auth makes a key when it first signs.
  IF NOT takes_sessions AND NOT found ? 'jwks' THEN
    RAISE WARNING 'schema % has no table jwks yet', quote_ident(schema_name)
      USING DETAIL = 'Every token is refused until Better Auth has this table for its keys.',
            HINT = 'Add jwt() to the plugins of Better Auth and run its migration with this schema first in the search_path. To exchange session cookies instead, register again with session_secret.';
  END IF;
  RETURN found;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.better_auth_names(text, jsonb, boolean) IS
  'Names of Better Auth''s tables in a schema: the given ones, and those that were found.';

CREATE FUNCTION insforge_integrations.register_better_auth(
    base_url text, schema_name text DEFAULT 'better_auth', session_secret text DEFAULT NULL,
    allow_bare_sessions boolean DEFAULT false, subject_pattern text DEFAULT NULL,
    allow_uuid_subjects boolean DEFAULT false, name text DEFAULT 'better_auth', names jsonb DEFAULT '{}',
    leeway_seconds integer DEFAULT NULL, passed_claims text[] DEFAULT NULL, issuer text DEFAULT NULL,
    audiences text[] DEFAULT NULL)
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN (
    SELECT insforge_integrations_internal.store_auth_provider(name, 'better_auth', jsonb_build_object(
      'base_url', base_url, 'schema_name', schema_name, 'issuer', issuer, 'audiences', audiences, 'allow_bare_sessions', allow_bare_sessions,
      'subject_pattern', subject_pattern, 'allow_uuid_subjects', allow_uuid_subjects, 'names', found.names,
      'id_type', (SELECT format_type(a.atttypid, NULL)
                  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = schema_name AND c.relname = found.names ->> 'user'
                    AND a.attname = coalesce(found.names ->> 'user.id', 'id'))),
      jsonb_build_object('leeway_seconds', leeway_seconds, 'passed_claims', passed_claims), session_secret)
    FROM insforge_integrations_internal.better_auth_names(
      schema_name, names, coalesce(session_secret <> '' OR allow_bare_sessions, false)) AS found(names));
COMMENT ON FUNCTION insforge_integrations.register_better_auth(text, text, text, boolean, text, boolean, text, jsonb, integer, text[], text, text[]) IS
'Trusts Better Auth with its tables in this database.

- base_url: Better Auth''s baseURL
- issuer, audiences: the options jwt.issuer and jwt.audience of the plugin, if they are set; otherwise both are the origin of base_url
- schema_name: the schema of its tables
- session_secret: the secret that signs its session cookies; NULL: no cookies are accepted
- allow_bare_sessions: whether a session''s token is accepted without a signature
- subject_pattern, allow_uuid_subjects: for user ids that are neither 32 letters and digits nor integers
- names: names of tables and columns that are not found automatically, such as {"session": "logins", "session.userId": "person"}
- leeway_seconds, passed_claims: columns of auth_providers, for tokens; NULL leaves them as they are

It trusts the tokens of Better Auth''s jwt plugin, by the keys in its own table jwks. With session_secret or allow_bare_sessions it also trusts its sessions, for exchange_provider_token(). Column better_auth_names of the answer shows which tables were found.';

CREATE FUNCTION insforge_integrations.register_auth_provider(
    name text, issuers text[], jwks_url text, audiences text[] DEFAULT NULL, authorized_parties text[] DEFAULT NULL,
    algorithms text[] DEFAULT '{RS256}', audience_rule text DEFAULT 'required', required_claims text[] DEFAULT '{}',
    forbidden_claims text[] DEFAULT '{}', token_types text[] DEFAULT '{JWT,at+jwt,""}',
    max_age_seconds integer DEFAULT NULL, leeway_seconds integer DEFAULT NULL, subject_pattern text DEFAULT NULL,
    subject_prefix text DEFAULT NULL, allow_uuid_subjects boolean DEFAULT false, passed_claims text[] DEFAULT NULL,
    org_id_claim text DEFAULT NULL, org_role_claim text DEFAULT NULL, permissions_claim text DEFAULT NULL,
    authorized_party_rule text DEFAULT 'required')
  RETURNS insforge_integrations.auth_providers LANGUAGE sql VOLATILE
  RETURN insforge_integrations_internal.store_auth_provider(name, 'custom', jsonb_build_object(
    'issuers', issuers, 'jwks_url', jwks_url, 'algorithms', algorithms, 'audience_rule', audience_rule,
    'audiences', coalesce(audiences, '{}'), 'authorized_parties', coalesce(authorized_parties, '{}'),
    'authorized_party_rule', authorized_party_rule, 'required_claims', required_claims, 'forbidden_claims', forbidden_claims, 'token_types', token_types,
    'token_categories', '{}'::text[], 'max_age_seconds', max_age_seconds, 'subject_pattern', subject_pattern,
    'subject_prefix', subject_prefix, 'allow_uuid_subjects', allow_uuid_subjects), jsonb_build_object(
    'leeway_seconds', leeway_seconds, 'passed_claims', passed_claims, 'org_id_claim', org_id_claim,
    'org_role_claim', org_role_claim, 'permissions_claim', permissions_claim));
COMMENT ON FUNCTION insforge_integrations.register_auth_provider(text, text[], text, text[], text[], text[], text, text[], text[], text[], integer, integer, text, text, boolean, text[], text, text, text, text) IS
'Trusts any other issuer of signed tokens.

- subject_pattern, subject_prefix: one of them is required, because it keeps the users apart from those of other providers
- audiences, authorized_parties: one of them is required
- leeway_seconds, passed_claims, org_id_claim, org_role_claim, permissions_claim: NULL leaves them as they are

The arguments are the columns of auth_providers.';

CREATE FUNCTION insforge_integrations.register_oidc_provider(
    issuer text, audience text DEFAULT NULL, authorized_parties text[] DEFAULT NULL, audiences text[] DEFAULT NULL,
    required_claims text[] DEFAULT NULL, forbidden_claims text[] DEFAULT NULL, token_types text[] DEFAULT NULL,
    max_age_seconds integer DEFAULT NULL, subject_pattern text DEFAULT NULL, subject_prefix text DEFAULT NULL,
    allow_uuid_subjects boolean DEFAULT false, name text DEFAULT 'oidc', leeway_seconds integer DEFAULT NULL,
    passed_claims text[] DEFAULT NULL, org_id_claim text DEFAULT NULL, org_role_claim text DEFAULT NULL,
    permissions_claim text DEFAULT NULL)
  RETURNS insforge_integrations.auth_providers
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  stored insforge_integrations.auth_providers;
BEGIN
  PERFORM insforge_integrations_internal.store_auth_provider(name, 'oidc', jsonb_build_object(
    'name', name, 'issuer', issuer, 'document', insforge_integrations_internal.discovery_document(issuer),
    'audience', audience, 'audiences', audiences, 'authorized_parties', authorized_parties,
    'required_claims', required_claims, 'forbidden_claims', forbidden_claims, 'token_types', token_types,
    'max_age_seconds', max_age_seconds, 'subject_pattern', subject_pattern, 'subject_prefix', subject_prefix,
    'allow_uuid_subjects', allow_uuid_subjects), jsonb_build_object(
    'leeway_seconds', leeway_seconds, 'passed_claims', passed_claims, 'org_id_claim', org_id_claim,
    'org_role_claim', org_role_claim, 'permissions_claim', permissions_claim));
  -- A failed fetch of the keys is a warning, and the next refresh tries again.
  PERFORM insforge_integrations.refresh_provider_jwks(name);
  SELECT * INTO STRICT stored FROM insforge_integrations.auth_providers p WHERE p.name = register_oidc_provider.name;
  RETURN stored;
END
$$;
COMMENT ON FUNCTION insforge_integrations.register_oidc_provider(text, text, text[], text[], text[], text[], text[], integer, text, text, boolean, text, integer, text[], text, text, text) IS
'Trusts the access tokens of an issuer that has an OpenID Connect discovery document.

- issuer: "iss" of the tokens
- audience, audiences: "aud" of your application''s tokens
- authorized_parties: the client ids of your applications ("azp", or "client_id" if there is no "azp")
- required_claims, forbidden_claims: names, or name=value; by default Microsoft Entra''s tokens must have scp
- token_types: "typ" of the header; default JWT, at+jwt or none
- subject_prefix: text before "sub" in the user id; default the provider''s name and a colon, as in oidc:<sub>
- subject_pattern, allow_uuid_subjects: for user ids without a prefix, give an empty prefix and a subject_pattern, and for UUIDs allow_uuid_subjects
- org_id_claim, org_role_claim, permissions_claim: where a token names them, such as realm_access.roles; NULL leaves them as they are
- leeway_seconds, passed_claims: columns of auth_providers; NULL leaves them as they are

Such issuers are Keycloak, Zitadel, Logto, Cognito, Firebase, Microsoft Entra and Supabase Auth. The call fetches the document and then the keys. One of audience, audiences and authorized_parties is required.';
