CREATE FUNCTION @extschema@.requesting_user_id() RETURNS text
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_user_id';
COMMENT ON FUNCTION @extschema@.requesting_user_id() IS
  'Id of the requesting user for RLS policies: "sub" (RFC 7519) of request.jwt.claims, a string as it is or an integer as its digits; NULL for anything else and without claims. Claims that are not JSON raise 22P02.';

CREATE FUNCTION @extschema@.requesting_org_id() RETURNS text
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_org_id';
COMMENT ON FUNCTION @extschema@.requesting_org_id() IS
  'Id of the organisation the requesting user acts in, from the claims of Clerk, Auth0, WorkOS, Kinde, Stytch B2B or a token minted for InsForge; NULL when none is active.';

CREATE FUNCTION @extschema@.requesting_org_role() RETURNS text
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_org_role';
COMMENT ON FUNCTION @extschema@.requesting_org_role() IS
  'The requesting user''s role in that organisation, in the provider''s spelling (Clerk: org:admin); NULL when the token names none, or several.';

CREATE FUNCTION @extschema@.requesting_permissions() RETURNS text[]
  STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'requesting_permissions';
COMMENT ON FUNCTION @extschema@.requesting_permissions() IS
  'The requesting user''s permissions, in the provider''s spelling (Clerk: org:feature:permission); NULL when the token does not say, empty when it says none.';
