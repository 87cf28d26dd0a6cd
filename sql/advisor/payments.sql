-- Citus cannot plan the advisor's statement if a distributed table is in it. Therefore these tables are read in functions.
CREATE FUNCTION insforge_integrations_internal.recent_x402_settlements()
  RETURNS TABLE (tx_hash text, created_at timestamptz, network text, payer_address text, endpoint text, amount numeric,
                 reservation_id uuid, is_mock boolean, is_corrected boolean, idempotency_key text)
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
    SELECT s.tx_hash, s.created_at, s.network, s.payer_address::text, s.endpoint, s.amount::numeric, s.reservation_id, s.is_mock,
           c.tx_hash IS NOT NULL, r.idempotency_key
    FROM (SELECT l.* FROM insforge_integrations.x402_settlements l
          WHERE l.created_at > now() - interval '30 days' ORDER BY l.created_at DESC LIMIT 10000) s
      LEFT JOIN (SELECT DISTINCT o.tx_hash::text AS tx_hash FROM insforge_integrations.x402_corrections o) c ON c.tx_hash = s.tx_hash
      LEFT JOIN insforge_integrations.x402_reservations r ON r.id = s.reservation_id;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.recent_x402_settlements() IS
  'The latest rows of the ledger for the advisor: at most 30 days and 10,000 rows.';

CREATE FUNCTION insforge_integrations_internal.unsettled_x402_reservations()
  RETURNS TABLE (state text, payments bigint, oldest timestamptz)
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
    SELECT r.state::text, count(*), min(r.created_at)
    FROM insforge_integrations.x402_reservations r
    -- Newer ones are being settled or retried.
    WHERE r.created_at < now() - interval '10 minutes'
      AND r.id IN (SELECT u.reservation_id FROM insforge_integrations.unsettled_x402_reservations u)
      AND (r.state IN ('pending', 'conflict')
           OR (r.state = 'reserved' AND insforge_integrations.x402_can_land_until(r.valid_before) < now()))
    GROUP BY r.state;
END
$$;
COMMENT ON FUNCTION insforge_integrations_internal.unsettled_x402_reservations() IS
  'The number of reservations in each state that the advisor reports.';

INSERT INTO insforge_integrations.advisor_facts (position, name, meaning, query) VALUES
(20, 'payment_tables', 'The operator''s tables of payments. They have a transaction''s hash and a payer or an amount. Tables with one row for each event are left out.', $fact$
  SELECT DISTINCT ON (t.oid)
         t.oid, t.name, t.relkind, t.relrowsecurity, t.granted, h.attname AS hash,
         -- With other types and collations, a hash has only one spelling.
         y.base IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) AND coalesce(l.collisdeterministic, true) AS has_spellings,
         EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = t.oid AND f.contype = 'f' AND h.attnum = ANY (f.conkey)) AS is_reference,
         k.is_unique, k.is_folded, k.folded_key
  FROM relations t
    JOIN pg_attribute h ON h.attrelid = t.oid AND NOT h.attisdropped
                       AND h.attname IN ('tx_hash', 'txHash', 'transaction_hash', 'transactionHash')
    JOIN LATERAL (SELECT CASE p.typtype WHEN 'd' THEN p.typbasetype ELSE p.oid END AS base, p.typname
                  FROM pg_type p WHERE p.oid = h.atttypid) y
      ON y.base IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bytea'::regtype) OR y.typname = 'citext'
    LEFT JOIN pg_collation l ON l.oid = h.attcollation
    -- Unique indexes on the hash, or on the hash and the name of its chain.
    CROSS JOIN LATERAL (
      SELECT count(*) > 0 AS is_unique, coalesce(bool_or(x.is_folded), false) AS is_folded, min(x.folded_key) AS folded_key
      FROM (
        SELECT bool_or(part.is_folded) AS is_folded,
               string_agg(CASE WHEN part.is_hash THEN format('lower(%I)', h.attname) ELSE part.definition END, ', ' ORDER BY part.place) AS folded_key
        FROM pg_index i,
             LATERAL (SELECT place, definition, definition = quote_ident(h.attname) AS is_hash,
                             definition IN (format('lower(%I)', h.attname), format('upper(%I)', h.attname)) AS is_folded
                      FROM (SELECT place, replace(pg_get_indexdef(i.indexrelid, place, true), '::text', '') AS definition
                            FROM generate_series(1, i.indnkeyatts) place) d) part
        WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid
          AND coalesce(pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', h.attname), true)
        GROUP BY i.indexrelid
        HAVING bool_or(part.is_hash OR part.is_folded)
           AND bool_and(part.is_hash OR part.is_folded OR part.definition ~* '^"?(chain|network)')
      ) x) k
  WHERE t.relkind IN ('r', 'p')
    AND EXISTS (SELECT FROM pg_attribute a
                WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.attname ~* '^(payer|buyer|customer|amount|price)|(amount|price)$')
    AND NOT EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid = t.oid AND NOT a.attisdropped AND a.attname ~* '^(log|event|transfer)_?(index|position|no|number)$')
  ORDER BY t.oid, array_position('{tx_hash,txHash,transaction_hash,transactionHash}'::name[], h.attname)
