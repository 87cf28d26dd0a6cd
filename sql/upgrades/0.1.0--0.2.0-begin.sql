-- Puts the objects of 0.1.0 aside. The install script of 0.2.0 then makes its own, and the end of this script moves the rows.
-- What policies, defaults and constraints may use stays in its place and is replaced there.
DO $$
BEGIN
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('extension insforge_integrations needs a database with encoding UTF8, and this one has %s', current_setting('server_encoding')),
      HINT = 'Dump this database and restore it into a database that was made with CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0.';
  END IF;
END
$$;

DROP EVENT TRIGGER keep_x402_ledger;
CREATE SCHEMA insforge_integrations_0_1_0;

DO $$
DECLARE
  old CONSTANT text := 'insforge_integrations_0_1_0';
  statement text;
  used text;
BEGIN
  LOCK TABLE insforge_integrations.x402_reservations, insforge_integrations.x402_settlements,
             insforge_integrations.x402_corrections IN ACCESS EXCLUSIVE MODE;
  FOR statement IN
    SELECT format('ALTER %s %s SET SCHEMA %I', o.kind, o.name, old)
    FROM (
      SELECT d.objid, CASE d.classid
               WHEN 'pg_proc'::regclass THEN 'FUNCTION'
               WHEN 'pg_class'::regclass THEN (SELECT CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' END FROM pg_class c WHERE c.oid = d.objid)
               -- From 17 on the row type of a table is a member, too.
               WHEN 'pg_type'::regclass THEN (SELECT CASE t.typtype WHEN 'd' THEN 'DOMAIN' WHEN 'c' THEN 'TYPE' END
                 FROM pg_type t LEFT JOIN pg_class r ON r.oid = t.typrelid
                 WHERE t.oid = d.objid AND t.typelem = 0 AND coalesce(r.relkind, 'c') = 'c')
             END AS kind,
             (pg_identify_object(d.classid, d.objid, 0)).identity AS name
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
      WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'insforge_integrations'
    ) AS o
    WHERE o.kind IS NOT NULL
      AND NOT (o.kind = 'FUNCTION' AND o.objid = ANY (ARRAY[
        to_regprocedure('@extschema@.requesting_user_id()'), to_regprocedure('@extschema@.requesting_org_id()'),
        to_regprocedure('@extschema@.requesting_org_role()'), to_regprocedure('@extschema@.requesting_permissions()'),
        to_regprocedure('insforge_integrations.keccak256(bytea)'), to_regprocedure('insforge_integrations.to_checksum_address(text)'),
        to_regprocedure('insforge_integrations.recover_signer(bytea, text)'),
        to_regprocedure('insforge_integrations.eip712_encode_type(jsonb, text)'),
        to_regprocedure('insforge_integrations.eip712_domain_separator(jsonb)'),
        to_regprocedure('insforge_integrations.eip712_hash_struct(jsonb, text, jsonb)'),
        to_regprocedure('insforge_integrations.eip712_digest(jsonb)'),
        to_regprocedure('insforge_integrations.eip712_recover(jsonb, text)'),
        to_regprocedure('insforge_integrations.eip712_verify(jsonb, text, text)'),
        to_regprocedure('insforge_integrations.verify_provider_jwt(text, text)'),
        to_regprocedure('insforge_integrations.authenticate(text, text)'), to_regprocedure('insforge_integrations.deauthenticate()'),
        to_regprocedure('insforge_integrations.pre_request()'), to_regprocedure('insforge_integrations.x402_decode_header(text)')]::oid[]))
    -- The names of functions contain those of types.
    ORDER BY o.kind <> 'FUNCTION'
  LOOP
    EXECUTE statement;
  END LOOP;

  -- The end of this script drops what was put aside. What a user made upon that must not go with it.
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO used
  FROM (
    SELECT 'pg_class'::regclass AS class, c.oid FROM pg_class c WHERE c.relnamespace = old::regnamespace
    UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p WHERE p.pronamespace = old::regnamespace
    UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t WHERE t.typnamespace = old::regnamespace
  ) AS aside JOIN pg_depend d ON d.refclassid = aside.class AND d.refobjid = aside.oid AND d.deptype IN ('n', 'a'),
    LATERAL pg_identify_object_as_address(d.classid, d.objid, 0) AS a
  WHERE d.classid = 'pg_publication_rel'::regclass
     OR NOT (a.object_names[1] = old OR a.object_names[1] LIKE old || '.%');
  IF used IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'dependent_objects_still_exist',
      MESSAGE = 'objects of this database use objects of extension insforge_integrations that the upgrade makes anew',
      DETAIL = used,
      HINT = 'Drop them, update the extension, and create them again. Nothing was changed.';
  END IF;
END
$$;
