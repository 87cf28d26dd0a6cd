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

-- Five minutes more, because blocks can be late and clocks differ.
CREATE FUNCTION insforge_integrations.x402_can_land_until(valid_before timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  -- Postgres' times end in the year 294276.
  RETURN CASE WHEN valid_before > timestamptz '294276-12-31 23:54:59+00' THEN 'infinity' ELSE valid_before + interval '5 minutes' END;
COMMENT ON FUNCTION insforge_integrations.x402_can_land_until(timestamptz) IS
'Until when a block may still carry an authorization: 5 minutes after its end.

infinity near the end of Postgres'' times.';

CREATE FUNCTION @extschema@.reserve_x402_payment(
    payment text, requirements jsonb, endpoint text, idempotency_key text DEFAULT NULL, facilitator text DEFAULT 'okx',
    payer_is_contract boolean DEFAULT false)
  RETURNS SETOF insforge_integrations.x402_reservation
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'reserve_payment_wrapper';
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
