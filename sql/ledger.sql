-- A regular expression would take as long as the insertion itself.
CREATE FUNCTION insforge_integrations.is_lower_hex(value text, digits integer) RETURNS boolean
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_lower_hex';
COMMENT ON FUNCTION insforge_integrations.is_lower_hex(text, integer) IS
  'Whether a text is 0x and so many lower-case hexadecimal digits.';

-- tx_hash is the only unique key, so that the table can be distributed by it.
-- Domains rather than constraints of tables: these are parsed and planned anew by every INSERT, which takes
-- longer than the insertion itself.
CREATE DOMAIN insforge_integrations.evm_hash AS text COLLATE "C"
  CHECK (insforge_integrations.is_lower_hex(VALUE, 64));
COMMENT ON DOMAIN insforge_integrations.evm_hash IS
  '32 bytes, such as a transaction''s hash or a nonce: 0x and 64 lower-case hexadecimal digits.';
CREATE DOMAIN insforge_integrations.evm_address AS text COLLATE "C"
  CHECK (insforge_integrations.is_lower_hex(VALUE, 40));
COMMENT ON DOMAIN insforge_integrations.evm_address IS
  'An address: 0x and 40 lower-case hexadecimal digits.';
CREATE DOMAIN insforge_integrations.evm_amount AS numeric(78,0) CHECK (VALUE >= 0);
COMMENT ON DOMAIN insforge_integrations.evm_amount IS 'An amount in the token''s smallest unit.';

