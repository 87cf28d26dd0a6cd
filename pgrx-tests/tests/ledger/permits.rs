//! Payments by Permit2: reserved, settled and counted by what was settled.

use insforge_integrations_tests::node::Process;

use super::races::{CONNECTIONS, assert_one_wins, at_once};
use super::shop::Shop;
use super::*;

pub(crate) const EXACT: &str = "version => 2, network => 'mezo', asset => 'mUSD'";
pub(crate) const UPTO: &str = "version => 2, network => 'base', asset => 'USDC', scheme => 'upto', facilitator_address => '0x857b06519E91e3A54538791bDbb0E22373e36b66'";

/// A shop with another offer of 10000.
pub(crate) fn selling(arguments: &str) -> Shop {
    let mut shop = Shop::new();
    offer(&mut shop, arguments);
    shop
}

fn offer(shop: &mut Shop, arguments: &str) -> Value {
    let row = shop
        .client
        .query_one(
            &format!(
                "SELECT r, insforge_integrations.x402_payment_required_header(r, resource => $2)
                 FROM insforge_integrations.x402_payment_requirements($1, '10000', {arguments}) r"
            ),
            &[&PAYER, &ENDPOINT],
        )
        .unwrap();
    shop.buyer.requirements = row.get(0);
    shop.buyer.header = row.get(1);
    row.get(0)
}

/// Reserves a payment of npm's `@x402/evm`. Returns its id and payer.
fn reserved(shop: &mut Shop) -> (String, String) {
    let (payment, payer) = shop.buyer.pay_with("core");
    let (id, is_new) = shop.reserve(&payment, None).unwrap();
    assert!(is_new);
    (id, payer)
}

fn request(shop: &mut Shop, id: &str, amount: &str) -> Result<Value, postgres::Error> {
    let request = "SELECT (facilitator_request ->> 'body')::jsonb FROM x402_settlement_request($1::text::uuid, $2, 'x402')";
    Ok(shop.client.query_one(request, &[&id, &amount])?.get(0))
}

/// The body for the facilitator of a stored payment.
fn facilitator_request(shop: &mut Shop, id: &str) -> Value {
    let body = "SELECT insforge_integrations.x402_facilitator_request($1::text::uuid, 'x402')";
    shop.client.query_one(body, &[&id]).unwrap().get(0)
}

/// What the ledger, the totals and the buyer's header say.
fn books(shop: &mut Shop, id: &str) -> Value {
    shop.client
        .query_one(
            "SELECT jsonb_build_object(
               'ledger', (SELECT jsonb_agg(amount) FROM x402_payments),
               'total', (SELECT sum(amount)::text FROM insforge_integrations.x402_totals),
               'header', insforge_integrations.x402_decode_header(insforge_integrations.x402_payment_response_header($1::text::uuid)))",
            &[&id],
        )
        .unwrap()
        .get(0)
}

fn column(shop: &mut Shop, id: &str, column: &str) -> Option<String> {
    let query = format!(
        "SELECT {column}::text FROM insforge_integrations.x402_reservations WHERE id::text = $1"
    );
    shop.superuser.query_one(&query, &[&id]).unwrap().get(0)
}

#[test]
fn a_token_without_eip_3009_is_sold_in() {
    let mut shop = selling(EXACT);
    let (id, payer) = reserved(&mut shop);
    assert_eq!(
        column(&mut shop, &id, "nonce_contract").as_deref(),
        Some("0x000000000022d473030f116ddee9f6b43ac78ba3")
    );
    assert_eq!(
        column(&mut shop, &id, "is_signature_verified").as_deref(),
        Some("true")
    );
    let body = facilitator_request(&mut shop, &id);
    assert_eq!(body["paymentRequirements"], shop.buyer.requirements);
    assert_eq!(body["paymentPayload"]["accepted"], shop.buyer.requirements);
    // Only the signed amount can be settled.
    let error = request(&mut shop, &id, "9999").unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE));
    assert!(
        refused(&error)
            .detail()
            .unwrap()
            .starts_with("It must be 10000.")
    );
    request(&mut shop, &id, "10000").unwrap();
    let (hash, other) = (shop.new_hash(), "9999");
    let answer = json!({"success": true, "transaction": hash, "network": "eip155:31612", "payer": payer, "amount": other});
    assert_eq!(
        shop.settle(&id, &answer).reason.as_deref(),
        Some("amount_mismatch")
    );
    let answer =
        json!({"success": true, "transaction": hash, "network": "eip155:31612", "payer": payer});
    assert_eq!(shop.settle(&id, &answer).state, "settled");
    assert_eq!(
        books(&mut shop, &id),
        json!({"ledger": ["10000"], "total": "10000",
               "header": {"success": true, "transaction": hash, "network": "eip155:31612", "payer": payer}})
    );
}

