-- The extension brings the built-in rows. pg_dump keeps only the operator's rows.
CREATE TABLE insforge_integrations.x402_network_entries (
  network      text COLLATE "C" NOT NULL CHECK (network ~ '^eip155:[1-9][0-9]{0,31}$'),
  name         text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  v1_network   text COLLATE "C" NOT NULL CHECK (v1_network ~ '^[a-z0-9][a-z0-9:-]{0,62}$'),
  explorer_url text CHECK (explorer_url ~ '^https://.*\{hash\}'),
  is_builtin   boolean NOT NULL DEFAULT false,
  PRIMARY KEY (network, is_builtin)
);
COMMENT ON TABLE insforge_integrations.x402_network_entries IS
'Behind view x402_networks.

Write it with register_x402_network().';
COMMENT ON COLUMN insforge_integrations.x402_network_entries.network IS 'CAIP-2 identifier, eip155:<chain id>.';
COMMENT ON COLUMN insforge_integrations.x402_network_entries.name IS 'Short name, as in column chain of the guide''s payment table.';
COMMENT ON COLUMN insforge_integrations.x402_network_entries.v1_network IS 'Name in version 1 of x402.';
COMMENT ON COLUMN insforge_integrations.x402_network_entries.explorer_url IS 'Address of a transaction''s page, with {hash} in place of the hash.';
COMMENT ON COLUMN insforge_integrations.x402_network_entries.is_builtin IS 'Whether the extension brought the row.';

CREATE TABLE insforge_integrations.x402_asset_entries (
  network          text COLLATE "C" NOT NULL CHECK (network ~ '^eip155:[1-9][0-9]{0,31}$'),
  address          text COLLATE "C" NOT NULL CHECK (address ~ '^0x[0-9a-f]{40}$'),
  symbol           text NOT NULL CHECK (symbol <> ''),
  name             text,
  version          text,
  decimals         integer NOT NULL CHECK (decimals BETWEEN 0 AND 77),
  domain_separator text COLLATE "C" CHECK (domain_separator ~ '^0x[0-9a-f]{64}$'),
  salt             text COLLATE "C" CHECK (salt ~ '^0x[0-9a-f]{64}$'),
  has_chain_id     boolean NOT NULL DEFAULT true,
  transfer_method  text COLLATE "C" NOT NULL DEFAULT 'eip3009' CHECK (transfer_method IN ('eip3009', 'permit2')),
  is_builtin       boolean NOT NULL DEFAULT false,
  PRIMARY KEY (network, address, is_builtin),
  CHECK ((name IS NULL) = (version IS NULL)),
  CHECK (name IS NOT NULL OR transfer_method = 'permit2')
);
COMMENT ON TABLE insforge_integrations.x402_asset_entries IS
'Behind view x402_assets.

Write it with register_x402_asset().';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.network IS 'CAIP-2 identifier of its network.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.address IS 'The token''s contract, in lower case.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.symbol IS 'Symbol of the token, such as USDC.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.name IS 'Name of the EIP-712 domain that the contract checks signatures under; often not the symbol. NULL: not known, and without EIP-3009 not needed.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.version IS 'Version of that domain.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.decimals IS 'Digits after the point: an amount of 1 is 10^-decimals.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.domain_separator IS 'DOMAIN_SEPARATOR() as read on chain; NULL if nobody has read it.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.salt IS 'Salt of the domain; NULL for most domains, which have none.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.has_chain_id IS 'Whether the domain has the chain''s id. Some domains with a salt do not.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.transfer_method IS 'The way to move the token that buyers are offered by default: eip3009, or permit2 for a token without EIP-3009.';
COMMENT ON COLUMN insforge_integrations.x402_asset_entries.is_builtin IS 'Whether the extension brought the row.';

SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_network_entries', 'WHERE NOT is_builtin');
SELECT pg_catalog.pg_extension_config_dump('insforge_integrations.x402_asset_entries', 'WHERE NOT is_builtin');