CREATE TABLE insforge_integrations.x402_settlements (
  id               uuid NOT NULL,
  created_at       timestamptz NOT NULL,
  reservation_id   uuid,
  tx_hash          insforge_integrations.evm_hash NOT NULL UNIQUE,
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
  'The ledger: one row for each transaction that settled an x402 payment. Rows are added by record_x402_settlement() and settle_x402_reservation(), and never changed.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.id IS 'Id of the row, as in the guide''s table: a UUID of version 8, made of tx_hash, which is the key. Imported rows keep theirs.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.created_at IS 'When the transaction that recorded it began.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.reservation_id IS 'The reservation that it settles; NULL: recorded without one.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.tx_hash IS 'Hash of the transaction, 0x and 64 lower-case hexadecimal digits.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.payer_address IS 'Who paid, 0x and 40 lower-case hexadecimal digits.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.endpoint IS 'What was paid for.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.amount IS 'How much, in the token''s smallest unit.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.network IS 'CAIP-2 identifier of the chain.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.asset IS 'The token''s contract; NULL: not told.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.user_id IS 'requesting_user_id() when it was reserved, or recorded without a reservation.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.response_summary IS 'What the app noted of its answer.';
COMMENT ON COLUMN insforge_integrations.x402_settlements.is_mock IS 'No money moved: mock_x402_settlement() made it.';

CREATE TABLE insforge_integrations.x402_corrections (
  id          uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at  timestamptz NOT NULL DEFAULT now(),
  tx_hash     insforge_integrations.evm_hash NOT NULL,
  number      integer NOT NULL,
  kind        text COLLATE "C" NOT NULL CHECK (kind IN ('refund', 'reorg', 'batched', 'note')),
  change      numeric(78,0) NOT NULL DEFAULT 0,
  other_hash  insforge_integrations.evm_hash,
  note        text NOT NULL CHECK (note <> ''),
  recorded_by name NOT NULL DEFAULT session_user,
  reservation_id uuid,
  -- At every isolation level, whoever adds a correction knows all that are before it.
  UNIQUE (tx_hash, number)
);
COMMENT ON TABLE insforge_integrations.x402_corrections IS
  'What became of settlements later. Rows are added by correct_x402_settlement(), and never changed.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.id IS 'Id of the row.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.created_at IS 'When the transaction that recorded it began.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.tx_hash IS 'The settlement.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.number IS 'Its place among the corrections of the settlement, from 1.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.kind IS 'refund, reorg (the chain dropped the transaction), batched (the transaction carried another payment too), or note.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.change IS 'What it adds to the total, in the token''s smallest unit; negative for a refund.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.other_hash IS 'The transaction of the refund, where there is one.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.note IS 'Why.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.recorded_by IS 'The role that was logged in.';
COMMENT ON COLUMN insforge_integrations.x402_corrections.reservation_id IS 'The other payment in the transaction, where it was reserved.';

SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_settlements', '');
SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_corrections', '');

CREATE FUNCTION insforge_integrations.refuse_ledger_change() RETURNS trigger
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
      ELSE 'Refunds, reorganisations of the chain and notes are rows of x402_corrections: call insforge_integrations.correct_x402_settlement().' END;
END
$$;
COMMENT ON FUNCTION insforge_integrations.refuse_ledger_change() IS 'Trigger function: raises 42501.';

DO $$
DECLARE
  ledger regclass;
BEGIN
  FOREACH ledger IN ARRAY '{insforge_integrations.x402_settlements, insforge_integrations.x402_corrections}'::regclass[] LOOP
    EXECUTE format(
      'CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %1$s
         FOR EACH ROW EXECUTE FUNCTION insforge_integrations.refuse_ledger_change();
       CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %1$s
         FOR EACH STATEMENT EXECUTE FUNCTION insforge_integrations.refuse_ledger_change();
       ALTER TABLE %1$s ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate',
      ledger);
  END LOOP;
END
$$;

CREATE FUNCTION insforge_integrations.publish_x402_settlement(tx_hash text, batched_id uuid DEFAULT NULL) RETURNS void
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
  -- A NOTIFY that finds the queue full fails at commit, where nobody can catch it.
  ELSIF pg_notification_queue_usage() > 0.9 THEN
    problem := 'The notification queue is nearly full.';
  ELSE
    BEGIN
      PERFORM insforge_integrations.call_as_its_owner(publish, 'x402_payments', 'INSERT_x402_payments',
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
COMMENT ON FUNCTION insforge_integrations.publish_x402_settlement(text, uuid) IS
  'Tells channel x402_payments of a recorded settlement, or of the payment batched_id that the transaction carried too; a WARNING when it cannot. Called by the functions that record.';

CREATE FUNCTION insforge_integrations.insert_x402_correction(
    tx_hash text, kind text, change numeric, other_hash text, note text, reservation_id uuid)
  RETURNS insforge_integrations.x402_corrections
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  corrected insforge_integrations.x402_corrections;
BEGIN
  PERFORM insforge_integrations.force_sync_commit();
  -- So that the count sees the corrections of whoever was first.
  PERFORM FROM insforge_integrations.x402_settlements s WHERE s.tx_hash = $1 FOR UPDATE;
  INSERT INTO insforge_integrations.x402_corrections (tx_hash, number, kind, change, other_hash, note, reservation_id)
    VALUES ($1, 1 + (SELECT count(*) FROM insforge_integrations.x402_corrections c WHERE c.tx_hash = $1), $2, $3, $4, $5, $6)
    RETURNING * INTO STRICT corrected;
  RETURN corrected;
EXCEPTION WHEN unique_violation THEN
  RAISE EXCEPTION USING
    ERRCODE = 'serialization_failure',
    MESSAGE = 'could not enter a correction of an x402 settlement',
    DETAIL = 'Another transaction entered one of the same settlement meanwhile.',
    HINT = 'Try again in a new transaction.';
END
$$;
COMMENT ON FUNCTION insforge_integrations.insert_x402_correction(text, text, numeric, text, text, uuid) IS
  'Adds a row to x402_corrections; 40001 when another transaction adds one for the same settlement meanwhile.';

CREATE FUNCTION insforge_integrations.correct_x402_settlement(
    tx_hash text, kind text, note text, amount text DEFAULT NULL, other_hash text DEFAULT NULL)
  RETURNS insforge_integrations.x402_corrections
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  hash text := insforge_integrations.x402_transaction_hash(tx_hash);
  other text := insforge_integrations.x402_transaction_hash(other_hash);
  settled insforge_integrations.x402_settlements;
  known insforge_integrations.x402_corrections;
  another insforge_integrations.x402_corrections;
  wanted numeric;
  brought numeric;
  refused text;
BEGIN
  -- Locked, so that what follows sees the corrections of whoever was first.
  SELECT s.* INTO settled FROM insforge_integrations.x402_settlements s WHERE s.tx_hash = hash FOR UPDATE;
  refused := CASE
    WHEN NOT FOUND THEN 'tx_hash: The ledger has no such transaction.'
    WHEN kind IN ('refund', 'reorg', 'batched', 'note') IS NOT TRUE THEN 'kind: It is refund, reorg, batched or note.'
    WHEN coalesce(note, '') = '' THEN 'note: It says why.'
    WHEN amount !~ '^0{0,78}[1-9][0-9]{0,77}$' OR amount::numeric >= 2::numeric ^ 256 THEN 'amount: It is a text of decimal digits, in the token''s smallest unit, above zero and below 2^256.'
    WHEN kind IN ('refund', 'batched') AND amount IS NULL THEN 'amount: A refund and another payment in the transaction have one.'
    WHEN kind IN ('reorg', 'note') AND amount IS NOT NULL THEN 'amount: A reorganisation takes away the whole, a note nothing.'
    WHEN other_hash IS NOT NULL AND other IS NULL THEN 'other_hash: It is 0x and 64 hexadecimal digits, and not all zeros.'
    WHEN other = hash THEN 'other_hash: It is the transaction that is corrected.'
  END;
  IF refused IS NULL THEN
    wanted := CASE kind WHEN 'refund' THEN -amount::numeric WHEN 'batched' THEN amount::numeric WHEN 'reorg' THEN -settled.amount ELSE 0 END;
    SELECT c.* INTO known FROM insforge_integrations.x402_corrections c
      WHERE c.tx_hash = hash AND c.kind = kind
        AND (kind = 'reorg' OR (c.other_hash = other AND (kind <> 'note' OR c.note = note)))
      ORDER BY c.number LIMIT 1;
    IF known.change <> wanted THEN
      RAISE EXCEPTION USING
        ERRCODE = 'unique_violation',
        MESSAGE = format('the %s of transaction %s by %s is recorded already', kind, hash, other),
        DETAIL = format('It was recorded at %s with amount %s.', known.created_at, abs(known.change)),
        HINT = 'Nothing was recorded. A row of x402_corrections is never changed; add a note.';
    END IF;
    IF known.id IS NOT NULL THEN
      RETURN known;
    END IF;
    SELECT settled.amount + coalesce(sum(c.change) FILTER (WHERE c.kind IN ('batched', 'refund')), 0) INTO brought
      FROM insforge_integrations.x402_corrections c WHERE c.tx_hash = hash;
    IF kind = 'refund' AND brought + wanted < 0 THEN
      refused := format('amount: No more than %s is left to pay back of what the transaction brought.', brought);
    END IF;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid correction of an x402 settlement',
      DETAIL = refused,
      HINT = 'Nothing was recorded.';
  END IF;
  known := insforge_integrations.insert_x402_correction(hash, kind, wanted, other, note, NULL);
  IF kind = 'reorg' THEN
    FOR another IN SELECT c.* FROM insforge_integrations.x402_corrections c
                   WHERE c.tx_hash = hash AND c.kind = 'batched' ORDER BY c.number LOOP
      PERFORM insforge_integrations.insert_x402_correction(hash, kind, -another.change, other, note, another.reservation_id);
    END LOOP;
  END IF;
  RETURN known;
END
$$;
COMMENT ON FUNCTION insforge_integrations.correct_x402_settlement(text, text, text, text, text) IS
  'Adds to what the ledger says of a transaction. kind: refund (amount, and other_hash of the transaction that paid it back), reorg (the chain dropped it, with all payments in it), batched (amount of another payment that the same transaction carried), note. A correction with the same other_hash, and a second reorg, are given the stored row; with another amount they raise 23505. A refund of more than is left of what the transaction brought raises 22023.';
