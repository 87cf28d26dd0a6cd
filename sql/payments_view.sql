CREATE TABLE insforge_integrations.x402_publications (
  role  text COLLATE "C" PRIMARY KEY,
  scope text COLLATE "C" NOT NULL CHECK (scope IN ('own', 'all'))
);
COMMENT ON TABLE insforge_integrations.x402_publications IS
'Roles that can read view x402_payments besides project_admin.

Write it with publish_x402_payments().';
COMMENT ON COLUMN insforge_integrations.x402_publications.role IS 'A role. Its members read the same rows.';
COMMENT ON COLUMN insforge_integrations.x402_publications.scope IS 'all, or own: payments of the requesting user, and of addresses that are mapped to the user.';

CREATE TABLE insforge_integrations.x402_payers (
  payer_address insforge_integrations.evm_address PRIMARY KEY,
  user_id       text COLLATE "C" NOT NULL CHECK (user_id <> '')
);
CREATE INDEX x402_payers_user_id ON insforge_integrations.x402_payers (user_id);
COMMENT ON TABLE insforge_integrations.x402_payers IS
'Addresses of payers and their users.

Write it with map_x402_payer().';
COMMENT ON COLUMN insforge_integrations.x402_payers.payer_address IS 'The address, in lower case.';
COMMENT ON COLUMN insforge_integrations.x402_payers.user_id IS 'The user, as requesting_user_id() returns it.';

SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_publications', '');
SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_payers', '');

-- Not pg_roles: it has an outer join, and with that Citus on Postgres 15 and 16 refuses the views that read this one.
CREATE VIEW insforge_integrations.x402_reader WITH (security_barrier) AS
  SELECT coalesce(bool_or(scope = 'all'), false) AS sees_all, coalesce(bool_or(scope = 'own'), false) AS sees_own
  FROM (
    SELECT p.scope FROM insforge_integrations.x402_publications p JOIN pg_catalog.pg_authid r ON r.rolname = p.role
      WHERE pg_has_role(r.oid, 'USAGE')
    UNION ALL
    SELECT 'all' FROM pg_catalog.pg_authid r
      WHERE (r.rolname = 'project_admin' AND pg_has_role(r.oid, 'USAGE')) OR (r.rolname = current_user AND r.rolsuper)
  ) scopes;
COMMENT ON VIEW insforge_integrations.x402_reader IS 'The scope of view x402_payments for the current role.';
COMMENT ON COLUMN insforge_integrations.x402_reader.sees_all IS 'Whether the role reads all payments.';
COMMENT ON COLUMN insforge_integrations.x402_reader.sees_own IS 'Whether it reads those of the requesting user.';

-- security_barrier hides the reader's ORDER BY from the planner. With its own ORDER BY, the view is read in the order
-- that dashboards ask for. There are three parts: scope all, scope own, and payments that share a transaction with
-- another payment, which has the row in the ledger. One of the first two is always empty, and the executor knows that
-- before it reads. Each has the plan that its scope needs.
CREATE VIEW @extschema@.x402_payments WITH (security_barrier) AS
  SELECT s.id, s.payer_address::text AS payer_address, s.endpoint, s.amount::text AS amount, s.tx_hash::text AS tx_hash,
         coalesce((SELECT n.name FROM insforge_integrations.x402_networks n WHERE n.network = s.network), s.network) AS chain,
         'settled'::text AS status, s.response_summary, s.created_at, s.network, s.asset::text AS asset,
         (SELECT replace(n.explorer_url, '{hash}', s.tx_hash) FROM insforge_integrations.x402_networks n
          WHERE n.network = s.network) AS explorer_url,
         s.is_mock, s.user_id, s.is_batched
  FROM (
    (SELECT a.*, false AS is_batched FROM insforge_integrations.x402_settlements a
    WHERE (SELECT sees_all FROM insforge_integrations.x402_reader)
    ORDER BY a.created_at DESC)
    UNION ALL
    (SELECT o.*, false FROM insforge_integrations.x402_settlements o
    WHERE (SELECT sees_own AND NOT sees_all FROM insforge_integrations.x402_reader)
      AND (o.user_id = (SELECT @extschema@.requesting_user_id())
           OR o.payer_address = ANY (ARRAY(
             SELECT p.payer_address FROM insforge_integrations.x402_payers p
             WHERE p.user_id = (SELECT @extschema@.requesting_user_id()))))
    ORDER BY o.created_at DESC)
    UNION ALL
    (SELECT r.id, r.settled_at, r.id, r.tx_hash::text, r.payer_address, r.endpoint, r.settled_amount, r.network, r.asset, r.user_id,
            r.response_summary, r.is_mock, true
    FROM insforge_integrations.x402_reservations r
    WHERE r.is_batched
      AND ((SELECT sees_all FROM insforge_integrations.x402_reader)
           OR ((SELECT sees_own FROM insforge_integrations.x402_reader)
               AND (r.user_id = (SELECT @extschema@.requesting_user_id())
                    OR r.payer_address = ANY (ARRAY(
                      SELECT p.payer_address FROM insforge_integrations.x402_payers p
                      WHERE p.user_id = (SELECT @extschema@.requesting_user_id()))))))
    ORDER BY r.settled_at DESC)
  ) s
  ORDER BY s.created_at DESC;
