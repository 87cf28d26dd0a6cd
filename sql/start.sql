-- Runs first. Refuses an encoding that cannot hold all texts, and a database that followed the guides and already
-- has objects with our names. Then it makes the schemas.
DO $$
DECLARE
  has_function CONSTANT boolean := to_regprocedure('@extschema@.requesting_user_id()') IS NOT NULL;
  has_table CONSTANT boolean := to_regclass('@extschema@.x402_payments') IS NOT NULL;
BEGIN
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('extension insforge_integrations needs a database with encoding UTF8, and this one has %s', current_setting('server_encoding')),
      DETAIL = 'JSON Web Tokens and x402 payments are UTF-8. If this encoding cannot write a user id, the id could become another user''s.',
      HINT = 'Dump this database and restore it into a database that was made with CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0.';
  END IF;
  IF has_function OR has_table THEN
    RAISE EXCEPTION USING
      ERRCODE = CASE WHEN has_function THEN 'duplicate_function' ELSE 'duplicate_table' END,
      MESSAGE = CASE WHEN has_function THEN 'function @extschema@.requesting_user_id() already exists'
                     ELSE 'relation @extschema@.x402_payments already exists' END,
      DETAIL = concat_ws(' ',
        CASE WHEN has_function THEN 'The extension creates a function with this name. If you rename the present function, policies and column defaults that use it follow.' END,
        CASE WHEN has_table THEN 'The extension creates view @extschema@.x402_payments over its ledger. The present table of this name keeps its rows, and the import copies them.' END),
      HINT = concat_ws(' ', 'BEGIN;',
        -- While the rename waits for a long statement, new requests on the table wait behind the rename.
        CASE WHEN has_table THEN 'SET LOCAL lock_timeout = ''2s'';' END,
        CASE WHEN has_function THEN 'ALTER FUNCTION @extschema@.requesting_user_id() RENAME TO requesting_user_id_guide;' END,
        CASE WHEN has_table THEN 'ALTER TABLE @extschema@.x402_payments RENAME TO x402_payments_guide;' END,
        'CREATE EXTENSION insforge_integrations SCHEMA @extschema@;',
        CASE WHEN has_function THEN 'SELECT * FROM insforge_integrations.adopt_requesting_user_id(''@extschema@.requesting_user_id_guide()'');' END,
        CASE WHEN has_table THEN 'SELECT * FROM insforge_integrations.import_x402_payments(''@extschema@.x402_payments_guide'');' END,
        'COMMIT;');
  END IF;
END
$$;

-- A schema that somebody else made stops CREATE EXTENSION: it is no member of the extension.
CREATE SCHEMA IF NOT EXISTS insforge_integrations;
CREATE SCHEMA IF NOT EXISTS insforge_integrations_internal;
