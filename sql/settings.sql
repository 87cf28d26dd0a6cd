CREATE FUNCTION insforge_integrations.invalidate_table_cache() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'invalidate_table_cache';
COMMENT ON FUNCTION insforge_integrations.invalidate_table_cache() IS
  'Trigger function: makes every session read the changed table anew.';

CREATE TABLE insforge_integrations.settings (
  name  text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);
COMMENT ON TABLE insforge_integrations.settings IS
  'Settings that differ from their defaults, one row each. Change them with insforge_integrations.configure(name, value).';
COMMENT ON COLUMN insforge_integrations.settings.name IS 'Name of the setting; the README lists them with their defaults.';
COMMENT ON COLUMN insforge_integrations.settings.value IS 'Value in force in every session of this database.';

SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.settings', '');

CREATE TRIGGER invalidate_table_cache
  AFTER INSERT OR UPDATE OR DELETE ON insforge_integrations.settings
  FOR EACH ROW EXECUTE FUNCTION insforge_integrations.invalidate_table_cache();
CREATE TRIGGER invalidate_table_cache_on_truncate
  AFTER TRUNCATE ON insforge_integrations.settings
  FOR EACH STATEMENT EXECUTE FUNCTION insforge_integrations.invalidate_table_cache();
-- ALWAYS: a logical replication worker applies rows as session_replication_role = replica.
ALTER TABLE insforge_integrations.settings
  ENABLE ALWAYS TRIGGER invalidate_table_cache,
  ENABLE ALWAYS TRIGGER invalidate_table_cache_on_truncate;
