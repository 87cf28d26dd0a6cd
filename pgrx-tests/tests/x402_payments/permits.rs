//! Permits for Permit2: signed by `@x402/evm`'s client, judged by its facilitator and by this
//! extension.

use insforge_integrations_tests::node::Process;
use postgres::Client;
use serde_json::{Value, json};

use super::{PAY_TO, database, pay, verify};

const FACILITATOR: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
const OTHER: &str = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Each offer with its network and token. mUSD has no EIP-3009.
const OFFERS: [(&str, &str, &str); 4] = [
    ("exact", "base-sepolia", "USDC"),
    ("exact", "mezo", "mUSD"),
    ("upto", "base-sepolia", "USDC"),
    ("upto", "igra", "USDC"),
];

fn offer(client: &mut Client, scheme: &str, network: &str, asset: &str) -> Value {
    let facilitator = (scheme == "upto").then_some(FACILITATOR);
    client
        .query_one(
            "SELECT insforge_integrations.x402_payment_requirements($1, '10000', network => $2, asset => $3, version => 2,
               scheme => $4, transfer_method => 'permit2', facilitator_address => $5)",
            &[&PAY_TO, &network, &asset, &scheme, &facilitator],
        )
        .unwrap()
        .get(0)
}

/// The facilitator's reason for refusing a payment; `None`: it accepts the payment.
fn facilitators_reason(buyers: &mut Process, payment: &Value) -> Option<String> {
    let asked = json!({"client": "facilitator", "payment": payment});
    let verdict = buyers.ask(&asked).unwrap();
    assert!(verdict["isValid"].is_boolean(), "{verdict}");
    verdict["invalidReason"].as_str().map(str::to_owned)
}

#[test]
fn permits_of_the_real_client_are_valid_here_and_at_the_facilitator() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    for (scheme, network, asset) in OFFERS {
        let wanted = offer(&mut client, scheme, network, asset);
        let paid = pay(&mut client, &mut buyers, "core", &wanted);
        assert_eq!(facilitators_reason(&mut buyers, &paid["payment"]), None);
        let verdict = verify(&mut client, paid["header"].as_str().unwrap(), &wanted).unwrap();
        assert_eq!(verdict.is_valid, Some(true), "{network}: {verdict:?}");
        assert_eq!(verdict.payer.as_deref(), paid["payer"].as_str());
        let permit = &paid["payment"]["payload"]["permit2Authorization"];
        let row = client
            .query_one(
                "SELECT jsonb_build_object('amount', amount::text, 'asset', asset, 'deadline', extract(epoch FROM valid_before)::bigint::text),
                        nonce
                 FROM insforge_integrations.verify_x402_payment($1, $2)",
                &[&paid["header"].as_str(), &wanted],
            )
            .unwrap();
        assert_eq!(
            row.get::<_, Value>(0),
            json!({"amount": "10000", "asset": wanted["asset"], "deadline": permit["deadline"]})
        );
        // The nonce is a word here and a decimal number in the payment.
        let mut same = paid["payment"].clone();
        same["payload"]["permit2Authorization"]["nonce"] = json!(row.get::<_, &str>(1));
        assert_eq!(facilitators_reason(&mut buyers, &same), None);
    }
}

#[test]
fn one_changed_member_is_refused_with_the_facilitators_reason() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    for (scheme, network, asset) in OFFERS {
        let wanted = offer(&mut client, scheme, network, asset);
        let paid = pay(&mut client, &mut buyers, "core", &wanted);
        let signature = paid["payment"]["payload"]["signature"].as_str().unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        for (place, value) in [
            ("permit2Authorization/from", json!(PAY_TO)),
            ("permit2Authorization/permitted/token", json!(OTHER)),
            ("permit2Authorization/permitted/amount", json!("9999")),
            ("permit2Authorization/permitted/amount", json!("10001")),
            ("permit2Authorization/spender", json!(OTHER)),
            ("permit2Authorization/nonce", json!("1")),
            ("permit2Authorization/deadline", json!("1")),
            (
                "permit2Authorization/deadline",
                json!((now + 4).to_string()),
            ),
            (
                "permit2Authorization/deadline",
                json!((now + 100).to_string()),
            ),
            ("permit2Authorization/witness/to", json!(OTHER)),
            ("permit2Authorization/witness/validAfter", json!("1")),
            (
                "permit2Authorization/witness/validAfter",
                json!((now + 100).to_string()),
            ),
            ("permit2Authorization/witness/facilitator", json!(OTHER)),
            ("signature", json!("0x")),
            ("signature", json!(&signature[..130])),
            ("signature", json!(format!("{}25", &signature[..130]))),
        ] {
            let mut payment = paid["payment"].clone();
            let Some(member) = payment.pointer_mut(&format!("/payload/{place}")) else {
                assert!(scheme == "exact" && place.ends_with("facilitator"));
                continue;
            };
            *member = value.clone();
            let expected = facilitators_reason(&mut buyers, &payment);
            let verdict = verify(&mut client, &payment.to_string(), &wanted).unwrap();
            assert_eq!(verdict.is_valid, Some(false), "{place} {value}");
            assert_eq!(verdict.reason, expected, "{place} {value}: {verdict:?}");
            assert!(verdict.message.unwrap().ends_with('.'));
        }
    }
}

#[test]
fn a_smart_wallets_signature_of_65_bytes_is_left_to_the_facilitator_if_the_seller_says_so() {
    let (_database, mut client) = database();
    let mut buyers = Process::start("x402_clients.mjs", &[]).unwrap();
    let of_usdc: Value = client
        .query_one(
            "SELECT insforge_integrations.x402_payment_requirements($1, '10000', network => 'base-sepolia', asset => 'USDC', version => 2)",
            &[&PAY_TO],
        )
        .unwrap()
        .get(0);
    let permitted = offer(&mut client, "exact", "base-sepolia", "USDC");
    for (wanted, reason) in [
        (of_usdc, "invalid_exact_evm_payload_signature"),
        (permitted, "invalid_permit2_signature"),
    ] {
        let paid = pay(&mut client, &mut buyers, "safe", &wanted);
        let verdict = verify(&mut client, &paid["payment"].to_string(), &wanted).unwrap();
        assert_eq!(verdict.reason.as_deref(), Some(reason));
        assert!(
            verdict
                .message
                .unwrap()
                .contains("payer_is_contract => true")
        );
        let row = client
            .query_one(
                "SELECT is_valid, invalid_reason, unchecked FROM insforge_integrations.verify_x402_payment($1, $2, payer_is_contract => true)",
                &[&paid["payment"].to_string(), &wanted],
            )
            .unwrap();
        assert_eq!(row.get::<_, Option<bool>>(0), None);
        assert_eq!(row.get::<_, &str>(1), "needs_facilitator");
        let unchecked: Vec<&str> = row.get(2);
        assert!(unchecked.contains(&"signature"));
    }
}
