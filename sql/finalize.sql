-- Comments on the functions that Rust code declares.
COMMENT ON SCHEMA insforge_integrations IS
'Extension insforge_integrations: all objects that are not for the data API.

The reference says who may call which.';
COMMENT ON SCHEMA insforge_integrations_internal IS
  'Extension insforge_integrations: functions that only its own functions, triggers and constraints call.';

COMMENT ON FUNCTION insforge_integrations.configure(text, text) IS
'Stores a setting for the whole database.

- name: the reference lists the settings
- value: NULL returns the setting to its default

An unknown name or value raises 22023, and so does a token_role or anon_role that could read every row. identity_source = verified raises a WARNING, because exchanged tokens then identify nobody.';
COMMENT ON FUNCTION insforge_integrations_internal.holds_secret(text, text, bytea, text[]) IS
  'Whether a text, the constants of an expression''s tree, or bytes contain one of the secrets. It compares digests of every part that is as long as a secret, so its time does not reveal the secret. advise() uses it.';
COMMENT ON FUNCTION insforge_integrations_internal.provider_registration(text, jsonb) IS
  'The rules that a preset makes of the arguments of its function register_..., as columns of auth_providers. Raises 22023 for invalid arguments.';
COMMENT ON FUNCTION insforge_integrations.set_provider_jwks(text, jsonb) IS
'Stores a provider''s public keys, and returns how many of them can verify its tokens.

- jwks: a JWK set (RFC 7517)

Keys that can verify are RSA of at least 2048 bits, P-256, P-384, P-521 and Ed25519. A NOTICE names each key that cannot be used. A set with a private key, or without a key for the provider''s algorithms, is refused, and the old set stays.';
COMMENT ON FUNCTION insforge_integrations.verify_provider_jwt(text, text) IS
'Verifies a provider''s token and returns its claims.

- provider: the provider that it must be from; NULL: the provider of its issuer

The registered provider''s rules and keys decide (RFC 7519, RFC 8725). Raises 28000 with the reason code in DETAIL for a rejected token, 22P02 for a text that is not a token, 55000 for a provider without keys.';
COMMENT ON FUNCTION insforge_integrations.inspect_provider_jwt(text, text) IS
'Says whether a provider''s token is accepted, and if not, why.

It verifies as verify_provider_jwt() does and returns one row. No content of a token makes it raise an error. If the token is refused, found has its iss, aud, azp, alg and kid, which are not verified, and expected has what the providers that were asked expect. Only superusers and roles with the privileges of project_admin see these two.';
COMMENT ON FUNCTION insforge_integrations.authenticate(text, text) IS
'Verifies a token, binds its identity to the request and returns the user id.

requesting_user_id() and its family then answer from the token and ignore request.jwt.claims. The identity ends with the transaction or the token, or when request.jwt.claims, request.headers or request.cookies changes.';
COMMENT ON FUNCTION insforge_integrations.deauthenticate() IS
  'Removes the identity that authenticate() or pre_request() bound.';
COMMENT ON FUNCTION insforge_integrations_internal.better_auth_table(text, text[]) IS
  'Better Auth''s own name for a table with this name and these columns; NULL if it is not one of Better Auth''s.';
COMMENT ON FUNCTION insforge_integrations_internal.better_auth_problems(text, jsonb) IS
  'Why the named tables of Better Auth cannot be read, one sentence for each problem. Raises 22023 for names that Better Auth does not have.';
COMMENT ON FUNCTION insforge_integrations.issue_insforge_token(text, jsonb, interval) IS
'Issues an InsForge token (HS256) for a user that a trusted server has already authenticated.

- claims: more claims; those that only the issuer may set (iss, sub, aud, exp, nbf, iat, role, type, provider) raise 22023
- ttl: 1 second to 24 hours; NULL: setting token_ttl

Raises 55000 without a stored secret.';
COMMENT ON FUNCTION insforge_integrations_internal.discovery_document(text) IS
  'Fetches the discovery document of an issuer, for register_oidc_provider().';
COMMENT ON FUNCTION insforge_integrations_internal.session_status() IS
  'The version of the library, the usable keys of each provider, and the use of this session''s caches. View status shows it.';
COMMENT ON FUNCTION insforge_integrations.refresh_provider_jwks(text) IS
'Fetches the keys of a provider, or of every enabled one, and stores them if they are valid.

