CREATE FUNCTION insforge_integrations_internal.keep_x402_ledger() RETURNS event_trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'keep_x402_ledger';
COMMENT ON FUNCTION insforge_integrations_internal.keep_x402_ledger() IS
  'Event trigger function: refuses to drop the extension while its ledger has rows and setting allow_ledger_drop is off. If the setting is keep, first calls keep_x402_ledger_rows(). Ends its cron job when it is dropped.';

CREATE EVENT TRIGGER keep_x402_ledger ON ddl_command_start
  WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE')
  EXECUTE FUNCTION insforge_integrations_internal.keep_x402_ledger();
ALTER EVENT TRIGGER keep_x402_ledger ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER keep_x402_ledger IS
'Refuses to drop extension insforge_integrations while its ledger has rows.

If the ledger is empty, it ends the extension''s cron job.';

CREATE FUNCTION insforge_integrations_internal.keep_x402_ledger_rows() RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- The functions on reservations lock the tables in this order, too.
  LOCK TABLE insforge_integrations.x402_reservations, insforge_integrations.x402_settlements,
             insforge_integrations.x402_corrections IN ACCESS EXCLUSIVE MODE;
  IF to_regclass('insforge_integrations_kept.x402_ledger') IS NULL THEN
    CREATE SCHEMA insforge_integrations_kept;
    REVOKE ALL ON SCHEMA insforge_integrations_kept FROM PUBLIC;
    -- Columns of the extension's types would be dropped with it.
    CREATE TABLE insforge_integrations_kept.x402_ledger (
      kept_at timestamptz NOT NULL DEFAULT now(), source text NOT NULL, content jsonb NOT NULL);
    ALTER TABLE insforge_integrations_kept.x402_ledger ENABLE ROW LEVEL SECURITY;
    COMMENT ON TABLE insforge_integrations_kept.x402_ledger IS
      'Rows of the x402 ledger from before extension insforge_integrations was dropped. insforge_integrations.restore_kept_x402_ledger() puts them back.';
  ELSE
    PERFORM insforge_integrations_internal.require_own_kept_ledger();
  END IF;
  INSERT INTO insforge_integrations_kept.x402_ledger (source, content)
    SELECT 'x402_settlements', to_jsonb(s) FROM insforge_integrations.x402_settlements s
    UNION ALL
    SELECT 'x402_corrections', to_jsonb(c) FROM insforge_integrations.x402_corrections c
    UNION ALL
    SELECT 'x402_reservations', to_jsonb(r) FROM insforge_integrations.x402_reservations r;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.keep_x402_ledger_rows() IS
  'Copies the rows of the ledger, its corrections and its reservations into table insforge_integrations_kept.x402_ledger, which DROP EXTENSION and a restore leave alone. The event trigger calls it before a DROP if setting allow_ledger_drop is keep.';

CREATE FUNCTION insforge_integrations_internal.require_own_kept_ledger() RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_roles o ON o.oid = c.relowner JOIN pg_roles s ON s.oid = n.nspowner
    WHERE c.oid = to_regclass('insforge_integrations_kept.x402_ledger') AND c.relkind = 'r' AND o.rolsuper AND s.rolsuper
  ) THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'there is no kept x402 ledger',
      DETAIL = 'insforge_integrations_kept.x402_ledger is not a table in a schema, both owned by superusers.',
      HINT = 'The table is made when the extension is dropped while setting allow_ledger_drop is keep.';
  END IF;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.require_own_kept_ledger() IS
  'Raises 55000 if there is no table insforge_integrations_kept.x402_ledger that a superuser owns.';