/// specs/schemes/upto/scheme_upto.md: the seller says how much to settle, the facilitator answers
/// how much it has settled.
#[test]
fn what_is_settled_below_the_signed_amount_is_counted() {
    let mut shop = selling(UPTO);
    let (id, payer) = reserved(&mut shop);
    let body = request(&mut shop, &id, "1858").unwrap();
    assert_eq!(body["paymentRequirements"]["amount"], "1858");
    assert_eq!(body["paymentPayload"]["accepted"]["amount"], "10000");
    // The same again after a crash, with or without the amount.
    assert_eq!(request(&mut shop, &id, "1858").unwrap(), body);
    assert_eq!(facilitator_request(&mut shop, &id), body);
    // The first request may settle, so another amount cannot be asked for.
    let error = request(&mut shop, &id, "1859").unwrap_err();
    assert_eq!(
        refused(&error).code(),
        &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
    );
    assert_eq!(
        refused(&error).detail(),
        Some("It is reserved, and the facilitator may have been asked to settle 1858.")
    );
    for amount in ["10001", "", "-1", "1.5", "0x1"] {
        let error = request(&mut shop, &id, amount).unwrap_err();
        assert_eq!(
            error.code(),
            Some(&SqlState::INVALID_PARAMETER_VALUE),
            "{amount}"
        );
    }
    let hash = shop.new_hash();
    let answer = json!({"success": true, "transaction": hash, "network": "eip155:8453", "payer": payer, "amount": "1858"});
    assert_eq!(shop.settle(&id, &answer).state, "settled");
    let header = json!({"success": true, "transaction": hash, "network": "eip155:8453", "payer": payer, "amount": "1858"});
    assert_eq!(
        books(&mut shop, &id),
        json!({"ledger": ["1858"], "total": "1858", "header": header})
    );
    let row = shop
        .client
        .query_one(
            "SELECT scheme, amount, settled_amount, is_new FROM mark_x402_delivered($1::text::uuid)",
            &[&id],
        )
        .unwrap();
    assert_eq!(
        [row.get::<_, &str>(0), row.get(1), row.get(2)],
        ["upto", "10000", "1858"]
    );
    assert!(row.get::<_, bool>(3));
}

#[test]
fn an_answer_about_another_amount_than_the_asked_one_is_a_conflict() {
    let mut shop = selling(UPTO);
    for (asked, said, state, settled) in [
        // Nobody said how much, so the answer does.
        (None, Some("1858"), "settled", Some("1858")),
        (None, Some("10000"), "settled", Some("10000")),
        (None, None, "settled", Some("10000")),
        (None, Some("10001"), "conflict", None),
        (Some("1858"), None, "settled", Some("1858")),
        (Some("1858"), Some("1859"), "conflict", None),
        (Some("1858"), Some("10000"), "conflict", None),
        (Some("1858"), Some("0"), "conflict", None),
        (Some("0"), None, "conflict", None),
        (None, Some("0"), "conflict", None),
        (None, Some("a lot"), "conflict", None),
    ] {
        let (id, _) = reserved(&mut shop);
        if let Some(amount) = asked {
            request(&mut shop, &id, amount).unwrap();
        }
        let answer = json!({"success": true, "transaction": shop.new_hash(), "amount": said});
        let found = shop.settle(&id, &answer);
        assert_eq!(found.state, state, "{asked:?} {said:?}");
        if state == "conflict" {
            assert_eq!(found.reason.as_deref(), Some("amount_mismatch"));
        }
        assert_eq!(
            column(&mut shop, &id, "settled_amount").as_deref(),
            settled,
            "{asked:?} {said:?}"
        );
    }
}

