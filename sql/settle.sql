-- This function locks, stores and warns. src/x402/reservation.rs decides.
CREATE FUNCTION insforge_integrations_internal.advance_x402_reservation(
    reservation_id uuid, event text, said jsonb, response_summary text, note text)
  RETURNS insforge_integrations.x402_reservation
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  own insforge_integrations.x402_reservations;
  after record;
  known text;
  is_news boolean;
BEGIN
  own := insforge_integrations_internal.lock_x402_reservation(reservation_id);
  is_news := event = 'answered' AND own.answers -> -1 -> 'answer' IS DISTINCT FROM said;
  IF event = 'found' THEN
    said := said || jsonb_build_object(
      'recorded_on', (SELECT s.network FROM insforge_integrations.x402_settlements s
                      WHERE s.tx_hash = insforge_integrations_internal.x402_transaction_hash(said ->> 'tx_hash') AND NOT s.is_mock),
      'can_land_until', (SELECT until::text FROM insforge_integrations.x402_can_land_until(own.valid_before) until
                         WHERE until > clock_timestamp()));
  END IF;
  SELECT * INTO STRICT after FROM insforge_integrations_internal.x402_reservation_after(own, event, said, NULL);
  IF after.entry = 'settlement' THEN
    known := insforge_integrations_internal.insert_settlement_of_x402_reservation(
      own, after.tx_hash, after.settled_amount, response_summary, after.is_mock);
    IF known IS NOT NULL THEN
      SELECT * INTO STRICT after FROM insforge_integrations_internal.x402_reservation_after(own, event, said, known);
    END IF;
  ELSIF after.entry = 'correction' THEN
    PERFORM insforge_integrations_internal.insert_x402_correction(after.tx_hash, 'batched', after.settled_amount, NULL, note, own.id);
  END IF;
  IF own.state <> 'settled' OR event = 'found' OR is_news OR after.is_new THEN
    -- The values are made here, because Citus takes no such function in an UPDATE.
    IF is_news THEN
      own.answers := own.answers || jsonb_build_object('at', clock_timestamp(), 'answer', said);
    END IF;
    IF own.state <> 'settled' THEN
      own.response_summary := coalesce(response_summary, own.response_summary);
      own.settled_at := CASE WHEN after.state = 'settled' THEN now() ELSE own.settled_at END;
    END IF;
    own.resolved_at := CASE WHEN after.is_resolved THEN coalesce(own.resolved_at, now()) END;
    own.note := coalesce(note, own.note);
    own.delivered_at := CASE WHEN after.is_new THEN clock_timestamp() ELSE own.delivered_at END;
    UPDATE insforge_integrations.x402_reservations r
      SET state = after.state, holds_key = after.holds_key, asked_amount = after.asked_amount,
          settled_amount = after.settled_amount, tx_hash = after.tx_hash, reason = after.reason,
          message = after.message, is_mock = after.is_mock, is_batched = after.is_batched, answers = own.answers,
          response_summary = own.response_summary, settled_at = own.settled_at, resolved_at = own.resolved_at,
          note = own.note, delivered_at = own.delivered_at
      WHERE r.id = own.id
      RETURNING r.* INTO STRICT own;
  END IF;
  IF after.entry = 'correction' THEN
    IF EXISTS (SELECT FROM insforge_integrations.settings s WHERE s.name = 'realtime' AND s.value = 'on') THEN
      PERFORM insforge_integrations_internal.publish_x402_settlement(own.tx_hash, own.id);
    END IF;
  END IF;
  IF after.warning IS NOT NULL THEN
    RAISE WARNING USING MESSAGE = after.warning, DETAIL = after.detail, HINT = after.hint;
  END IF;
  RETURN insforge_integrations_internal.x402_reservation_row(own, after.is_new, after.chain);
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.advance_x402_reservation(uuid, text, jsonb, text, text) IS
  'Enters an event of a reservation: asked, answered, found, delivered or mocked. The functions on reservations use it.';

CREATE FUNCTION insforge_integrations_internal.insert_settlement_of_x402_reservation(
    own insforge_integrations.x402_reservations, tx_hash text, amount numeric, response_summary text, is_mock boolean)
  RETURNS text
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  known text;
BEGIN
  known := insforge_integrations_internal.insert_x402_settlement(
    tx_hash, own.payer_address, own.endpoint, amount::text, own.network, response_summary, NULL, NULL, own.asset,
    own.user_id, own.id, is_mock, false);
  IF known IS NOT NULL THEN
    IF EXISTS (SELECT FROM insforge_integrations.x402_reservations r
               WHERE r.tx_hash = tx_hash AND r.state = 'settled' AND NOT r.is_batched AND r.id <> own.id) THEN
      RETURN 'reservation_id';
    END IF;
    -- If several reservations find the row at the same time, only one can have it.
    BEGIN
      UPDATE insforge_integrations.x402_reservations r SET state = 'settled', tx_hash = tx_hash, settled_amount = amount WHERE r.id = own.id;
    EXCEPTION WHEN unique_violation THEN
      RETURN 'reservation_id';
    END;
  END IF;
  RETURN known;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.insert_settlement_of_x402_reservation(insforge_integrations.x402_reservations, text, numeric, text, boolean) IS
  'Puts the settlement of a reservation into the ledger. If the ledger already has the transaction, returns the columns in which its row differs, separated by commas.';

CREATE FUNCTION @extschema@.settle_x402_reservation(
    reservation_id uuid, facilitator_response jsonb, response_summary text DEFAULT NULL)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  said jsonb := coalesce(facilitator_response, 'null');
