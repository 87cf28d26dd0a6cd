-- A domain, for the same reason as evm_hash.
CREATE DOMAIN insforge_integrations.x402_state AS text COLLATE "C"
  CHECK (VALUE IN ('reserved', 'settled', 'pending', 'failed', 'conflict'));
COMMENT ON DOMAIN insforge_integrations.x402_state IS 'The state of a payment: reserved, settled, pending, failed or conflict.';

CREATE TABLE insforge_integrations.x402_reservations (
  id                    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at            timestamptz NOT NULL DEFAULT now(),
  state                 insforge_integrations.x402_state NOT NULL DEFAULT 'reserved',
  endpoint              text COLLATE "C" NOT NULL,
  idempotency_key       text COLLATE "C",
  holds_key             boolean NOT NULL DEFAULT true,
  scheme                text COLLATE "C" NOT NULL,
  network               text COLLATE "C" NOT NULL,
  asset                 insforge_integrations.evm_address NOT NULL,
  payer_address         insforge_integrations.evm_address NOT NULL,
  pay_to                insforge_integrations.evm_address NOT NULL,
  amount                insforge_integrations.evm_amount NOT NULL,
  nonce_contract        insforge_integrations.evm_address NOT NULL,
  nonce                 insforge_integrations.evm_hash NOT NULL,
  valid_after           timestamptz NOT NULL,
  valid_before          timestamptz NOT NULL,
  is_signature_verified boolean NOT NULL,
  payment               text NOT NULL,
  requirements          jsonb NOT NULL,
  user_id               text COLLATE "C",
  asked_amount          insforge_integrations.evm_amount,
  settled_amount        insforge_integrations.evm_amount,
  tx_hash               insforge_integrations.evm_hash,
  reason                text,
  message               text,
  answers               jsonb NOT NULL DEFAULT '[]',
  response_summary      text,
  request_given_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  is_mock               boolean NOT NULL DEFAULT false,
  is_batched            boolean NOT NULL DEFAULT false CHECK (state = 'settled' OR NOT is_batched),
  settled_at            timestamptz,
  resolved_at           timestamptz,
  note                  text,
  delivered_at          timestamptz,
  -- A payment with an unverified signature must not block one with a verified signature: anybody can write the former.
  UNIQUE (network, nonce_contract, payer_address, nonce, is_signature_verified)
);
CREATE UNIQUE INDEX x402_reservations_idempotency_key
  ON insforge_integrations.x402_reservations (payer_address, endpoint, idempotency_key, is_signature_verified)
  WHERE holds_key AND idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX x402_reservations_tx_hash ON insforge_integrations.x402_reservations (tx_hash)
  WHERE state = 'settled' AND NOT is_batched;
CREATE INDEX x402_reservations_batched_tx_hash ON insforge_integrations.x402_reservations (tx_hash) WHERE is_batched;
CREATE INDEX x402_reservations_batched_settled_at ON insforge_integrations.x402_reservations (settled_at) WHERE is_batched;
CREATE INDEX x402_reservations_unsettled ON insforge_integrations.x402_reservations (created_at) WHERE state <> 'settled';
COMMENT ON TABLE insforge_integrations.x402_reservations IS
'Payments that are stored before they settle, each with its authorization and its state.

reserve_x402_payment() and its family write it.';
DO $$
DECLARE
  described record;
