-- A regular expression would take as long as the insertion itself.
CREATE FUNCTION insforge_integrations_internal.is_lower_hex(value text, digits integer) RETURNS boolean
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_lower_hex';
COMMENT ON FUNCTION insforge_integrations_internal.is_lower_hex(text, integer) IS
  'Whether a text is 0x and this number of lower-case hexadecimal digits.';

-- tx_hash is the only unique key, so Citus can distribute the table by it. Citus finds no row by a column of a domain's
-- type, so tx_hash is a plain text, and a trigger checks it.
-- The other checks are in domains and not in the tables. Postgres parses and plans the constraints of a table for every
-- INSERT, which takes longer than the insertion itself.
CREATE DOMAIN insforge_integrations.evm_hash AS text COLLATE "C"
  CHECK (insforge_integrations_internal.is_lower_hex(VALUE, 64));
COMMENT ON DOMAIN insforge_integrations.evm_hash IS
  '32 bytes, such as a transaction''s hash or a nonce: 0x and 64 lower-case hexadecimal digits.';
CREATE DOMAIN insforge_integrations.evm_address AS text COLLATE "C"
  CHECK (insforge_integrations_internal.is_lower_hex(VALUE, 40));
COMMENT ON DOMAIN insforge_integrations.evm_address IS
  'An address: 0x and 40 lower-case hexadecimal digits.';
CREATE DOMAIN insforge_integrations.evm_amount AS numeric(78,0) CHECK (VALUE >= 0);
COMMENT ON DOMAIN insforge_integrations.evm_amount IS 'An amount in the token''s smallest unit.';