/// specs/schemes/upto/scheme_upto_evm.md: "If the settled amount = 0, no on-chain transaction is
/// required."
#[test]
fn a_settlement_of_nothing_has_no_transaction_and_no_row() {
    let mut shop = selling(UPTO);
    let (id, payer) = reserved(&mut shop);
    request(&mut shop, &id, "0").unwrap();
    let answer = json!({"success": true, "transaction": "", "network": "eip155:8453", "payer": payer, "amount": "0"});
    let found = shop.settle(&id, &answer);
    assert_eq!((found.state.as_str(), found.tx_hash), ("settled", None));
    assert!(!shop.is_listed(&id));
    let header = json!({"success": true, "transaction": "", "network": "eip155:8453", "payer": payer, "amount": "0"});
    assert_eq!(
        books(&mut shop, &id),
        json!({"ledger": null, "total": null, "header": header})
    );
    // It is delivered once, as every settled payment.
    let deliver = "SELECT is_new FROM mark_x402_delivered($1::text::uuid)";
    for is_new in [true, false] {
        let row = shop.client.query_one(deliver, &[&id]).unwrap();
        assert_eq!(row.get::<_, bool>(0), is_new);
    }
    // A transaction that comes later is kept and warned of, and an operator records it.
    let late = json!({"success": true, "transaction": shop.new_hash(), "amount": "5"});
    assert_eq!(shop.settle(&id, &late).state, "settled");
    assert_eq!(
        column(&mut shop, &id, "jsonb_array_length(answers)").as_deref(),
        Some("2")
    );
    let hash = shop.new_hash();
    let error = shop.client.query_one(
        "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, 'settled', $2, amount => '5')",
        &[&id, &hash],
    );
    let error = error.unwrap_err();
    assert_eq!(
        refused(&error).code(),
        &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
    );
    assert!(
        refused(&error)
            .detail()
            .unwrap()
            .contains("for the amount 0")
    );
    // In scheme exact there is no such thing.
    offer(&mut shop, EXACT);
    let (id, _) = reserved(&mut shop);
    let answer = json!({"success": true, "transaction": "", "amount": null});
    assert_eq!(shop.settle(&id, &answer).state, "pending");
}

#[test]
fn another_amount_may_be_asked_for_after_the_facilitator_sent_nothing() {
    let mut shop = selling(UPTO);
    let (id, _) = reserved(&mut shop);
    request(&mut shop, &id, "5000").unwrap();
    let answer = json!({"success": false, "errorReason": "permit2_insufficient_balance"});
    assert_eq!(shop.settle(&id, &answer).state, "failed");
    let body = request(&mut shop, &id, "4000").unwrap();
    assert_eq!(body["paymentRequirements"]["amount"], "4000");
    let answer = json!({"success": false, "errorReason": "settlement_pending"});
    assert_eq!(shop.settle(&id, &answer).state, "pending");
    let error = request(&mut shop, &id, "3000").unwrap_err();
    assert_eq!(
        refused(&error).detail(),
        Some("It is pending, and the facilitator may have been asked to settle 4000.")
    );
    request(&mut shop, &id, "4000").unwrap();
}

#[test]
fn one_of_many_connections_says_how_much_to_settle() {
    let mut shop = selling(UPTO);
    let (id, _) = reserved(&mut shop);
    let amounts: Vec<String> = (1..=CONNECTIONS).map(|amount| amount.to_string()).collect();
    let mut codes = at_once(shop.database(), &amounts, |client, amount| {
        let request = "SELECT x402_settlement_request($1::text::uuid, $2, 'x402')";
        client.query_one(request, &[&id, amount]).map(drop)
    });
    codes.sort();
    let mut expected = vec![String::new()];
    expected.resize(CONNECTIONS, "55000".to_owned());
    assert_eq!(codes, expected);
}