BEGIN
  FOR described IN SELECT * FROM (VALUES
    ('id', 'Id of the reservation.'),
    ('created_at', 'When the transaction that reserved it began.'),
    ('state', 'reserved, settled (in the ledger), pending (money may have moved), failed (the facilitator moved nothing, or an operator found that nothing moved), conflict (the answer is about another payment).'),
    ('endpoint', 'The paid endpoint.'),
    ('idempotency_key', 'The buyer''s key for the request; NULL if there is none.'),
    ('holds_key', 'Whether another authorization under the same key is refused.'),
    ('scheme', 'exact, or upto (the seller charges at most the signed amount).'),
    ('network', 'CAIP-2 identifier of the chain.'),
    ('asset', 'The token''s contract.'),
    ('payer_address', 'Address of the payer, who signed.'),
    ('pay_to', 'Address of the recipient.'),
    ('amount', 'The signed amount, in the token''s smallest unit. In scheme upto it is a maximum.'),
    ('nonce_contract', 'The contract that keeps the nonce: the token (EIP-3009), or Permit2 for all tokens.'),
    ('nonce', 'Nonce of the authorization.'),
    ('valid_after', 'When the authorization begins.'),
    ('valid_before', 'When the authorization ends.'),
    ('is_signature_verified', 'Whether the database verified the signature. Only a facilitator can verify a contract wallet''s.'),
    ('payment', 'The buyer''s payment unchanged, as JSON.'),
    ('requirements', 'The requirement that the payment is for.'),
    ('user_id', 'requesting_user_id() at the time of the reservation.'),
    ('asked_amount', 'The amount that the facilitator was asked to settle; NULL: the signed one.'),
    ('settled_amount', 'The amount that moved. With 0 there is no transaction and no row in the ledger.'),
    ('tx_hash', 'The transaction that settled it, or that the facilitator named.'),
    ('reason', 'Why it is not settled: the facilitator''s reason, or this extension''s.'),
    ('message', 'A sentence about the reason.'),
    ('answers', 'The facilitator''s answers, [{at, answer}], without repetitions.'),
    ('response_summary', 'The app''s note on its answer.'),
    ('request_given_at', 'When a call was last told to send the request to the facilitator.'),
    ('is_mock', 'mock_x402_settlement() settled it without money.'),
    ('is_batched', 'Its transaction has a row in the ledger for another payment.'),
    ('settled_at', 'Time of the settlement.'),
    ('resolved_at', 'When an operator entered what is on chain.'),
    ('note', 'The operator''s note.'),
    ('delivered_at', 'Time of the delivery to the buyer.')
  ) AS column_comments (name, comment) LOOP
    EXECUTE format('COMMENT ON COLUMN insforge_integrations.x402_reservations.%I IS %L', described.name, described.comment);
  END LOOP;
END
$$;
SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_reservations', '');

CREATE TYPE insforge_integrations.x402_reservation AS (
  reservation_id uuid, is_new boolean, state text, payer_address text, endpoint text, amount text, network text, chain text,
  asset text, nonce text, valid_before timestamptz, idempotency_key text, tx_hash text, reason text, message text,
  is_mock boolean, settled_at timestamptz, delivered_at timestamptz, created_at timestamptz, user_id text,
  scheme text, settled_amount text, facilitator_request jsonb, deliver boolean, response_headers jsonb);
COMMENT ON TYPE insforge_integrations.x402_reservation IS 'The rows of the functions on reservations.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.reservation_id IS 'Id of the reservation.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.is_new IS 'This call reserved the payment, or marked it as delivered.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.state IS 'reserved, settled, pending (money may have moved), failed or conflict (the answer is about another payment).';
COMMENT ON COLUMN insforge_integrations.x402_reservation.payer_address IS 'Address of the payer, who signed.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.amount IS 'The signed amount, in the token''s smallest unit. In scheme upto it is a maximum.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.chain IS 'Name of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.asset IS 'The token''s contract.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.nonce IS 'Nonce of the authorization.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.valid_before IS 'When the authorization ends.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.idempotency_key IS 'The buyer''s key for the request; NULL if there is none.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.tx_hash IS 'The transaction that settled it, or that the facilitator named.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.reason IS 'Why it is not settled: the facilitator''s reason, or this extension''s.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.message IS 'A sentence about the reason.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.is_mock IS 'mock_x402_settlement() settled it without money.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.settled_at IS 'Time of the settlement.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.delivered_at IS 'Time of the delivery to the buyer.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.created_at IS 'When the transaction that reserved it began.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.user_id IS 'requesting_user_id() at the time of the reservation.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.scheme IS 'exact, or upto (the seller charges at most the signed amount).';
COMMENT ON COLUMN insforge_integrations.x402_reservation.settled_amount IS 'The amount that moved. With 0 there is no transaction and no row in the ledger.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.facilitator_request IS '{url, body} of the POST request that this call must send; NULL if it must send none.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.deliver IS 'The payment is settled and not marked as delivered.';
COMMENT ON COLUMN insforge_integrations.x402_reservation.response_headers IS 'The headers for the buyer, if the payment is settled or failed.';

