CREATE FUNCTION insforge_integrations_internal.keep_x402_ledger() RETURNS event_trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_x402_ledger';
COMMENT ON FUNCTION insforge_integrations_internal.keep_x402_ledger() IS
  'Event trigger function: refuses to drop the extension while its ledger has rows and setting allow_ledger_drop is off. Ends its cron job when it is dropped.';

CREATE EVENT TRIGGER keep_x402_ledger ON ddl_command_start
  WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE')
  EXECUTE FUNCTION insforge_integrations_internal.keep_x402_ledger();
ALTER EVENT TRIGGER keep_x402_ledger ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER keep_x402_ledger IS
  'Refuses to drop extension insforge_integrations while its ledger has rows. Otherwise ends its cron job.';