/// Permit2 uses up a nonce whatever the token and x402's contract are.
#[test]
fn a_nonce_of_permit2_is_reserved_once_for_all_tokens_and_schemes() {
    let mut shop = selling(UPTO);
    let usdc = offer(
        &mut shop,
        "version => 2, network => 'base', asset => 'USDC', transfer_method => 'permit2'",
    );
    let upto = offer(&mut shop, UPTO);
    shop.superuser
        .batch_execute("SELECT insforge_integrations.register_x402_asset('base', '0x00000000000000000000000000000000000000bb', 'DAI', decimals => 18, transfer_method => 'permit2')")
        .unwrap();
    let dai = offer(&mut shop, "version => 2, network => 'base', asset => 'DAI'");
    let elsewhere = offer(&mut shop, EXACT);
    let mut buyer = Process::start("permit_buyer.mjs", &[]).unwrap();
    let mut paid = |accepted: &Value, nonce: &str| {
        let paid = buyer
            .ask(&json!({"accepted": accepted, "nonce": nonce}))
            .unwrap();
        paid["payment"].to_string()
    };
    let offers = json!([usdc, upto, dai, elsewhere]);
    shop.buyer.requirements = offers.clone();
    for (round, first) in [&usdc, &upto, &dai].into_iter().enumerate() {
        let nonce = round.to_string();
        assert!(shop.reserve(&paid(first, &nonce), None).unwrap().1);
        for second in [&usdc, &upto, &dai] {
            let error = shop.reserve(&paid(second, &nonce), None).unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
            assert_eq!(
                refused(&error).message(),
                "this authorization is reserved already"
            );
        }
        // Another chain has another Permit2.
        assert!(shop.reserve(&paid(&elsewhere, &nonce), None).unwrap().1);
    }
    // At once, from many connections, a permit for each token and scheme.
    for round in 0..5 {
        let nonce = (100 + round).to_string();
        let payments: Vec<String> = (0..CONNECTIONS)
            .map(|number| paid([&usdc, &upto, &dai][number % 3], &nonce))
            .collect();
        let codes = at_once(shop.database(), &payments, |client, payment| {
            let reserve = "SELECT is_new FROM reserve_x402_payment($1, $2, $3)";
            client
                .query_one(reserve, &[payment, &offers, &ENDPOINT])
                .map(drop)
        });
        assert_one_wins(codes);
    }
}

#[test]
fn an_operator_looks_up_a_permit_on_chain() {
    let mut buyer = Process::start("permit_buyer.mjs", &[]).unwrap();
    for (arguments, spender, word) in [
        (
            EXACT,
            "0x402085c248eea27d92e8b30b2c58ed07f9e20001",
            "as settled.",
        ),
        (
            UPTO,
            "0x4020a4f3b7b90cca423b9fabcc0ce57c6c240002",
            "as settled, with the amount that moved.",
        ),
    ] {
        let mut shop = selling(arguments);
        let accepted = shop.buyer.requirements.clone();
        let paid = buyer
            .ask(&json!({"accepted": accepted, "nonce": "70000"}))
            .unwrap();
        let (id, _) = shop.reserve(&paid["payment"].to_string(), None).unwrap();
        let row = shop
            .client
            .query_one(
                "SELECT authorization_state_call, check_on_chain FROM insforge_integrations.unsettled_x402_reservations",
                &[],
            )
            .unwrap();
        // viem's encodeFunctionData of nonceBitmap(owner, nonce >> 8).
        let call = buyer
            .ask(&json!({"call": [paid["payer"], "70000"]}))
            .unwrap();
        let own: Value = row.get(0);
        assert_eq!(
            own["params"][0],
            json!({"to": "0x000000000022d473030f116ddee9f6b43ac78ba3", "data": call["data"]})
        );
        let text: &str = row.get(1);
        // 70000 = 273 * 256 + 112.
        for part in ["bit 112,", spender, word] {
            assert!(text.contains(part), "{text}");
        }
        let hash = shop.new_hash();
        let resolve = |shop: &mut Shop, amount: Option<&str>| {
            let resolve =
                "SELECT state, settled_amount FROM insforge_integrations.resolve_x402_reservation(
                             $1::text::uuid, 'settled', $2, amount => $3)";
            let row = shop.client.query_one(resolve, &[&id, &hash, &amount])?;
            Ok::<_, postgres::Error>((row.get::<_, String>(0), row.get::<_, String>(1)))
        };
        let is_upto = arguments == UPTO;
        for amount in ["0", "10001", "9999"] {
            if is_upto && amount == "9999" {
                continue;
            }
            let error = resolve(&mut shop, Some(amount)).unwrap_err();
            assert_eq!(refused(&error).code(), &SqlState::INVALID_PARAMETER_VALUE);
            assert!(refused(&error).detail().unwrap().starts_with("amount: "));
        }
        let amount = if is_upto { "1858" } else { "10000" };
        for said in [Some(amount), None, Some(amount)] {
            let found = resolve(&mut shop, said).unwrap();
            assert_eq!(found, ("settled".to_owned(), amount.to_owned()));
        }
        assert_eq!(books(&mut shop, &id)["ledger"], json!([amount]));
    }
}