$fact$),
(21, 'money_tables', 'Tables into which payments are written: the payment tables, their partitions, and the extension''s tables.', $fact$
  SELECT oid, name FROM payment_tables
  UNION ALL
  SELECT p.relid, format('%I.%I', n.nspname, c.relname)
  FROM payment_tables t, pg_partition_tree(t.oid) p JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE t.relkind = 'p' AND p.level > 0
  UNION ALL
  SELECT ours, format('insforge_integrations.%I', c.relname)
  FROM unnest('{insforge_integrations.x402_settlements,insforge_integrations.x402_reservations,insforge_integrations.x402_corrections}'::regclass[]) ours
    JOIN pg_class c ON c.oid = ours
$fact$),
(22, 'recent_settlements', 'The latest rows of the ledger: at most 30 days and 10,000 rows.', $fact$
  SELECT * FROM insforge_integrations_internal.recent_x402_settlements()
$fact$);

INSERT INTO insforge_integrations.advisor_rules (rule_id, severity, category, title, why, fix, findings) VALUES
('payment_hash_not_unique', 'critical', 'health', 'A payment table accepts one transaction twice',
'A request that is sent again counts the payment twice. A buyer can show one transaction for two requests.',
'Creates a unique index on the hash in lower case.',
$rule$
  SELECT t.name AS affected_object,
         format('Column %I has no unique index.', t.hash) AS detail,
         CASE t.relkind
           WHEN 'p' THEN format(
             E'-- UNIQUE on a partitioned table must include the partition key, so it does not make the hash unique.\n'
             '-- 1. Record payments with record_x402_settlement(): the ledger has each transaction only once.\n'
             '-- 2. Copy %1$s into an ordinary table with the columns of the guide''s, and import that: SELECT * FROM insforge_integrations.import_x402_payments(''the_copy'');\n'
             '-- 3. Rename column %2$s, or drop the table.', regexp_replace(t.name, '\s+', ' ', 'g'), quote_ident(t.hash))
           ELSE format(
             E'-- If this fails, the table has a transaction twice: look for lower(%1$s) with count(*) > 1, and keep one row of each.\n'
             'CREATE UNIQUE INDEX ON %2$s (%3$s);', quote_ident(t.hash), t.name,
             CASE WHEN t.has_spellings THEN format('lower(%I)', t.hash) ELSE quote_ident(t.hash) END)
         END AS recommendation
  FROM payment_tables t
  WHERE NOT t.is_unique AND NOT t.is_reference
$rule$),
('payment_hash_in_two_spellings', 'warning', 'health', 'UNIQUE on a transaction''s hash allows other spellings of it',
'0xAB and 0xab are the same hash and different texts. If a client writes the hash in another case, the transaction gets a second row.',
'Creates a unique index on the hash in lower case.',
$rule$
  SELECT t.name AS affected_object,
         format('Nothing keeps column %I in one case.', t.hash) AS detail,
         CASE t.relkind
           WHEN 'p' THEN format(
             E'-- A partitioned table cannot have a unique index on lower(%2$s). Make your server store hashes in lower case, then run:\n'
             '-- UPDATE %1$s SET %2$s = lower(%2$s) WHERE %2$s <> lower(%2$s);\n'
             '-- ALTER TABLE %1$s ADD CHECK (%2$s = lower(%2$s));',
             regexp_replace(t.name, '\s+', ' ', 'g'), quote_ident(t.hash))
           ELSE format(
             E'-- If this fails, the table has a transaction twice: look for lower(%1$s) with count(*) > 1, and keep one row of each.\n'
             'CREATE UNIQUE INDEX ON %2$s (%3$s);', quote_ident(t.hash), t.name, t.folded_key)
         END AS recommendation
  FROM payment_tables t
  WHERE t.is_unique AND NOT t.is_folded AND t.has_spellings AND NOT t.is_reference
    -- A CHECK constraint of the table, or of the column's domain.
    AND NOT EXISTS (
      SELECT FROM (
        SELECT ' ' || insforge_integrations_internal.flat_expression(pg_get_expr(c.conbin, c.conrelid)) || ' ' AS expression,
               CASE WHEN c.contypid = 0 THEN quote_ident(t.hash) ELSE 'VALUE' END AS subject
        FROM pg_constraint c
        WHERE c.contype = 'c' AND c.convalidated
          AND (c.conrelid = t.oid
               OR c.contypid = (SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = t.hash))) c,
        LATERAL (SELECT substring(substr(c.expression, nullif(strpos(c.expression, format(' %s ~ ''', c.subject)), 0)) FROM '''([^'']*)''') AS pattern,
                        substring(substr(c.expression, nullif(strpos(c.expression, format(' %s !~ ''', c.subject)), 0)) FROM '''([^'']*)''') AS refused) p
      WHERE strpos(c.expression, format(' %s = lower%1$s ', c.subject)) > 0
         OR strpos(c.expression, format(' lower%s = %1$s ', c.subject)) > 0
         OR strpos(c.expression, format('is_lower_hex%s, ', c.subject)) > 0
         OR (p.pattern ~ '^\^.*\$$' AND (p.pattern ~ 'a-[fz]') <> (p.pattern ~ 'A-[FZ]') AND p.pattern !~ '\(\?|\[:|\\w|\.')
         OR p.refused ~ 'A-[FZ]')
    -- A generated column or a trigger makes stored hashes lower case.
    AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                    WHERE a.attrelid = t.oid AND a.attname = t.hash AND a.attgenerated = 's'
                      AND pg_get_expr(d.adbin, d.adrelid) ~ '^\(*lower\(')
    AND NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                    WHERE g.tgrelid = t.oid AND g.tgtype & 7 = 7 AND NOT g.tgisinternal AND g.tgenabled <> 'D'
                      AND f.prosrc ~* '\mlower\s*\(\s*new\s*\.')