COMMENT ON VIEW @extschema@.x402_payments IS
'The ledger of x402 payments, with the columns of the guide''s table.

Addresses and hashes are in lower case, amounts in the token''s smallest unit. is_batched: the payment shares its transaction with another payment, which has the row in the ledger. An INSERT records a settlement, as record_x402_settlement() does. UPDATE and DELETE are refused. publish_x402_payments() gives other roles than project_admin access.';
COMMENT ON COLUMN @extschema@.x402_payments.id IS 'Id of the payment.';
COMMENT ON COLUMN @extschema@.x402_payments.payer_address IS 'Address of the payer, in lower case.';
COMMENT ON COLUMN @extschema@.x402_payments.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN @extschema@.x402_payments.amount IS 'Amount, in the token''s smallest unit.';
COMMENT ON COLUMN @extschema@.x402_payments.tx_hash IS 'Hash of the transaction, in lower case.';
COMMENT ON COLUMN @extschema@.x402_payments.chain IS 'Name of the chain.';
COMMENT ON COLUMN @extschema@.x402_payments.status IS 'Always settled.';
COMMENT ON COLUMN @extschema@.x402_payments.response_summary IS 'The app''s note on its answer.';
COMMENT ON COLUMN @extschema@.x402_payments.created_at IS 'When the payment was recorded.';
COMMENT ON COLUMN @extschema@.x402_payments.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN @extschema@.x402_payments.asset IS 'The token''s contract; NULL if it was not given.';
COMMENT ON COLUMN @extschema@.x402_payments.explorer_url IS 'Address of the transaction''s page; NULL if the chain has no such page.';
COMMENT ON COLUMN @extschema@.x402_payments.is_mock IS 'No money moved: mock_x402_settlement() made it.';
COMMENT ON COLUMN @extschema@.x402_payments.user_id IS 'requesting_user_id() at the time of the reservation, or of the record without a reservation.';
COMMENT ON COLUMN @extschema@.x402_payments.is_batched IS 'The payment shares its transaction with another payment, which has the row in the ledger.';

CREATE TRIGGER refuse_change INSTEAD OF UPDATE OR DELETE ON @extschema@.x402_payments
  FOR EACH ROW EXECUTE FUNCTION insforge_integrations_internal.refuse_ledger_change();

CREATE FUNCTION @extschema@.record_x402_settlement(
    tx_hash text, payer_address text, endpoint text, amount text, chain text DEFAULT 'xlayer',
    status text DEFAULT 'settled', response_summary text DEFAULT NULL, idempotent boolean DEFAULT false)
  RETURNS SETOF @extschema@.x402_payments
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'record_settlement';
COMMENT ON FUNCTION @extschema@.record_x402_settlement(text, text, text, text, text, text, text, boolean) IS
'Records a settled x402 payment and returns its row.

- tx_hash: 0x and 64 hexadecimal digits
- payer_address: 0x and 40 hexadecimal digits
- amount: decimal digits, in the token''s smallest unit
- chain: name or CAIP-2 identifier
- idempotent: true: an identical call returns the stored row