INSERT INTO insforge_integrations.x402_network_entries (network, name, v1_network, explorer_url, is_builtin)
SELECT network, name, coalesce(v1_network, network), explorer_url, true
FROM (VALUES
  ('eip155:1',        'ethereum',       'ethereum',       'https://etherscan.io/tx/{hash}'),
  ('eip155:10',       'optimism',       NULL,             'https://optimistic.etherscan.io/tx/{hash}'),
  ('eip155:137',      'polygon',        'polygon',        'https://polygonscan.com/tx/{hash}'),
  ('eip155:143',      'monad',          'monad',          'https://monadscan.com/tx/{hash}'),
  -- Version 1 of x402 has no name for X Layer, and the guide uses the identifier.
  ('eip155:196',      'xlayer',         NULL,             'https://www.okx.com/web3/explorer/xlayer/tx/{hash}'),
  ('eip155:1329',     'sei',            'sei',            'https://seiscan.io/tx/{hash}'),
  ('eip155:4326',     'megaeth',        'megaeth',        'https://mega.etherscan.io/tx/{hash}'),
  ('eip155:8453',     'base',           'base',           'https://basescan.org/tx/{hash}'),
  ('eip155:31611',    'mezo-testnet',   NULL,             'https://explorer.test.mezo.org/tx/{hash}'),
  ('eip155:31612',    'mezo',           NULL,             'https://explorer.mezo.org/tx/{hash}'),
  ('eip155:38833',    'igra',           NULL,             'https://explorer.igralabs.com/tx/{hash}'),
  ('eip155:42161',    'arbitrum',       NULL,             'https://arbiscan.io/tx/{hash}'),
  ('eip155:42220',    'celo',           'celo',           'https://celoscan.io/tx/{hash}'),
  ('eip155:43113',    'avalanche-fuji', 'avalanche-fuji', 'https://testnet.snowtrace.io/tx/{hash}'),
  ('eip155:43114',    'avalanche',      'avalanche',      'https://snowtrace.io/tx/{hash}'),
  ('eip155:72344',    'radius-testnet', NULL,             'https://testnet.radiustech.xyz/tx/{hash}'),
  ('eip155:80002',    'polygon-amoy',   'polygon-amoy',   'https://amoy.polygonscan.com/tx/{hash}'),
  ('eip155:84532',    'base-sepolia',   'base-sepolia',   'https://sepolia.basescan.org/tx/{hash}'),
  ('eip155:421614',   'arbitrum-sepolia', NULL,           'https://sepolia.arbiscan.io/tx/{hash}'),
  ('eip155:723487',   'radius',         NULL,             'https://network.radiustech.xyz/tx/{hash}')
) AS builtin (network, name, v1_network, explorer_url);

-- The default tokens of npm's x402 1.2 and @x402/evm 2.27 that a second source confirms. Each separator was read on
-- chain and published, and a test checks that the domain hashes to it. The SDKs' other tokens are left out, because
-- only the SDKs vouch for their domains: on Stable, ADI, HPP, XDC, Flare, IoTeX, Peaq, Abstract, Story, EduChain, SKALE
-- and the testnets of Sei and Celo, and USAT on Celo.
INSERT INTO insforge_integrations.x402_asset_entries
  (network, address, symbol, name, version, decimals, domain_separator, is_builtin)