CREATE TABLE insforge_integrations.x402_settlements (
  id               uuid NOT NULL,
  created_at       timestamptz NOT NULL,
  reservation_id   uuid,
  tx_hash          text COLLATE "C" NOT NULL UNIQUE,
  payer_address    insforge_integrations.evm_address NOT NULL,
  endpoint         text COLLATE "C" NOT NULL,
  amount           insforge_integrations.evm_amount NOT NULL,
  network          text COLLATE "C" NOT NULL,
  asset            insforge_integrations.evm_address,
  user_id          text COLLATE "C",
  response_summary text,
  is_mock          boolean NOT NULL
);
CREATE INDEX x402_settlements_payer_address ON insforge_integrations.x402_settlements (payer_address);
CREATE INDEX x402_settlements_created_at ON insforge_integrations.x402_settlements (created_at);
CREATE INDEX x402_settlements_user_id ON insforge_integrations.x402_settlements (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE insforge_integrations.x402_settlements IS
'The ledger: one row for each transaction that settled an x402 payment.

record_x402_settlement() and settle_x402_reservation() add rows. No row is ever changed.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.id IS 'Id of the row, as in the guide''s table: a UUID of version 8, made from tx_hash. Imported rows keep their ids.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.created_at IS 'When the transaction that recorded it began.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.reservation_id IS 'The reservation that the transaction settles; NULL: recorded without a reservation.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.tx_hash IS 'Hash of the transaction, 0x and 64 lower-case hexadecimal digits.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.payer_address IS 'Address of the payer, 0x and 40 lower-case hexadecimal digits.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.endpoint IS 'The paid endpoint.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.amount IS 'Amount, in the token''s smallest unit.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.asset IS 'The token''s contract; NULL if it was not given.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.user_id IS 'requesting_user_id() at the time of the reservation, or of the record without a reservation.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.response_summary IS 'The app''s note on its answer.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.is_mock IS 'No money moved: mock_x402_settlement() made it.';

CREATE TABLE insforge_integrations.x402_corrections (
  id          uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at  timestamptz NOT NULL DEFAULT now(),
  tx_hash     insforge_integrations.evm_hash NOT NULL,
  number      integer NOT NULL,
  kind        text COLLATE "C" NOT NULL CHECK (kind IN ('refund', 'reorg', 'batched', 'note')),
  change      numeric(78,0) NOT NULL DEFAULT 0,
  other_hash  insforge_integrations.evm_hash,
  reference   text COLLATE "C" CHECK (reference <> ''),
  note        text NOT NULL CHECK (note <> ''),
  recorded_by name NOT NULL DEFAULT session_user,
  reservation_id uuid,
  -- At every isolation level, a transaction that adds a correction knows all earlier ones.
  UNIQUE (tx_hash, number)
);
COMMENT ON TABLE insforge_integrations.x402_corrections IS
'Refunds and other events after a settlement.

correct_x402_settlement() adds rows. No row is ever changed.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.id IS 'Id of the row.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.created_at IS 'When the transaction that recorded it began.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.tx_hash IS 'The settlement.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.number IS 'Number of the correction within its settlement, from 1.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.kind IS 'refund, reorg (the chain dropped the transaction), batched (the transaction carried another payment too), or note.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.change IS 'Amount that is added to the total, in the token''s smallest unit; negative for a refund.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.other_hash IS 'The transaction of the refund, if there is one.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.reference IS 'The seller''s own name for the refund or the batched payment, such as its number in the books.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.note IS 'The reason.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.recorded_by IS 'The role that had logged in.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.reservation_id IS 'The other payment in the transaction that the correction is about, if it was reserved; NULL: the payment that has the row in the ledger.';

SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_settlements', '');
SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_corrections', '');

CREATE FUNCTION insforge_integrations_internal.refuse_ledger_change() RETURNS trigger
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION USING
    ERRCODE = 'insufficient_privilege',
    MESSAGE = format('%s on %s is refused', TG_OP, TG_TABLE_NAME),
    DETAIL = 'The ledger of x402 payments is append-only.',
    HINT = CASE TG_TABLE_NAME WHEN 'x402_payments'
      THEN 'Record a settlement with record_x402_settlement(), or reserve the payment before it settles with reserve_x402_payment().'
      ELSE 'To enter a refund, a reorganisation of the chain or a note, call correct_x402_settlement().' END;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.refuse_ledger_change() IS 'Trigger function: raises 42501.';

-- One trigger, because each takes a twentieth of the time of an insertion.
CREATE FUNCTION insforge_integrations_internal.admit_settlement() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'admit_settlement';
COMMENT ON FUNCTION insforge_integrations_internal.admit_settlement() IS
  'Trigger function: raises 22P02 if tx_hash is not 0x and 64 lower-case hexadecimal digits, and calls reopen_x402_days() if x402_sums has the day of created_at.';
CREATE TRIGGER admit_settlement BEFORE INSERT ON insforge_integrations.x402_settlements
  FOR EACH ROW EXECUTE FUNCTION insforge_integrations_internal.admit_settlement();
ALTER TABLE insforge_integrations.x402_settlements ENABLE ALWAYS TRIGGER admit_settlement;

DO $$
DECLARE
  ledger regclass;
BEGIN
  FOREACH ledger IN ARRAY '{insforge_integrations.x402_settlements, insforge_integrations.x402_corrections}'::regclass[] LOOP
    EXECUTE format(
      'CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %1$s
         FOR EACH ROW EXECUTE FUNCTION insforge_integrations_internal.refuse_ledger_change();
       CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %1$s
         FOR EACH STATEMENT EXECUTE FUNCTION insforge_integrations_internal.refuse_ledger_change();
       ALTER TABLE %1$s ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate',
      ledger);
  END LOOP;
END
$$;

CREATE FUNCTION insforge_integrations_internal.ledger_is_distributed() RETURNS boolean
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  is_distributed boolean := false;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = ''insforge_integrations.x402_settlements''::regclass)'
      INTO is_distributed;
  END IF;
  RETURN is_distributed;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.ledger_is_distributed() IS 'Whether Citus distributes the ledger.';