$rule$),
('payment_table_exposed', 'critical', 'security', 'A payment table is open to everybody',
'Any request can enter a payment that nobody made, or change a payment. Without row level security, any request can also read all payments.',
'Switches row level security on and takes the privileges to write. Your server writes with an admin key, as project_admin.',
$rule$
  SELECT t.name AS affected_object,
         CASE WHEN t.relrowsecurity THEN format('Policies let anon or authenticated %s.', string_agg(DISTINCT sent.command, ', '))
              ELSE format('Row level security is off, and %s are granted to anon or authenticated.', array_to_string(t.granted, ', ')) END AS detail,
         concat_ws(E'\n',
           format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', t.name),
           (SELECT format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM %s CASCADE;', t.name, string_agg(DISTINCT g.grantee, ', ' ORDER BY g.grantee))
            FROM (SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
                  FROM pg_class c,
                       LATERAL (SELECT c.relacl UNION ALL
                                SELECT a.attacl FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL) AS privileges (acl),
                       aclexplode(privileges.acl) x
                  WHERE c.oid = t.oid AND x.grantee <> c.relowner AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
                    AND (x.grantee = 0 OR EXISTS (SELECT FROM clients r WHERE pg_has_role(r.oid, x.grantee, 'USAGE')))) g
            HAVING count(*) > 0)) AS recommendation
  FROM payment_tables t CROSS JOIN LATERAL unnest(t.granted) AS sent (command)
    LEFT JOIN policies p ON p.relation = t.oid AND p.is_permissive AND p.is_for_clients
  WHERE NOT t.relrowsecurity
     OR (sent.command <> 'SELECT'
         AND p.command IN ('ALL', sent.command)
         AND CASE sent.command WHEN 'INSERT' THEN coalesce(p.check_expression, p.using_expression) ELSE p.using_expression END
             IS DISTINCT FROM 'false')
  GROUP BY t.oid, t.name, t.relrowsecurity, t.granted
$rule$),
('payment_table_unlogged', 'critical', 'health', 'A crash empties a table of payments',
'When Postgres starts again after a crash, it truncates every UNLOGGED table.',
'Makes it an ordinary table. This writes the whole table once.',
$rule$
  SELECT m.name AS affected_object, NULL AS detail, format('ALTER TABLE %s SET LOGGED;', m.name) AS recommendation
  FROM pg_class c JOIN money_tables m ON m.oid = c.oid
  WHERE c.relpersistence = 'u' AND c.relkind = 'r'
$rule$),
('payment_trigger_swallows', 'critical', 'health', 'A trigger or rule can drop the row of a payment',
'The INSERT succeeds and adds no row. The money has moved, and there is no record.',
'Drops the trigger or rule. To refuse a row, use RAISE or a CHECK constraint instead: then your server gets an error.',
$rule$
  SELECT format('%I on %s', g.tgname, m.name) AS affected_object,
         format('BEFORE INSERT it calls %s, which contains RETURN NULL.', f.oid::regprocedure) AS detail,
         format('DROP TRIGGER %I ON %s;', g.tgname, m.name) AS recommendation
  FROM money_tables m
    JOIN pg_trigger g ON g.tgrelid = m.oid AND g.tgtype & 7 = 7 AND NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled <> 'D'
    JOIN pg_proc f ON f.oid = g.tgfoid JOIN pg_language l ON l.oid = f.prolang AND l.lanname = 'plpgsql'
  WHERE regexp_replace(f.prosrc, '--[^\n]*|/\*([^*]|\*+[^*/])*\*+/', '', 'g') ~* '\mreturn\s+null\M'
  UNION ALL
  SELECT format('%I on %s', w.rulename, m.name), 'It is a rule ON INSERT DO INSTEAD.',
         format('DROP RULE %I ON %s;', w.rulename, m.name)
  FROM money_tables m JOIN pg_rewrite w ON w.ev_class = m.oid AND w.ev_type = '3' AND w.is_instead AND w.ev_enabled <> 'D'
$rule$),
('asset_domain_not_verified', 'warning', 'health', 'The domain of a token was not compared with its contract',
'If buyers sign under another name or version than the contract''s, their payments cannot be settled. The buyers are refused, or served without payment.',
'Registers the token with the DOMAIN_SEPARATOR() of its contract, or says how to read it.',
$rule$
  SELECT format('%s %s', a.network, a.address) AS affected_object,
         format('%s is registered with name %s and version %s%s.', a.symbol, quote_literal(a.name), quote_literal(a.version),
                CASE WHEN a.domain_separator IS NULL THEN '' ELSE ', which do not hash to the separator that is stored with them' END) AS detail,
         coalesce(
           (SELECT format('SELECT * FROM insforge_integrations.register_x402_asset(%L, %L, %L, %L, %L, %s, %L, transfer_method => %L);',
                          a.network, a.address, a.symbol, b.name, b.version, b.decimals, b.domain_separator, b.transfer_method)
            FROM insforge_integrations.x402_asset_entries b
            WHERE b.network = a.network AND b.address = a.address AND b.is_builtin AND b.domain_separator IS NOT NULL),
           format(
             E'-- 1. Ask a node of %1$s what DOMAIN_SEPARATOR() of the contract answers:\n'
             '--    curl -s "$RPC_URL" -H "content-type: application/json" -d ''{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":"%2$s","data":"0x3644e515"},"latest"]}''\n'
             '-- 2. If the result is %3$s, the name and version are right. Store the result:\n'
             '--    SELECT * FROM insforge_integrations.register_x402_asset(%4$s, ''%3$s'', transfer_method => ''%5$s'');\n'
             '-- 3. If the result differs, give the result instead. If it belongs to a common name and version, the HINT of the error names them.\n'
             '-- 4. If the contract has no DOMAIN_SEPARATOR(): settle a payment with a facilitator, then do step 2.',
             a.network, a.address,
             '0x' || encode(insforge_integrations.eip712_domain_separator(jsonb_build_object(
               'name', a.name, 'version', a.version, 'chainId', substring(a.network FROM 8)::numeric, 'verifyingContract', a.address)), 'hex'),
             -- On one line: text after a line break would not be a comment.
             regexp_replace(format('%L, %L, %L, %L, %L, %s', a.network, a.address, a.symbol, a.name, a.version, a.decimals), '[\r\n]+', ' ', 'g'),
             a.transfer_method))
         AS recommendation
  FROM insforge_integrations.x402_assets a
  WHERE NOT a.is_verified
$rule$),
('mock_mode_on', 'warning', 'health', 'Payments can be settled without money',
'mock_x402_settlement() works. A server that calls it delivers without payment. This is for development only.',
'Switches allow_mock_settlements off.',
$rule$
  SELECT 'allow_mock_settlements' AS affected_object, NULL AS detail,
         'SELECT insforge_integrations.configure(''allow_mock_settlements'', NULL);' AS recommendation
  FROM insforge_integrations.settings s
  WHERE s.name = 'allow_mock_settlements' AND s.value = 'on'
$rule$),
('mock_payments', 'info', 'health', 'The ledger has settlements without money',
'The totals leave these rows out. A count of the rows of x402_payments does not.',
'Says where the rows are. They stay, as all rows do. They are reported for 30 days, or until you add a note to them.',
$rule$
  SELECT 'insforge_integrations.x402_settlements' AS affected_object,
         format('Rows of the last 30 days: %s, the latest from %s.', count(*), max(s.created_at)) AS detail,
         E'-- 1. Look at what was delivered without payment: SELECT * FROM @extschema@.x402_payments WHERE is_mock;\n'
         '-- 2. Where you count rows, count only those with NOT is_mock.\n'
         '-- 3. Note that you have looked at them: SELECT @extschema@.correct_x402_settlement(tx_hash, ''note'', ''development'') FROM insforge_integrations.x402_settlements WHERE is_mock;' AS recommendation
  FROM recent_settlements s
  WHERE s.is_mock AND NOT s.is_corrected
  HAVING count(*) > 0
$rule$),
('unsettled_reservations', 'warning', 'health', 'Payments may have moved money without a record',
'A buyer may have paid for something that was not delivered. The totals do not contain the money.',
'Says what to look up on chain, and how to enter what you found.',
$rule$
  SELECT format('%s reservations', r.state) AS affected_object,
         format('Reservations: %s, the oldest from %s.', r.payments, r.oldest) AS detail,
         format(
           E'-- 1. List them: SELECT reservation_id, age, reason, message, check_on_chain FROM insforge_integrations.unsettled_x402_reservations WHERE state = ''%1$s'' ORDER BY age DESC;\n'
           '-- 2. Look up each on chain, as check_on_chain says. authorization_state_call is the request to a node.\n'
           '-- 3. If the nonce was used: SELECT * FROM insforge_integrations.resolve_x402_reservation(''the reservation_id'', ''settled'', ''the transaction'');\n'
           '-- 4. If it was not used and can_land_until is past: SELECT * FROM insforge_integrations.resolve_x402_reservation(''the reservation_id'', ''failed'', note => ''nonce unused'');',
           r.state) AS recommendation
  FROM insforge_integrations_internal.unsettled_x402_reservations() r
$rule$),
('payments_look_duplicated', 'info', 'health', 'A payment looks like another one from minutes before',
'A server that answers 402 after a timeout makes the buyer sign again and pay twice for one request.',
'Says how to find out, and what to enter then. An entry in x402_corrections for either payment ends the finding.',
$rule$
  SELECT l.tx_hash AS affected_object,
         format('%s paid %s for %s at %s, as in transaction %s at %s.', l.payer_address, l.amount, quote_literal(l.endpoint), l.created_at, l.other_hash, l.other_at) AS detail,
         format(
           E'-- 1. Look up both on chain and in your server''s log. Did the buyer ask once or twice?\n'
           '--    SELECT tx_hash, explorer_url, created_at, response_summary FROM @extschema@.x402_payments WHERE tx_hash IN (''%1$s'', ''%2$s'');\n'
           '-- 2. If once: pay one back, and enter the refund: SELECT * FROM @extschema@.correct_x402_settlement(''%1$s'', ''refund'', note => ''paid twice'', amount => ''%3$s'', other_hash => ''the transaction that pays it back'');\n'
           '-- 3. If twice: SELECT * FROM @extschema@.correct_x402_settlement(''%1$s'', ''note'', note => ''asked twice'');\n'
           '-- 4. To prevent this, reserve payments under an idempotency key: reserve_x402_payment().',
           l.tx_hash, l.other_hash, l.amount) AS recommendation
  FROM (
    SELECT s.*, lag(s.tx_hash) OVER earlier AS other_hash, lag(s.created_at) OVER earlier AS other_at,
           lag(s.reservation_id) OVER earlier AS other_reservation, lag(s.idempotency_key) OVER earlier AS other_key,
           lag(s.is_corrected) OVER earlier AS other_is_corrected,
           count(*) OVER (PARTITION BY s.network, s.payer_address, s.endpoint) AS payments
    FROM recent_settlements s
    WHERE NOT s.is_mock AND s.created_at > now() - interval '7 days'
    WINDOW earlier AS (PARTITION BY s.network, s.payer_address, s.endpoint, s.amount ORDER BY s.created_at, s.tx_hash)) l
  WHERE l.other_at > l.created_at - interval '10 minutes'
    -- Buyers with many payments may buy the same thing again.
    AND l.payments <= 5
    -- Two reservations are two requests, unless the buyer's key is the same.
    AND (l.reservation_id IS NULL OR l.other_reservation IS NULL
         OR l.idempotency_key = l.other_key)
    AND NOT (l.is_corrected OR l.other_is_corrected)
  ORDER BY l.created_at DESC LIMIT 20
$rule$),
('kept_ledger_not_put_back', 'critical', 'health', 'The ledger lacks payments from before a restore',
'The rows that a restore would have lost are in a table beside the ledger. Totals, views and uniqueness do not count them. A transaction that was recorded before can be recorded again.',
'Puts the rows back into the ledger and removes the table.',
$rule$
  SELECT 'insforge_integrations_kept.x402_ledger' AS affected_object, NULL AS detail,
         'SELECT * FROM insforge_integrations.restore_kept_x402_ledger();' AS recommendation
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
  WHERE n.nspname = 'insforge_integrations_kept' AND c.relname = 'x402_ledger' AND c.relkind = 'r' AND o.rolsuper
$rule$),
('ledger_drop_allowed', 'warning', 'health', 'DROP EXTENSION loses the ledger',
'A DROP EXTENSION, or a restore with pg_restore --clean, removes all records of payments.',
'Switches allow_ledger_drop off. For a restore, set it to keep.',
$rule$
  SELECT 'allow_ledger_drop' AS affected_object, NULL AS detail,
         'SELECT insforge_integrations.configure(''allow_ledger_drop'', NULL);' AS recommendation
  FROM insforge_integrations.settings s
  WHERE s.name = 'allow_ledger_drop' AND s.value = 'on'
$rule$),
('sums_not_kept', 'info', 'performance', 'The views of sums read the whole ledger',
'x402_totals and x402_revenue take seconds for a ledger of this size. Kept sums of past days make them as fast as for a new one.',
'Keeps the sums now. If pg_cron is installed, also each night.',
$rule$
  SELECT 'insforge_integrations.x402_settlements' AS affected_object,
         format('The ledger has about %s rows.', c.reltuples::bigint) AS detail,
         CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron')
              THEN E'SELECT insforge_integrations.refresh_x402_sums();\nSELECT cron.schedule(''x402_sums'', ''17 3 * * *'', ''SELECT insforge_integrations.refresh_x402_sums()'');'
              ELSE E'-- Let a cron on any machine repeat this each night.\nSELECT insforge_integrations.refresh_x402_sums();'
         END AS recommendation
  FROM pg_class c, insforge_integrations.x402_summed d
  WHERE c.oid = 'insforge_integrations.x402_settlements'::regclass AND c.reltuples >= 500000
    AND d.before < now() - interval '7 days'
$rule$);
