-- Moves the rows. Columns that 0.1.0 did not have get their defaults, or what is said here.
ALTER TABLE insforge_integrations_0_1_0.x402_corrections ADD COLUMN number integer;
ALTER TABLE insforge_integrations_0_1_0.x402_corrections DISABLE TRIGGER USER;
UPDATE insforge_integrations_0_1_0.x402_corrections c SET number = n.number
FROM (SELECT o.id, row_number() OVER (PARTITION BY o.tx_hash ORDER BY o.created_at, o.id) AS number
      FROM insforge_integrations_0_1_0.x402_corrections o) AS n
WHERE n.id = c.id;

-- 0.1.0 reserved only payments of scheme exact by EIP-3009, whose nonce belongs to the token's contract.
ALTER TABLE insforge_integrations_0_1_0.x402_reservations
  ADD COLUMN scheme text COLLATE "C" NOT NULL DEFAULT 'exact',
  ADD COLUMN nonce_contract insforge_integrations_0_1_0.evm_address,
  ADD COLUMN request_given_at timestamptz,
  ADD COLUMN settled_amount insforge_integrations_0_1_0.evm_amount;
UPDATE insforge_integrations_0_1_0.x402_reservations SET nonce_contract = asset, request_given_at = created_at,
  settled_amount = CASE state WHEN 'settled' THEN amount END;

DO $$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT format('INSERT INTO insforge_integrations.%1$I (%2$s) SELECT %2$s FROM insforge_integrations_0_1_0.%1$I%3$s', t.name,
             (SELECT string_agg(quote_ident(n.attname), ', ' ORDER BY n.attnum)
              FROM pg_attribute n JOIN pg_attribute o ON o.attname = n.attname
              WHERE n.attrelid = format('insforge_integrations.%I', t.name)::regclass
                AND o.attrelid = format('insforge_integrations_0_1_0.%I', t.name)::regclass
                AND n.attnum > 0 AND o.attnum > 0 AND NOT n.attisdropped AND NOT o.attisdropped),
             t.condition)
    FROM (VALUES
      (1, 'settings', ''), (2, 'auth_providers', ''), (3, 'jwt_secrets', ''), (4, 'session_secrets', ''), (5, 'jwks_fetches', ''),
      (6, 'x402_network_entries', ' WHERE NOT is_builtin'), (7, 'x402_asset_entries', ' WHERE NOT is_builtin'),
      (8, 'x402_settlements', ''), (9, 'x402_corrections', ''), (10, 'x402_reservations', ''),
      (11, 'x402_publications', ''), (12, 'x402_payers', '')
    ) AS t (position, name, condition)
    ORDER BY t.position
  LOOP
    EXECUTE statement;
  END LOOP;
END
$$;
INSERT INTO insforge_integrations.stored_secrets SELECT 'jwt_secret' FROM insforge_integrations.jwt_secrets LIMIT 1;

-- Postgres forgets what pg_dump takes only of a table that leaves the extension.
DO $$
DECLARE
  relation regclass;
BEGIN
  FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'insforge_integrations_0_1_0'::regnamespace AND c.relkind = 'r' LOOP
    EXECUTE format('ALTER EXTENSION insforge_integrations DROP TABLE %s', relation);
  END LOOP;
END
$$;
-- Nothing of a user is in it: the beginning of this script has looked.
SET LOCAL client_min_messages = warning;
DROP SCHEMA insforge_integrations_0_1_0 CASCADE;
RESET client_min_messages;
-- Privileges of readers come from x402_publications.
SELECT insforge_integrations.grant_to_insforge_roles();
SELECT insforge_integrations_internal.note_installed_objects();
