-- The one statement of who may do what. Nobody but superusers has a privilege that is not here.
CREATE FUNCTION insforge_integrations.grant_to_insforge_roles() RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  statement text;
BEGIN
  -- Whatever default privileges gave to anybody on the objects of this extension.
  FOR statement IN
    WITH member AS (
      SELECT classid, objid FROM pg_depend
      WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'insforge_integrations')
    ), object(kind, name, owner, acl) AS (
      SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
        FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
      UNION ALL
      SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text, c.relowner, c.relacl
        FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
        WHERE relkind IN ('r', 'v', 'm', 'p', 'S')
      UNION ALL
      -- REVOKE on a table takes the privileges on its columns along.
      SELECT 'TABLE', a.attrelid::regclass::text, c.relowner, a.attacl
        FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
        JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE a.attacl IS NOT NULL
      UNION ALL
      SELECT 'SCHEMA', n.oid::regnamespace::text, n.nspowner, n.nspacl
        FROM member JOIN pg_namespace n ON classid = 'pg_namespace'::regclass AND objid = n.oid
    )
    SELECT DISTINCT format('REVOKE ALL ON %s %s FROM %s CASCADE', kind, name,
                           CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
      FROM object, aclexplode(acl)
      WHERE grantee <> owner
  LOOP
    EXECUTE statement;
  END LOOP;

  GRANT USAGE ON SCHEMA insforge_integrations TO PUBLIC;
  GRANT EXECUTE ON FUNCTION
    @extschema@.requesting_user_id(),
    @extschema@.requesting_org_id(),
    @extschema@.requesting_org_role(),
    @extschema@.requesting_permissions(),
    insforge_integrations.verify_provider_jwt(text, text),
    insforge_integrations.inspect_provider_jwt(text, text),
    insforge_integrations.authenticate(text, text),
    insforge_integrations.deauthenticate(),
    insforge_integrations.pre_request(),
    insforge_integrations.keccak256(bytea),
    insforge_integrations.to_checksum_address(text),
    insforge_integrations.recover_signer(bytea, text),
    insforge_integrations.eip712_encode_type(jsonb, text),
    insforge_integrations.eip712_domain_separator(jsonb),
    insforge_integrations.eip712_hash_struct(jsonb, text, jsonb),
    insforge_integrations.eip712_digest(jsonb),
    insforge_integrations.eip712_recover(jsonb, text),
    insforge_integrations.eip712_verify(jsonb, text, text),
    insforge_integrations.x402_payment_requirements(text, text, text, text, text, text, integer, text, integer),
    insforge_integrations.x402_payment_required_header(jsonb, text, text, text, text),
    insforge_integrations.x402_payment_response_header(text, text, text),
    insforge_integrations.x402_decode_header(text),
    insforge_integrations.x402_facilitator_request(text, jsonb, text),
    insforge_integrations.verify_x402_payment(text, jsonb)
    TO PUBLIC;
  GRANT SELECT ON insforge_integrations.x402_networks, insforge_integrations.x402_assets TO PUBLIC;

  FOR statement IN
    SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', granted.function, r.rolname)
      FROM (VALUES
        ('@extschema@.exchange_provider_token(text, text)', '{anon, authenticated, project_admin}'::name[]),
        ('insforge_integrations.issue_insforge_token(text, jsonb, interval)', '{project_admin}'),
        ('insforge_integrations.advise()', '{project_admin}'),
        ('@extschema@.record_x402_settlement(text, text, text, text, text, text, text, boolean)', '{project_admin}'),
        ('@extschema@.reserve_x402_payment(text, jsonb, text, text)', '{project_admin}'),
        ('@extschema@.settle_x402_reservation(uuid, jsonb, text)', '{project_admin}'),
        ('insforge_integrations.resolve_x402_reservation(uuid, text, text, text)', '{project_admin}'),
        ('insforge_integrations.mark_x402_delivered(uuid)', '{project_admin}'),
        ('insforge_integrations.mock_x402_settlement(uuid)', '{project_admin}'),
        ('insforge_integrations.correct_x402_settlement(text, text, text, text, text)', '{project_admin}'),
        ('insforge_integrations.map_x402_payer(text, text)', '{project_admin}'),
        ('insforge_integrations.x402_can_land_until(timestamptz)', '{project_admin}'),
        ('insforge_integrations.x402_facilitator_request(uuid, text)', '{project_admin}'),
        ('insforge_integrations.x402_payment_response_header(uuid)', '{project_admin}')
      ) AS granted(function, roles) JOIN pg_roles r ON r.rolname = ANY (granted.roles)
    UNION ALL
    SELECT format('GRANT SELECT ON %s TO %I', granted.view, r.rolname)
      FROM (
        SELECT unnest(ARRAY['@extschema@.x402_payments', 'insforge_integrations.unsettled_x402_reservations',
                            'insforge_integrations.undelivered_x402_reservations', 'insforge_integrations.x402_totals',
                            'insforge_integrations.x402_corrections']), 'project_admin'
        UNION ALL
        SELECT '@extschema@.x402_payments', p.role FROM insforge_integrations.x402_publications p
      ) AS granted(view, role) JOIN pg_roles r ON r.rolname = granted.role
  LOOP
    EXECUTE statement;
  END LOOP;
END
$$;
COMMENT ON FUNCTION insforge_integrations.grant_to_insforge_roles() IS
  'Puts the privileges on the objects of this extension back to what the README says, with those for anon, authenticated and project_admin where these roles exist. Call it when the roles were created after the extension.';

DROP FUNCTION insforge_integrations.watch_for_table_caches(regclass);
SELECT insforge_integrations.grant_to_insforge_roles();
-- Last: all functions and views are there.
SELECT insforge_integrations.note_installed_objects();
