//! The time to verify a token in Postgres, compared with the same calls of jsonwebtoken in a native
//! loop, with HS256 in SQL as in pgjwt, and with npm jose.

mod measure;
mod plot;

use insforge_integrations_tests::{Cluster, Fixture, node};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use measure::{median, ratio, time};
use plot::{Bar, Plot};
use postgres::Client;
use serde_json::{Value, json};

const TOKENS: usize = 2_000;
const ROUNDS: usize = 9;
const SECRET: &[u8] = b"a secret for a benchmark, of 32 bytes and more";

fn main() {
    let cluster = Cluster::start().expect("a test server");
    let database = cluster.database(Fixture::Extension).expect("a database");
    let mut client = database.connect().expect("a connection");
    client
        .batch_execute("CREATE EXTENSION pgcrypto; CREATE TABLE tokens (token text)")
        .expect("tables");
    client
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&String::from_utf8_lossy(SECRET)],
        )
        .expect("a secret");
    client.batch_execute(PGJWT).expect("the peer");

    println!(
        "Verification of {TOKENS} different tokens of about 400 bytes: median µs a token of {ROUNDS} rounds"
    );
    println!(
        "(native = jsonwebtoken::decode() in a loop; in Postgres = verify_provider_jwt(), claims as jsonb)\n"
    );
    println!("          native   in Postgres   ratio   difference");
    for key in [
        Key::new("RS256"),
        Key::new("ES256"),
        Key::new("EdDSA"),
        Key::new("HS256"),
    ] {
        let tokens = key.tokens();
        store(&mut client, &key, &tokens);
        let (mut native, mut ours, mut pgjwt) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            native.push(time(|| key.verify(&tokens)).0);
            let empty = scan(&mut client, "token");
            ours.push(
                scan(
                    &mut client,
                    "insforge_integrations.verify_provider_jwt(token)",
                ) - empty,
            );
            if key.name == "HS256" {
                let call = format!("pgjwt_verify(token, '{}')", String::from_utf8_lossy(SECRET));
                pgjwt.push(scan(&mut client, &call) - empty);
            }
        }
        println!(
            "{:>6}{:>10.1}{:>14.1}{:>8.2}{:>13.1}",
            key.name,
            micros(&native),
            micros(&ours),
            ratio(&ours, &native),
            micros(&ours) - micros(&native),
        );
        if !pgjwt.is_empty() {
            println!(
                "        HS256 in SQL over pgcrypto: {:.1} µs, {:.1} × ours",
                micros(&pgjwt),
                ratio(&pgjwt, &ours)
            );
        }
        if key.name == "RS256" {
            let jose: Value =
                serde_json::from_str(&node::run("jose_rs256_speed.mjs", &[]).expect("node"))
                    .expect("JSON");
            let jose = jose["jose_rs256_us"].as_f64().expect("a number");
            println!(
                "        npm jose in Node.js: {jose:.1} µs, {:.1} × ours",
                jose / micros(&ours)
            );
            Plot {
                file: "verification",
                title: "Verification of an RS256 token, µs",
                bars: vec![
                    Bar::other("jsonwebtoken::decode() in a native loop", micros(&native)),
                    Bar::ours("verify_provider_jwt()", micros(&ours)),
                    Bar::other("npm jose in Node.js", jose),
                ],
                limit: None,
            }
            .write();
        }
        remembered(&mut client, &key, &tokens[0]);
    }
}

/// The same token again in a session.
fn remembered(client: &mut Client, key: &Key, token: &str) {
    for call in ["verify_provider_jwt", "authenticate"] {
        let statement =
            |expression: &str| format!("SELECT count({expression}) FROM generate_series(1, 20000)");
        let mut seconds = |expression: &str| {
            time(|| {
                client
                    .query_one(&statement(expression), &[])
                    .expect("a count")
            })
            .0
        };
        let again: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                seconds(&format!("insforge_integrations.{call}('{token}')")) - seconds("'x'::text")
            })
            .collect();
        println!(
            "        {} again, {call}(): {:.2} µs",
            key.name,
            median(&again) * 1e6 / 20_000.0
        );
    }
}

/// HS256 as pgjwt does it, in SQL over pgcrypto: the signature compared, the payload returned.
const PGJWT: &str = r"
CREATE FUNCTION base64url(data bytea) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT translate(encode(data, 'base64'), E'+/=\n', '-_') $$;
CREATE FUNCTION from_base64url(data text) RETURNS bytea LANGUAGE sql IMMUTABLE AS
  $$ WITH t AS (SELECT translate(data, '-_', '+/') AS trans),
          rem AS (SELECT length(t.trans) % 4 AS remainder FROM t)
     SELECT decode(t.trans || CASE WHEN rem.remainder > 0 THEN repeat('=', 4 - rem.remainder) ELSE '' END, 'base64')
     FROM t, rem $$;
