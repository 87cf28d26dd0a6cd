-- Sums of the days before yesterday, so that views need not read the whole ledger. Not dumped: they can be made again.
CREATE TABLE insforge_integrations.x402_sums (
  day      date NOT NULL,
  endpoint text COLLATE "C" NOT NULL,
  network  text COLLATE "C" NOT NULL,
  asset    insforge_integrations.evm_address,
  is_mock  boolean NOT NULL,
  payments bigint NOT NULL,
  amount   numeric NOT NULL
);
CREATE INDEX x402_sums_day ON insforge_integrations.x402_sums (day);
COMMENT ON TABLE insforge_integrations.x402_sums IS
'Sums of the ledger, one row for each day, endpoint, asset and kind of payment.

refresh_x402_sums() writes it, for the days before x402_summed.before.';
COMMENT ON COLUMN insforge_integrations.x402_sums.day IS 'Day, in UTC.';
COMMENT ON COLUMN insforge_integrations.x402_sums.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN insforge_integrations.x402_sums.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_sums.asset IS 'The token''s contract; NULL if it was not given.';
COMMENT ON COLUMN insforge_integrations.x402_sums.is_mock IS 'The sum of mock settlements.';
COMMENT ON COLUMN insforge_integrations.x402_sums.payments IS 'Number of settlements.';
COMMENT ON COLUMN insforge_integrations.x402_sums.amount IS 'Their sum, in the token''s smallest unit.';

CREATE TABLE insforge_integrations.x402_summed (
  before  timestamptz NOT NULL,
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only)
);
INSERT INTO insforge_integrations.x402_summed VALUES ('-infinity');
COMMENT ON TABLE insforge_integrations.x402_summed IS 'Up to when x402_sums has the ledger, in its only row.';
COMMENT ON COLUMN insforge_integrations.x402_summed.before IS 'Midnight (UTC): all settlements before it are in x402_sums, and none after it.';
COMMENT ON COLUMN insforge_integrations.x402_summed.is_only IS 'Always true, so there is one row.';

CREATE VIEW insforge_integrations.x402_settled AS
  SELECT s.day, s.endpoint, s.network, s.asset, s.is_mock, s.payments, s.amount
  FROM insforge_integrations.x402_sums s
  UNION ALL
  SELECT (s.created_at AT TIME ZONE 'UTC')::date AS day, s.endpoint, s.network, s.asset, s.is_mock, count(*), sum(s.amount::numeric)
  FROM insforge_integrations.x402_settlements s
  WHERE s.created_at >= (SELECT d.before FROM insforge_integrations.x402_summed d)
    -- Always so. With an upper limit the planner expects few rows, and does not compile the query first.
    AND s.created_at <= 'infinity'
  GROUP BY 1, 2, 3, 4, 5;
COMMENT ON VIEW insforge_integrations.x402_settled IS
'Sums of the ledger: those that x402_sums has, and those of the days since.

x402_totals and x402_revenue read it.';
COMMENT ON COLUMN insforge_integrations.x402_settled.day IS 'Day, in UTC.';
COMMENT ON COLUMN insforge_integrations.x402_settled.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN insforge_integrations.x402_settled.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_settled.asset IS 'The token''s contract; NULL if it was not given.';
COMMENT ON COLUMN insforge_integrations.x402_settled.is_mock IS 'The sum of mock settlements.';
COMMENT ON COLUMN insforge_integrations.x402_settled.payments IS 'Number of settlements.';
COMMENT ON COLUMN insforge_integrations.x402_settled.amount IS 'Their sum, in the token''s smallest unit.';

-- A payment's time is the beginning of its transaction. So a row can still come into a day before yesterday: from an
-- import, a restored dump, or a transaction that has run since then. Trigger admit_settlement then calls this function.
CREATE FUNCTION insforge_integrations_internal.reopen_x402_days(created_at timestamptz) RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE insforge_integrations.x402_summed d SET before = least(d.before, date_trunc('day', reopen_x402_days.created_at, 'UTC'));
  DELETE FROM insforge_integrations.x402_sums s WHERE s.day >= (reopen_x402_days.created_at AT TIME ZONE 'UTC')::date;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.reopen_x402_days(timestamptz) IS
  'Removes the sums of a day and of all later ones. The views then read the ledger for them, until the next refresh_x402_sums().';

