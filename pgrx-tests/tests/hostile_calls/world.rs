//! A database with content that can leak or break: a secret, providers with keys and sessions,
//! tokens, payments, a ledger. [`World::planted`] has the texts that no message may contain.

use std::collections::HashMap;

use insforge_integrations_tests::node::now;
use insforge_integrations_tests::provider_tokens::presets;
use insforge_integrations_tests::{Cluster, Database, Fixture};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use k256::ecdsa::SigningKey;
use postgres::Client;
use postgres::types::Type;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "kX9vQ2mZ7tR4wY1pLs8dF3gHjNb6cVaE0uTi5oKq";
const SESSION_SECRET: &str = "Zr4Wn8Yb1Qk7Vt3Xs6Pm0Jd5Hg2Lf9Cc";
const SESSION_TOKEN: &str = "q7Rk2Xv9Tn4Lm8Wb3Zc6Yd1Hs5Gf0JpA";
const PRIVATE_JWK: &str = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE";
const SELLER: &str = "0x209693bc6afc0c5328ba36faf03c514ef312287c";
const USDG: &str = "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8";
pub(crate) const ROLES: [&str; 5] = [
    "anon",
    "authenticated",
    "plain_role",
    "project_admin",
    "postgres",
];

/// The columns of Better Auth's tables that this extension reads, a guide's tables, and a hostile
/// schema.
const TABLES: &str = r#"
CREATE SCHEMA better_auth;
CREATE TABLE better_auth."user" (id text PRIMARY KEY, name text, email text UNIQUE, "emailVerified" boolean, banned boolean, "banExpires" timestamptz);
CREATE TABLE better_auth.session (id text PRIMARY KEY, token text UNIQUE, "userId" text, "expiresAt" timestamptz, "impersonatedBy" text, "activeOrganizationId" text);
CREATE TABLE better_auth.account (id text PRIMARY KEY, "userId" text, "accountId" text, "providerId" text, password text);
CREATE TABLE better_auth.jwks (id text PRIMARY KEY, "publicKey" text, "privateKey" text, "createdAt" timestamptz, "expiresAt" timestamptz);
CREATE TABLE public.guide_payments (id uuid DEFAULT gen_random_uuid(), payer_address text, endpoint text, amount text, tx_hash text, chain text, status text, response_summary text, created_at timestamptz DEFAULT now());
INSERT INTO public.guide_payments (payer_address, endpoint, amount, tx_hash) SELECT '0x' || repeat('ab', 20), 'https://api.example.com', '1', '0x' || lpad(to_hex(n), 64, '0') FROM generate_series(1, 5) n;
CREATE FUNCTION public.requesting_user_id_guide() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE TYPE public.mood AS ENUM ('good');
CREATE TABLE public.moody (id mood, tx_hash text);
CREATE TABLE public.parted (id int, tx_hash text) PARTITION BY RANGE (id);
CREATE SCHEMA evil;
CREATE FUNCTION evil.shadow() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'shadowed'; END $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT evil.shadow()::timestamptz';
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS 'SELECT evil.shadow()';
CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT evil.shadow()';
CREATE FUNCTION evil.jsonb_build_object(VARIADIC text[]) RETURNS jsonb LANGUAGE sql AS 'SELECT evil.shadow()::jsonb';
CREATE FUNCTION evil.shadow_of(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.shadow()::boolean';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.shadow_of);
GRANT ALL ON SCHEMA evil TO PUBLIC;
"#;

/// The database, and arguments for its functions.
pub(crate) struct World<'a> {
    pub database: Database<'a>,
    /// Texts that no message may contain.
    pub planted: Vec<String>,
    /// Valid values for an argument with this name.
    pub expected: HashMap<&'static str, Vec<String>>,
    /// Tokens, payments and secrets, for any other argument.
    pub credentials: Vec<String>,
}

fn claims(more: Value) -> Value {
    let mut claims = json!({"iss": "https://issuer.example", "aud": "api", "sub": "alice", "iat": now(),
        "exp": now() + 90_000, "email": "q8PlantedAddressOfAlice@example.com"});
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    claims
}

fn base64(client: &mut Client, bytes: &[u8]) -> String {
    let row = client.query_one(
        "SELECT translate(encode($1, 'base64'), E'\\n', '')",
        &[&bytes],
    );
    row.unwrap().get(0)
}

fn base64url(client: &mut Client, bytes: &[u8]) -> String {
    let text = base64(client, bytes).replace('+', "-").replace('/', "_");
    text.trim_end_matches('=').to_owned()
}