VALUES
  ('eip155:1',     '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48', 'USDC',  'USD Coin',      '2', 6, '0x06c37168a7db5138defc7866392bb87a741f9b3d104deb5094588ce041cae335', true),
  ('eip155:10',    '0x0b2c639c533813f4aa9d7837caf62653d097ff85', 'USDC',  'USD Coin',      '2', 6, '0x26d9c34bb1a1c312f69c53b2d93b8be20faafba63af2438c6811713c9b1f933f', true),
  ('eip155:137',   '0x3c499c542cef5e3811e1192ce70d8cc03d5c3359', 'USDC',  'USD Coin',      '2', 6, '0xcaa2ce1a5703ccbe253a34eb3166df60a705c561b44b192061e28f2a985be2ca', true),
  ('eip155:143',   '0x754704bc059f8c67012fed69bc8a327a5aafb603', 'USDC',  'USDC',          '2', 6, '0xfe22123edc0dd4aeb912eb7948c5f0e531592c2053b3067612f427db342c93c6', true),
  ('eip155:196',   '0x4ae46a509f6b1d9056937ba4500cb143933d2dc8', 'USDG',  'Global Dollar', '1', 6, '0x415f0706e345fcaf25d5be24c4fd7830d0054fc5742c51a0db9319c759bd3743', true),
  ('eip155:196',   '0x779ded0c9e1022225f8e0630b35a9b54be713736', 'USDT0', 'USD' || chr(8366) || '0', '1', 6, '0xd591d9baf744328d9400b923cb02c9474d367d591ca1ab24d8c4068be527599d', true),
  -- The bridged token. Circle's own contract on X Layer is a different one.
  ('eip155:196',   '0x74b7f16337b8972027f6196a17a631ac6de26d22', 'USDC.e', 'USD Coin',     '2', 6, '0xb1671065a2ea487729c4ff0e2f8beb2105e3ce63315ad07483374a3476b83972', true),
  ('eip155:1329',  '0xe15fc38f6d8c56af07bbcbe3baf5708a2bf42392', 'USDC',  'USDC',          '2', 6, '0x0a19136106ae98d2c245cbbd451f3cb2bbbb1670e1ee191abacb5a5e255c0255', true),
  ('eip155:8453',  '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913', 'USDC',  'USD Coin',      '2', 6, '0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f', true),
  ('eip155:42161', '0xaf88d065e77c8cc2239327c5edb3a432268e5831', 'USDC',  'USD Coin',      '2', 6, '0x08d11903f8419e68b1b8721bcbe2e9fc68569122a77ef18c216f10b3b5112c78', true),
  ('eip155:42220', '0x48065fbbe25f71c9282ddf5e1cd6d6a887483d5e', 'USDT',  'Tether USD',    '1', 6, '0xbcb4d62e4834b598d0eacecd84c0b397a0254e077c41cf2143e394d5701d1088', true),
  ('eip155:42220', '0xceba9300f2b948710d2653dd7b07f33a8b32118c', 'USDC',  'USDC',          '2', 6, '0xb2ce31d2838445fa765a491f550e7c78ac7280ab0f3bc9d6063a86df9c3fb578', true),
  ('eip155:43113', '0x5425890298aed601595a70ab815c96711a31bc65', 'USDC',  'USD Coin',      '2', 6, '0xfe9fa105a0e9629446730e544caa6b8d05d8d4fc93451750dc50e2ddd6d374b3', true),
  ('eip155:43114', '0xb97ef9ef8734c71904d8002f8b6bc66dd9c48a6e', 'USDC',  'USD Coin',      '2', 6, '0xbbea200329a938bc3438984a49cb0732e66d66d7bd59c127abacc1710e77f7b3', true),
  ('eip155:80002', '0x41e94eb019c0762f9bfcf9fb1e58725bfb0e7582', 'USDC',  'USDC',          '2', 6, '0x5cddc98319864e897e4469bd1d13c2288c677047b54b8cca12bd342adb6be9eb', true),
  ('eip155:84532', '0x036cbd53842c5426634e7929541ec2318f3dcf7e', 'USDC',  'USDC',          '2', 6, '0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818', true),
  ('eip155:421614', '0x75faf114eafb1bdbe2f0316df893fd58ce46aa4d', 'USDC', 'USD Coin',      '2', 6, '0x85944e1292d007732838d6eadfa67589b78ffcededbd4df60488d0af251308bb', true);

-- Tokens without EIP-3009. Only a sponsored approval (EIP-2612) signs under their domain.
INSERT INTO insforge_integrations.x402_asset_entries
  (network, address, symbol, name, version, decimals, domain_separator, transfer_method, is_builtin)
VALUES
  ('eip155:4326',   '0xfafddbb3fc7688494971a79cc65dca3ef82079e7', 'MegaUSD', 'MegaUSD', '1', 18, '0x26e1aa8b35bf8653b60726926f670a6ec590674f00b149826914c480d0e798bd', 'permit2', true),
  ('eip155:31611',  '0x118917a40faf1cd7a13db0ef56c86de7973ac503', 'mUSD',    NULL, NULL, 18, NULL, 'permit2', true),
  ('eip155:31612',  '0xdd468a1ddc392dcdbef6db6e34e89aa338f9f186', 'mUSD',    NULL, NULL, 18, NULL, 'permit2', true),
  ('eip155:38833',  '0xa5b8bf902b2844da17d4506cc827f7f1681735e7', 'USDC',    NULL, NULL, 6,  NULL, 'permit2', true),
  ('eip155:72344',  '0x33ad9e4bd16b69b5bfded37d8b5d9ff9aba014fb', 'SBC',     NULL, NULL, 6,  NULL, 'permit2', true),
  ('eip155:723487', '0x33ad9e4bd16b69b5bfded37d8b5d9ff9aba014fb', 'SBC',     NULL, NULL, 6,  NULL, 'permit2', true);

CREATE VIEW insforge_integrations.x402_networks WITH (security_barrier) AS
  SELECT DISTINCT ON (network) network, name, v1_network, explorer_url, is_builtin
  FROM insforge_integrations.x402_network_entries
  ORDER BY network, is_builtin;
