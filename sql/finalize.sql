-- Descriptions of what Rust code declares.
COMMENT ON SCHEMA insforge_integrations IS
  'Extension insforge_integrations: all that is not called through the data API. See the README for who may call what.';

COMMENT ON FUNCTION insforge_integrations.configure(text, text) IS
  'Stores a setting for the whole database; a NULL value returns it to its default. An unknown name or value raises 22023, and so does a token_role that could read every row. identity_source = verified warns that exchanged tokens identify nobody then.';
COMMENT ON FUNCTION insforge_integrations.holds_secret(text, text, bytea, text[]) IS
  'Whether a text, the constants of an expression''s tree, or bytes hold one of the secrets. It compares digests of all runs of a secret''s length, so that its time tells nothing of the secret. Behind advise().';
COMMENT ON FUNCTION insforge_integrations.provider_registration(text, jsonb) IS
  'The rules that a preset makes of the arguments of its function register_..., as columns of auth_providers; 22023 with what is wrong.';
COMMENT ON FUNCTION insforge_integrations.set_provider_jwks(text, jsonb) IS
  'Stores a provider''s public keys, a JWK set (RFC 7517), and says how many of them can verify its tokens: RSA of 2048 bits and more, P-256, P-384, P-521, Ed25519. Keys that cannot be used are skipped with a NOTICE; a set without one that fits the provider''s algorithms, or with a private key, is refused and the old one stays.';
COMMENT ON FUNCTION insforge_integrations.verify_provider_jwt(text, text) IS
  'Verifies a token (RFC 7519, RFC 8725) against a registered provider''s policy and keys and returns its claims. provider: whose it must be; NULL: whoever its issuer belongs to. 28000 with the reason code in DETAIL when it is rejected, 22P02 when it is no token, 55000 when the provider has no keys.';
COMMENT ON FUNCTION insforge_integrations.inspect_provider_jwt(text, text) IS
  'As verify_provider_jwt(), but answers with one row that says what came of it and why; raises on nothing that a token can contain.';
COMMENT ON FUNCTION insforge_integrations.authenticate(text, text) IS
  'Verifies a token and binds its identity to the request: requesting_user_id() and its family answer from it, whoever request.jwt.claims names, until the transaction or the token ends, or request.jwt.claims, request.headers or request.cookies changes. Returns the user id.';
COMMENT ON FUNCTION insforge_integrations.deauthenticate() IS
  'Unbinds the identity that authenticate() or pre_request() bound.';
COMMENT ON FUNCTION insforge_integrations.better_auth_table(text, text[]) IS
  'Which of Better Auth''s tables one of this name and with these columns is, by Better Auth''s own name; NULL if it is none.';
COMMENT ON FUNCTION insforge_integrations.better_auth_problems(text, jsonb) IS
  'What stands in the way of reading the tables of Better Auth that are named, a sentence each; 22023 for names that are none of Better Auth''s.';
COMMENT ON FUNCTION insforge_integrations.issue_insforge_token(text, jsonb, interval) IS
  'An InsForge token (HS256) for a user whom the caller, a trusted server, knows. claims: more claims; those of the issuer (iss, sub, aud, exp, nbf, iat, role, type, provider) raise 22023. ttl: 1 second to 24 hours; NULL: setting token_ttl. 55000 without a stored secret.';
COMMENT ON FUNCTION insforge_integrations.refresh_provider_jwks(text) IS
  'Fetches the JWK set of a provider, or of every enabled one, from its jwks_url and stores it if it holds: one row each, with the number of usable keys, or the error. What fails is recorded in jwks_fetches and keeps the keys stored before. https only, but for this machine; 5 seconds, 256 KiB, no redirects, no proxy. Nothing else of this extension fetches anything.';

COMMENT ON FUNCTION insforge_integrations.keccak256(bytea) IS
  'Keccak-256, 32 bytes, as Ethereum uses it (not the SHA3-256 of FIPS 202).';
