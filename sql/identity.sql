CREATE FUNCTION @extschema@.requesting_user_id() RETURNS text
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_user_id';
COMMENT ON FUNCTION @extschema@.requesting_user_id() IS
'Id of the requesting user, for RLS policies.

It is "sub" (RFC 7519) of request.jwt.claims. A string is returned unchanged, an integer as its digits. Anything else, and no claims, give NULL. Claims that are not JSON raise 22P02.';

CREATE FUNCTION @extschema@.requesting_org_id() RETURNS text
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_org_id';
COMMENT ON FUNCTION @extschema@.requesting_org_id() IS
'Id of the organisation that the requesting user acts in; NULL if none is active.

It comes from the claims of Clerk, Auth0, WorkOS, Kinde, Stytch B2B or an InsForge token.';

CREATE FUNCTION @extschema@.requesting_org_role() RETURNS text
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_org_role';
COMMENT ON FUNCTION @extschema@.requesting_org_role() IS
'The requesting user''s role in that organisation, as the provider spells it.

With Clerk, for example, org:admin. NULL if the token names none or several.';

CREATE FUNCTION @extschema@.requesting_permissions() RETURNS text[]
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_permissions';
COMMENT ON FUNCTION @extschema@.requesting_permissions() IS
'The requesting user''s permissions, as the provider spells them.

With Clerk, for example, org:feature:permission. NULL if the token says nothing about permissions, empty if it grants none.';

CREATE FUNCTION @extschema@.requesting_claims() RETURNS jsonb
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_claims';
COMMENT ON FUNCTION @extschema@.requesting_claims() IS
'All claims of the requesting user, for RLS policies.

They are those of the token that authenticate() or pre_request() verified, otherwise those of request.jwt.claims. NULL if there are none. Raises 22P02 if request.jwt.claims is not JSON or does not fit into jsonb.';