-- Without a SET clause, so Postgres can inline it.
CREATE FUNCTION insforge_integrations_internal.x402_reservation_row(
    own insforge_integrations.x402_reservations, is_new boolean, chain text, facilitator_request jsonb DEFAULT NULL)
  RETURNS insforge_integrations.x402_reservation
  LANGUAGE sql STABLE
AS $$
  SELECT ROW(own.id, is_new, own.state, own.payer_address, own.endpoint, own.amount::pg_catalog.text, own.network, chain,
             own.asset, own.nonce, own.valid_before, own.idempotency_key, own.tx_hash, own.reason, own.message, own.is_mock,
             own.settled_at, own.delivered_at, own.created_at, own.user_id, own.scheme,
             own.settled_amount::pg_catalog.text, facilitator_request,
             own.state OPERATOR(pg_catalog.=) 'settled' AND own.delivered_at IS NULL,
             CASE WHEN own.state OPERATOR(pg_catalog.=) ANY ('{settled, failed}') THEN
               insforge_integrations_internal.x402_response_headers(
                 CASE WHEN own.state OPERATOR(pg_catalog.=) 'settled' THEN coalesce(own.tx_hash, '') END, own.reason,
                 coalesce(own.requirements OPERATOR(pg_catalog.->>) 'network', own.network), own.payer_address,
                 CASE WHEN own.scheme OPERATOR(pg_catalog.=) 'upto' THEN own.settled_amount::pg_catalog.text END,
                 own.requirements OPERATOR(pg_catalog.?) 'maxAmountRequired') END)::insforge_integrations.x402_reservation
$$;
COMMENT ON FUNCTION insforge_integrations_internal.x402_reservation_row(insforge_integrations.x402_reservations, boolean, text, jsonb) IS
  'Makes the row that the functions on reservations return. chain: the name of the network.';