CREATE FUNCTION pgjwt_verify(token text, secret text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
  $$ SELECT CASE WHEN r[3] = base64url(hmac(r[1] || '.' || r[2], secret, 'sha256'))
                 THEN convert_from(from_base64url(r[2]), 'utf8')::jsonb END
     FROM regexp_split_to_array(token, '\.') r $$;";

struct Key {
    name: &'static str,
    algorithm: Algorithm,
    signing: EncodingKey,
    verifying: DecodingKey,
    jwks: Option<Value>,
}

impl Key {
    /// A key pair that npm jose makes.
    fn new(name: &'static str) -> Self {
        let algorithm = name.parse().expect("an algorithm");
        if name == "HS256" {
            return Self {
                name,
                algorithm,
                signing: EncodingKey::from_secret(SECRET),
                verifying: DecodingKey::from_secret(SECRET),
                jwks: None,
            };
        }
        let pair: Value =
            serde_json::from_str(&node::run("new_key_pair.mjs", &[name]).expect("node"))
                .expect("JSON");
        let pem = pair["pkcs8"].as_str().expect("a key").as_bytes();
        let jwk = serde_json::from_value(pair["jwk"].clone()).expect("a JWK");
        Self {
            name,
            algorithm,
            signing: match name {
                "RS256" => EncodingKey::from_rsa_pem(pem),
                "ES256" => EncodingKey::from_ec_pem(pem),
                _ => EncodingKey::from_ed_pem(pem),
            }
            .expect("a signing key"),
            verifying: DecodingKey::from_jwk(&jwk).expect("a verifying key"),
            jwks: Some(json!({ "keys": [pair["jwk"]] })),
        }
    }

    fn issuer(&self) -> String {
        format!("https://{}.example", self.name.to_lowercase())
    }

    fn tokens(&self) -> Vec<String> {
        let mut header = Header::new(self.algorithm);
        header.kid = Some("k1".to_owned());
        let claims = |number: usize| {
            json!({"iss": self.issuer(), "aud": "insforge-api", "sub": "alice", "role": "authenticated",
                   "email": "alice@example.com", "jti": number, "iat": node::now(), "exp": node::now() + 36_000})
        };
        (0..TOKENS)
            .map(|number| {
                jsonwebtoken::encode(&header, &claims(number), &self.signing).expect("a token")
            })
            .collect()
    }

    fn verify(&self, tokens: &[String]) {
        let mut validation = Validation::new(self.algorithm);
        validation.set_audience(&["insforge-api"]);
        validation.set_issuer(&[self.issuer()]);
        for token in tokens {
            jsonwebtoken::decode::<Value>(token, &self.verifying, &validation)
                .expect("a valid token");
        }
    }
}

fn store(client: &mut Client, key: &Key, tokens: &[String]) {
    client.batch_execute("TRUNCATE tokens").expect("truncate");
    client
        .execute("INSERT INTO tokens SELECT unnest($1::text[])", &[&tokens])
        .expect("insert");
    client.batch_execute("ANALYZE tokens").expect("analyze");
    if let Some(jwks) = &key.jwks {
        let arguments = format!(
            "'{0}', '{{{1}}}', '{1}/jwks', '{{insforge-api}}', algorithms => '{{{0}}}', subject_pattern => '[a-z]+'",
            key.name,
            key.issuer()
        );
        client
            .batch_execute(&format!(
                "SELECT insforge_integrations.register_auth_provider({arguments})"
            ))
            .expect("a provider");
        client
            .execute(
                "SELECT insforge_integrations.set_provider_jwks($1, $2::text::jsonb)",
                &[&key.name, &jwks.to_string()],
            )
            .expect("keys");
    }
}

/// Seconds of a scan that evaluates an expression for each token.
fn scan(client: &mut Client, expression: &str) -> f64 {
    let statement = format!("SELECT count({expression}) FROM tokens");
    let (seconds, count) = time(|| {
        client
            .query_one(&statement, &[])
            .expect("a count")
            .get::<_, i64>(0)
    });
    assert_eq!(count, TOKENS as i64, "{expression}");
    seconds
}

fn micros(seconds: &[f64]) -> f64 {
    median(seconds) * 1e6 / TOKENS as f64
}
