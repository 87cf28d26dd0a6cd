//! x402 payments: real clients pay by this extension's requirements, and this extension verifies
//! them.

mod mutations;
mod permits;

use insforge_integrations_tests::node::Process;
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::{Value, json};

const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

/// Each client with its version, network and asset.
const BUYERS: [(&str, i32, &str, &str); 5] = [
    ("x402", 1, "base-sepolia", "USDC"),
    ("core", 1, "base", "USDC"),
    ("core", 2, "base-sepolia", "USDC"),
    ("core", 2, "xlayer", "USDG"),
    ("viem", 1, "xlayer", "USDG"),
];

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    // The privileges of PUBLIC are enough.
    let client = database.connect_as("anon").unwrap();
    (database, client)
}

fn requirements(client: &mut Client, version: i32, network: &str, asset: &str) -> Value {
    client
        .query_one(
            "SELECT insforge_integrations.x402_payment_requirements($1, '10000', 'https://api.example.com/report',
               network => $2, asset => $3, version => $4)",
            &[&PAY_TO, &network, &asset, &version],
        )
        .unwrap()
        .get(0)
}

/// Lets a client pay by the requirements.
fn pay(client: &mut Client, buyers: &mut Process, buyer: &str, requirements: &Value) -> Value {
    let resource = requirements
        .get("amount")
        .map(|_| "https://api.example.com/report");
    let header: String = client
        .query_one(
            "SELECT insforge_integrations.x402_payment_required_header($1, resource => $2)",
            &[requirements, &resource],
        )
        .unwrap()
        .get(0);
    let paid = buyers
        .ask(&json!({"client": buyer, "header": header}))
        .unwrap();
    assert!(paid["header"].is_string(), "{buyer}: {paid}");
    paid
}

#[derive(Debug)]
struct Verdict {
    is_valid: Option<bool>,
    payer: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    unchecked: Vec<String>,
}

fn verify(
    client: &mut Client,
    payment: &str,
    requirements: &Value,
) -> Result<Verdict, postgres::Error> {
    let row = client.query_one(
        "SELECT is_valid, payer, invalid_reason, invalid_message, unchecked
         FROM insforge_integrations.verify_x402_payment($1, $2)",
        &[&payment, requirements],
    )?;
    Ok(Verdict {
        is_valid: row.get(0),
        payer: row.get(1),
        reason: row.get(2),
        message: row.get(3),
        unchecked: row.get(4),
    })
}

#[test]
fn payments_of_real_clients_are_valid_as_they_come() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    for (buyer, version, network, asset) in BUYERS {
        let wanted = requirements(&mut client, version, network, asset);
        let paid = pay(&mut client, &mut buyers, buyer, &wanted);
        for payment in [
            paid["header"].as_str().unwrap(),
            &paid["payment"].to_string(),
        ] {
            let verdict = verify(&mut client, payment, &wanted).unwrap();
            assert_eq!(verdict.is_valid, Some(true), "{buyer}: {verdict:?}");
            assert_eq!(verdict.payer.as_deref(), paid["payer"].as_str());
            assert_eq!((verdict.reason, verdict.message), (None, None));
            assert_eq!(
                verdict.unchecked,
                ["balance", "code_at_payer", "nonce_on_chain"]
            );
        }
        let decoded: Value = client
            .query_one(
                "SELECT insforge_integrations.x402_decode_header($1)",
                &[&paid["header"].as_str()],
            )
            .unwrap()
            .get(0);
        assert_eq!(decoded, paid["payment"]);
    }
}