COMMENT ON VIEW insforge_integrations.x402_networks IS
'Chains for payments.

An operator''s row takes precedence over a built-in one.';
COMMENT ON COLUMN insforge_integrations.x402_networks.network IS 'CAIP-2 identifier, eip155:<chain id>.';
COMMENT ON COLUMN insforge_integrations.x402_networks.name IS 'Short name, as in column chain of x402_payments.';
COMMENT ON COLUMN insforge_integrations.x402_networks.v1_network IS 'Name in version 1 of x402.';
COMMENT ON COLUMN insforge_integrations.x402_networks.explorer_url IS 'Address of a transaction''s page, with {hash} in place of the hash.';
COMMENT ON COLUMN insforge_integrations.x402_networks.is_builtin IS 'Whether the extension brought the row.';

CREATE VIEW insforge_integrations.x402_assets WITH (security_barrier) AS
  SELECT DISTINCT ON (network, address) network, address, symbol, name, version, decimals, domain_separator,
         CASE WHEN name IS NOT NULL THEN
           coalesce(domain_separator = '0x' || encode(insforge_integrations.eip712_domain_separator(jsonb_strip_nulls(jsonb_build_object(
             'name', name, 'version', version, 'chainId', CASE WHEN has_chain_id THEN substring(network FROM 8)::numeric END,
             'verifyingContract', address, 'salt', salt))),
             'hex'), false) END AS is_verified, is_builtin, salt, transfer_method
  FROM insforge_integrations.x402_asset_entries
  ORDER BY network, address, is_builtin;
COMMENT ON VIEW insforge_integrations.x402_assets IS
'Tokens for payments, and the EIP-712 domain under which each contract checks signatures.

is_verified: the domain hashes to the separator that was read on chain; NULL for a token without EIP-3009 whose domain is not known. transfer_method: eip3009, or permit2 for a token without EIP-3009. An operator''s row takes precedence over a built-in one.';
COMMENT ON COLUMN insforge_integrations.x402_assets.network IS 'CAIP-2 identifier of its network.';
COMMENT ON COLUMN insforge_integrations.x402_assets.address IS 'The token''s contract, in lower case.';
COMMENT ON COLUMN insforge_integrations.x402_assets.symbol IS 'Symbol of the token, such as USDC.';
COMMENT ON COLUMN insforge_integrations.x402_assets.name IS 'Name of the EIP-712 domain that the contract checks signatures under; often not the symbol.';
COMMENT ON COLUMN insforge_integrations.x402_assets.version IS 'Version of that domain.';
COMMENT ON COLUMN insforge_integrations.x402_assets.decimals IS 'Digits after the point: an amount of 1 is 10^-decimals.';
COMMENT ON COLUMN insforge_integrations.x402_assets.domain_separator IS 'DOMAIN_SEPARATOR() as read on chain; NULL if nobody has read it.';
COMMENT ON COLUMN insforge_integrations.x402_assets.is_verified IS 'Whether the domain hashes to that separator; NULL for a token without EIP-3009 whose domain is not known.';
COMMENT ON COLUMN insforge_integrations.x402_assets.is_builtin IS 'Whether the extension brought the row.';
COMMENT ON COLUMN insforge_integrations.x402_assets.salt IS 'Salt of the domain; NULL for most domains, which have none.';
COMMENT ON COLUMN insforge_integrations.x402_assets.transfer_method IS 'eip3009, or permit2 for a token without EIP-3009.';

SELECT insforge_integrations_internal.watch_for_table_caches(watched)
FROM unnest('{insforge_integrations.x402_network_entries, insforge_integrations.x402_asset_entries}'::regclass[]) watched;

CREATE FUNCTION insforge_integrations.register_x402_network(
    network text, name text, explorer_url text DEFAULT NULL, v1_network text DEFAULT NULL)
  RETURNS insforge_integrations.x402_network_entries
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  wanted insforge_integrations.x402_network_entries := ROW(
    register_x402_network.network, register_x402_network.name,
    coalesce(register_x402_network.v1_network, register_x402_network.network),
    register_x402_network.explorer_url, false);
  refused text;
  taken text;
