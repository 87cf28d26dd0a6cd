CREATE FUNCTION insforge_integrations.enter_x402_settlement(
    own insforge_integrations.x402_reservations, tx_hash text, response_summary text, is_mock boolean)
  RETURNS text
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  stored insforge_integrations.x402_settlements;
BEGIN
  IF NOT insforge_integrations.insert_x402_settlement(
       tx_hash, own.payer_address, own.endpoint, own.amount::text, own.network, response_summary, NULL, NULL, own.asset,
       own.user_id, own.id, is_mock, false) THEN
    SELECT s.* INTO stored FROM insforge_integrations.x402_settlements s WHERE s.tx_hash = tx_hash;
    IF NOT FOUND THEN
      RAISE EXCEPTION USING
        ERRCODE = 'serialization_failure',
        MESSAGE = 'could not read the stored settlement',
        DETAIL = 'Another transaction recorded it after this one had begun.',
        HINT = 'Try again in a new transaction.';
    END IF;
    IF stored.reservation_id <> own.id OR EXISTS (
         SELECT FROM insforge_integrations.x402_reservations r
         WHERE r.tx_hash = tx_hash AND r.state = 'settled' AND NOT r.is_batched AND r.id <> own.id) THEN
      RETURN 'The transaction settled another reservation.';
    END IF;
    IF (stored.payer_address, stored.network, stored.amount, stored.endpoint, stored.is_mock)
         <> (own.payer_address, own.network, own.amount, own.endpoint, is_mock)
       OR stored.asset <> own.asset THEN
      RETURN 'The transaction is recorded as another payment.';
    END IF;
  END IF;
  UPDATE insforge_integrations.x402_reservations r
    SET state = 'settled', tx_hash = tx_hash, reason = NULL, message = NULL, is_mock = is_mock, settled_at = now(),
        response_summary = coalesce(response_summary, r.response_summary)
    WHERE r.id = own.id;
  RETURN NULL;
EXCEPTION WHEN unique_violation THEN
  RETURN 'The transaction settled another reservation.';
END
$$;
COMMENT ON FUNCTION insforge_integrations.enter_x402_settlement(insforge_integrations.x402_reservations, text, text, boolean) IS
  'Records the settlement of a reservation, or adopts the row that the server recorded first; a sentence when the transaction is another payment''s.';

CREATE FUNCTION @extschema@.settle_x402_reservation(
    reservation_id uuid, facilitator_response jsonb, response_summary text DEFAULT NULL)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  own insforge_integrations.x402_reservations := insforge_integrations.own_x402_reservation(reservation_id);
  said jsonb := coalesce(facilitator_response, 'null');
  answer record;
  problem text;
BEGIN
  SELECT * INTO STRICT answer
    FROM insforge_integrations.read_x402_answer(said, own.network, own.payer_address, own.amount::text);
  IF own.answers -> -1 -> 'answer' IS DISTINCT FROM said THEN
    UPDATE insforge_integrations.x402_reservations r
      SET answers = r.answers || jsonb_build_object('at', clock_timestamp(), 'answer', said)
      WHERE r.id = own.id;
  END IF;
  IF own.state = 'settled' THEN
    IF answer.tx_hash <> own.tx_hash OR answer.outcome = 'conflict' THEN
      RAISE WARNING USING
        MESSAGE = format('x402 reservation %s is %s, and the facilitator now says something else', own.id, own.state),
        DETAIL = coalesce(answer.message, format('It names transaction %s.', answer.tx_hash)),
        HINT = 'The answer is kept with the reservation; the ledger is as it was.';
    END IF;
  ELSE
    IF answer.outcome = 'settled' THEN
      problem := insforge_integrations.enter_x402_settlement(own, answer.tx_hash, response_summary, false);
      IF problem IS NOT NULL THEN
        answer.outcome := 'conflict';
        answer.reason := 'transaction_taken';
        answer.message := problem;
      END IF;
    END IF;
    IF answer.outcome <> 'settled' THEN
      UPDATE insforge_integrations.x402_reservations r
        SET state = CASE
              WHEN answer.outcome = 'conflict' OR own.state = 'conflict' THEN 'conflict'
              -- What may have moved does not become unmoved by a later answer, nor what an operator found moved.
              WHEN own.state = 'pending' OR own.resolved_at IS NOT NULL THEN own.state
              ELSE answer.outcome END,
            resolved_at = CASE WHEN answer.outcome <> 'conflict' THEN own.resolved_at END,
            tx_hash = coalesce(answer.tx_hash, own.tx_hash),
            reason = coalesce(answer.reason, own.reason), message = coalesce(answer.message, own.message),
            response_summary = coalesce(response_summary, r.response_summary)
        WHERE r.id = own.id;
      IF answer.outcome = 'conflict' THEN
        RAISE WARNING USING
          MESSAGE = format('the facilitator''s answer does not fit x402 reservation %s', own.id),
          DETAIL = coalesce(answer.message, answer.reason),
          HINT = 'Nothing was recorded as paid. The answer is kept; look the payment up on chain and call insforge_integrations.resolve_x402_reservation().';
      END IF;
    END IF;
  END IF;
  RETURN NEXT insforge_integrations.x402_reservation(own.id, false);
