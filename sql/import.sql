CREATE FUNCTION insforge_integrations_internal.rows_of_ordinary_table(source oid) RETURNS SETOF jsonb
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rows_of_ordinary_table';
COMMENT ON FUNCTION insforge_integrations_internal.rows_of_ordinary_table(oid) IS
  'Reads rows of a table as JSON objects, without running code of the table''s owner. Raises 42809 for anything but an ordinary table with columns of built-in types. import_x402_payments() uses it.';

CREATE FUNCTION insforge_integrations.import_x402_payments(source regclass)
  RETURNS TABLE (id text, tx_hash text, reason text)
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  given jsonb;
  read record;
  copied bigint := 0;
  known bigint := 0;
  refused bigint := 0;
  differences text;
  left_behind text;
BEGIN
  FOR given IN SELECT * FROM insforge_integrations_internal.rows_of_ordinary_table(source) LOOP
    id := given ->> 'id';
    tx_hash := given ->> 'tx_hash';
    SELECT * INTO STRICT read FROM insforge_integrations_internal.read_x402_settlement(
      tx_hash, given ->> 'payer_address', given ->> 'amount', coalesce(given ->> 'chain', 'xlayer'),
      coalesce(given ->> 'status', 'settled'), given ->> 'created_at');
    reason := CASE
      WHEN read.problem IS NOT NULL THEN read.problem
      WHEN coalesce(given ->> 'endpoint', '') = '' THEN 'no endpoint is given'
      WHEN id !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN 'the id is not a uuid'
    END;
    IF reason IS NULL THEN
      differences := insforge_integrations_internal.insert_x402_settlement(
        read.tx_hash, read.payer_address, given ->> 'endpoint', read.amount, read.network, given ->> 'response_summary',
        id::uuid, read.created_at);
      IF differences IS NULL THEN
        copied := copied + 1;
      ELSIF differences = '' THEN
        known := known + 1;
      ELSE
        reason := 'the transaction is recorded with other facts';
      END IF;
    END IF;
    IF reason IS NOT NULL THEN
      refused := refused + 1;
      RETURN NEXT;
    END IF;
  END LOOP;
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, 0), ', ') INTO left_behind
    FROM pg_depend d
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = source
      AND (d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass)
           OR EXISTS (SELECT FROM pg_constraint c WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
                      AND c.contype = 'f' AND c.confrelid = source));
  IF left_behind IS NOT NULL THEN
    RAISE WARNING USING
      MESSAGE = format('objects belong to table %s or read it, and new payments do not reach them', source),
      DETAIL = left_behind || '.',
      HINT = 'For a policy that lets a role read: insforge_integrations.publish_x402_payments(). For a trigger that publishes: insforge_integrations.configure(''realtime'', ''on''). Make views and functions read x402_payments.';
  END IF;
  RAISE NOTICE '% payments imported, % were recorded already, % were refused', copied, known, refused;
END
$$;
COMMENT ON FUNCTION insforge_integrations.import_x402_payments(regclass) IS
'Copies the rows of the guide''s payment table into the ledger.

Returns each row that it refused, with the reason; no row means that all were copied. Does not change the table. It must be an ordinary table with columns payer_address, endpoint, amount, tx_hash; optional columns are id, chain, status, response_summary, created_at. A second call does no harm. A WARNING names the objects that belong to the table or read it.';