A transaction that is already recorded raises 23505, and DETAIL says whether the stored row is identical. The call returns a row or raises an error. After the commit the row is on disk, even if synchronous_commit is off.';

-- With the rights of the role that inserts: it must be allowed to call record_x402_settlement().
CREATE FUNCTION insforge_integrations_internal.record_inserted_payment() RETURNS trigger
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  refused text := (
    SELECT string_agg(given.name, ', ') FROM (VALUES
      ('id', NEW.id IS NOT NULL), ('created_at', NEW.created_at IS NOT NULL), ('network', NEW.network IS NOT NULL),
      ('asset', NEW.asset IS NOT NULL), ('explorer_url', NEW.explorer_url IS NOT NULL),
      ('is_mock', NEW.is_mock IS NOT NULL), ('user_id', NEW.user_id IS NOT NULL),
      ('is_batched', NEW.is_batched IS NOT NULL)) AS given (name, is_given)
    WHERE given.is_given);
BEGIN
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'columns of x402_payments that only the ledger sets were given',
      DETAIL = format('%s: The ledger sets these columns itself. Nothing was recorded.', refused),
      HINT = 'Leave these columns out and record the transaction again. The money has moved.';
  END IF;
  SELECT recorded.* INTO STRICT NEW FROM @extschema@.record_x402_settlement(
    NEW.tx_hash, NEW.payer_address, NEW.endpoint, NEW.amount, coalesce(NEW.chain, 'xlayer'),
    coalesce(NEW.status, 'settled'), NEW.response_summary) recorded;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.record_inserted_payment() IS
  'Trigger function: records the row that is inserted into view x402_payments by record_x402_settlement(). Raises 22023 for columns that only the ledger sets.';
CREATE TRIGGER record_insert INSTEAD OF INSERT ON @extschema@.x402_payments
  FOR EACH ROW EXECUTE FUNCTION insforge_integrations_internal.record_inserted_payment();

CREATE FUNCTION insforge_integrations.publish_x402_payments(role name, scope text) RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  refused text := CASE
    WHEN NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) OR role IS NULL THEN 'role: There is no such role.'
    WHEN role = 'project_admin' THEN 'role: project_admin always reads all payments.'
    WHEN scope IN ('none', 'own', 'all') IS NOT TRUE THEN 'scope: It must be none, own or all.'
  END;
BEGIN
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid publication of x402 payments',
      DETAIL = refused,
      HINT = 'Nothing was changed.';
  END IF;
  IF scope = 'own' AND insforge_integrations_internal.ledger_is_distributed() THEN
    RAISE EXCEPTION USING
      ERRCODE = 'feature_not_supported',
      MESSAGE = 'scope own is not possible while Citus distributes the ledger',
      DETAIL = 'Citus reads the tables behind a view with the rights of the role that reads the view, so the role would have to see all rows.',
      HINT = 'Let your server show users their payments, or a SECURITY DEFINER function of your own that selects from x402_payments WHERE user_id = requesting_user_id().';
  END IF;
  DELETE FROM insforge_integrations.x402_publications p WHERE p.role = role;
  EXECUTE format('REVOKE ALL ON @extschema@.x402_payments, @extschema@.x402_revenue, insforge_integrations.x402_receipts FROM %I', role);
  EXECUTE format('REVOKE ALL ON FUNCTION @extschema@.x402_receipt(text, uuid) FROM %I', role);
  IF scope <> 'none' THEN
    INSERT INTO insforge_integrations.x402_publications VALUES (role, scope);
    EXECUTE format('GRANT SELECT ON @extschema@.x402_payments, insforge_integrations.x402_receipts TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION @extschema@.x402_receipt(text, uuid) TO %I', role);
  END IF;
  IF scope = 'all' THEN
    EXECUTE format('GRANT SELECT ON @extschema@.x402_revenue TO %I', role);
  END IF;
END
$$;
COMMENT ON FUNCTION insforge_integrations.publish_x402_payments(name, text) IS
'Sets which rows of view x402_payments a role can read.

- scope: none, own (payments of the requesting user, and of addresses that map_x402_payer() mapped to the user) or all

