//! A payment that is signed here and now, from the reservation to the books.

use std::borrow::Cow;

use anyhow::Result;
use insforge_integrations_tests::node::now;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::stage::{Demo, Who, job, say};

/// The key of ERC-2098's examples, and its address.
const KEY: &str = "1234567890123456789012345678901234567890123456789012345678901234";
const BUYER: &str = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB";
const SELLER: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const SELLERS_SERVER: Who = Who {
    name: Cow::Borrowed("the seller's server"),
    role: "project_admin",
    claims: Cow::Borrowed(r#"{"role": "project_admin"}"#),
};

/// Reserves, settles and delivers; each once.
pub(crate) fn show(demo: &mut Demo) -> Result<()> {
    job(
        3,
        "Payments: stored before money moves, each transaction once, and never changed",
    );
    let payment = signed_payment(demo)?;
    demo.client.batch_execute(&format!(
        "CREATE TABLE shop AS SELECT '{payment}'::text AS payment,
           insforge_integrations.x402_payment_requirements('{SELLER}', '10000', '/report') AS requirements"
    ))?;
    say(
        "table shop has what a buyer signed for 10000 units of USDG on X Layer, and the seller's offer",
    );
    let reserve = "SELECT is_new, state, payer_address, amount, chain
FROM shop, reserve_x402_payment(payment, requirements, '/report', 'request 1')";
    let buyer = BUYER.to_lowercase();
    demo.request(&SELLERS_SERVER, reserve)?
        .shows(&[&["t", "reserved", &buyer, "10000", "xlayer"]])?;
    demo.request(&SELLERS_SERVER, &reserve.replace("request 1", "request 2"))?
        .refused_with("23505")?;
    let id: String = demo
        .client
        .query_one(
            "SELECT reservation_id::text FROM insforge_integrations.unsettled_x402_reservations",
            &[],
        )?
        .get(0);
    let hash = format!("0x{}", "12".repeat(32));
    let okx = json!({"code": "0", "data": [{"success": true, "txHash": hash, "payer": BUYER}]});
    let settle = format!("SELECT state, tx_hash FROM settle_x402_reservation('{id}',\n  '{okx}')");
    demo.request(&SELLERS_SERVER, &settle)?
        .shows(&[&["settled", &hash]])?;
    let deliver = format!("SELECT is_new, state FROM mark_x402_delivered('{id}')");
    demo.request(&SELLERS_SERVER, &deliver)?
        .shows(&[&["t", "settled"]])?;
    demo.request(&SELLERS_SERVER, &deliver)?
        .shows(&[&["f", "settled"]])?;
    demo.run("UPDATE insforge_integrations.x402_settlements SET amount = 0")?
        .refused_with("42501")?;
    demo.request(
        &SELLERS_SERVER,
        "SELECT endpoint, chain, symbol, payments, amount FROM x402_revenue",
    )?
    .shows(&[&["/report", "xlayer", "USDG", "1", "10000"]])
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
