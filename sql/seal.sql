-- Finds the relations that belong to Better Auth.
CREATE VIEW insforge_integrations.better_auth_tables AS
  WITH described AS (
    SELECT c.oid, c.relname, c.relnamespace, n.nspname,
           (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('insforge_integrations', 'insforge_integrations_internal', 'pg_catalog', 'information_schema', 'pg_toast')
  ), given AS (
    SELECT substr(p.key_source, 13) AS schema_name, name.value AS table_name, min(name.key) AS is_table
    FROM insforge_integrations.auth_providers p, jsonb_each_text(p.better_auth_names) name
    WHERE p.key_source LIKE 'better\_auth:%' AND strpos(name.key, '.') = 0
    GROUP BY 1, 2
  ), shaped AS MATERIALIZED (
    SELECT d.*, insforge_integrations_internal.better_auth_table(d.relname, d.columns) AS shape FROM described d
  ), known AS (
    SELECT d.oid AS relation, d.relname AS name, d.relnamespace AS schema, d.nspname AS schema_name, g.is_table AS given,
           -- An application may have its own organizations. Better Auth's plugin adds a column to the sessions.
           CASE WHEN d.shape NOT IN ('organization', 'organizationRole', 'member', 'invitation', 'team', 'teamMember')
                  OR d.relname = d.shape
                  OR EXISTS (SELECT FROM shaped s, unnest(s.columns) col
                             WHERE s.relnamespace = d.relnamespace AND s.shape = 'session' AND lower(replace(col, '_', '')) = 'activeorganizationid')
                THEN d.shape END AS looks_like
    FROM shaped d LEFT JOIN given g ON g.schema_name = d.nspname AND g.table_name = d.relname
  )
  SELECT k.relation, k.name, k.schema, k.schema_name, coalesce(k.given, k.looks_like) AS is_table, k.looks_like, k.given IS NOT NULL AS is_given,
         CASE WHEN k.name = k.looks_like THEN 1
              WHEN k.name = k.looks_like || 's' THEN 2
              WHEN lower(replace(k.name, '_', '')) IN (lower(k.looks_like), lower(k.looks_like) || 's') THEN 3
              WHEN k.looks_like IS NOT NULL THEN 4 END AS spelling
  FROM known k
  WHERE k.given IS NOT NULL OR k.looks_like IS NOT NULL;
COMMENT ON VIEW insforge_integrations.better_auth_tables IS
'Better Auth''s tables in any spelling.

They are known by names and columns, by many columns under any name, or by a registration.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.relation IS 'The relation.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.name IS 'Its name.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.schema IS 'Its schema.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.schema_name IS 'Name of its schema.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.is_table IS 'Better Auth''s own name of the table.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.looks_like IS 'Better Auth''s table with such a name and such columns, without regard to registrations.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.is_given IS 'Whether a registration names the table.';
COMMENT ON COLUMN insforge_integrations.better_auth_tables.spelling IS '1: Better Auth''s own name; 2: the plural; 3: another spelling of these; 4: another name, known by the columns.';

CREATE VIEW insforge_integrations.better_auth_relations AS
  WITH known AS MATERIALIZED (
    SELECT * FROM insforge_integrations.better_auth_tables
  ), home AS (
    -- A schema with other tables under policies belongs to the application, too.
    SELECT n.oid, n.nspname,
           n.nspname = 'public' OR EXISTS (
             SELECT FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
             WHERE c.relnamespace = n.oid AND c.oid NOT IN (SELECT k.relation FROM known k)) AS is_shared
    FROM pg_namespace n
      JOIN (SELECT k.schema FROM known k GROUP BY k.schema
            -- Sessions can be outside the database (secondaryStorage).
            HAVING bool_or(k.is_given) OR (bool_or(k.is_table = 'account') AND bool_or(k.is_table IN ('user', 'session')))) s ON s.schema = n.oid
  )
  SELECT c.oid AS relation, c.relname AS name, h.oid AS schema, h.nspname AS schema_name, h.is_shared, c.relrowsecurity AS row_security, k.is_table
  FROM home h JOIN pg_class c ON c.relnamespace = h.oid LEFT JOIN known k ON k.relation = c.oid
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (NOT h.is_shared OR k.relation IS NOT NULL);
COMMENT ON VIEW insforge_integrations.better_auth_relations IS
'Tables and views of Better Auth.

In its own schema all of them; in a schema that it shares with the application (public, or one with other tables under policies) only its own tables.';
COMMENT ON COLUMN insforge_integrations.better_auth_relations.relation IS 'The relation.';
COMMENT ON COLUMN insforge_integrations.better_auth_relations.name IS 'Its name.';
COMMENT ON COLUMN insforge_integrations.better_auth_relations.schema IS 'Its schema.';
COMMENT ON COLUMN insforge_integrations.better_auth_relations.schema_name IS 'Name of its schema.';
COMMENT ON COLUMN insforge_integrations.better_auth_relations.row_security IS 'Whether row level security is on.';
COMMENT ON COLUMN insforge_integrations.better_auth_relations.is_shared IS 'Whether the schema also has the application''s tables.';
COMMENT ON COLUMN insforge_integrations.better_auth_relations.is_table IS 'Better Auth''s own name of the table; NULL for other relations in its schema.';

CREATE FUNCTION insforge_integrations.seal_better_auth(schema_name text DEFAULT 'better_auth')
  RETURNS TABLE (object text, change text)
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  schema_oid oid := (SELECT n.oid FROM pg_namespace n WHERE n.nspname = schema_name);
  is_shared boolean;
  sealed oid[];
  target record;
BEGIN
  SELECT coalesce(array_agg(r.relation), '{}'), bool_or(r.is_shared) INTO sealed, is_shared
    FROM insforge_integrations.better_auth_relations r WHERE r.schema = schema_oid;
  IF is_shared IS NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('schema %s does not hold Better Auth''s tables', CASE WHEN schema_oid IS NULL THEN '(not shown: there is none of this name)' ELSE quote_literal(schema_name) END),
      DETAIL = 'The schema has no table of accounts together with users or sessions, under any name that is recognised. Nothing was changed.',
      HINT = 'Give the first schema in the search_path of your Better Auth server. If you renamed its tables or columns, give the names to register_better_auth(names => ...) first.';
  END IF;

  -- Everything in the schema; in a shared schema only Better Auth's own relations.
  FOR target IN
    WITH relation AS (
      SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl FROM pg_class c
      WHERE c.relnamespace = schema_oid
        AND (c.oid = ANY (sealed) OR (c.relkind = 'S' AND (NOT is_shared OR EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (sealed) AND d.deptype IN ('a', 'i')))))
    ), held(kind, name, owner, acl, what) AS (
      SELECT CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
             format('%I.%I', schema_name, r.relname), r.relowner, r.relacl, NULL
        FROM relation r
      UNION ALL
      SELECT 'TABLE', format('%I.%I', schema_name, r.relname), r.relowner, a.attacl, quote_ident(a.attname)
        FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attacl IS NOT NULL
      UNION ALL
      SELECT 'ROUTINE', format('%I.%I(%s)', schema_name, p.proname, pg_get_function_identity_arguments(p.oid)),
             p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), NULL
        FROM pg_proc p WHERE p.pronamespace = schema_oid AND NOT is_shared
      UNION ALL
      SELECT 'SCHEMA', quote_ident(schema_name), n.nspowner, n.nspacl, NULL
        FROM pg_namespace n WHERE n.oid = schema_oid AND NOT is_shared
    )
    SELECT h.kind, h.name, g.grantee,
           CASE WHEN x.grantor <> h.owner THEN quote_ident(pg_get_userbyid(x.grantor)) END AS other_grantor,
           string_agg(DISTINCT privilege_type, ', ') AS privileges,
           string_agg(DISTINCT h.what, ', ') AS columns
      FROM held h, aclexplode(h.acl) x,
           LATERAL (SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END) AS g(grantee)
      WHERE x.grantee <> h.owner
        AND (x.grantee = 0 OR pg_get_userbyid(x.grantee) = ANY (insforge_integrations_internal.client_roles()))
      GROUP BY h.kind, h.name, g.grantee, other_grantor, h.what IS NULL
      ORDER BY h.kind, h.name, g.grantee
  LOOP
    -- A superuser's REVOKE takes privileges that the owner granted. To take those that another role passed on, revoke
    -- that role's grant option.
    EXECUTE format('REVOKE %s ON %s %s FROM %s CASCADE',
                   CASE WHEN target.other_grantor IS NULL THEN 'ALL' ELSE 'GRANT OPTION FOR ALL' END,
                   target.kind, target.name, coalesce(target.other_grantor, target.grantee));
    object := lower(target.kind) || ' ' || target.name;
    change := format('revoked %s%s from %s%s', target.privileges, ' (' || target.columns || ')', target.grantee,
                     ', with the grant option of ' || target.other_grantor);
    RETURN NEXT;
  END LOOP;

  -- Default privileges that roles with tables here would give away with their next table.
  FOR target IN
    SELECT pg_get_userbyid(d.defaclrole) AS creator,
           CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END AS kind,
           CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee,
           string_agg(DISTINCT x.privilege_type, ', ') AS privileges
      FROM pg_default_acl d, aclexplode(d.defaclacl) x
      WHERE d.defaclnamespace = schema_oid AND NOT is_shared
        AND (x.grantee = 0 OR pg_get_userbyid(x.grantee) = ANY (insforge_integrations_internal.client_roles()))
      GROUP BY 1, 2, 3
      ORDER BY 1, 2, 3
  LOOP
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I REVOKE ALL ON %s FROM %s',
                   target.creator, schema_name, target.kind, target.grantee);
    object := format('default privileges of %I in schema %I', target.creator, schema_name);
    change := format('revoked %s on %s from %s', target.privileges, lower(target.kind), target.grantee);
    RETURN NEXT;
  END LOOP;

  -- REVOKE does not undo membership in another role, or ownership.
  FOR target IN
    SELECT r.rolname, c.relname FROM pg_class c, pg_roles r
      WHERE c.oid = ANY (sealed) AND r.rolname = ANY (insforge_integrations_internal.client_roles())
        AND has_schema_privilege(r.rolname, schema_oid, 'USAGE')
        AND (has_table_privilege(r.rolname, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
             OR has_any_column_privilege(r.rolname, c.oid, 'SELECT, INSERT, UPDATE'))
  LOOP
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('role %I still has privileges on table %I.%I', target.rolname, schema_name, target.relname),
      DETAIL = 'It owns the table, is a superuser, or is a member of a role that has them. Nothing was changed.',
      HINT = 'Give the table another owner, or revoke the membership, then call seal_better_auth() again.';
  END LOOP;

  IF is_shared THEN
    object := format('schema %I', schema_name);
    change := format('not sealed as a whole: tables that Better Auth adds later are open until you call seal_better_auth(%L) again; the advisor finds them', schema_name);
    RETURN NEXT;
  END IF;
END
$$;
COMMENT ON FUNCTION insforge_integrations.seal_better_auth(text) IS
'Hides Better Auth''s tables from requests.

It revokes all privileges of PUBLIC, anon, authenticated, anon_role and token_role on Better Auth''s schema, on the objects in it and on future ones. In public, and where other tables have policies, only on Better Auth''s own tables. Returns one row for each change; a second call returns none. Better Auth''s server and this extension keep working.';
