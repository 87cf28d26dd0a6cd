//! The time to verify an EIP-3009 authorization, and an x402 payment with one, in Postgres.
//! Compared with the same recovery by k256 and by libsecp256k1 in a native loop, and with viem and
//! ethers in Node.js.

mod measure;
mod plot;

use insforge_integrations_tests::{Cluster, Fixture, node};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use measure::{median, ratio, time};
use plot::{Bar, Plot};
use postgres::Client;
use secp256k1::ecdsa::RecoverableSignature;
use serde_json::Value;
use sha3::{Digest, Keccak256};

const AUTHORIZATIONS: usize = 2_000;
const ROUNDS: usize = 15;

fn main() {
    let cluster = Cluster::start().expect("a test server");
    let database = cluster.database(Fixture::Extension).expect("a database");
    let mut client = database.connect().expect("a connection");
    client
        .batch_execute(
            "SET max_parallel_workers_per_gather = 0;
             SET search_path = insforge_integrations, public;
             CREATE TABLE public.signed (typed_data jsonb, signature text, signer text, digest bytea)",
        )
        .expect("a table");
    let signed = signed(&mut client);

    client.batch_execute(HEADERS).expect("headers");

    let mut times: [Vec<f64>; 6] = Default::default();
    for _ in 0..ROUNDS {
        let empty = scan(&mut client, "signed", "true");
        times[0].push(time(|| by_k256(&signed)).0);
        times[1].push(time(|| by_libsecp256k1(&signed)).0);
        let calls = [
            ("signed", "eip712_verify(typed_data, signature, signer)"),
            ("signed", "eip712_digest(typed_data) = digest"),
            (
                "signed",
                "recover_signer(digest, signature) = lower(signer)",
            ),
            (
                "paid",
                "(SELECT is_valid FROM verify_x402_payment(header, requirements))",
            ),
        ];
        for (times, (table, call)) in times.iter_mut().skip(2).zip(calls) {
            times.push(scan(&mut client, table, call) - empty);
        }
    }
    let [k256, libsecp256k1, verify, digest, recover, payment] = times;
    println!(
        "{AUTHORIZATIONS} different authorizations of USDG on X Layer, µs each, median of {ROUNDS} rounds\n"
    );
    let line = |what: &str, seconds: &[f64]| {
        println!(
            "{what:58}{:8.1}   {:.2} × k256",
            micros(seconds),
            ratio(seconds, &k256)
        );
    };
    line("recovery of the address in a native loop, k256", &k256);
    line(
        "                                          libsecp256k1",
        &libsecp256k1,
    );
    line("recover_signer()", &recover);
    line("eip712_digest()", &digest);
    line("eip712_verify()", &verify);
    line(
        "verify_x402_payment(), from the header to the verdict",
        &payment,
    );

    let peers: Value =
        serde_json::from_str(&node::run("eip712_speed.mjs", &[]).expect("node")).expect("JSON");
    let mut bars = vec![
        Bar::other(
            "recovery of the address in a native loop, k256",
            micros(&k256),
        ),
        Bar::ours("eip712_verify()", micros(&verify)),
        Bar::ours("verify_x402_payment()", micros(&payment)),
    ];
    for (peer, name) in [
        ("viem_us", "verifyTypedData() of viem in Node.js"),
        ("ethers_us", "verifyTypedData() of ethers in Node.js"),
    ] {
        let microseconds = peers[peer].as_f64().expect("a number");
        println!(
            "{name:58}{microseconds:8.1}   {:.1} × eip712_verify()",
            microseconds / micros(&verify)
        );
        bars.push(Bar::other(name, microseconds));
    }
    Plot {
        file: "payments",
        title: "Verification of an EIP-3009 authorization, µs",
        bars,
        limit: None,
    }
    .write();
}

/// The header of a buyer as in InsForge's guide for each payment, and the requirements.
const HEADERS: &str = r#"
CREATE TABLE public.paid AS SELECT
  translate(encode(convert_to(jsonb_build_object(
    'x402Version', 1, 'scheme', 'exact', 'network', 'eip155:196',
    'payload', jsonb_build_object('signature', signature, 'authorization', typed_data -> 'message'))::text, 'UTF8'),
    'base64'), E'\n', '') AS header,
  x402_payment_requirements(
    typed_data #>> '{message, to}', '1', 'https://api.example.com/report')
    || jsonb_build_object('maxAmountRequired', typed_data #>> '{message, value}') AS requirements
FROM signed;
ANALYZE paid"#;

/// A digest, r and s, the parity of y, and the address.
type Signed = ([u8; 32], [u8; 64], u8, [u8; 20]);

/// Lets viem sign, stores the typed data and signatures, and returns the parts for a native loop.
fn signed(client: &mut Client) -> Vec<Signed> {
    let lines = node::run("eip3009_signed.mjs", &[&AUTHORIZATIONS.to_string()]).expect("node");
    let mut insert = client.transaction().expect("a transaction");
    let mut all = Vec::new();
    for line in lines.lines() {
        let one: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| one[name].as_str().expect(name).to_owned();
        let digest = hex::decode(&text("digest")[2..]).expect("hexadecimal");
        insert
            .execute(
                "INSERT INTO signed VALUES ($1::text::jsonb, $2, $3, $4)",
                &[
                    &one["typedData"].to_string(),
                    &text("signature"),
                    &text("signer"),
                    &digest,
                ],
            )
            .expect("insert");
        let signature = hex::decode(&text("signature")[2..]).expect("hexadecimal");
        let signer = hex::decode(&text("signer")[2..]).expect("hexadecimal");
        all.push((
            digest.try_into().expect("32 bytes"),
            signature[..64].try_into().expect("64 bytes"),
            signature[64] - 27,
            signer.try_into().expect("20 bytes"),
        ));
    }
    insert.commit().expect("commit");
    client
        .batch_execute("VACUUM ANALYZE signed")
        .expect("vacuum");
    all
}

fn by_k256(signed: &[Signed]) {
    for (digest, r_and_s, parity, signer) in signed {
        let signature = Signature::from_slice(r_and_s).expect("a signature");
        let id = RecoveryId::from_byte(*parity).expect("a parity");
        let key = VerifyingKey::recover_from_prehash(digest, &signature, id).expect("a key");
        assert_eq!(
            Keccak256::digest(&key.to_sec1_point(false).as_bytes()[1..])[12..],
            signer[..]
        );
    }
}

fn by_libsecp256k1(signed: &[Signed]) {
    for (digest, r_and_s, parity, signer) in signed {
        let id = i32::from(*parity).try_into().expect("a parity");
        let signature = RecoverableSignature::from_compact(r_and_s, id).expect("a signature");
        let message = secp256k1::Message::from_digest(*digest);
        let key = signature.recover_ecdsa(message).expect("a key");
        assert_eq!(
            Keccak256::digest(&key.serialize_uncompressed()[1..])[12..],
            signer[..]
        );
    }
}

/// Seconds of a scan that checks a condition for each row.
fn scan(client: &mut Client, table: &str, condition: &str) -> f64 {
    let statement = format!("SELECT count(*) FILTER (WHERE {condition}) FROM {table}");
    let (seconds, count) = time(|| {
        client
            .query_one(&statement, &[])
            .expect("a count")
            .get::<_, i64>(0)
    });
    assert_eq!(count, AUTHORIZATIONS as i64, "{condition}");
    seconds
}

fn micros(seconds: &[f64]) -> f64 {
    median(seconds) * 1e6 / AUTHORIZATIONS as f64
}
