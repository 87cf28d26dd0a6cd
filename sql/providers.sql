CREATE TABLE insforge_integrations.auth_providers (
  name                text COLLATE "C" PRIMARY KEY CHECK (name NOT IN ('', 'insforge')),
  preset              text NOT NULL,
  enabled             boolean NOT NULL DEFAULT true,
  issuers             text[] NOT NULL,
  key_source          text NOT NULL,
  jwks_url            text,
  discovery_url       text,
  algorithms          text[] NOT NULL,
  audience_rule       text NOT NULL,
  audiences           text[] NOT NULL,
  authorized_parties  text[] NOT NULL,
  authorized_party_rule text NOT NULL DEFAULT 'required',
  required_claims     text[] NOT NULL,
  forbidden_claims    text[] NOT NULL,
  token_types         text[] NOT NULL,
  token_categories    text[] NOT NULL,
  max_age_seconds     integer,
  leeway_seconds      integer NOT NULL,
  subject_pattern     text,
  subject_prefix      text,
  allow_uuid_subjects boolean NOT NULL,
  allow_bare_sessions boolean NOT NULL,
  better_auth_names   jsonb,
  passed_claims       text[] NOT NULL DEFAULT '{}',
  org_id_claim        text,
  org_role_claim      text,
  permissions_claim   text,
  jwks                jsonb,
  jwks_updated_at     timestamptz,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE insforge_integrations.auth_providers IS
'Issuers whose tokens are trusted, and the rules for these tokens.

Write it with the functions register_.... To stop trusting a provider, set enabled to false.';
COMMENT ON COLUMN insforge_integrations.auth_providers.name IS 'Name of the provider, for the functions that take one.';
COMMENT ON COLUMN insforge_integrations.auth_providers.preset IS 'The kind of provider: clerk, auth0 and so on, or custom for register_auth_provider().';
COMMENT ON COLUMN insforge_integrations.auth_providers.enabled IS 'Whether tokens of this provider are accepted.';
COMMENT ON COLUMN insforge_integrations.auth_providers.issuers IS 'Accepted values of "iss", compared byte by byte.';
COMMENT ON COLUMN insforge_integrations.auth_providers.key_source IS 'Where the keys come from: an address, or better_auth:<schema>.';
COMMENT ON COLUMN insforge_integrations.auth_providers.jwks_url IS 'Address of the provider''s JWK set (RFC 7517).';
COMMENT ON COLUMN insforge_integrations.auth_providers.discovery_url IS 'Address of the issuer''s discovery document (OpenID Connect Discovery 1.0). Each refresh of the keys takes jwks_url and algorithms from the document.';
COMMENT ON COLUMN insforge_integrations.auth_providers.algorithms IS 'Accepted values of the header''s "alg" (RFC 7518).';
COMMENT ON COLUMN insforge_integrations.auth_providers.audience_rule IS 'required: "aud" names one of the audiences. if_present: it names one of them, or none. ignored: any "aud".';
COMMENT ON COLUMN insforge_integrations.auth_providers.audiences IS 'Accepted values of "aud".';
COMMENT ON COLUMN insforge_integrations.auth_providers.authorized_parties IS 'Accepted values of "azp"; empty: any.';
COMMENT ON COLUMN insforge_integrations.auth_providers.authorized_party_rule IS 'required: "azp" is one of the authorized parties. if_present: it is one of them, or missing.';
COMMENT ON COLUMN insforge_integrations.auth_providers.required_claims IS 'Claims that a token must have: names, or name=value.';
COMMENT ON COLUMN insforge_integrations.auth_providers.forbidden_claims IS 'Claims that make a token another kind of token: a name, or name=value.';
COMMENT ON COLUMN insforge_integrations.auth_providers.token_types IS 'Accepted values of the header''s "typ"; an empty string stands for a header without it.';
COMMENT ON COLUMN insforge_integrations.auth_providers.token_categories IS 'Accepted values of Clerk''s header "cat"; empty: any.';
COMMENT ON COLUMN insforge_integrations.auth_providers.max_age_seconds IS 'Seconds after "iat" at which a token is too old; NULL: any age.';
COMMENT ON COLUMN insforge_integrations.auth_providers.leeway_seconds IS 'Seconds by which clocks may differ.';
COMMENT ON COLUMN insforge_integrations.auth_providers.subject_pattern IS 'Regular expression that the whole "sub" must match.';
COMMENT ON COLUMN insforge_integrations.auth_providers.subject_prefix IS 'Text before "sub" in the user id.';
COMMENT ON COLUMN insforge_integrations.auth_providers.allow_uuid_subjects IS 'Whether "sub" may look like the id of one of InsForge''s own users.';
COMMENT ON COLUMN insforge_integrations.auth_providers.allow_bare_sessions IS 'Whether the bare token of a Better Auth session can be exchanged.';
COMMENT ON COLUMN insforge_integrations.auth_providers.better_auth_names IS 'Names of Better Auth''s tables, and of columns as table.column, as given or found at registration. Other tables are looked up at each use.';
COMMENT ON COLUMN insforge_integrations.auth_providers.passed_claims IS 'Claims of a token that exchange_provider_token() and pre_request() copy into their own claims.';
COMMENT ON COLUMN insforge_integrations.auth_providers.org_id_claim IS 'Claim that names the organisation, or a path of names joined by dots; NULL: as the preset reads it.';
COMMENT ON COLUMN insforge_integrations.auth_providers.org_role_claim IS 'Claim that names the role in the organisation, in the same notation. A list counts if it has one element.';
COMMENT ON COLUMN insforge_integrations.auth_providers.permissions_claim IS 'Claim that lists the permissions, in the same notation: a list of texts, or a text of names separated by blanks.';
COMMENT ON COLUMN insforge_integrations.auth_providers.jwks_updated_at IS 'When the keys were stored.';
COMMENT ON COLUMN insforge_integrations.auth_providers.created_at IS 'When the provider was first registered.';
COMMENT ON COLUMN insforge_integrations.auth_providers.updated_at IS 'When a registration or a discovery document last changed the rules.';
COMMENT ON COLUMN insforge_integrations.auth_providers.jwks IS 'The provider''s public keys, as given to set_provider_jwks().';

SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.auth_providers', '');

-- Not dumped, because it holds a secret.
CREATE TABLE insforge_integrations.jwt_secrets (
  secret      text NOT NULL CHECK (octet_length(secret) >= 32),
  valid_until timestamptz
);
COMMENT ON TABLE insforge_integrations.jwt_secrets IS
'The secret that InsForge signs its tokens with, and for a while the previous one.

Write it with set_jwt_secret(). pg_dump leaves it out.';
COMMENT ON COLUMN insforge_integrations.jwt_secrets.secret IS 'The secret.';
COMMENT ON COLUMN insforge_integrations.jwt_secrets.valid_until IS 'Until when tokens signed with it are accepted; NULL for the present secret.';

-- Not dumped, because it holds secrets.
CREATE TABLE insforge_integrations.session_secrets (
  provider text COLLATE "C" PRIMARY KEY,
  secret   text NOT NULL CHECK (secret <> '')
);
COMMENT ON TABLE insforge_integrations.session_secrets IS
'The secrets that Better Auth servers sign their session cookies with.

Write it with register_better_auth(). pg_dump leaves it out.';

COMMENT ON COLUMN insforge_integrations.session_secrets.provider IS 'Name of the provider.';
COMMENT ON COLUMN insforge_integrations.session_secrets.secret IS 'BETTER_AUTH_SECRET of the server, the key of its cookies'' HMAC-SHA256.';

-- Dumped, so that a restored database knows what it has lost.
CREATE TABLE insforge_integrations.stored_secrets (
  name text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE insforge_integrations.stored_secrets IS
'Names of secrets that this database had, without the secrets.

The only name is jwt_secret. A dump has the names, so advise() finds what a restored database lacks.';
COMMENT ON COLUMN insforge_integrations.stored_secrets.name IS 'jwt_secret: what set_jwt_secret() stores.';
SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.stored_secrets', '');

SELECT insforge_integrations_internal.watch_for_table_caches(watched)
FROM unnest('{insforge_integrations.auth_providers, insforge_integrations.jwt_secrets, insforge_integrations.session_secrets}'::regclass[]) watched;

CREATE FUNCTION insforge_integrations.set_jwt_secret(secret text, keep_previous interval DEFAULT '1 hour') RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- Secrets are compared by digest: the time of the comparison does not tell how much of them is equal.
  digest CONSTANT bytea := sha256(convert_to(secret, 'UTF8'));
BEGIN
  IF secret IS NULL OR octet_length(secret) < 32 THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'the JWT secret is too short',
      DETAIL = 'HS256 needs a secret of at least 32 bytes (RFC 7518 section 3.2). Nothing was changed.',
      HINT = 'Use the JWT_SECRET of InsForge''s environment. If it is shorter, set ENCRYPTION_KEY to it in InsForge''s environment, and then give InsForge a new JWT_SECRET of 32 random bytes.';
  END IF;
  LOCK TABLE insforge_integrations.jwt_secrets IN SHARE ROW EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM insforge_integrations.jwt_secrets s
             WHERE sha256(convert_to(s.secret, 'UTF8')) = digest AND s.valid_until IS NULL) THEN
    RETURN;
  END IF;
  DELETE FROM insforge_integrations.jwt_secrets s
    WHERE s.valid_until IS NOT NULL OR sha256(convert_to(s.secret, 'UTF8')) = digest;
  UPDATE insforge_integrations.jwt_secrets s SET valid_until = now() + coalesce(keep_previous, '0');
  INSERT INTO insforge_integrations.jwt_secrets VALUES (set_jwt_secret.secret, NULL);
  INSERT INTO insforge_integrations.stored_secrets VALUES ('jwt_secret') ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION insforge_integrations.set_jwt_secret(text, interval) IS
'Stores the secret that InsForge signs its tokens with.

- secret: at least 32 bytes
- keep_previous: for this time, tokens of the previous secret are accepted too

Statements are logged, so give the secret as a parameter, or call set_jwt_secret_from_file(). Superusers only.';

CREATE FUNCTION insforge_integrations.set_jwt_secret_from_file(path text, keep_previous interval DEFAULT '1 hour') RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  max_bytes CONSTANT integer := 4096;
  content bytea;
  secret text;
  problem text;
BEGIN
  BEGIN
    content := pg_read_binary_file(path, 0, max_bytes + 1, true);
  EXCEPTION WHEN internal_error OR SQLSTATE '58P03' THEN
    -- A path that is too long or has a circle of links. Postgres 18 raises 58P03 for the first.
    NULL;
  END;
  IF content IS NULL THEN
    problem := 'The server does not find this file.';
  ELSIF length(content) > max_bytes THEN
    problem := format('It has more than %s bytes.', max_bytes);
  ELSE
    BEGIN
      -- InsForge reads its environment. Shells and Docker leave the line break at the end out.
      secret := rtrim(convert_from(content, 'UTF8'), E'\r\n');
      IF secret ~ '[\r\n]' THEN
        problem := 'It has more than one line.';
      END IF;
    EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
      -- The conversion's own error would show some bytes of the file.
      problem := 'It is not text in UTF-8.';
    END;
  END IF;
  IF problem IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      -- Without the path: somebody may have given the secret in place of the path.
      MESSAGE = 'the JWT secret cannot be read from the file',
      DETAIL = concat(problem, ' Nothing was changed.'),
      HINT = 'Name a file that contains only the JWT_SECRET of InsForge''s environment, such as /run/secrets/jwt_secret. The operating system''s user of the server must be able to read it.';
  END IF;
  PERFORM insforge_integrations.set_jwt_secret(secret, keep_previous);
END
$$;
COMMENT ON FUNCTION insforge_integrations.set_jwt_secret_from_file(text, interval) IS
'Does the same as set_jwt_secret(), with the secret in a file on the server.

The file has one line of at most 4096 bytes; line breaks at its end do not count. The secret is in no statement, so a restore can repeat the call. Superusers only.';