CREATE FUNCTION insforge_integrations.refresh_x402_sums() RETURNS timestamptz
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  summed timestamptz;
  midnight CONSTANT timestamptz := date_trunc('day', now() - interval '1 day', 'UTC');
  old text[];
  writer integer;
BEGIN
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION USING
      ERRCODE = 'active_sql_transaction',
      MESSAGE = 'the sums of the ledger cannot be refreshed at this isolation level',
      DETAIL = 'Each statement must see all payments that were committed before it.',
      HINT = 'Call refresh_x402_sums() in a transaction of isolation level READ COMMITTED.';
  END IF;
  IF insforge_integrations_internal.ledger_is_distributed() THEN
    RAISE EXCEPTION USING
      ERRCODE = 'feature_not_supported',
      MESSAGE = 'no sums are kept while Citus distributes the ledger',
      DETAIL = 'The other servers'' unfinished transactions are not visible here.',
      HINT = 'The views sum the ledger on all servers. Nothing has to be called.';
  END IF;
  -- Waits for the transactions that have added late rows. They take the table's ROW SHARE lock.
  LOCK TABLE insforge_integrations.x402_summed IN EXCLUSIVE MODE;
  SELECT d.before INTO STRICT summed FROM insforge_integrations.x402_summed d;
  IF summed >= midnight THEN
    RETURN summed;
  END IF;
  -- A transaction that began earlier and has written to the ledger has added rows that nobody sees yet.
  PERFORM pg_stat_clear_snapshot();
  SELECT coalesce(array_agg(l.virtualtransaction), '{}') INTO old
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND l.relation = 'insforge_integrations.x402_settlements'::regclass
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND l.mode = 'RowExclusiveLock' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
      -- An hour, because admit_settlement() lets rows of the last hour pass.
      AND (a.xact_start >= midnight + interval '1 hour') IS NOT TRUE;
  -- One that ended between the looks at its lock and at its beginning seems to have none.
  SELECT coalesce(l.pid, 0) INTO writer
    FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.relation = 'insforge_integrations.x402_settlements'::regclass
      AND l.mode = 'RowExclusiveLock' AND l.virtualtransaction = ANY (old)
    LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_in_use',
      MESSAGE = 'a transaction that began before yesterday, or nobody knows when, writes to the ledger',
      DETAIL = CASE writer WHEN 0 THEN 'It is a prepared transaction (pg_prepared_xacts).' ELSE format('It is the one of process %s (pg_stat_activity).', writer) END,
      HINT = 'End it, then call refresh_x402_sums() again. The views are right without it.';
  END IF;
  INSERT INTO insforge_integrations.x402_sums (day, endpoint, network, asset, is_mock, payments, amount)
    SELECT s.day, s.endpoint, s.network, s.asset, s.is_mock, s.payments, s.amount
    FROM insforge_integrations.x402_settled s
    WHERE s.day >= (summed AT TIME ZONE 'UTC')::date AND s.day < (midnight AT TIME ZONE 'UTC')::date;
  UPDATE insforge_integrations.x402_summed d SET before = midnight;
  RETURN midnight;
END
$$;
COMMENT ON FUNCTION insforge_integrations.refresh_x402_sums() IS
'Keeps the sums of the days before yesterday, and returns up to when.

x402_totals and x402_revenue are right without it. With it they read only the payments since then from the ledger, and take as long for an old ledger as for a new one. Call it once a day, by pg_cron or any other cron. Payments are recorded while it runs. A row of an earlier day, as from an import, removes the sums from that day on until the next call. Raises 25001 above READ COMMITTED, 55006 while a transaction that began before yesterday writes to the ledger, and 0A000 while Citus distributes it.';