BEGIN
  LOCK TABLE insforge_integrations.x402_network_entries IN SHARE ROW EXCLUSIVE MODE;
  SELECT other.network INTO taken FROM insforge_integrations.x402_networks other
    WHERE other.network <> wanted.network
      AND ARRAY[other.network, other.name, other.v1_network] && ARRAY[wanted.network, wanted.name, wanted.v1_network];
  refused := CASE
    WHEN wanted.network ~ '^eip155:[1-9][0-9]{0,31}$' IS NOT TRUE THEN 'network: It must be a CAIP-2 identifier of an EVM chain, such as eip155:196.'
    WHEN wanted.name ~ '^[a-z0-9][a-z0-9-]{0,62}$' IS NOT TRUE THEN 'name: It must have only lower-case letters, digits and hyphens.'
    WHEN wanted.v1_network !~ '^[a-z0-9][a-z0-9:-]{0,62}$' THEN 'v1_network: It must have only lower-case letters, digits and hyphens, or be the identifier.'
    WHEN wanted.explorer_url !~ '^https://.*\{hash\}' THEN 'explorer_url: It must begin with https:// and have {hash} in place of the transaction hash.'
    WHEN taken IS NOT NULL THEN format('%s already has one of these names, and a name must belong to only one network.', taken)
  END;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid registration of an x402 network',
      DETAIL = refused,
      HINT = 'Nothing was changed. View insforge_integrations.x402_networks has examples.';
  END IF;
  INSERT INTO insforge_integrations.x402_network_entries VALUES (wanted.*)
    ON CONFLICT (network, is_builtin) DO UPDATE SET
      name = excluded.name, v1_network = excluded.v1_network, explorer_url = excluded.explorer_url;
  RETURN wanted;
END
$$;
COMMENT ON FUNCTION insforge_integrations.register_x402_network(text, text, text, text) IS
'Adds a chain to x402_networks, or replaces one.

- network: CAIP-2 identifier, eip155:<chain id>
- explorer_url: address with {hash} in place of the hash
- v1_network: name in version 1 of x402; NULL: the identifier';

CREATE FUNCTION insforge_integrations.register_x402_asset(
    network text, address text, symbol text, name text DEFAULT NULL, version text DEFAULT NULL,
    decimals integer DEFAULT 6, domain_separator text DEFAULT NULL, salt text DEFAULT NULL,
    transfer_method text DEFAULT 'eip3009')
  RETURNS insforge_integrations.x402_asset_entries
  LANGUAGE plpgsql VOLATILE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  wanted insforge_integrations.x402_asset_entries := ROW(
    (SELECT known.network FROM insforge_integrations.x402_networks known
     WHERE register_x402_asset.network IN (known.network, known.name, known.v1_network)),
    lower(insforge_integrations.to_checksum_address(register_x402_asset.address)),
    register_x402_asset.symbol, register_x402_asset.name, register_x402_asset.version,
    register_x402_asset.decimals, lower(register_x402_asset.domain_separator), lower(register_x402_asset.salt), true,
    register_x402_asset.transfer_method, false);
  domain jsonb := jsonb_strip_nulls(jsonb_build_object(
    'chainId', substring(wanted.network FROM 8)::numeric, 'verifyingContract', wanted.address, 'salt', wanted.salt));
  refused text;
  hint text := 'Nothing was changed. View insforge_integrations.x402_assets has examples.';