They come from the provider''s jwks_url. For a provider with a discovery_url, jwks_url and algorithms come first from the discovery document. One row for each provider has the number of usable keys or the error. After an error, jwks_fetches has the error and the stored keys stay. Up to 16 servers are asked at the same time, and a provider whose server does not answer does not hold up the others. Only https, except to this machine; at most 5 seconds and 256 KiB for each document; no redirects, no proxy. Besides this function, only register_oidc_provider() fetches anything.';

COMMENT ON FUNCTION insforge_integrations.keccak256(bytea) IS
'Keccak-256, 32 bytes, the hash that Ethereum uses.

It is not the SHA3-256 of FIPS 202.';
COMMENT ON FUNCTION insforge_integrations.to_checksum_address(text) IS
'Writes an address as wallets show it, with the checksum of ERC-55.

- address: 0x and 40 hexadecimal digits, in lower case or with a right checksum

The checksum is in the case of the letters. Raises 22P02 for anything else.';
COMMENT ON FUNCTION insforge_integrations.recover_signer(bytea, text) IS
'The address, in lower case, of the key that signed a hash.

- digest: 32 bytes
- signature: 0x and 130 hexadecimal digits, r, s and v (0, 1, 27 or 28), s in the lower half (EIP-2)

The key is of the curve secp256k1. Raises 22P02 for another form, and 28000 for a signature that no key makes.';
COMMENT ON FUNCTION insforge_integrations.eip712_encode_type(jsonb, text) IS
'encodeType of EIP-712: a type and the types that it uses, as one text.

- types: an object of lists of {name, type}

The text is Name(type1 name1,...), and then the types that it uses, ordered by name.';
COMMENT ON FUNCTION insforge_integrations.eip712_domain_separator(jsonb) IS
'domainSeparator of EIP-712, 32 bytes: what DOMAIN_SEPARATOR() of the contract answers.

- domain: an object with any of name, version, chainId, verifyingContract and salt';
COMMENT ON FUNCTION insforge_integrations.eip712_hash_struct(jsonb, text, jsonb) IS
'hashStruct of EIP-712, 32 bytes.

Integers are JSON numbers, decimal strings or 0x strings of up to 256 bits, without loss.';
COMMENT ON FUNCTION insforge_integrations.eip712_digest(jsonb) IS
'The hash, 32 bytes, that a wallet signs for typed data.

- typed_data: {types, primaryType, domain, message}, the argument of eth_signTypedData_v4

Raises 22023, with the place in DETAIL, for anything that viem or ethers refuses.';
COMMENT ON FUNCTION insforge_integrations.eip712_recover(jsonb, text) IS
'The address, in lower case, of the key that signed typed data.

eip712_digest() and recover_signer() say more about the arguments and the errors.';
COMMENT ON FUNCTION insforge_integrations.eip712_verify(jsonb, text, text) IS
'Whether the key of an address signed typed data.

- signer: the address

eip712_digest() and recover_signer() say more about the arguments and the errors. A contract wallet''s signature (ERC-1271) cannot be checked in the database and raises 22P02.';

COMMENT ON FUNCTION insforge_integrations.x402_payment_requirements(text, text, text, text, text, text, integer, text, integer, text, text, text) IS
'One PaymentRequirements of x402: what a seller asks for.

- amount: decimal digits, in the token''s smallest unit
- resource: address of the resource that is sold (version 1)
- asset: symbol or contract
- network: CAIP-2 identifier or name
- version: 1, as in InsForge''s guide, or 2
- scheme: exact, or upto (the buyer signs amount as a maximum)
- transfer_method: eip3009 or permit2; NULL: the asset''s own
- facilitator_address: in scheme upto, the facilitator that may settle

Raises 22023 for arguments that make no sense, such as the zero address.';
COMMENT ON FUNCTION insforge_integrations.x402_payment_required_header(jsonb, text, text, text, text) IS
'Header PAYMENT-REQUIRED of an answer with status 402.

- requirements: one or a list
- resource, description, mime_type: the resource that is sold (version 2)

It is the JSON {x402Version, error, resource, accepts} in base64.';
COMMENT ON FUNCTION insforge_integrations.x402_payment_response_header(text, text, text, text) IS
'Header PAYMENT-RESPONSE of a paid answer.

- amount: the settled amount of scheme upto; with amount 0, tx_hash may be empty

It is the JSON {success, transaction, network, payer, amount} in base64.';
COMMENT ON FUNCTION insforge_integrations.x402_decode_header(text) IS
'The JSON of an x402 header.

- header: base64 with or without padding, at most 64 KiB

Raises 22P02 for anything else.';
COMMENT ON FUNCTION insforge_integrations.x402_facilitator_request(text, jsonb, text, text) IS
'The body of a request to a facilitator to settle a payment.

