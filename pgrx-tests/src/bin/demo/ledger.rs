//! The ledger of payments, with a payment that is signed here and now.

use anyhow::Result;
use insforge_integrations_tests::node::now;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::stage::{Demo, heading, say};

/// The key of ERC-2098's examples, and its address.
const KEY: &str = "1234567890123456789012345678901234567890123456789012345678901234";
const BUYER: &str = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB";
const SELLER: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const ADMIN: &str = r#"{"role": "project_admin"}"#;

/// Reserves, settles, delivers, records; each once.
pub(crate) fn show(demo: &mut Demo) -> Result<()> {
    heading("The ledger stores a payment before the facilitator moves the money");
    say("a buyer signs for 10000 units of USDG on X Layer, valid for five minutes:");
    let payment = signed_payment(demo)?;
    demo.setup(&format!(
        "CREATE TABLE shop AS SELECT '{payment}'::text AS payment,
  insforge_integrations.x402_payment_requirements('{SELLER}', '10000', 'https://api.example.com/report') AS requirements"
    ))?;
    let reserve = |key: &str| {
        format!(
            "SELECT is_new, state, payer_address, amount, chain
FROM shop, reserve_x402_payment(payment, requirements, 'https://api.example.com/report', '{key}')"
        )
    };
    let buyer = BUYER.to_lowercase();
    demo.request("project_admin", ADMIN, &reserve("request 1"))?
        .shows(&[&["t", "reserved", &buyer, "10000", "xlayer"]])?;

    heading("The same payment buys nothing else, and the same request is not paid twice");
    demo.request("project_admin", ADMIN, &reserve("request 2"))?
        .refused_with("23505")?;
    demo.request("project_admin", ADMIN, &reserve("request 1"))?
        .shows(&[&["f", "reserved", &buyer, "10000", "xlayer"]])?;
    say("if the server crashes now, payments that may have moved money are in this list:");
    demo.request(
        "project_admin",
        ADMIN,
        "SELECT state, amount, can_still_land FROM insforge_integrations.unsettled_x402_reservations",
    )?
    .shows(&[&["reserved", "10000", "t"]])?;

    heading("The facilitator's answer settles the payment; it is delivered once");
    let id: String = demo
        .client
        .query_one(
            "SELECT reservation_id::text FROM insforge_integrations.unsettled_x402_reservations",
            &[],
        )?
        .get(0);
    let (one, other) = (
        format!("0x{}", "12".repeat(32)),
        format!("0x{}", "ab".repeat(32)),
    );
    let settle = |answer: &Value| {
        format!("SELECT state, tx_hash, reason FROM settle_x402_reservation('{id}', '{answer}')")
    };
    let pending = json!({"success": true, "status": "timeout", "transaction": one});
    demo.request("project_admin", ADMIN, &settle(&pending))?
        .shows(&[&["pending", &one, "settlement_timeout"]])?;
    let okx = json!({"code": "0", "data": [{"success": true, "txHash": one, "payer": BUYER}]});
    demo.request("project_admin", ADMIN, &settle(&okx))?
        .shows(&[&["settled", &one, "NULL"]])?;
    let deliver = format!("SELECT is_new, state FROM mark_x402_delivered('{id}')");
    demo.request("project_admin", ADMIN, &deliver)?
        .shows(&[&["t", "settled"]])?;
    demo.request("project_admin", ADMIN, &deliver)?
        .shows(&[&["f", "settled"]])?;

    heading("In place of the guide's insert: a row or an error, each transaction once");
    let record = |more: &str| {
        format!(
            "SELECT tx_hash, payer_address, amount, chain FROM record_x402_settlement(
  tx_hash => '{other}',
  payer_address => '{BUYER}',
  endpoint => 'https://api.example.com/report', amount => '2500'{more})"
        )
    };
    let row = [other.as_str(), buyer.as_str(), "2500", "xlayer"];
    demo.request("project_admin", ADMIN, &record(""))?
        .shows(&[&row])?;
    demo.request("project_admin", ADMIN, &record(""))?
        .refused_with("23505")?;
    demo.request("project_admin", ADMIN, &record(", idempotent => true"))?
        .shows(&[&row])?;

    heading("Nobody can change the ledger, not even a superuser");
    demo.run("UPDATE insforge_integrations.x402_settlements SET amount = 0")?
        .refused_with("42501")?;
    demo.request(
        "project_admin",
        ADMIN,
        "SELECT chain, symbol, payments, amount FROM insforge_integrations.x402_totals ORDER BY symbol",
    )?
    .shows(&[
        &["xlayer", "USDG", "1", "10000"],
        &["xlayer", "NULL", "1", "2500"],
    ])?;
    demo.request("anon", "{}", "SELECT * FROM x402_payments")?
        .refused_with("42501")?;
    Ok(())
}

/// As a wallet does it: the digest of the typed data, signed.
fn signed_payment(demo: &mut Demo) -> Result<Value> {
    let authorization = json!({
        "from": BUYER, "to": SELLER, "value": "10000", "validAfter": "0",
        "validBefore": (now() + 300).to_string(), "nonce": format!("0x{}", "07".repeat(32))
    });
    let member = |name, of_type| json!({"name": name, "type": of_type});
    let typed_data = json!({
        "domain": {"name": "Global Dollar", "version": "1", "chainId": 196,
                   "verifyingContract": "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8"},
        "primaryType": "TransferWithAuthorization",
        "types": {"TransferWithAuthorization": [
            member("from", "address"), member("to", "address"), member("value", "uint256"),
            member("validAfter", "uint256"), member("validBefore", "uint256"), member("nonce", "bytes32")]},
        "message": authorization
    });
    let digest: Vec<u8> = demo
        .client
        .query_one(
            "SELECT insforge_integrations.eip712_digest($1)",
            &[&typed_data],
        )?
        .get(0);
    let key = SigningKey::from_slice(&hex::decode(KEY)?)?;
    let (signature, recovery) = key.sign_prehash_recoverable(&digest);
    Ok(json!({
        "x402Version": 1, "scheme": "exact", "network": "eip155:196",
        "payload": {
            "signature": format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + recovery.to_byte()),
            "authorization": authorization
        }
    }))
}
