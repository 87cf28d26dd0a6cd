-- What was signed. The token is the example of RFC 7515, appendix A.3: its signature holds, and it ended in 2011.
\set VERBOSITY sqlstate
SET search_path = public, insforge_integrations;
SELECT name, algorithms FROM register_auth_provider(
    'joe', issuers => '{joe}', jwks_url => 'https://joe.example/jwks.json', audiences => '{notes}',
    algorithms => '{ES256}', subject_prefix => 'joe:');
SELECT set_provider_jwks('joe', '{"keys": [{"kty": "EC", "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}');
\set input 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
\set signature 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
\set other_signature 'EtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
SELECT verify_provider_jwt(:'input' || '.' || :'signature', 'joe');
SELECT split_part(reason, ':', 1) AS reason FROM inspect_provider_jwt(:'input' || '.' || :'signature', 'joe');
SELECT split_part(reason, ':', 1) AS reason FROM inspect_provider_jwt(:'input' || '.' || :'other_signature', 'joe');

-- The typed data and the signature are the example of EIP-712.
\set mail '{"types": {"Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}], "Mail": [{"name": "from", "type": "Person"}, {"name": "to", "type": "Person"}, {"name": "contents", "type": "string"}]}, "primaryType": "Mail", "domain": {"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"}, "message": {"from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"}, "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"}, "contents": "Hello, Bob!"}}'
\set mail_signature '0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c'
SELECT to_checksum_address(eip712_recover(:'mail', :'mail_signature')) AS signer;
SELECT eip712_verify(:'mail', :'mail_signature', '0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB') AS is_bobs;