#[test]
fn a_batched_payment_counts_by_what_was_settled() {
    let mut shop = selling(UPTO);
    let hash = shop.new_hash();
    let answer = |amount: &str| json!({"success": true, "transaction": hash, "amount": amount});
    let (first, _) = reserved(&mut shop);
    assert_eq!(shop.settle(&first, &answer("3000")).state, "settled");
    let (second, _) = reserved(&mut shop);
    assert_eq!(shop.settle(&second, &answer("200")).state, "conflict");
    let resolve = "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, 'conflict', $2, 'one batch', '200')";
    shop.client.query_one(resolve, &[&second, &hash]).unwrap();
    let books = books(&mut shop, &second);
    assert_eq!(
        (&books["total"], &books["header"]["amount"]),
        (&json!("3200"), &json!("200"))
    );
    let mut amounts: Vec<&str> = books["ledger"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    amounts.sort_unstable();
    assert_eq!(amounts, ["200", "3000"]);
}

/// Safe and EIP-7702: the wallet's contract accepts signatures of 65 bytes by other keys.
#[test]
fn a_smart_wallets_payment_is_reserved_if_the_server_has_seen_its_code() {
    for arguments in [
        "version => 2, network => 'base', asset => 'USDC'",
        EXACT,
        UPTO,
    ] {
        let mut shop = selling(arguments);
        let (payment, _) = shop.buyer.pay_with("safe");
        let error = shop.reserve(&payment, None).unwrap_err();
        assert_eq!(refused(&error).code().code(), "28000");
        let detail = refused(&error).detail().unwrap();
        assert!(detail.contains("payer_is_contract => true"), "{detail}");
        let reserve = |shop: &mut Shop, payment: &str| {
            let reserve = "SELECT reservation_id::text, is_new FROM reserve_x402_payment($1, $2, $3, payer_is_contract => true)";
            let row = shop
                .client
                .query_one(reserve, &[&payment, &shop.buyer.requirements, &ENDPOINT])?;
            Ok::<_, postgres::Error>((row.get::<_, String>(0), row.get::<_, bool>(1)))
        };
        let (id, is_new) = reserve(&mut shop, &payment).unwrap();
        assert!(is_new);
        let verified = column(&mut shop, &id, "is_signature_verified");
        assert_eq!(verified.as_deref(), Some("false"));
        let error = reserve(&mut shop, &payment).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
        // The same authorization, signed by the payer's own key, is not kept out.
        let (own, _) = shop.buyer.pay_with("core");
        let mut forged = shop.decoded(&own);
        forged["payload"]["signature"] = json!(format!("0x{}", "ab".repeat(65)));
        let (forged_id, _) = reserve(&mut shop, &forged.to_string()).unwrap();
        let (own_id, is_new) = reserve(&mut shop, &own).unwrap();
        assert!(is_new && own_id != forged_id);
        let verified = column(&mut shop, &own_id, "is_signature_verified");
        assert_eq!(verified.as_deref(), Some("true"));
        // A facilitator that calls the signature wrong ends the forged one.
        let reason = match forged["payload"].get("authorization") {
            Some(_) => "invalid_exact_evm_signature",
            None => "invalid_permit2_signature",
        };
        let answer = json!({"success": false, "errorReason": reason});
        assert_eq!(shop.settle(&forged_id, &answer).state, "failed");
        assert!(!shop.is_listed(&forged_id));
        let hash = shop.new_hash();
        let answer = json!({"success": true, "transaction": hash});
        assert_eq!(shop.settle(&id, &answer).state, "settled");
    }
}