x402_receipt() gives the role the receipts of these payments. Scope all includes view x402_revenue.';

CREATE FUNCTION insforge_integrations.map_x402_payer(payer_address text, user_id text) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  address text := lower(insforge_integrations.to_checksum_address(payer_address));
BEGIN
  IF address IS NULL OR user_id = '' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid mapping of a payer',
      DETAIL = 'Both an address and a user id are required.',
      HINT = 'A user id of NULL removes the mapping.';
  END IF;
  DELETE FROM insforge_integrations.x402_payers p WHERE p.payer_address = address;
  IF user_id IS NOT NULL THEN
    INSERT INTO insforge_integrations.x402_payers VALUES (address, user_id);
  END IF;
END
$$;
COMMENT ON FUNCTION insforge_integrations.map_x402_payer(text, text) IS
'Maps a payer''s address to a user.

- user_id: NULL removes the mapping

Scope own of x402_payments then shows the user its payments. Call it after the user has proved to own the address.';

CREATE VIEW insforge_integrations.x402_totals WITH (security_barrier) AS
  SELECT t.network, n.name AS chain, t.asset, a.symbol, a.decimals, t.payments, t.amount, t.corrections, t.mock_payments, t.mock_amount
  FROM (
    SELECT e.network, e.asset,
           coalesce(sum(e.payments) FILTER (WHERE NOT e.is_mock), 0)::bigint AS payments,
           coalesce(sum(e.amount) FILTER (WHERE NOT e.is_mock), 0) AS amount,
           coalesce(sum(e.corrections) FILTER (WHERE NOT e.is_mock), 0) AS corrections,
           coalesce(sum(e.payments) FILTER (WHERE e.is_mock), 0)::bigint AS mock_payments,
           coalesce(sum(e.amount) FILTER (WHERE e.is_mock), 0) AS mock_amount
    FROM (
      SELECT s.network, s.asset, s.is_mock, s.payments, s.amount, 0::numeric AS corrections
      FROM insforge_integrations.x402_settled s
      UNION ALL
      -- A batched payment may be in another asset.
      SELECT s.network, coalesce(r.asset, s.asset), s.is_mock, (c.kind = 'batched')::integer,
             CASE c.kind WHEN 'batched' THEN c.change ELSE 0 END, CASE c.kind WHEN 'batched' THEN 0 ELSE c.change END
      FROM insforge_integrations.x402_corrections c
        JOIN insforge_integrations.x402_settlements s USING (tx_hash)
        LEFT JOIN insforge_integrations.x402_reservations r ON r.id = c.reservation_id
      WHERE c.change <> 0
    ) e
    GROUP BY e.network, e.asset
  ) t
    LEFT JOIN insforge_integrations.x402_networks n ON n.network = t.network
    LEFT JOIN insforge_integrations.x402_assets a ON a.network = t.network AND a.address = t.asset;
COMMENT ON VIEW insforge_integrations.x402_totals IS
'Sums of payments for each asset, in the token''s smallest unit.

Mock settlements have their own columns. If a transaction has several payments, each counts once. amount + corrections is the sum after refunds. asset is NULL for settlements that were recorded without a reservation.';
COMMENT ON COLUMN insforge_integrations.x402_totals.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_totals.chain IS 'Name of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_totals.asset IS 'The token''s contract; NULL if it was not given.';
COMMENT ON COLUMN insforge_integrations.x402_totals.symbol IS 'Symbol of the token; NULL if x402_assets does not have the token.';
COMMENT ON COLUMN insforge_integrations.x402_totals.decimals IS 'Digits after the point: an amount of 1 is 10^-decimals.';
COMMENT ON COLUMN insforge_integrations.x402_totals.payments IS 'Number of payments.';
COMMENT ON COLUMN insforge_integrations.x402_totals.amount IS 'Sum of the payments, in the token''s smallest unit.';
COMMENT ON COLUMN insforge_integrations.x402_totals.corrections IS 'Sum of the corrections; negative for refunds.';
COMMENT ON COLUMN insforge_integrations.x402_totals.mock_payments IS 'Number of mock settlements.';
COMMENT ON COLUMN insforge_integrations.x402_totals.mock_amount IS 'Sum of the mock settlements.';
