CREATE FUNCTION exchange_provider_token(token text, provider text DEFAULT NULL) RETURNS jsonb
  LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'exchange_provider_token';
COMMENT ON FUNCTION exchange_provider_token(text, text) IS
  'A provider''s token, or a Better Auth session, in exchange for an InsForge token (RFC 8693): access_token, token_type, expires_in (seconds), issued_token_type, user_id, provider. By RPC with POST alone. A refused token raises 28000 (HTTP 401 under PostgREST) with the reason code in DETAIL, a missing secret 55000.';

-- Not a definer's function: it sets the role.
CREATE FUNCTION insforge_integrations.pre_request() RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pre_request';
COMMENT ON FUNCTION insforge_integrations.pre_request() IS
  'For PostgREST''s db-pre-request. A provider''s token in the request header that setting provider_token_header names makes an anonymous request that user''s, and adds its claims to a request of the same user; a refused token, or another user''s, ends the request with HTTP 401. Without the header, and for other roles, nothing changes. An identity that was bound before is unbound first in every case.';