/// Unknown offers beside a known one: OKX's example has `aggr_deferred`, others Solana and ERC-7710.
fn others(wanted: &Value) -> Vec<Value> {
    let with = |name: &str, value: Value| {
        let mut offer = wanted.clone();
        offer[name] = value;
        offer
    };
    let mut solana = with("network", json!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"));
    solana["asset"] = json!("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");
    solana["payTo"] = json!("2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4");
    solana["extra"] = json!({"feePayer": "EwWqGE4ZFKLofuestmU4LDdK7XM1N4ALgdZccwYugwGd"});
    vec![
        solana,
        with("scheme", json!("aggr_deferred")),
        with("scheme", json!("upto")),
        with("network", json!("eip155:56")),
        with(
            "extra",
            json!({"name": "USDC", "version": "2", "assetTransferMethod": "erc7710"}),
        ),
    ]
}

#[test]
fn an_offer_that_is_not_known_is_carried_and_refused_when_a_payment_takes_it() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    let wanted = requirements(&mut client, 2, "base-sepolia", "USDC");
    let others = others(&wanted);
    let mut offers = vec![wanted.clone()];
    offers.extend(others.iter().cloned());
    // npm @x402/core chooses an offer that it knows.
    let offers = json!(offers);
    let header: String = client
        .query_one(
            "SELECT insforge_integrations.x402_payment_required_header($1, resource => 'https://api.example.com/report')",
            &[&offers],
        )
        .unwrap()
        .get(0);
    let shown: Value = client
        .query_one(
            "SELECT insforge_integrations.x402_decode_header($1)",
            &[&header],
        )
        .unwrap()
        .get(0);
    assert_eq!(shown["accepts"], offers);
    let paid = buyers
        .ask(&json!({"client": "core", "header": header}))
        .unwrap();
    let verdict = verify(&mut client, paid["header"].as_str().unwrap(), &offers).unwrap();
    assert_eq!(verdict.is_valid, Some(true), "{verdict:?}");
    // A payment for another offer is refused with the reason, and the row shows the offer.
    let reasons = [
        "invalid_network",
        "unsupported_scheme",
        "unsupported_scheme",
        "invalid_network",
        "unsupported_scheme",
    ];
    for (offer, reason) in others.iter().zip(reasons) {
        let mut payment = paid["payment"].clone();
        payment["accepted"] = offer.clone();
        let row = client
            .query_one(
                "SELECT is_valid, invalid_reason, network, asset FROM insforge_integrations.verify_x402_payment($1, $2)",
                &[&payment.to_string(), &offers],
            )
            .unwrap();
        assert_eq!(
            (row.get(0), row.get(1)),
            (Some(false), Some(reason)),
            "{offer}"
        );
        assert_eq!(
            json!([row.get::<_, String>(2), row.get::<_, String>(3)]),
            json!([offer["network"], offer["asset"]])
        );
    }
}

#[test]
fn a_v_of_0_or_1_is_refused_as_the_chain_refuses_it() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    let wanted = requirements(&mut client, 1, "xlayer", "USDG");
    let paid = pay(&mut client, &mut buyers, "viem", &wanted);
    let mut payment = paid["payment"].clone();
    let signature = payment["payload"]["signature"].as_str().unwrap().to_owned();
    let v = if signature.ends_with("1b") {
        "00"
    } else {
        "01"
    };
    payment["payload"]["signature"] = json!(format!("{}{v}", &signature[..130]));
    let verdict = verify(&mut client, &payment.to_string(), &wanted).unwrap();
    assert_eq!(verdict.is_valid, Some(false));
    assert_eq!(
        verdict.reason.as_deref(),
        Some("invalid_exact_evm_payload_signature")
    );
    assert!(verdict.message.unwrap().contains("Add 27 to it"));
}

#[test]
fn the_row_has_what_the_payment_says() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    let wanted = requirements(&mut client, 1, "xlayer", "USDG");
    let paid = pay(&mut client, &mut buyers, "viem", &wanted);
    let authorization = &paid["payment"]["payload"]["authorization"];
    let row = client
        .query_one(
            "SELECT jsonb_build_object('value', amount::text, 'nonce', nonce, 'network', network, 'asset', asset,
               'validBefore', extract(epoch FROM valid_before)::bigint::text)
             FROM insforge_integrations.verify_x402_payment($1, $2)",
            &[&paid["header"].as_str(), &wanted],
        )
        .unwrap();
    assert_eq!(
        row.get::<_, Value>(0),
        json!({"value": authorization["value"], "nonce": authorization["nonce"], "validBefore": authorization["validBefore"],
               "network": "eip155:196", "asset": "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8"})
    );
}

#[test]
fn a_contract_wallets_signature_is_neither_valid_nor_invalid() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    let wanted = requirements(&mut client, 1, "xlayer", "USDG");
    let paid = pay(&mut client, &mut buyers, "contract", &wanted);
    let verdict = verify(&mut client, paid["header"].as_str().unwrap(), &wanted).unwrap();
    assert_eq!(verdict.is_valid, None, "{verdict:?}");
    assert_eq!(verdict.reason.as_deref(), Some("needs_facilitator"));
    assert_eq!(
        verdict.unchecked,
        ["balance", "code_at_payer", "nonce_on_chain", "signature"]
    );
    // Faults that can be seen without the chain are still found.
    let mut dearer = wanted.clone();
    dearer["maxAmountRequired"] = json!("10001");
    let verdict = verify(&mut client, paid["header"].as_str().unwrap(), &dearer).unwrap();
    assert_eq!(verdict.is_valid, Some(false));
    assert_eq!(
        verdict.reason.as_deref(),
        Some("invalid_exact_evm_payload_authorization_value")
    );
}