BEGIN
  LOCK TABLE insforge_integrations.x402_asset_entries IN SHARE ROW EXCLUSIVE MODE;
  refused := CASE
    WHEN wanted.network IS NULL THEN 'network: No network has this identifier or name. register_x402_network() adds one.'
    WHEN wanted.address IS NULL THEN 'address: The address of the token''s contract is missing.'
    WHEN char_length(wanted.symbol) BETWEEN 1 AND 20 IS NOT TRUE THEN 'symbol: It must have 1 to 20 characters.'
    WHEN wanted.transfer_method IN ('eip3009', 'permit2') IS NOT TRUE THEN 'transfer_method: It must be eip3009, or permit2 for a token without EIP-3009.'
    WHEN wanted.name IS NULL AND wanted.transfer_method = 'eip3009' OR (wanted.name IS NULL) <> (wanted.version IS NULL)
      THEN 'name and version: Give those of the EIP-712 domain under which the contract checks signatures.'
    WHEN wanted.name IS NULL AND (wanted.domain_separator IS NOT NULL OR wanted.salt IS NOT NULL)
      THEN 'domain_separator and salt: They need name and version.'
    WHEN wanted.decimals BETWEEN 0 AND 77 IS NOT TRUE THEN 'decimals: Give the answer of the contract''s decimals(), 0 to 77.'
    WHEN wanted.domain_separator !~ '^0x[0-9a-f]{64}$' THEN 'domain_separator: Give the answer of the contract''s DOMAIN_SEPARATOR(), 0x and 64 hexadecimal digits.'
    WHEN wanted.salt !~ '^0x[0-9a-f]{64}$' THEN 'salt: It must be 0x and 64 hexadecimal digits.'
    WHEN wanted.salt IS NOT NULL AND wanted.domain_separator IS NULL THEN 'domain_separator: It is missing. With a salt, only the separator tells whether the domain has the chain''s id.'
    WHEN EXISTS (SELECT FROM insforge_integrations.x402_assets other
                 WHERE other.network = wanted.network AND other.address <> wanted.address
                   AND lower(other.symbol) = lower(wanted.symbol))
      THEN format('symbol: Another asset on %s already has it, and a symbol must belong to only one contract.', wanted.network)
  END;
  IF refused IS NULL AND wanted.salt IS NOT NULL
     AND wanted.domain_separator <> '0x' || encode(insforge_integrations.eip712_domain_separator(
       domain || jsonb_build_object('name', wanted.name, 'version', wanted.version)), 'hex') THEN
    wanted.has_chain_id := false;
    domain := domain - 'chainId';
  END IF;
  IF refused IS NULL AND wanted.name IS NOT NULL AND wanted.domain_separator <> '0x' || encode(insforge_integrations.eip712_domain_separator(
       domain || jsonb_build_object('name', wanted.name, 'version', wanted.version)), 'hex') THEN
    refused := format('name and version: The domain of %s does not hash to the separator. Payments that buyers sign under it could not be settled.',
      CASE WHEN greatest(char_length(wanted.name), char_length(wanted.version)) <= 20
        THEN format('name "%s" and version "%s"', wanted.name, wanted.version) ELSE 'these (not shown: they are too long)' END);
    -- Names and versions of known tokens.
    SELECT format('Nothing was changed. Name "%s" and version "%s" hash to it.', candidate, number) INTO hint
      FROM (SELECT wanted.name UNION SELECT wanted.symbol UNION SELECT known.name FROM insforge_integrations.x402_assets known WHERE known.name IS NOT NULL
            UNION SELECT unnest(ARRAY['USD Coin', 'USDC', 'Bridged USDC', 'USDC.e', 'Tether USD', 'USDT', 'USDT0', 'USD' || chr(8366) || '0',
                                      'Global Dollar', 'USDG', 'PayPal USD', 'EURC', 'Euro Coin'])) AS names (candidate),
           (SELECT wanted.version UNION SELECT unnest(ARRAY['1', '2', '3'])) AS versions (number)
      WHERE wanted.domain_separator = '0x' || encode(insforge_integrations.eip712_domain_separator(
        domain || jsonb_build_object('name', candidate, 'version', number)), 'hex')
      LIMIT 1;
    hint := coalesce(hint, 'Nothing was changed. No common name and version hash to it either. Read name() and version() of the contract, and check network and address.');
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_parameter_value',
      MESSAGE = 'invalid registration of an x402 asset',
      DETAIL = refused,
      HINT = hint;
  END IF;
  IF wanted.domain_separator IS NULL AND wanted.name IS NOT NULL THEN
    RAISE NOTICE USING
      MESSAGE = format('the domain of %s was not verified', wanted.symbol),
      DETAIL = 'The name and version were not compared with the chain, so is_verified is false.',
      HINT = 'Register the token again with domain_separator, the answer of the contract''s DOMAIN_SEPARATOR().';
  END IF;
  INSERT INTO insforge_integrations.x402_asset_entries VALUES (wanted.*)
    ON CONFLICT (network, address, is_builtin) DO UPDATE SET
      symbol = excluded.symbol, name = excluded.name, version = excluded.version,
      decimals = excluded.decimals, domain_separator = excluded.domain_separator,
      salt = excluded.salt, has_chain_id = excluded.has_chain_id, transfer_method = excluded.transfer_method;
  RETURN wanted;
END
$$;
COMMENT ON FUNCTION insforge_integrations.register_x402_asset(text, text, text, text, text, integer, text, text, text) IS
'Adds a token to x402_assets, or replaces one.

- name, version: its EIP-712 domain; a token without EIP-3009 needs none
- transfer_method: eip3009; permit2 for a token without EIP-3009
- domain_separator: the answer of the contract''s DOMAIN_SEPARATOR(); NULL: the row is not verified
- salt: for a domain that has one; the separator then tells whether the domain has the chain''s id

A domain that does not hash to the separator is refused with 22023. If a common name and version do, the HINT names them.';
