CREATE FUNCTION insforge_integrations_internal.invalidate_table_cache() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'invalidate_table_cache';
COMMENT ON FUNCTION insforge_integrations_internal.invalidate_table_cache() IS
  'Trigger function: makes every session read the changed table again.';

CREATE TABLE insforge_integrations.settings (
  name  text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);
COMMENT ON TABLE insforge_integrations.settings IS
'Settings that differ from their defaults, one row each.

Change them with insforge_integrations.configure(name, value).';
COMMENT ON COLUMN insforge_integrations.settings.name IS 'Name of the setting; the reference lists them with their defaults.';
COMMENT ON COLUMN insforge_integrations.settings.value IS 'Value in every session of this database.';

SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.settings', '');

CREATE FUNCTION insforge_integrations_internal.token_role_problem(role text) RETURNS text
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN r.oid IS NULL THEN 'There is no such role.'
    WHEN r.rolsuper THEN format('Role %I is a superuser.', given.name)
    WHEN r.rolbypassrls THEN format('Role %I has BYPASSRLS.', given.name)
    ELSE (SELECT format('Role %I is a member of %I, which %s.', given.name, o.rolname,
                        CASE WHEN o.rolsuper THEN 'is a superuser' ELSE 'has BYPASSRLS' END)
          FROM pg_roles o
          WHERE (o.rolsuper OR o.rolbypassrls) AND pg_has_role(r.oid, o.oid, 'MEMBER')
          ORDER BY o.rolsuper DESC, o.rolname LIMIT 1)
  END
  FROM (SELECT role) given(name) LEFT JOIN pg_roles r ON r.rolname = given.name
$$;
COMMENT ON FUNCTION insforge_integrations_internal.token_role_problem(text) IS
  'Says in a sentence why a role cannot be token_role or anon_role: it does not exist, or row level security does not hold for it or for a role that it is a member of. NULL if it can.';

CREATE FUNCTION insforge_integrations_internal.client_roles() RETURNS text[]
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
  SELECT ARRAY['anon', 'authenticated'] || ARRAY(
    SELECT s.value FROM insforge_integrations.settings s
    WHERE s.name IN ('anon_role', 'token_role') AND s.value NOT IN ('anon', 'authenticated') ORDER BY s.name)
$$;
COMMENT ON FUNCTION insforge_integrations_internal.client_roles() IS
  'The roles of users'' requests: anon, authenticated, and those of settings anon_role and token_role.';

-- Adds the triggers that keep sessions' copies of a table up to date. Only the install script uses it, and drops it.
CREATE FUNCTION insforge_integrations_internal.watch_for_table_caches(watched regclass) RETURNS void
  LANGUAGE plpgsql AS $$
BEGIN
  -- ALWAYS: a logical replication worker applies rows as session_replication_role = replica.
  EXECUTE format(
    'CREATE TRIGGER invalidate_table_cache
       AFTER INSERT OR UPDATE OR DELETE ON %1$s
       FOR EACH ROW EXECUTE FUNCTION insforge_integrations_internal.invalidate_table_cache();
     CREATE TRIGGER invalidate_table_cache_on_truncate
       AFTER TRUNCATE ON %1$s
       FOR EACH STATEMENT EXECUTE FUNCTION insforge_integrations_internal.invalidate_table_cache();
     ALTER TABLE %1$s
       ENABLE ALWAYS TRIGGER invalidate_table_cache,
       ENABLE ALWAYS TRIGGER invalidate_table_cache_on_truncate',
    watched);
END
$$;
SELECT insforge_integrations_internal.watch_for_table_caches('insforge_integrations.settings');