#[test]
fn two_clients_read_the_receipt() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    let hash = format!("0x{}", "ab".repeat(32));
    let header: String = client
        .query_one(
            "SELECT insforge_integrations.x402_payment_response_header($1, 'base-sepolia', $2)",
            &[&hash, &PAY_TO],
        )
        .unwrap()
        .get(0);
    let receipts = buyers
        .ask(&json!({"client": "receipt", "header": header}))
        .unwrap();
    let expected = json!({"success": true, "transaction": hash, "network": "base-sepolia", "payer": PAY_TO.to_lowercase()});
    assert_eq!(receipts, json!([expected, expected]));
}

#[test]
fn what_the_seller_does_wrong_raises() {
    let (_database, mut client) = database();
    for (statement, code, message) in [
        (
            "x402_payment_requirements('0x0000000000000000000000000000000000000000', '1', 'x')",
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid x402 payment requirements",
        ),
        (
            "x402_payment_requirements(NULL, '1', 'x')",
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid x402 payment requirements",
        ),
        (
            "x402_payment_requirements('0x209693bc6afc0c5328ba36faf03c514ef312287c', '1', 'x', network => 'solana')",
            SqlState::INVALID_PARAMETER_VALUE,
            "unknown x402 network \"solana\"",
        ),
        (
            "x402_payment_requirements('0x209693bc6afc0c5328ba36faf03c514ef312287c', '1', 'x', network => 'base')",
            SqlState::INVALID_PARAMETER_VALUE,
            "unknown x402 asset \"USDG\" on eip155:8453",
        ),
        (
            "x402_payment_required_header('[]')",
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid x402 payment requirements",
        ),
        (
            "x402_payment_required_header(NULL)",
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid x402 payment requirements",
        ),
        (
            "verify_x402_payment('{}', NULL)",
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid x402 payment requirements",
        ),
        (
            "x402_decode_header('{}')",
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid x402 header",
        ),
        (
            "x402_payment_response_header('0x12', 'xlayer', '0x209693bc6afc0c5328ba36faf03c514ef312287c')",
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid transaction hash",
        ),
        (
            "x402_facilitator_request('{}', '{}', 'stripe')",
            SqlState::INVALID_PARAMETER_VALUE,
            "unknown x402 facilitator \"stripe\"",
        ),
        (
            "x402_facilitator_request('{}', '{}', 'okx')",
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid x402 header",
        ),
    ] {
        let error = client
            .query(&format!("SELECT insforge_integrations.{statement}"), &[])
            .expect_err(statement);
        let error = error.as_db_error().unwrap();
        assert_eq!(
            (error.code(), error.message()),
            (&code, message),
            "{statement}"
        );
        assert!(
            error.detail().is_some() && error.hint().is_some(),
            "{statement}"
        );
    }
}

#[test]
fn no_payment_raises() {
    let (_database, mut client) = database();
    let wanted = requirements(&mut client, 1, "xlayer", "USDG");
    for payment in [
        "",
        "{",
        "e30",
        "null",
        "{\"payload\": \"\\u0000\"}",
        "{\"x402Version\": 1e400}",
        &"[".repeat(60_000),
        &"A".repeat(200_000),
    ] {
        let verdict = verify(&mut client, payment, &wanted).unwrap();
        assert_eq!(verdict.is_valid, Some(false), "{payment:.40}");
    }
    let row = client
        .query_one("SELECT is_valid, invalid_reason FROM insforge_integrations.verify_x402_payment(NULL, $1)", &[&wanted])
        .unwrap();
    assert_eq!(
        (row.get::<_, Option<bool>>(0), row.get::<_, &str>(1)),
        (Some(false), "invalid_payload")
    );
}

#[test]
fn a_buyer_of_the_specification_is_long_gone() {
    let (_database, mut client) = database();
    let payment = json!({
        "x402Version": 1, "scheme": "exact", "network": "base-sepolia",
        "payload": {
            "signature": "0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c",
            "authorization": {
                "from": "0x857b06519E91e3A54538791bDbb0E22373e36b66", "to": PAY_TO, "value": "10000", "validAfter": "1740672089",
                "validBefore": "1740672154", "nonce": "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"
            }
        }
    });
    let wanted = requirements(&mut client, 1, "base-sepolia", "USDC");
    let verdict = verify(&mut client, &payment.to_string(), &wanted).unwrap();
    assert_eq!(
        verdict.reason.as_deref(),
        Some("invalid_exact_evm_payload_authorization_valid_before")
    );
}