CREATE FUNCTION insforge_integrations_internal.publish_x402_settlement(tx_hash text, batched_id uuid DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
  SET lock_timeout = '500ms'
AS $$
DECLARE
  publish CONSTANT oid := to_regprocedure('realtime.publish(text, text, jsonb)');
  problem text;
BEGIN
  IF publish IS NULL THEN
    problem := 'There is no function realtime.publish(text, text, jsonb).';
  -- If the queue is full, NOTIFY fails at commit, and nobody can catch that error.
  ELSIF pg_notification_queue_usage() > 0.9 THEN
    problem := 'The notification queue is nearly full.';
  ELSE
    BEGIN
      PERFORM insforge_integrations_internal.call_as_its_owner(publish, 'x402_payments', 'INSERT_x402_payments',
        (SELECT jsonb_build_object('new', jsonb_build_object(
           'id', p.id, 'payer_address', p.payer_address, 'endpoint', p.endpoint, 'amount', p.amount,
           'tx_hash', p.tx_hash, 'chain', p.chain, 'status', p.status,
           'response_summary', p.response_summary, 'created_at', p.created_at))
         FROM @extschema@.x402_payments p
         WHERE p.tx_hash = publish_x402_settlement.tx_hash
           AND p.is_batched = (batched_id IS NOT NULL) AND p.id = coalesce(batched_id, p.id)));
    EXCEPTION WHEN OTHERS THEN
      problem := format('realtime.publish raised: %s', SQLERRM);
    END;
  END IF;
  IF problem IS NOT NULL THEN
    RAISE WARNING USING
      MESSAGE = 'an x402 settlement was recorded and not published',
      DETAIL = problem,
      HINT = 'The record is safe. insforge_integrations.configure(''realtime'', ''off'') stops publishing.';
  END IF;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.publish_x402_settlement(text, uuid) IS
  'Publishes a recorded settlement on channel x402_payments, or the payment batched_id of the same transaction. If that fails, it raises a WARNING. The functions that record call it.';

CREATE FUNCTION insforge_integrations_internal.insert_x402_correction(
    tx_hash text, kind text, change numeric, other_hash text, note text, reservation_id uuid, reference text DEFAULT NULL)
  RETURNS insforge_integrations.x402_corrections
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  corrected insforge_integrations.x402_corrections;
  earlier bigint;
BEGIN
  PERFORM insforge_integrations_internal.force_sync_commit();
  -- With the lock, the count sees the corrections of earlier transactions.
  PERFORM FROM insforge_integrations.x402_settlements s WHERE s.tx_hash = $1 FOR UPDATE;
  -- A statement of its own, because Citus takes no subquery in VALUES.
  SELECT count(*) INTO earlier FROM insforge_integrations.x402_corrections c WHERE c.tx_hash = $1;
  INSERT INTO insforge_integrations.x402_corrections (tx_hash, number, kind, change, other_hash, note, reservation_id, reference)
    VALUES ($1, 1 + earlier, $2, $3, $4, $5, $6, $7)
    RETURNING * INTO STRICT corrected;
  RETURN corrected;
EXCEPTION WHEN unique_violation THEN
  RAISE EXCEPTION USING
    ERRCODE = 'serialization_failure',
    MESSAGE = 'could not enter a correction of an x402 settlement',
    DETAIL = 'Another transaction has just entered a correction of the same settlement.',
    HINT = 'Try again in a new transaction.';
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.insert_x402_correction(text, text, numeric, text, text, uuid, text) IS
  'Adds a row to x402_corrections. Raises 40001 if another transaction adds one for the same settlement at the same time.';

CREATE FUNCTION @extschema@.correct_x402_settlement(
    tx_hash text, kind text, note text, amount text DEFAULT NULL, other_hash text DEFAULT NULL,
    reference text DEFAULT NULL, reservation_id uuid DEFAULT NULL)
  RETURNS insforge_integrations.x402_corrections
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  hash text := insforge_integrations_internal.x402_transaction_hash(tx_hash);
  other text := insforge_integrations_internal.x402_transaction_hash(other_hash);
  settled insforge_integrations.x402_settlements;
  known insforge_integrations.x402_corrections;
  another insforge_integrations.x402_corrections;
  of_batched uuid;
  wanted numeric;
  brought numeric;
  refused text;
BEGIN
  -- With the lock, the queries below see the corrections of earlier transactions.
  SELECT s.* INTO settled FROM insforge_integrations.x402_settlements s WHERE s.tx_hash = hash FOR UPDATE;
  -- The payment that has the row in the ledger needs no id.
  of_batched := nullif(reservation_id, settled.reservation_id);
  refused := CASE
    WHEN settled.id IS NULL THEN 'tx_hash: The ledger has no such transaction.'
    WHEN kind IN ('refund', 'reorg', 'batched', 'note') IS NOT TRUE THEN 'kind: It must be refund, reorg, batched or note.'
    WHEN coalesce(note, '') = '' THEN 'note: Give the reason.'
    WHEN amount !~ '^0{0,78}[1-9][0-9]{0,77}$' OR amount::numeric >= 2::numeric ^ 256 THEN 'amount: It must be a text of decimal digits, in the token''s smallest unit, above zero and below 2^256.'
    WHEN kind IN ('refund', 'batched') AND amount IS NULL THEN 'amount: A refund and a batched payment need one.'
    WHEN kind IN ('reorg', 'note') AND amount IS NOT NULL THEN 'amount: Give none. A reorganisation subtracts the whole amount, and a note changes nothing.'
    WHEN other_hash IS NOT NULL AND other IS NULL THEN 'other_hash: It must be 0x and 64 hexadecimal digits, and not all zeros.'
    WHEN other = hash THEN 'other_hash: It must differ from the transaction that is corrected.'
    WHEN reference = '' OR octet_length(reference) > 255 THEN 'reference: It must have 1 to 255 bytes.'
    WHEN kind IN ('refund', 'batched') AND other IS NULL AND reference IS NULL THEN 'reference: A refund and a batched payment need one, or other_hash. Otherwise the same entry twice would count twice.'
    WHEN kind IN ('batched', 'reorg') AND reservation_id IS NOT NULL THEN 'reservation_id: Give none. A reorganisation is about all payments, and resolve_x402_reservation() enters a reserved payment of the transaction.'
    WHEN NOT EXISTS (SELECT FROM insforge_integrations.x402_reservations r WHERE r.id = of_batched AND r.tx_hash = hash AND r.is_batched)
      AND of_batched IS NOT NULL THEN 'reservation_id: The transaction has no such payment.'
  END;
  IF refused IS NULL THEN
    wanted := CASE kind WHEN 'refund' THEN -amount::numeric WHEN 'batched' THEN amount::numeric WHEN 'reorg' THEN -settled.amount ELSE 0 END;
    SELECT c.* INTO known FROM insforge_integrations.x402_corrections c
      WHERE c.tx_hash = hash AND c.kind = kind
        AND (kind = 'reorg' OR (c.reservation_id IS NOT DISTINCT FROM of_batched
          AND (c.other_hash = other OR c.reference = reference) AND (kind <> 'note' OR c.note = note)))
      ORDER BY c.number LIMIT 1;
    IF known.change <> wanted THEN
      RAISE EXCEPTION USING
        ERRCODE = 'unique_violation',
        MESSAGE = format('the %s of transaction %s by %s is recorded already', kind, hash, coalesce(other, reference)),
        DETAIL = format('It was recorded at %s with amount %s.', known.created_at, abs(known.change)),
        HINT = 'Nothing was recorded. Rows of x402_corrections are never changed. Add a note instead.';
    END IF;
    IF known.id IS NOT NULL THEN
      RETURN known;
    END IF;
    SELECT CASE WHEN of_batched IS NULL THEN settled.amount ELSE 0 END + coalesce(sum(c.change), 0) INTO brought
      FROM insforge_integrations.x402_corrections c
      WHERE c.tx_hash = hash AND c.kind IN ('batched', 'refund') AND c.reservation_id IS NOT DISTINCT FROM of_batched;
    IF kind = 'refund' AND brought + wanted < 0 THEN
      refused := format('amount: Only %s of the %s''s amount is left to pay back.', brought,
                        CASE WHEN of_batched IS NULL THEN 'transaction' ELSE 'payment' END);
    END IF;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid correction of an x402 settlement',
      DETAIL = refused,
      HINT = 'Nothing was recorded.';
  END IF;
  known := insforge_integrations_internal.insert_x402_correction(hash, kind, wanted, other, note, of_batched, reference);
  IF kind = 'reorg' THEN
    FOR another IN SELECT c.* FROM insforge_integrations.x402_corrections c
                   WHERE c.tx_hash = hash AND c.kind = 'batched' ORDER BY c.number LOOP
      PERFORM insforge_integrations_internal.insert_x402_correction(hash, kind, -another.change, other, note, another.reservation_id);
    END LOOP;
  END IF;
  RETURN known;
END
$$;
COMMENT ON FUNCTION @extschema@.correct_x402_settlement(text, text, text, text, text, text, uuid) IS
'Adds a correction to a transaction in the ledger.

- kind: refund (amount), reorg (the chain dropped the transaction, with all its payments), batched (amount of another payment in the same transaction, which was not reserved), note
- other_hash, reference: the transaction that paid it back, or the seller''s own name for it; a refund and a batched payment need one of them
- reservation_id: a refund or note is about this payment of the transaction

The same one again returns the stored row; with another amount it raises 23505. A second reorg returns the stored row. A refund of more than the remaining amount raises 22023.';
