-- Division by a power of ten is exact with as many decimal places as the token has.
CREATE VIEW @extschema@.x402_revenue WITH (security_barrier) AS
  SELECT t.day,
         -- Spreadsheets run a cell that begins with one of these as a formula. The endpoint may come from a stranger's request.
         CASE WHEN t.endpoint ~ '^[=+\-@\t\r\n]' THEN '''' || t.endpoint ELSE t.endpoint END AS endpoint,
         t.network, coalesce(n.name, t.network) AS chain, t.asset::text AS asset, a.symbol, a.decimals,
         t.payments, t.amount, t.refunded, t.dropped, t.amount - t.refunded - t.dropped AS net,
         round(round(t.amount, a.decimals) / 10::numeric ^ a.decimals, a.decimals) AS amount_in_units,
         round(round(t.amount - t.refunded - t.dropped, a.decimals) / 10::numeric ^ a.decimals, a.decimals) AS net_in_units
  FROM (
    SELECT e.day, e.endpoint, e.network, e.asset, sum(e.payments)::bigint AS payments,
           sum(e.amount) AS amount, sum(e.refunded) AS refunded, sum(e.dropped) AS dropped
    FROM (
      SELECT s.day, s.endpoint, s.network, s.asset, s.payments, s.amount, 0::numeric AS refunded, 0::numeric AS dropped
      FROM insforge_integrations.x402_settled s
      WHERE NOT s.is_mock
      UNION ALL
      -- Another payment of the transaction may be for another endpoint and in another asset.
      SELECT (c.created_at AT TIME ZONE 'UTC')::date, coalesce(r.endpoint, s.endpoint), s.network, coalesce(r.asset, s.asset),
             (c.kind = 'batched')::integer,
             CASE c.kind WHEN 'batched' THEN c.change ELSE 0 END, CASE c.kind WHEN 'refund' THEN -c.change ELSE 0 END,
             CASE c.kind WHEN 'reorg' THEN -c.change ELSE 0 END
      FROM insforge_integrations.x402_corrections c
        JOIN insforge_integrations.x402_settlements s USING (tx_hash)
        LEFT JOIN insforge_integrations.x402_reservations r ON r.id = c.reservation_id
      WHERE c.change <> 0 AND NOT s.is_mock
    ) e
    WHERE (SELECT sees_all FROM insforge_integrations.x402_reader)
    GROUP BY 1, 2, 3, 4
  ) t
    LEFT JOIN insforge_integrations.x402_networks n ON n.network = t.network
    LEFT JOIN insforge_integrations.x402_assets a ON a.network = t.network AND a.address = t.asset
  ORDER BY t.day DESC, t.endpoint, t.network, t.asset;
COMMENT ON VIEW @extschema@.x402_revenue IS
'Revenue by day (UTC), endpoint and asset.

amount, refunded, dropped (the chain dropped the transaction) and net are in the token''s smallest unit. A payment counts on the day of its record, and a correction on the day of its entry, so past days never change. Mock settlements do not count. Each payment of a transaction with several counts once. An endpoint that a spreadsheet would run as a formula has an apostrophe before it. Only project_admin and roles that publish_x402_payments() gave scope all see rows.';
COMMENT ON COLUMN @extschema@.x402_revenue.day IS 'Day, in UTC.';
COMMENT ON COLUMN @extschema@.x402_revenue.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN @extschema@.x402_revenue.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN @extschema@.x402_revenue.chain IS 'Name of the chain.';
COMMENT ON COLUMN @extschema@.x402_revenue.asset IS 'The token''s contract; NULL if it was not given.';
COMMENT ON COLUMN @extschema@.x402_revenue.symbol IS 'Symbol of the token; NULL if x402_assets does not have the token.';
COMMENT ON COLUMN @extschema@.x402_revenue.decimals IS 'Digits after the point: an amount of 1 is 10^-decimals.';
COMMENT ON COLUMN @extschema@.x402_revenue.payments IS 'Number of payments.';
COMMENT ON COLUMN @extschema@.x402_revenue.amount IS 'Sum of the payments, in the token''s smallest unit.';
COMMENT ON COLUMN @extschema@.x402_revenue.refunded IS 'Sum of the refunds, in the token''s smallest unit.';
COMMENT ON COLUMN @extschema@.x402_revenue.dropped IS 'Sum of the payments that the chain dropped.';
COMMENT ON COLUMN @extschema@.x402_revenue.net IS 'amount - refunded - dropped.';
COMMENT ON COLUMN @extschema@.x402_revenue.amount_in_units IS 'amount in whole tokens; NULL if decimals is NULL.';
COMMENT ON COLUMN @extschema@.x402_revenue.net_in_units IS 'net in whole tokens; NULL if decimals is NULL.';

CREATE VIEW insforge_integrations.x402_receipts WITH (security_barrier) AS
  SELECT p.tx_hash::text AS tx_hash, p.reservation_id, jsonb_build_object(
           'id', p.id, 'paid_at', p.paid_at, 'payer', p.payer_address, 'pay_to', p.pay_to, 'endpoint', p.endpoint,
           'description', p.description, 'network', p.network, 'chain', coalesce(n.name, p.network),
           'asset', p.asset, 'symbol', a.symbol, 'decimals', a.decimals, 'amount', p.amount::text,
           'amount_in_units', round(round(p.amount::numeric, a.decimals) / 10::numeric ^ a.decimals, a.decimals)::text,
           'tx_hash', p.tx_hash, 'explorer_url', replace(n.explorer_url, '{hash}', p.tx_hash),
           'delivered_at', p.delivered_at, 'refunds', c.refunds, 'refunded', c.refunded::text,
           'is_dropped', c.is_dropped, 'is_mock', p.is_mock) AS receipt
  FROM (
    -- tx_hash finds the settlement of a reservation by its index.
    SELECT s.id, s.created_at AS paid_at, s.payer_address, s.endpoint, s.amount, s.network, s.asset, s.tx_hash, s.is_mock, s.user_id,
           r.id AS reservation_id, NULL::uuid AS correction_of, r.pay_to, r.requirements ->> 'description' AS description, r.delivered_at
    FROM insforge_integrations.x402_settlements s
      LEFT JOIN insforge_integrations.x402_reservations r ON r.id = s.reservation_id AND r.tx_hash = s.tx_hash
    UNION ALL
    SELECT r.id, r.settled_at, r.payer_address, r.endpoint, r.settled_amount, r.network, r.asset, r.tx_hash::text, r.is_mock, r.user_id,
           r.id, r.id, r.pay_to, r.requirements ->> 'description', r.delivered_at
    FROM insforge_integrations.x402_reservations r
    WHERE r.is_batched
  ) p
    LEFT JOIN insforge_integrations.x402_networks n ON n.network = p.network
    LEFT JOIN insforge_integrations.x402_assets a ON a.network = p.network AND a.address = p.asset
    CROSS JOIN LATERAL (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
               'refunded_at', c.created_at, 'amount', (-c.change)::text, 'tx_hash', c.other_hash,
               'explorer_url', replace(n.explorer_url, '{hash}', c.other_hash), 'reference', c.reference) ORDER BY c.number)
                 FILTER (WHERE c.kind = 'refund'), '[]') AS refunds,
             coalesce(sum(-c.change) FILTER (WHERE c.kind = 'refund'), 0) AS refunded,
             coalesce(bool_or(c.kind = 'reorg'), false) AS is_dropped
      FROM insforge_integrations.x402_corrections c
      WHERE c.tx_hash = p.tx_hash AND c.reservation_id IS NOT DISTINCT FROM p.correction_of
    ) c
  WHERE (SELECT sees_all FROM insforge_integrations.x402_reader)
     OR ((SELECT sees_own FROM insforge_integrations.x402_reader)
         AND (p.user_id = (SELECT @extschema@.requesting_user_id())
              OR p.payer_address = ANY (ARRAY(
                SELECT m.payer_address FROM insforge_integrations.x402_payers m
                WHERE m.user_id = (SELECT @extschema@.requesting_user_id())))));
COMMENT ON VIEW insforge_integrations.x402_receipts IS
'The receipts of the payments that the current role sees in x402_payments.

x402_receipt() reads it.';
COMMENT ON COLUMN insforge_integrations.x402_receipts.tx_hash IS 'The transaction.';
COMMENT ON COLUMN insforge_integrations.x402_receipts.reservation_id IS 'The reservation; NULL for a payment without one.';
COMMENT ON COLUMN insforge_integrations.x402_receipts.receipt IS 'The receipt, as x402_receipt() returns it.';

-- Not SECURITY DEFINER: the view shows each caller its own rows. PL/pgSQL, because Citus plans no parameters of SQL functions.
CREATE FUNCTION @extschema@.x402_receipt(tx_hash text DEFAULT NULL, reservation_id uuid DEFAULT NULL) RETURNS SETOF jsonb
  LANGUAGE plpgsql STABLE ROWS 1
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- One statement for each, so that each finds its rows by an index.
  IF x402_receipt.tx_hash IS NOT NULL THEN
    RETURN QUERY SELECT r.receipt FROM insforge_integrations.x402_receipts r
      WHERE r.tx_hash = lower(x402_receipt.tx_hash)
        AND (x402_receipt.reservation_id IS NULL OR r.reservation_id = x402_receipt.reservation_id);
  ELSE
    RETURN QUERY SELECT r.receipt FROM insforge_integrations.x402_receipts r
      WHERE r.reservation_id = x402_receipt.reservation_id;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.x402_receipt(text, uuid) IS
'The receipt of a payment, by its transaction, its reservation, or both.

It says who paid whom how much, for what, when and in which transaction, and what was paid back. One row for each payment of the transaction. No row: there is no such payment, or the caller does not see it in x402_payments. The operator''s notes are not in it.';
