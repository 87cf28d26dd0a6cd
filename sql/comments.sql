-- Descriptions of what Rust code declares.
COMMENT ON SCHEMA insforge_integrations IS
  'Extension insforge_integrations: all that is not called through the data API. See the README for who may call what.';

COMMENT ON FUNCTION insforge_integrations.configure(text, text) IS
  'Stores a setting for the whole database; a NULL value returns it to its default. An unknown name or value raises 22023.';