CREATE FUNCTION insforge_integrations.restore_kept_x402_ledger(
    OUT source text, OUT kept bigint, OUT added bigint, OUT updated bigint)
  RETURNS SETOF record
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  other text;
BEGIN
  PERFORM insforge_integrations_internal.require_own_kept_ledger();
  PERFORM insforge_integrations_internal.force_sync_commit();
  LOCK TABLE insforge_integrations.x402_reservations, insforge_integrations.x402_settlements,
             insforge_integrations.x402_corrections IN SHARE ROW EXCLUSIVE MODE;
  source := 'x402_settlements';
  SELECT count(*) INTO kept FROM insforge_integrations_kept.x402_ledger k WHERE k.source = 'x402_settlements';
  INSERT INTO insforge_integrations.x402_settlements
    SELECT s.* FROM insforge_integrations_kept.x402_ledger k,
           jsonb_populate_record(NULL::insforge_integrations.x402_settlements, k.content) s
    WHERE k.source = 'x402_settlements' ORDER BY k.kept_at
    ON CONFLICT (tx_hash) DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  updated := 0;
  RETURN NEXT;

  source := 'x402_corrections';
  SELECT count(*) INTO kept FROM insforge_integrations_kept.x402_ledger k WHERE k.source = 'x402_corrections';
  INSERT INTO insforge_integrations.x402_corrections
    SELECT c.* FROM insforge_integrations_kept.x402_ledger k,
           jsonb_populate_record(NULL::insforge_integrations.x402_corrections, k.content) c
    WHERE k.source = 'x402_corrections' ORDER BY k.kept_at
    ON CONFLICT (tx_hash, number) DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN NEXT;

  -- A row that was not the same payment or correction would be lost.
  SELECT k.content ->> 'tx_hash' INTO other
    FROM insforge_integrations_kept.x402_ledger k
    LEFT JOIN insforge_integrations.x402_settlements s
      ON k.source = 'x402_settlements' AND s.tx_hash = k.content ->> 'tx_hash'
    LEFT JOIN insforge_integrations.x402_corrections c
      ON k.source = 'x402_corrections' AND c.tx_hash = k.content ->> 'tx_hash' AND c.number = (k.content ->> 'number')::integer
    WHERE (k.source = 'x402_settlements'
           AND to_jsonb(s) - '{id,created_at}'::text[] @> jsonb_strip_nulls(k.content) - '{id,created_at}'::text[] IS NOT TRUE)
       OR (k.source = 'x402_corrections' AND c.id IS DISTINCT FROM (k.content ->> 'id')::uuid)
    LIMIT 1;
  IF other IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'unique_violation',
      MESSAGE = format('transaction %s is recorded with other facts', other),
      DETAIL = 'The ledger and insforge_integrations_kept.x402_ledger have different rows for it. Nothing was changed.',
      HINT = 'If import_x402_payments() came first: import again after this function, in a new installation. Otherwise compare both rows with the chain, delete the wrong row from insforge_integrations_kept.x402_ledger, and call this function again.';
  END IF;

  -- Only the latest state of each reservation. A reservation that went on after the restore stays as it is.
  source := 'x402_reservations';
  DELETE FROM insforge_integrations_kept.x402_ledger k USING insforge_integrations_kept.x402_ledger l
    WHERE k.source = 'x402_reservations' AND l.source = 'x402_reservations'
      AND l.content ->> 'id' = k.content ->> 'id' AND l.kept_at > k.kept_at;
  SELECT count(*) INTO kept FROM insforge_integrations_kept.x402_ledger k WHERE k.source = 'x402_reservations';
  DELETE FROM insforge_integrations.x402_reservations o
    USING insforge_integrations_kept.x402_ledger k, jsonb_populate_record(NULL::insforge_integrations.x402_reservations, k.content) n
    WHERE k.source = 'x402_reservations' AND o.id = n.id
      AND (o.state = 'settled', o.delivered_at IS NOT NULL, o.resolved_at IS NOT NULL, jsonb_array_length(o.answers))
        <= (n.state = 'settled', n.delivered_at IS NOT NULL, n.resolved_at IS NOT NULL, jsonb_array_length(n.answers));
  GET DIAGNOSTICS updated = ROW_COUNT;
  INSERT INTO insforge_integrations.x402_reservations
    SELECT n.* FROM insforge_integrations_kept.x402_ledger k,
           jsonb_populate_record(NULL::insforge_integrations.x402_reservations, k.content) n
    WHERE k.source = 'x402_reservations' AND n.id NOT IN (SELECT o.id FROM insforge_integrations.x402_reservations o);
  GET DIAGNOSTICS added = ROW_COUNT;
  added := added - updated;
  RETURN NEXT;

  DROP TABLE insforge_integrations_kept.x402_ledger;
  DROP SCHEMA insforge_integrations_kept;
END
$$;
COMMENT ON FUNCTION insforge_integrations.restore_kept_x402_ledger() IS
'Puts back the ledger that DROP EXTENSION kept.

It was kept if setting allow_ledger_drop was keep, as in a restore of a backup. Returns for each table how many rows were kept, added to it, and put in place of an older state. Then drops schema insforge_integrations_kept. Raises 23505, and changes nothing, if the ledger has a kept transaction with other facts.';