END
$$;
COMMENT ON FUNCTION @extschema@.settle_x402_reservation(uuid, jsonb, text) IS
  'Enters what the facilitator answered, as it came (plain x402, or OKX''s envelope; NULL when no answer arrived): state becomes settled with a row in the ledger, pending, failed, or conflict. Deliver only when it is settled. The same answer again changes nothing.';

CREATE FUNCTION insforge_integrations.resolve_x402_reservation(
    reservation_id uuid, outcome text, tx_hash text DEFAULT NULL, note text DEFAULT NULL)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  own insforge_integrations.x402_reservations := insforge_integrations.own_x402_reservation(reservation_id);
  hash text := insforge_integrations.x402_transaction_hash(tx_hash);
  problem text;
BEGIN
  problem := CASE
    WHEN outcome IN ('settled', 'failed', 'conflict') IS NOT TRUE THEN 'outcome: It is settled, failed or conflict.'
    WHEN outcome <> 'failed' AND hash IS NULL THEN 'tx_hash: It is 0x and 64 hexadecimal digits, and not all zeros.'
    WHEN outcome = 'failed' AND tx_hash IS NOT NULL THEN 'tx_hash: What did not move has none.'
    WHEN outcome <> 'settled' AND coalesce(note, '') = '' THEN 'note: It says what is on chain.'
    WHEN outcome = 'conflict' AND own.state <> 'settled' AND NOT EXISTS (
           SELECT FROM insforge_integrations.x402_settlements s
           WHERE s.tx_hash = hash AND s.network = own.network AND NOT s.is_mock)
      THEN format('tx_hash: The ledger has no such transaction on %s.', own.network)
  END;
  IF problem IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid resolution of an x402 reservation',
      DETAIL = problem,
      HINT = 'View insforge_integrations.unsettled_x402_reservations says what to look up. Nothing was changed.';
  END IF;
  IF own.state = 'settled'
     AND (outcome = 'failed' OR hash <> own.tx_hash OR (outcome = 'conflict' AND NOT own.is_batched)) THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('x402 reservation %s is %s, and that is final', own.id, own.state),
      DETAIL = format('Transaction %s is in the ledger, which is append-only.', own.tx_hash),
      HINT = 'Call insforge_integrations.correct_x402_settlement() for a refund or a reorganisation of the chain.';
  END IF;
  IF outcome = 'settled' AND own.state <> 'settled' THEN
    problem := insforge_integrations.enter_x402_settlement(own, hash, NULL, false);
    IF problem IS NOT NULL THEN
      RAISE EXCEPTION USING
        ERRCODE = 'unique_violation',
        MESSAGE = format('transaction %s is recorded already', hash),
        DETAIL = problem,
        HINT = 'If it carried both payments, resolve this one with outcome conflict and the same hash: it is then shown and counted beside the other.';
    END IF;
  ELSIF outcome = 'conflict' AND own.state <> 'settled' THEN
    PERFORM insforge_integrations.enter_x402_correction(hash, 'batched', own.amount, NULL, note, own.id);
    UPDATE insforge_integrations.x402_reservations r
      SET state = 'settled', is_batched = true, tx_hash = hash, reason = NULL, message = NULL, settled_at = now()
      WHERE r.id = own.id;
    IF EXISTS (SELECT FROM insforge_integrations.settings s WHERE s.name = 'realtime' AND s.value = 'on') THEN
      PERFORM insforge_integrations.publish_x402_settlement(hash, own.id);
    END IF;
  ELSIF outcome = 'failed' THEN
    IF insforge_integrations.x402_can_land_until(own.valid_before) > clock_timestamp() THEN
      RAISE WARNING USING
        MESSAGE = format('the authorization of x402 reservation %s can still be used', own.id),
        DETAIL = format('It can land until %s.', insforge_integrations.x402_can_land_until(own.valid_before)),
        HINT = 'Unless its nonce is used on chain, the buyer may come to pay twice under the same idempotency key.';
    END IF;
    UPDATE insforge_integrations.x402_reservations r
      SET state = 'failed', holds_key = false WHERE r.id = own.id;
  END IF;
  UPDATE insforge_integrations.x402_reservations r
    SET resolved_at = coalesce(r.resolved_at, now()), note = coalesce(note, r.note) WHERE r.id = own.id;
  RETURN NEXT insforge_integrations.x402_reservation(own.id, false);