BEGIN
  -- The body as a text. Through a client's JSON parser, large numbers would change.
  IF jsonb_typeof(said) = 'string' THEN
    BEGIN
      said := (said #>> '{}')::jsonb;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
      -- It is not JSON. The text is kept.
    END;
  END IF;
  RETURN NEXT insforge_integrations_internal.advance_x402_reservation(reservation_id, 'answered', said, response_summary, NULL);
END
$$;
COMMENT ON FUNCTION @extschema@.settle_x402_reservation(uuid, jsonb, text) IS
'Enters the facilitator''s unchanged answer.

- facilitator_response: JSON or a text, plain x402 or OKX''s envelope; NULL if no answer arrived

The state becomes settled (with a row in the ledger), pending, failed or conflict. In scheme upto the answer may name a smaller amount than the signed one, and 0 without a transaction. If deliver is true, call mark_x402_delivered() and deliver if that returns is_new. The same answer again changes nothing.';

CREATE FUNCTION insforge_integrations.resolve_x402_reservation(
    reservation_id uuid, outcome text, tx_hash text DEFAULT NULL, note text DEFAULT NULL, amount text DEFAULT NULL)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN NEXT insforge_integrations_internal.advance_x402_reservation(
    reservation_id, 'found', jsonb_build_object('outcome', outcome, 'tx_hash', tx_hash, 'note', note, 'amount', amount), NULL, note);
END
$$;
COMMENT ON FUNCTION insforge_integrations.resolve_x402_reservation(uuid, text, text, text, text) IS
'Enters what an operator found on chain.

- outcome: settled: tx_hash goes into the ledger; failed: no money moved, and none can move any more; conflict: tx_hash is recorded for another payment and carried this one, too
- note: says why; failed and conflict need one
- amount: in scheme upto, the amount that moved; NULL: the one that the facilitator was asked for

After conflict the reservation is settled, and the ledger keeps its one row.';

CREATE FUNCTION @extschema@.mark_x402_delivered(reservation_id uuid)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN NEXT insforge_integrations_internal.advance_x402_reservation(reservation_id, 'delivered', NULL, NULL, NULL);
END
$$;
COMMENT ON FUNCTION @extschema@.mark_x402_delivered(uuid) IS
'Marks a reservation as delivered.

is_new is true for only one call: deliver then. A payment that is sent again buys nothing twice. Raises 55000 if the reservation is not settled.';

CREATE FUNCTION @extschema@.mock_x402_settlement(reservation_id uuid)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT insforge_integrations_internal.mock_settlements_are_allowed() THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'mock settlements are not allowed',
      DETAIL = 'Setting allow_mock_settlements is off, so only paid requests are delivered.',
      HINT = 'In a database for development, as a superuser: SELECT insforge_integrations.configure(''allow_mock_settlements'', ''on'').';
  END IF;
  RETURN NEXT insforge_integrations_internal.advance_x402_reservation(reservation_id, 'mocked', NULL, NULL, NULL);
END
$$;
COMMENT ON FUNCTION @extschema@.mock_x402_settlement(uuid) IS
'For development: settles a reservation without money.

Needs setting allow_mock_settlements. The row has is_mock true and counts in no total.';

CREATE FUNCTION insforge_integrations.x402_facilitator_request(reservation_id uuid, facilitator text DEFAULT 'okx')
  RETURNS jsonb
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  own insforge_integrations.x402_reservations := insforge_integrations_internal.lock_x402_reservation(reservation_id);
BEGIN
  RETURN insforge_integrations.x402_facilitator_request(own.payment, own.requirements, facilitator, own.asked_amount::text);
END
$$;
COMMENT ON FUNCTION insforge_integrations.x402_facilitator_request(uuid, text) IS
'The body of a request to a facilitator to settle a reservation.

- facilitator: okx, or x402 for any other';

CREATE FUNCTION @extschema@.x402_settlement_request(reservation_id uuid, amount text, facilitator text DEFAULT 'okx')
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  asked insforge_integrations.x402_reservation := insforge_integrations_internal.advance_x402_reservation(
    reservation_id, 'asked', jsonb_build_object('amount', coalesce(amount, '')), NULL, NULL);
  own insforge_integrations.x402_reservations := insforge_integrations_internal.lock_x402_reservation(reservation_id);
BEGIN
  asked.facilitator_request := insforge_integrations_internal.x402_settle_request(
    own.payment, own.requirements, facilitator, own.asked_amount::text);
  RETURN NEXT asked;
END
$$;
COMMENT ON FUNCTION @extschema@.x402_settlement_request(uuid, text, text) IS
'Asks to settle a payment of scheme upto for this amount.

- amount: at most the signed amount
- facilitator: okx, or x402 for any other

facilitator_request is the request to send. Commit first. The first amount stays: another one raises 55000, unless the facilitator has answered that it sent nothing.';

CREATE FUNCTION insforge_integrations.x402_payment_response_header(reservation_id uuid)
  RETURNS text
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  own insforge_integrations.x402_reservations := insforge_integrations_internal.lock_x402_reservation(reservation_id);
BEGIN
  IF own.state <> 'settled' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('x402 reservation %s is not settled', own.id),
      DETAIL = format('It is %s.', own.state),
      HINT = 'The header is only for settled payments.';
  END IF;
  RETURN insforge_integrations.x402_payment_response_header(
    coalesce(own.tx_hash, ''), coalesce(own.requirements ->> 'network', own.network), own.payer_address,
    CASE own.scheme WHEN 'upto' THEN own.settled_amount::text END);
END
$$;
COMMENT ON FUNCTION insforge_integrations.x402_payment_response_header(uuid) IS
  'Header PAYMENT-RESPONSE (X-PAYMENT-RESPONSE in version 1) for a settled reservation.';
