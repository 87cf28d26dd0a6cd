CREATE FUNCTION exchange_provider_token(token text, provider text DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'exchange_provider_token';
COMMENT ON FUNCTION exchange_provider_token(text, text) IS
'Exchanges a provider''s token, or a Better Auth session, for an InsForge token.

- token: the provider''s token, or the session
- provider: the provider that it must be from; NULL: the provider of its issuer

The answer has the names of RFC 8693: access_token, token_type, expires_in (seconds), issued_token_type, and also user_id and provider. As an RPC only by POST. A refused token raises 28000 (HTTP 401 under PostgREST) with the reason code in DETAIL. A missing secret raises 55000.';

-- Not SECURITY DEFINER: such a function could not set the role.
CREATE FUNCTION insforge_integrations.pre_request() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pre_request';
COMMENT ON FUNCTION insforge_integrations.pre_request() IS
'For PostgREST''s db-pre-request: the user of a token in a header becomes the request''s user.

Setting provider_token_header names the header. A request of the role that setting anon_role names becomes the token''s user''s. A request of the same user gets the token''s claims. A refused token, or another user''s token, ends the request with HTTP 401. Without the header, and for other roles, nothing changes. In every case an identity that was bound before is removed first.';