/// A provider's tokens: good ones, and some with one fault. Also its keys.
fn tokens(client: &mut Client) -> (Vec<String>, Value) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let point = pair.public_key_raw();
    let mut coordinate = |from: usize| base64url(client, &point[from..from + 32]);
    let jwk =
        json!({"kty": "EC", "crv": "P-256", "kid": "k1", "x": coordinate(1), "y": coordinate(33)});
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let signed = |algorithm, key, claims: &Value| {
        let header = Header {
            kid: Some("k1".to_owned()),
            ..Header::new(algorithm)
        };
        encode(&header, claims, key).unwrap()
    };
    let mut tokens: Vec<String> = [
        json!({}),
        json!({"org_id": "org_1", "permissions": ["a"]}),
        json!({"exp": 1}),
        json!({"exp": "never"}),
        json!({"nbf": 4e10}),
        json!({"iat": 4e10}),
        json!({"aud": ["someone", 1, null]}),
        json!({"sub": ""}),
        json!({"sub": "x".repeat(9000)}),
        json!({"sub": 7}),
        json!({"act": "admin"}),
        json!({"o": [1, {"a": []}], "v": 2, "fea": 1}),
    ]
    .into_iter()
    .map(|more| signed(Algorithm::ES256, &key, &claims(more)))
    .collect();
    let own = json!({"aud": "insforge-api", "role": "authenticated", "sub": "7a0f6a5e-0000-4000-8000-000000000001"});
    tokens.push(signed(Algorithm::HS256, &secret, &claims(own.clone())));
    tokens.push(signed(
        Algorithm::HS256,
        &EncodingKey::from_secret(b"another"),
        &claims(own),
    ));
    let first = tokens[0].clone();
    tokens.push(first.replace('.', ".."));
    tokens.push(first[..first.len() - 3].to_owned());
    tokens.push(format!("{first}="));
    tokens.push(first.replacen('.', ".e", 1));
    (tokens, json!({"keys": [jwk]}))
}

/// A signed payment in the guide's form, with these members of its authorization changed.
fn payment(client: &mut Client, number: u8, changes: Value) -> (String, String) {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let public: Vec<u8> = key.verifying_key().to_sec1_point(false).as_bytes()[1..].to_vec();
    let hash: Vec<u8> = client
        .query_one("SELECT insforge_integrations.keccak256($1)", &[&public])
        .unwrap()
        .get(0);
    let mut authorization = json!({
        "from": format!("0x{}", hex::encode(&hash[12..])), "to": SELLER, "value": "10000", "validAfter": "0",
        "validBefore": (now() + 90_000).to_string(), "nonce": format!("0x{}", format!("{number:02x}").repeat(32))
    });
    authorization
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    let member = |name, of_type| json!({"name": name, "type": of_type});
    let typed_data = json!({
        "domain": {"name": "Global Dollar", "version": "1", "chainId": 196, "verifyingContract": USDG},
        "primaryType": "TransferWithAuthorization",
        "types": {"TransferWithAuthorization": [
            member("from", "address"), member("to", "address"), member("value", "uint256"),
            member("validAfter", "uint256"), member("validBefore", "uint256"), member("nonce", "bytes32")]},
        "message": authorization
    });
    // A value that cannot be hashed is replaced before the signature.
    let digest: Vec<u8> = client
        .query_one(
            "SELECT insforge_integrations.eip712_digest($1)",
            &[&typed_data],
        )
        .map_or_else(|_| vec![1; 32], |row| row.get(0));
    let (signature, recovery) = key.sign_prehash_recoverable(&digest);
    let signature = format!(
        "{}{:02x}",
        hex::encode(signature.to_bytes()),
        27 + recovery.to_byte()
    );
    let payment = json!({"x402Version": 1, "scheme": "exact", "network": "eip155:196",
        "payload": {"signature": format!("0x{signature}"), "authorization": authorization}});
    (payment.to_string(), signature)
}