-- Five minutes more, because blocks can be late and clocks differ.
CREATE FUNCTION insforge_integrations.x402_can_land_until(valid_before timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  -- Postgres' times end in the year 294276.
  RETURN CASE WHEN valid_before > timestamptz '294276-12-31 23:54:59+00' THEN 'infinity' ELSE valid_before + interval '5 minutes' END;
COMMENT ON FUNCTION insforge_integrations.x402_can_land_until(timestamptz) IS
'Until when a block may still carry an authorization: 5 minutes after its end.

infinity near the end of Postgres'' times.';

CREATE FUNCTION insforge_integrations_internal.lock_x402_reservation(reservation_id uuid)
  RETURNS insforge_integrations.x402_reservations
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  own insforge_integrations.x402_reservations;
BEGIN
  PERFORM insforge_integrations_internal.force_sync_commit();
  SELECT * INTO own FROM insforge_integrations.x402_reservations r WHERE r.id = reservation_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = format('unknown x402 reservation %s', coalesce(reservation_id::text, 'NULL')),
      DETAIL = 'There is no reservation with this id.',
      HINT = 'Give the reservation_id that reserve_x402_payment() returned, after its transaction has committed.';
  END IF;
  RETURN own;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.lock_x402_reservation(uuid) IS 'Locks a reservation until the transaction ends, and returns it. Raises 22023 if there is none.';

CREATE FUNCTION @extschema@.reserve_x402_payment(
    payment text, requirements jsonb, endpoint text, idempotency_key text DEFAULT NULL, facilitator text DEFAULT 'okx',
    payer_is_contract boolean DEFAULT false)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  offered record;
  key text := idempotency_key;
  known insforge_integrations.x402_reservations;
  after record;
  -- Citus takes no volatile function in an UPDATE.
  present timestamptz;
BEGIN
  IF coalesce(endpoint, '') = '' OR octet_length(endpoint) > 2000 OR key = '' OR octet_length(key) > 255 THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid x402 reservation',
      DETAIL = 'An endpoint must have 1 to 2000 bytes, an idempotency key 1 to 255.',
      HINT = 'Give the address that the buyer requested. Nothing was reserved.';
  END IF;
  SELECT * INTO STRICT offered
    FROM insforge_integrations_internal.read_x402_payment(payment, requirements, endpoint, facilitator, payer_is_contract);
  key := coalesce(key, offered.identifier);
  PERFORM insforge_integrations_internal.force_sync_commit();
  FOR attempt IN 1..5 LOOP
    -- The unique keys find what blocks a payment with a verified signature. So the first attempt inserts it at once,
    -- unless nothing can be inserted, as on a standby.
    IF attempt > 1 OR NOT offered.is_signature_verified OR current_setting('transaction_read_only') = 'on' THEN
      SELECT r.* INTO known FROM insforge_integrations.x402_reservations r
        WHERE r.network = offered.network AND r.nonce_contract = offered.nonce_contract
          AND r.payer_address = offered.payer_address AND r.nonce = offered.nonce
          AND (r.is_signature_verified OR NOT offered.is_signature_verified)
        ORDER BY r.is_signature_verified = offered.is_signature_verified DESC LIMIT 1;
      IF NOT FOUND AND key IS NOT NULL THEN
        SELECT r.* INTO known FROM insforge_integrations.x402_reservations r
          WHERE r.holds_key AND r.payer_address = offered.payer_address AND r.endpoint = endpoint
            AND r.idempotency_key = key AND (r.is_signature_verified OR NOT offered.is_signature_verified)
          ORDER BY r.is_signature_verified DESC LIMIT 1
          FOR UPDATE;
      END IF;
    END IF;
    IF known.id IS NOT NULL THEN
      SELECT * INTO STRICT after FROM insforge_integrations_internal.x402_reservation_after(known, 'offered', jsonb_build_object(
        'network', offered.network, 'nonce_contract', offered.nonce_contract, 'nonce', offered.nonce, 'endpoint', endpoint,
        'idempotency_key', key, 'delivered_at', known.delivered_at::text,
        'can_land', insforge_integrations.x402_can_land_until(known.valid_before) > clock_timestamp()), NULL);
      IF after.holds_key = known.holds_key THEN
        -- Without an answer after this time, the call that had the request has probably died.
        present := clock_timestamp();
        UPDATE insforge_integrations.x402_reservations r SET request_given_at = present
          WHERE r.id = known.id AND r.state = 'reserved' AND r.resolved_at IS NULL
            AND r.request_given_at < present - interval '2 minutes';
        RETURN NEXT insforge_integrations_internal.x402_reservation_row(
          known, false, offered.chain, CASE WHEN FOUND THEN offered.facilitator_request END);
        RETURN;
      END IF;
      UPDATE insforge_integrations.x402_reservations r SET holds_key = after.holds_key WHERE r.id = known.id;
    END IF;
    INSERT INTO insforge_integrations.x402_reservations (
      endpoint, idempotency_key, scheme, network, asset, payer_address, pay_to, amount, nonce_contract, nonce, valid_after, valid_before,
      is_signature_verified, payment, requirements, user_id)
    VALUES (
      endpoint, key, offered.scheme, offered.network, offered.asset, offered.payer_address, offered.pay_to, offered.amount,
      offered.nonce_contract, offered.nonce,
      offered.valid_after, offered.valid_before, offered.is_signature_verified, offered.payment, offered.requirement,
      @extschema@.requesting_user_id())
    ON CONFLICT DO NOTHING
    RETURNING * INTO known;
    IF FOUND THEN
      RETURN NEXT insforge_integrations_internal.x402_reservation_row(known, true, offered.chain, offered.facilitator_request);
      RETURN;
    END IF;
  END LOOP;
  RAISE EXCEPTION USING
    ERRCODE = 'serialization_failure',
    MESSAGE = 'could not reserve the payment',
    DETAIL = 'Another transaction is reserving it, or a trigger or rule on the table drops rows.',
    HINT = 'Try again in a new transaction.';
END
$$;
COMMENT ON FUNCTION @extschema@.reserve_x402_payment(text, jsonb, text, text, text, boolean) IS
'Stores a valid payment before a facilitator settles it.

- payment: header or JSON
- requirements: the seller''s offers, short or in full
- idempotency_key: the buyer''s name for the purchase; NULL: extension payment-identifier of the payment, if it has one
- facilitator: okx, or x402 for any other
- payer_is_contract: there is code at the payer''s address (Safe, EIP-7702), so a signature that the payer''s key did not make is left to the facilitator

Commit, then send facilitator_request unless it is NULL. For a payment of scheme upto, call x402_settlement_request(). If no answer was entered for two minutes, the same call again returns the request again. The same authorization again raises 23505; with the same endpoint and idempotency key it returns the stored reservation instead. Another authorization under that key raises 23505 while the first may still settle. A payment that does not fit raises 28000 with the x402 reason in DETAIL.';

CREATE VIEW insforge_integrations.unsettled_x402_reservations WITH (security_barrier) AS
  SELECT r.id AS reservation_id, CASE WHEN isfinite(r.created_at) THEN clock_timestamp() - r.created_at END AS age, r.state, r.reason, r.message, r.endpoint,
         r.network, r.asset, r.payer_address, r.pay_to, r.amount, r.nonce, r.tx_hash,
         replace(n.explorer_url, '{hash}', r.tx_hash) AS explorer_url, r.valid_before,
         insforge_integrations.x402_can_land_until(r.valid_before) AS can_land_until,
         insforge_integrations.x402_can_land_until(r.valid_before) > clock_timestamp() AS can_still_land,
         jsonb_build_object('method', 'eth_call', 'params', jsonb_build_array(jsonb_build_object(
           'to', r.nonce_contract,
           'data', CASE r.nonce_contract WHEN r.asset THEN '0xe94a0102' ELSE '0x4fe02b44' END
             || repeat('0', 24) || substr(r.payer_address, 3)
             || CASE r.nonce_contract WHEN r.asset THEN substr(r.nonce, 3) ELSE '00' || substr(r.nonce, 3, 62) END), 'latest'))
           AS authorization_state_call,
         CASE r.nonce_contract WHEN r.asset THEN
           format('authorizationState(%s, %s) of %s on %s: true means that the authorization was used: find its transaction by event AuthorizationUsed, and resolve as settled. False after can_land_until means that no money moved: resolve as failed.',
                  r.payer_address, r.nonce, r.asset, coalesce(n.name, r.network))
         ELSE
           format('nonceBitmap(%s, 0x%s) of Permit2 (%s) on %s: bit %s, counted from the lowest as 0, means that the nonce was used: find the transfer of %s from the payer to %s in a transaction with event Settled or SettledWithPermit of %s, and resolve as settled%s. Without such a transfer, the payer has cancelled the nonce. If the bit is 0 after can_land_until, no money moved: resolve as failed.',
                  r.payer_address, substr(r.nonce, 3, 62), r.nonce_contract, coalesce(n.name, r.network),
                  ('x' || substr(r.nonce, 65))::bit(8)::integer, r.asset, r.pay_to,
                  CASE r.scheme WHEN 'upto' THEN '0x4020a4f3b7b90cca423b9fabcc0ce57c6c240002' ELSE '0x402085c248eea27d92e8b30b2c58ed07f9e20001' END,
                  CASE r.scheme WHEN 'upto' THEN ', with the amount that moved' ELSE '' END)
         END AS check_on_chain, r.scheme, r.asked_amount
  FROM insforge_integrations.x402_reservations r LEFT JOIN insforge_integrations.x402_networks n USING (network)
  WHERE r.state <> 'settled' AND r.resolved_at IS NULL
    AND (r.state <> 'failed' OR insforge_integrations.x402_can_land_until(r.valid_before) > clock_timestamp())
    -- A payment with a wrong signature cannot settle any more, nor can one whose authorization another reservation
    -- has settled.
    AND (r.is_signature_verified OR NOT (
      (r.state = 'failed' AND r.reason IN (
         'invalid_exact_evm_payload_signature', 'invalid_exact_evm_signature', 'invalid_exact_evm_failed_to_parse_signature',
         'invalid_permit2_signature', 'invalid_signature'))
      OR EXISTS (SELECT FROM insforge_integrations.x402_reservations s
                 WHERE (s.network, s.nonce_contract, s.payer_address, s.nonce) = (r.network, r.nonce_contract, r.payer_address, r.nonce)
                   AND s.state = 'settled' AND NOT s.is_mock)));
COMMENT ON VIEW insforge_integrations.unsettled_x402_reservations IS
'Payments without a row in the ledger that may have moved money, or still may.

check_on_chain says what to look up. authorization_state_call is a JSON-RPC request to the network''s node.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.reservation_id IS 'Id of the reservation.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.age IS 'Time since the reservation.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.state IS 'reserved, pending (money may have moved), failed or conflict (the answer is about another payment).';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.reason IS 'Why it is not settled: the facilitator''s reason, or this extension''s.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.message IS 'A sentence about the reason.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.asset IS 'The token''s contract.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.payer_address IS 'Address of the payer, who signed.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.pay_to IS 'Address of the recipient.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.amount IS 'The signed amount, in the token''s smallest unit.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.nonce IS 'Nonce of the authorization.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.tx_hash IS 'The transaction that the facilitator named.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.explorer_url IS 'Address of that transaction''s page.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.valid_before IS 'When the authorization ends.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.can_land_until IS 'Until when a block may still carry the authorization.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.can_still_land IS 'Whether that time is still to come.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.authorization_state_call IS 'A JSON-RPC request to the network''s node: was the authorization used?';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.check_on_chain IS 'What to look up, and what it means.';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.scheme IS 'exact, or upto (the seller charges at most the signed amount).';
COMMENT ON COLUMN insforge_integrations.unsettled_x402_reservations.asked_amount IS 'The amount that the facilitator was asked to settle; NULL: the signed one.';

CREATE VIEW insforge_integrations.undelivered_x402_reservations WITH (security_barrier) AS
  SELECT r.id AS reservation_id, CASE WHEN isfinite(r.settled_at) THEN clock_timestamp() - r.settled_at END AS age, r.endpoint, r.payer_address,
         r.settled_amount AS amount, r.network, r.asset, r.tx_hash, r.idempotency_key
  FROM insforge_integrations.x402_reservations r
  WHERE r.state = 'settled' AND NOT r.is_mock AND r.delivered_at IS NULL;
COMMENT ON VIEW insforge_integrations.undelivered_x402_reservations IS
  'Payments that are settled and not marked as delivered.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.reservation_id IS 'Id of the reservation.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.age IS 'Time since the settlement.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.payer_address IS 'Address of the payer, who signed.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.amount IS 'The amount that moved, in the token''s smallest unit.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.asset IS 'The token''s contract.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.tx_hash IS 'The transaction that settled it.';
COMMENT ON COLUMN insforge_integrations.undelivered_x402_reservations.idempotency_key IS 'The buyer''s key for the request; NULL if there is none.';