END
$$;
COMMENT ON FUNCTION insforge_integrations.resolve_x402_reservation(uuid, text, text, text) IS
  'Enters what an operator found on chain. outcome: settled (tx_hash goes into the ledger), failed (it did not move and cannot any more; note says why), conflict (tx_hash is recorded for another payment and carried this one too; note): the reservation is settled, and the ledger keeps its one row.';

CREATE FUNCTION insforge_integrations.mark_x402_delivered(reservation_id uuid)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  own insforge_integrations.x402_reservations := insforge_integrations.own_x402_reservation(reservation_id);
BEGIN
  IF own.state <> 'settled' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('x402 reservation %s is not settled', own.id),
      DETAIL = format('It is %s.', own.state),
      HINT = 'Deliver what is paid, and nothing before.';
  END IF;
  UPDATE insforge_integrations.x402_reservations r SET delivered_at = clock_timestamp()
    WHERE r.id = own.id AND r.delivered_at IS NULL;
  RETURN NEXT insforge_integrations.x402_reservation(own.id, FOUND);
END
$$;
COMMENT ON FUNCTION insforge_integrations.mark_x402_delivered(uuid) IS
  'Notes that the buyer gets what was paid for. is_new is true for one call alone: deliver then, and a payment that is sent again buys nothing twice. 55000 for a reservation that is not settled.';

CREATE FUNCTION insforge_integrations.mock_x402_settlement(reservation_id uuid)
  RETURNS SETOF insforge_integrations.x402_reservation ROWS 1
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  own insforge_integrations.x402_reservations;
  problem text;
BEGIN
  IF NOT insforge_integrations.mock_settlements_are_allowed() THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'mock settlements are not allowed',
      DETAIL = 'Setting allow_mock_settlements is off: what is delivered here is paid for.',
      HINT = 'In a database for development, as a superuser: SELECT insforge_integrations.configure(''allow_mock_settlements'', ''on'').';
  END IF;
  own := insforge_integrations.own_x402_reservation(reservation_id);
  IF NOT (own.state = 'reserved' OR (own.state = 'settled' AND own.is_mock)) THEN
    problem := format('It is %s.', own.state);
  ELSIF own.state = 'reserved' THEN
    problem := insforge_integrations.enter_x402_settlement(own,
      '0x' || encode(insforge_integrations.keccak256(convert_to('mock ' || own.id, 'UTF8')), 'hex'), NULL, true);
  END IF;
  IF problem IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('x402 reservation %s cannot be settled without money', own.id),
      DETAIL = problem,
      HINT = 'Reserve another payment.';
  END IF;
  RETURN NEXT insforge_integrations.x402_reservation(own.id, false);
END
$$;
COMMENT ON FUNCTION insforge_integrations.mock_x402_settlement(uuid) IS
  'For development: settles a reservation without any money, under setting allow_mock_settlements. The row is marked is_mock and counts in no total.';

CREATE FUNCTION insforge_integrations.x402_facilitator_request(reservation_id uuid, facilitator text DEFAULT 'okx')
  RETURNS jsonb
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  own insforge_integrations.x402_reservations := insforge_integrations.own_x402_reservation(reservation_id);
BEGIN
  RETURN insforge_integrations.x402_facilitator_request(own.payment, own.requirements, facilitator);
END
$$;
COMMENT ON FUNCTION insforge_integrations.x402_facilitator_request(uuid, text) IS
  'The body of a request to a facilitator to settle a reservation. facilitator: okx, or x402 for any other.';

CREATE FUNCTION insforge_integrations.x402_payment_response_header(reservation_id uuid)
  RETURNS text
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  own insforge_integrations.x402_reservations := insforge_integrations.own_x402_reservation(reservation_id);
BEGIN
  IF own.state <> 'settled' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('x402 reservation %s is not settled', own.id),
      DETAIL = format('It is %s.', own.state),
      HINT = 'The header tells a buyer of a payment that has settled.';
  END IF;
  RETURN insforge_integrations.x402_payment_response_header(
    own.tx_hash, coalesce(own.requirements ->> 'network', own.network), own.payer_address);
END
$$;
COMMENT ON FUNCTION insforge_integrations.x402_payment_response_header(uuid) IS
  'Header PAYMENT-RESPONSE (X-PAYMENT-RESPONSE in version 1) for a reservation that is settled.';