- facilitator: okx, or x402 for any other
- amount: what to settle of a payment of scheme upto; NULL: the offered amount

It has the unchanged payment and its requirement. For okx, the payment''s version decides on the interface: v6/x402 with chainIndex, or v6/pay/x402. For OKX''s /verify, leave out syncSettle.';
COMMENT ON FUNCTION insforge_integrations.verify_x402_payment(text, jsonb, boolean) IS
'Checks a payment against one requirement or a list, at the present time.

- payment: the value of PAYMENT-SIGNATURE or X-PAYMENT, or its JSON
- payer_is_contract: there is code at the payer''s address (Safe, EIP-7702), so only the chain can check a signature that the payer''s key did not make
- is_valid: NULL for a contract wallet''s signature, which needs a facilitator
- payer, amount, nonce, valid_before: copied from the payment; trust them only if is_valid is true
- invalid_reason: a name of the x402 specification or its reference implementation
- unchecked: what only the chain can tell

Raises 22023 for requirements that make no sense. No content of a payment makes it raise an error.';
COMMENT ON FUNCTION insforge_integrations_internal.force_sync_commit() IS
  'Makes the commit of this transaction wait for the disk, even if synchronous_commit is off.';
COMMENT ON FUNCTION insforge_integrations_internal.insert_x402_settlement(text, text, text, text, text, text, uuid, timestamptz) IS
  'Puts a settlement into the ledger. If the ledger already has the transaction, returns the columns in which its row differs, separated by commas. import_x402_payments() uses it.';
COMMENT ON FUNCTION insforge_integrations_internal.call_as_its_owner(oid, text, text, jsonb) IS
  'Calls a function with only the rights of its owner. publish_x402_settlement() uses it.';
COMMENT ON FUNCTION insforge_integrations_internal.x402_challenge_parts(jsonb, text, text, text, text) IS
  'Headers and body of an answer with status 402. x402_challenge() uses it.';
COMMENT ON FUNCTION insforge_integrations_internal.x402_transaction_hash(text) IS
  'A transaction''s hash in the ledger''s spelling: 0x and 64 lower-case hexadecimal digits. NULL for anything else, and for all zeros. The argument may have 0x or not.';
COMMENT ON FUNCTION insforge_integrations_internal.read_x402_settlement(text, text, text, text, text, text) IS
  'Reads a settlement in the ledger''s spelling, or says what is wrong with it. import_x402_payments() uses it.';