COMMENT ON FUNCTION insforge_integrations.to_checksum_address(text) IS
  'An address, 0x and 40 hexadecimal digits, with the checksum of ERC-55 in the case of its letters. Takes lower case or a right checksum; 22P02 for anything else.';
COMMENT ON FUNCTION insforge_integrations.recover_signer(bytea, text) IS
  'The address, in lower case, of the secp256k1 key that signed a digest of 32 bytes. signature: 0x and 130 hexadecimal digits, r, s and v (0, 1, 27 or 28), s in the lower half (EIP-2). 22P02 for another form, 28000 when no key makes it.';
COMMENT ON FUNCTION insforge_integrations.eip712_encode_type(jsonb, text) IS
  'encodeType of EIP-712: Name(type1 name1,...) and the types it uses, by name. types: an object of lists of {name, type}.';
COMMENT ON FUNCTION insforge_integrations.eip712_domain_separator(jsonb) IS
  'domainSeparator of EIP-712, 32 bytes: DOMAIN_SEPARATOR() of the contract. domain: an object with any of name, version, chainId, verifyingContract and salt.';
COMMENT ON FUNCTION insforge_integrations.eip712_hash_struct(jsonb, text, jsonb) IS
  'hashStruct of EIP-712, 32 bytes. Integers are JSON numbers, decimal strings or 0x strings of up to 256 bits, without loss.';
COMMENT ON FUNCTION insforge_integrations.eip712_digest(jsonb) IS
  'The digest, 32 bytes, that a wallet signs for typed data {types, primaryType, domain, message}, the argument of eth_signTypedData_v4. 22023, with the place in DETAIL, for anything that viem or ethers refuses.';
COMMENT ON FUNCTION insforge_integrations.eip712_recover(jsonb, text) IS
  'The address, in lower case, of the key that signed typed data; see eip712_digest() and recover_signer().';
COMMENT ON FUNCTION insforge_integrations.eip712_verify(jsonb, text, text) IS
  'Whether the key of the address signer signed typed data; see eip712_digest() and recover_signer(). A contract wallet''s signature (ERC-1271) cannot be checked here and raises 22P02.';

COMMENT ON FUNCTION insforge_integrations.x402_payment_requirements(text, text, text, text, text, text, integer, text, integer) IS
  'One PaymentRequirements of x402, scheme exact. amount: decimal digits, in the token''s smallest unit. resource: address of what is sold (version 1). asset: symbol or contract. network: CAIP-2 identifier or name. version: 1, as InsForge''s guide, or 2. 22023 for what makes no sense, the zero address among it.';
COMMENT ON FUNCTION insforge_integrations.x402_payment_required_header(jsonb, text, text, text, text) IS
  'Header PAYMENT-REQUIRED of an answer with status 402: JSON {x402Version, error, resource, accepts} in base64. requirements: one or a list. resource, description, mime_type: what is sold (version 2).';
COMMENT ON FUNCTION insforge_integrations.x402_payment_response_header(text, text, text) IS
  'Header PAYMENT-RESPONSE of an answer that was paid for: JSON {success, transaction, network, payer} in base64.';
COMMENT ON FUNCTION insforge_integrations.x402_decode_header(text) IS
  'The JSON of an x402 header: base64 with or without padding, 64 KiB at most. 22P02 for anything else.';
COMMENT ON FUNCTION insforge_integrations.x402_facilitator_request(text, jsonb, text) IS
  'The body of a facilitator''s /settle: the payment as it came and the requirement it is for. facilitator: okx, whose interface (v6/x402 with chainIndex, or v6/pay/x402) follows from the payment''s version, or x402 for any other. For OKX''s /verify leave out syncSettle.';
