CREATE FUNCTION insforge_integrations_internal.parsed_x402_answer(answer text) RETURNS jsonb
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN answer::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  RETURN to_jsonb(answer);
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.parsed_x402_answer(text) IS
  'A facilitator''s answer that arrived as a text: the JSON in it, or the text itself if it is not JSON. settle_x402_reservation() uses it.';

CREATE FUNCTION @extschema@.settle_x402_reservation(
    reservation_id uuid, facilitator_response jsonb, response_summary text DEFAULT NULL)
  RETURNS SETOF insforge_integrations.x402_reservation
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'settle_reservation_wrapper';
COMMENT ON FUNCTION @extschema@.settle_x402_reservation(uuid, jsonb, text) IS
'Enters the facilitator''s unchanged answer.

- facilitator_response: JSON or a text, plain x402 or OKX''s envelope; NULL if no answer arrived

The state becomes settled (with a row in the ledger), pending, failed or conflict. In scheme upto the answer may name a smaller amount than the signed one, and 0 without a transaction. If deliver is true, call mark_x402_delivered() and deliver if that returns is_new. The same answer again changes nothing.';

CREATE FUNCTION insforge_integrations.resolve_x402_reservation(
    reservation_id uuid, outcome text, tx_hash text DEFAULT NULL, note text DEFAULT NULL, amount text DEFAULT NULL)
  RETURNS SETOF insforge_integrations.x402_reservation
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'resolve_reservation_wrapper';
COMMENT ON FUNCTION insforge_integrations.resolve_x402_reservation(uuid, text, text, text, text) IS
'Enters what an operator found on chain.

- outcome: settled: tx_hash goes into the ledger; failed: no money moved, and none can move any more; conflict: tx_hash is recorded for another payment and carried this one, too
- note: says why; failed and conflict need one
- amount: in scheme upto, the amount that moved; NULL: the one that the facilitator was asked for

After conflict the reservation is settled, and the ledger keeps its one row.';

CREATE FUNCTION @extschema@.mark_x402_delivered(reservation_id uuid)
  RETURNS SETOF insforge_integrations.x402_reservation
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'mark_delivered_wrapper';
COMMENT ON FUNCTION @extschema@.mark_x402_delivered(uuid) IS
'Marks a reservation as delivered.

is_new is true for only one call: deliver then. A payment that is sent again buys nothing twice. Raises 55000 if the reservation is not settled.';

CREATE FUNCTION @extschema@.mock_x402_settlement(reservation_id uuid)
  RETURNS SETOF insforge_integrations.x402_reservation
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'mock_settlement_wrapper';
COMMENT ON FUNCTION @extschema@.mock_x402_settlement(uuid) IS
'For development: settles a reservation without money.

Needs setting allow_mock_settlements. The row has is_mock true and counts in no total.';

CREATE FUNCTION insforge_integrations.x402_facilitator_request(reservation_id uuid, facilitator text DEFAULT 'okx')
  RETURNS jsonb
  LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'reservation_request_wrapper';
COMMENT ON FUNCTION insforge_integrations.x402_facilitator_request(uuid, text) IS
'The body of a request to a facilitator to settle a reservation.

- facilitator: okx, or x402 for any other';

CREATE FUNCTION @extschema@.x402_settlement_request(reservation_id uuid, amount text, facilitator text DEFAULT 'okx')
  RETURNS SETOF insforge_integrations.x402_reservation
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'settlement_request_wrapper';
COMMENT ON FUNCTION @extschema@.x402_settlement_request(uuid, text, text) IS
'Asks to settle a payment of scheme upto for this amount.

- amount: at most the signed amount
- facilitator: okx, or x402 for any other

facilitator_request is the request to send. Commit first. The first amount stays: another one raises 55000, unless the facilitator has answered that it sent nothing.';

CREATE FUNCTION insforge_integrations.x402_payment_response_header(reservation_id uuid)
  RETURNS text
  LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'reservation_response_header_wrapper';
COMMENT ON FUNCTION insforge_integrations.x402_payment_response_header(uuid) IS
  'Header PAYMENT-RESPONSE (X-PAYMENT-RESPONSE in version 1) for a settled reservation.';