-- All privileges. Only superusers have others.
CREATE FUNCTION insforge_integrations.grant_to_insforge_roles() RETURNS void
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  statement text;
BEGIN
  -- Privileges on this extension's objects that default privileges gave.
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
      -- REVOKE on a table also revokes the privileges on its columns.
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

  GRANT USAGE ON SCHEMA insforge_integrations, insforge_integrations_internal TO PUBLIC;
  GRANT EXECUTE ON FUNCTION
    @extschema@.requesting_user_id(),
    @extschema@.requesting_org_id(),
    @extschema@.requesting_org_role(),
    @extschema@.requesting_permissions(),
    @extschema@.requesting_claims(),
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
    insforge_integrations.x402_payment_requirements(text, text, text, text, text, text, integer, text, integer, text, text, text),
    insforge_integrations.x402_payment_required_header(jsonb, text, text, text, text),
    insforge_integrations.x402_payment_response_header(text, text, text, text),
    insforge_integrations.x402_decode_header(text),
    insforge_integrations.x402_facilitator_request(text, jsonb, text, text),
    insforge_integrations.verify_x402_payment(text, jsonb, boolean)
    TO PUBLIC;
  GRANT SELECT ON insforge_integrations.x402_networks, insforge_integrations.x402_assets TO PUBLIC;
  -- Every server has this role. Postgres checks the function behind the view for the role that reads the view.
  GRANT SELECT ON insforge_integrations.status TO pg_monitor;
  GRANT EXECUTE ON FUNCTION insforge_integrations_internal.session_status() TO pg_monitor;

  FOR statement IN
    SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', granted.function, r.rolname)
      FROM (VALUES
        ('@extschema@.exchange_provider_token(text, text)', insforge_integrations_internal.client_roles() || '{project_admin}'),
        ('insforge_integrations.issue_insforge_token(text, jsonb, interval)', '{project_admin}'),
        ('insforge_integrations.advise()', '{project_admin}'),
        ('insforge_integrations_internal.session_status()', '{project_admin}'),
        ('@extschema@.record_x402_settlement(text, text, text, text, text, text, text, boolean)', '{project_admin}'),
        ('@extschema@.x402_challenge(jsonb, text, text, text, text)', '{project_admin}'),
        ('@extschema@.reserve_x402_payment(text, jsonb, text, text, text, boolean)', '{project_admin}'),
        ('@extschema@.settle_x402_reservation(uuid, jsonb, text)', '{project_admin}'),
        ('insforge_integrations.resolve_x402_reservation(uuid, text, text, text, text)', '{project_admin}'),
        ('@extschema@.mark_x402_delivered(uuid)', '{project_admin}'),
        ('@extschema@.mock_x402_settlement(uuid)', '{project_admin}'),
        ('@extschema@.correct_x402_settlement(text, text, text, text, text, text, uuid)', '{project_admin}'),
        ('@extschema@.x402_receipt(text, uuid)', '{project_admin}'),
        ('insforge_integrations.map_x402_payer(text, text)', '{project_admin}'),
        ('insforge_integrations.refresh_x402_sums()', '{project_admin}'),
        ('insforge_integrations.x402_can_land_until(timestamptz)', '{project_admin}'),
        ('insforge_integrations.x402_facilitator_request(uuid, text)', '{project_admin}'),
        ('@extschema@.x402_settlement_request(uuid, text, text)', '{project_admin}'),
        ('insforge_integrations.x402_payment_response_header(uuid)', '{project_admin}')
      ) AS granted(function, roles) JOIN pg_roles r ON r.rolname = ANY (granted.roles)
    UNION ALL
    SELECT 'GRANT INSERT ON @extschema@.x402_payments TO project_admin' FROM pg_roles r WHERE r.rolname = 'project_admin'
    UNION ALL
    SELECT format('GRANT EXECUTE ON FUNCTION @extschema@.x402_receipt(text, uuid) TO %I', r.rolname)
      FROM insforge_integrations.x402_publications p JOIN pg_roles r ON r.rolname = p.role
    UNION ALL
    SELECT format('GRANT SELECT ON %s TO %I', granted.view, r.rolname)
      FROM (
        SELECT unnest(ARRAY['@extschema@.x402_payments', 'insforge_integrations.unsettled_x402_reservations',
                            'insforge_integrations.undelivered_x402_reservations', 'insforge_integrations.x402_totals',
                            'insforge_integrations.x402_corrections', 'insforge_integrations.status', '@extschema@.x402_revenue',
                            'insforge_integrations.x402_receipts']), 'project_admin'
        UNION ALL
        SELECT published.view, p.role FROM insforge_integrations.x402_publications p
          JOIN (VALUES ('@extschema@.x402_payments', 'own'), ('insforge_integrations.x402_receipts', 'own'),
                       ('@extschema@.x402_revenue', 'all')) AS published(view, scope) ON published.scope IN ('own', p.scope)
      ) AS granted(view, role) JOIN pg_roles r ON r.rolname = granted.role
  LOOP
    EXECUTE statement;
  END LOOP;

  -- What an upgrade script grants is taken for what a new installation grants, and pg_dump would leave it out.
  UPDATE pg_init_privs i SET initprivs = ARRAY(
      SELECT a FROM unnest(i.initprivs) a
      WHERE NOT EXISTS (SELECT FROM aclexplode(ARRAY[a]) e JOIN pg_roles r ON r.oid = e.grantee
                          JOIN insforge_integrations.x402_publications p ON p.role = r.rolname))
    WHERE EXISTS (SELECT FROM aclexplode(i.initprivs) e JOIN pg_roles r ON r.oid = e.grantee
                    JOIN insforge_integrations.x402_publications p ON p.role = r.rolname)
      AND (i.classoid, i.objoid) IN (
        SELECT 'pg_proc'::regclass, '@extschema@.x402_receipt(text, uuid)'::regprocedure::oid
        UNION ALL
        SELECT 'pg_class'::regclass, unnest(ARRAY['@extschema@.x402_payments', 'insforge_integrations.x402_receipts',
                                                  '@extschema@.x402_revenue']::regclass[]));
END
$$;
COMMENT ON FUNCTION insforge_integrations.grant_to_insforge_roles() IS
'Restores the privileges that the reference lists.

Those for anon, authenticated and project_admin need these roles: if they were created after the extension, call this function again. Call it again after a change of anon_role or token_role, too: both roles may exchange tokens.';

DROP FUNCTION insforge_integrations_internal.watch_for_table_caches(regclass);
SELECT insforge_integrations.grant_to_insforge_roles();
-- Last, when all functions and views exist.
SELECT insforge_integrations_internal.note_installed_objects();