COMMENT ON FUNCTION insforge_integrations.verify_x402_payment(text, jsonb) IS
  'Holds a payment, the value of PAYMENT-SIGNATURE or X-PAYMENT or its JSON, against one requirement or a list, at the clock''s time. is_valid: NULL for a contract wallet''s signature, which needs a facilitator. payer, amount, nonce and valid_before are what the payment says: true only if is_valid is. invalid_reason: a name of the x402 specification. unchecked: what only the chain knows. Raises 22023 for requirements that make no sense, and on nothing that a payment can contain.';
COMMENT ON FUNCTION insforge_integrations.force_sync_commit() IS
  'Makes the commit of this transaction wait for the disk, whatever synchronous_commit says.';
COMMENT ON FUNCTION insforge_integrations.insert_x402_settlement(text, text, text, text, text, text, uuid, timestamptz, text, text, uuid, boolean, boolean) IS
  'Puts a settlement into the ledger. When the transaction is there already: the columns in which its row differs, separated by commas. Behind the functions on reservations and the import.';
COMMENT ON FUNCTION insforge_integrations.call_as_its_owner(oid, text, text, jsonb) IS
  'Calls a function with the rights of its owner alone. Behind publish_x402_settlement().';
COMMENT ON FUNCTION insforge_integrations.mock_settlements_are_allowed() IS 'Setting allow_mock_settlements.';
COMMENT ON FUNCTION insforge_integrations.x402_reservation_after(insforge_integrations.x402_reservations, text, jsonb, text) IS
  'What becomes of a reservation after an event: answered, found, delivered, mocked or offered. known: what insert_x402_settlement() returned. Behind the functions on reservations.';
COMMENT ON FUNCTION insforge_integrations.read_x402_payment(text, jsonb) IS
  'A payment that fits what was asked for, taken apart; raises for any other. Behind reserve_x402_payment().';
COMMENT ON FUNCTION insforge_integrations.x402_transaction_hash(text) IS
  'A transaction''s hash in the ledger''s spelling: 0x and 64 lower-case hexadecimal digits. NULL for anything else, and for all zeros. It is read with 0x or without.';
COMMENT ON FUNCTION insforge_integrations.read_x402_settlement(text, text, text, text, text, text) IS
  'A settlement in the ledger''s spelling, or what is wrong with it. Behind import_x402_payments().';