/// The first column of a statement's rows, with texts as arguments.
fn run(client: &mut Client, statement: &str, parameters: &[&str]) -> Vec<String> {
    let typed: Vec<_> = parameters
        .iter()
        .map(|text| (text as _, Type::TEXT))
        .collect();
    let rows = client.query_typed(statement, &typed);
    let rows = rows.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

impl<'a> World<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        let database = cluster.database(Fixture::Extension).unwrap();
        let mut client = database.connect().unwrap();
        client
            .batch_execute("CREATE ROLE plain_role LOGIN")
            .unwrap();
        client.batch_execute(TABLES).unwrap();
        let (tokens, jwks) = tokens(&mut client);
        run(
            &mut client,
            "SELECT insforge_integrations.set_jwt_secret($1)::text",
            &[SECRET],
        );
        run(&mut client, "SELECT insforge_integrations.register_auth_provider('issuer', '{https://issuer.example}', 'http://127.0.0.1:9/jwks',
               '{api}', algorithms => '{ES256}', subject_pattern => '[a-z]+')::text", &[]);
        run(
            &mut client,
            "SELECT insforge_integrations.set_provider_jwks('issuer', $1::jsonb)::text",
            &[&jwks.to_string()],
        );
        run(
            &mut client,
            "SELECT insforge_integrations.register_better_auth('https://app.example.com', session_secret => $1, allow_bare_sessions => true)::text",
            &[SESSION_SECRET],
        );
        run(
            &mut client,
            r#"INSERT INTO better_auth."user" VALUES ('Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1', 'A', 'a@example.com', true) RETURNING id"#,
            &[],
        );
        run(
            &mut client,
            r#"INSERT INTO better_auth.session VALUES ('s1', $1, 'Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1', now() + '1 day') RETURNING id"#,
            &[SESSION_TOKEN],
        );
        run(
            &mut client,
            "INSERT INTO better_auth.jwks VALUES ('j1', '{}', $1, now()) RETURNING id",
            &[PRIVATE_JWK],
        );
        run(
            &mut client,
            "SELECT insforge_integrations.configure('allow_mock_settlements', 'on')::text",
            &[],
        );
        let requirements = run(
            &mut client,
            "SELECT insforge_integrations.x402_payment_requirements($1, '10000', 'https://api.example.com/report')::text",
            &[SELLER],
        );

        let mut payments = Vec::new();
        let mut signatures = Vec::new();
        for (number, changes) in (1..).zip([
            json!({}), json!({}), json!({}), json!({"value": "9999"}), json!({"validBefore": "1"}),
            json!({"validBefore": "9224318015800"}), json!({"validBefore": "115792089237316195423570985008687907853269984665640564039457584007913129639935"}),
            json!({"validAfter": "9224318015800"}), json!({"value": -1}), json!({"nonce": "0x"}), json!({"to": null}),
        ]) {
            let (payment, signature) = payment(&mut client, number, changes);
            payments.push(base64(&mut client, payment.as_bytes()));
            payments.push(payment.replace("10000", "10001"));
            payments.push(payment);
            signatures.push(signature);
        }
        // The first stays reserved, the second is settled.
        let mut reservations = Vec::new();
        for payment in [&payments[0], &payments[3]] {
            reservations.extend(run(&mut client, "SELECT reservation_id::text FROM reserve_x402_payment($1, $2::jsonb, 'https://api.example.com/report')", &[payment, &requirements[0]]));
        }
        let hash = format!("0x{}", "cd".repeat(32));
        let answers = [
            json!({"success": true, "transaction": hash, "network": "eip155:196"}),
            json!({"success": false, "errorReason": "insufficient_funds", "transaction": ""}),
            json!({"code": "0", "data": [{"success": true, "txHash": hash, "chainIndex": "196"}]}),
            json!({"success": true, "transaction": "", "status": "timeout"}),
            json!({"success": true, "transaction": [hash], "payer": 7}),
        ]
        .map(|answer| answer.to_string());
        run(
            &mut client,
            "SELECT state FROM settle_x402_reservation($1::uuid, $2::jsonb)",
            &[&reservations[1], &answers[0]],
        );
        reservations.push("00000000-0000-0000-0000-000000000000".to_owned());

        let cookie = {
            let key = EncodingKey::from_secret(SESSION_SECRET.as_bytes());
            let signature =
                jsonwebtoken::crypto::sign(SESSION_TOKEN.as_bytes(), &key, Algorithm::HS256)
                    .unwrap();
            format!(
                "{SESSION_TOKEN}.{}=",
                signature.replace('-', "+").replace('_', "/")
            )
        };
        let private =
            json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "A", "y": "A", "d": PRIVATE_JWK}]})
                .to_string();
        let typed_data =
            json!({"types": {"Mail": [{"name": "to", "type": "address"}]}, "primaryType": "Mail",
            "domain": {"name": "x", "chainId": 1}, "message": {"to": SELLER}})
            .to_string();
        let credentials: Vec<String> = [
            texts(&[SECRET, SESSION_SECRET, SESSION_TOKEN, PRIVATE_JWK, &cookie]),
            tokens.clone(),
            payments.clone(),
        ]
        .concat();
        // A token without its header, a payment without the names in its JSON.
        let parts = tokens
            .iter()
            .flat_map(|token| token.split('.').skip(1).map(str::to_owned));
        let planted = texts(&[
            SECRET,
            SESSION_SECRET,
            SESSION_TOKEN,
            PRIVATE_JWK,
            "q8PlantedAddressOfAlice@example.com",
        ])
        .into_iter()
        .chain(parts)
        .chain(signatures)
        .chain(
            payments
                .iter()
                .filter(|payment| !payment.starts_with('{'))
                .cloned(),
        )
        .filter(|text| text.len() >= 16)
        .collect();
        let address = texts(&[SELLER, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", USDG]);
        let hashes = vec![
            hash.clone(),
            format!("0x{}", "ef".repeat(32)),
            hash.to_uppercase(),
            format!("0x{}", "0".repeat(64)),
            hash[2..].to_owned(),
        ];
        let networks = texts(&[
            "xlayer",
            "eip155:196",
            "base-sepolia",
            "eip155:84532",
            "eip155:5",
        ]);
        let signature = format!("0x{}1b", "11".repeat(64));
        let expected = HashMap::from([
            ("token", [tokens.as_slice(), &[SESSION_TOKEN.to_owned(), cookie]].concat()),
            ("provider", texts(&["issuer", "better_auth", "insforge", "nobody"])),
            ("name", texts(&["issuer", "identity_source", "anon_role", "token_role", "token_ttl", "provider_token_header", "jwks_ca", "realtime", "allow_mock_settlements", "allow_ledger_drop", "token_audience",
                    "newchain"])),
            ("value", texts(&["verified", "claims", "on", "off", "1 hour", "authenticated", "postgres", "x-token"])),
            ("payment", payments.clone()),
            ("payload", payments),
            ("requirements", requirements.clone()),
            ("requirement", requirements),
            ("reservation_id", reservations),
            ("tx_hash", hashes.clone()),
            ("other_hash", hashes.clone()),
            ("transaction", hashes),
            ("payer_address", address.clone()),
            ("payer", address.clone()),
            ("signer", address.clone()),
            ("address", address.clone()),
            ("pay_to", address),
            ("endpoint", texts(&["https://api.example.com/report"])),
            ("resource", texts(&["https://api.example.com/report"])),
            ("amount", texts(&["10000", "1", "0"])),
            ("chain", networks.clone()),
            ("network", networks),
            ("asset", texts(&["USDG", "USDC", USDG])),
            ("facilitator", texts(&["okx", "x402"])),
            ("facilitator_response", answers.to_vec()),
            ("answer", answers.to_vec()),
            ("outcome", texts(&["settled", "failed", "conflict"])),
            ("kind", texts(&["refund", "reorg", "batched", "note"])),
            ("note", texts(&["why"])),
            ("status", texts(&["settled", "pending"])),
            ("signature", vec![signature]),
            ("digest", vec![format!("\\x{}", "22".repeat(32))]),
            ("typed_data", vec![typed_data]),
            ("types", vec![json!({"Mail": [{"name": "to", "type": "address"}]}).to_string()]),
            ("primary_type", texts(&["Mail"])),
            ("message", vec![json!({"to": SELLER}).to_string()]),
            ("domain", vec![json!({"name": "x", "chainId": 1}).to_string(), "t.auth0.com".to_owned()]),
            ("jwks", vec![jwks.to_string(), private]),
            ("secret", texts(&[SECRET, "too short"])),
            ("session_secret", texts(&[SESSION_SECRET])),
            ("schema_name", texts(&["better_auth", "public", "nowhere"])),
            ("preset", texts(&presets())),
            ("arguments", vec![json!({"frontend_api": "clerk.example.com", "domain": "x", "client_id": "client_1", "audience": "api", "project_id": "project-test-1", "base_url": "https://a.example", "schema_name": "better_auth"}).to_string()]),
            ("role", texts(&["anon", "authenticated", "plain_role"])),
            ("issuers", texts(&["{https://other.example}"])),
            // Nothing listens there.
            ("issuer", texts(&["http://localhost:1"])),
            ("audience", texts(&["api"])),
            ("jwks_url", texts(&["https://other.example/jwks"])),
            ("audiences", texts(&["{api}"])),
            ("authorized_parties", texts(&["{https://a.example}"])),
            ("algorithms", texts(&["{ES256}"])),
            ("audience_rule", texts(&["required", "if_present", "ignored"])),
            ("required_claims", texts(&["{scp}", "{}"])),
            ("forbidden_claims", texts(&["{type}", "{}"])),
            ("token_types", texts(&["{JWT,\"\"}"])),
            ("subject_pattern", texts(&["[a-z]+"])),
            ("subject_prefix", texts(&["other:"])),
            ("frontend_api", texts(&["clerk.example.com"])),
            ("client_id", texts(&["client_1"])),
            ("project_id", texts(&["project-test-1"])),
            ("base_url", texts(&["https://a.example"])),
            ("custom_domains", texts(&["{a.example}"])),
            ("explorer_url", texts(&["https://e.example/{hash}"])),
            ("v1_network", texts(&["newchain"])),
            ("symbol", texts(&["NEW"])),
            ("version", texts(&["2"])),
            ("idempotency_key", texts(&["a-key"])),
            ("response_summary", texts(&["ok"])),
            ("user_id", texts(&["user_1"])),
            ("claims", texts(&["{\"plan\": \"pro\"}"])),
            ("lines", texts(&["{a,b}"])),
            ("scope", texts(&["own", "all"])),
        ]);
        Self {
            database,
            planted,
            expected,
            credentials,
        }
    }
}