-- The one statement of who may do what. Nobody but superusers has a privilege that is not here.
CREATE FUNCTION insforge_integrations.grant_to_insforge_roles() RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  statement text;
BEGIN
  -- Whatever default privileges gave to anybody on the objects of this extension.
  FOR statement IN
    WITH member AS (
      SELECT classid, objid FROM pg_depend
      WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'insforge_integrations')
    ), object(kind, name, owner, acl) AS (
      SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
        FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
      UNION ALL
      SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text, c.relowner, c.relacl
        FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
        WHERE relkind IN ('r', 'v', 'm', 'p', 'S')
      UNION ALL
      -- REVOKE on a table takes the privileges on its columns along.
      SELECT 'TABLE', a.attrelid::regclass::text, c.relowner, a.attacl
        FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
        JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE a.attacl IS NOT NULL
      UNION ALL
      SELECT 'SCHEMA', n.oid::regnamespace::text, n.nspowner, n.nspacl
        FROM member JOIN pg_namespace n ON classid = 'pg_namespace'::regclass AND objid = n.oid
    )
    SELECT DISTINCT format('REVOKE ALL ON %s %s FROM %s CASCADE', kind, name,
                           CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
      FROM object, aclexplode(acl)
      WHERE grantee <> owner
  LOOP
    EXECUTE statement;
  END LOOP;

  GRANT USAGE ON SCHEMA insforge_integrations TO PUBLIC;
  GRANT EXECUTE ON FUNCTION
    @extschema@.requesting_user_id(),
    @extschema@.requesting_org_id(),
    @extschema@.requesting_org_role(),
    @extschema@.requesting_permissions(),
    insforge_integrations.verify_provider_jwt(text, text),
    insforge_integrations.inspect_provider_jwt(text, text),
    insforge_integrations.authenticate(text, text),
    insforge_integrations.deauthenticate(),
    insforge_integrations.pre_request(),
    insforge_integrations.keccak256(bytea),
    insforge_integrations.to_checksum_address(text),
    insforge_integrations.recover_signer(bytea, text),
    insforge_integrations.eip712_encode_type(jsonb, text),
    insforge_integrations.eip712_domain_separator(jsonb),
    insforge_integrations.eip712_hash_struct(jsonb, text, jsonb),
    insforge_integrations.eip712_digest(jsonb),
    insforge_integrations.eip712_recover(jsonb, text),
    insforge_integrations.eip712_verify(jsonb, text, text),
    insforge_integrations.x402_payment_requirements(text, text, text, text, text, text, integer, text, integer),
    insforge_integrations.x402_payment_required_header(jsonb, text, text, text, text),
    insforge_integrations.x402_payment_response_header(text, text, text),
    insforge_integrations.x402_decode_header(text),
    insforge_integrations.x402_facilitator_request(text, jsonb, text),
    insforge_integrations.verify_x402_payment(text, jsonb)
    TO PUBLIC;
  GRANT SELECT ON insforge_integrations.x402_networks, insforge_integrations.x402_assets TO PUBLIC;

  FOR statement IN
    SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', granted.function, r.rolname)
      FROM (VALUES
        ('@extschema@.exchange_provider_token(text, text)', '{anon, authenticated, project_admin}'::name[]),
        ('insforge_integrations.issue_insforge_token(text, jsonb, interval)', '{project_admin}'),
        ('insforge_integrations.advise()', '{project_admin}'),
        ('@extschema@.record_x402_settlement(text, text, text, text, text, text, text, boolean)', '{project_admin}'),
        ('@extschema@.reserve_x402_payment(text, jsonb, text, text)', '{project_admin}'),
        ('@extschema@.settle_x402_reservation(uuid, jsonb, text)', '{project_admin}'),
        ('insforge_integrations.resolve_x402_reservation(uuid, text, text, text)', '{project_admin}'),
        ('insforge_integrations.mark_x402_delivered(uuid)', '{project_admin}'),
        ('insforge_integrations.mock_x402_settlement(uuid)', '{project_admin}'),
        ('insforge_integrations.correct_x402_settlement(text, text, text, text, text)', '{project_admin}'),
        ('insforge_integrations.map_x402_payer(text, text)', '{project_admin}'),
        ('insforge_integrations.x402_can_land_until(timestamptz)', '{project_admin}'),
        ('insforge_integrations.x402_facilitator_request(uuid, text)', '{project_admin}'),
        ('insforge_integrations.x402_payment_response_header(uuid)', '{project_admin}')
      ) AS granted(function, roles) JOIN pg_roles r ON r.rolname = ANY (granted.roles)
    UNION ALL
    SELECT format('GRANT SELECT ON %s TO %I', granted.view, r.rolname)
      FROM (
        SELECT unnest(ARRAY['@extschema@.x402_payments', 'insforge_integrations.unsettled_x402_reservations',
                            'insforge_integrations.undelivered_x402_reservations', 'insforge_integrations.x402_totals',
                            'insforge_integrations.x402_corrections']), 'project_admin'
        UNION ALL
        SELECT '@extschema@.x402_payments', p.role FROM insforge_integrations.x402_publications p
      ) AS granted(view, role) JOIN pg_roles r ON r.rolname = granted.role
  LOOP
    EXECUTE statement;
  END LOOP;
END
$$;
COMMENT ON FUNCTION insforge_integrations.grant_to_insforge_roles() IS
  'Puts the privileges on the objects of this extension back to what the README says, with those for anon, authenticated and project_admin where these roles exist. Call it when the roles were created after the extension.';

DROP FUNCTION insforge_integrations.watch_for_table_caches(regclass);
SELECT insforge_integrations.grant_to_insforge_roles();
-- Last: all functions and views are there.
SELECT insforge_integrations.note_installed_objects();
