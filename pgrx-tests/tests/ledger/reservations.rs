//! Reservations: what each answer of a facilitator makes of them.

use super::*;

struct Shop {
    _database: Database<'static>,
    superuser: Client,
    client: Client,
    buyer: Buyer,
    transactions: u64,
}

#[derive(Debug, PartialEq)]
struct State {
    state: String,
    tx_hash: Option<String>,
    reason: Option<String>,
}

impl Shop {
    fn new() -> Self {
        let (database, mut client) = database();
        Self {
            superuser: database.connect().unwrap(),
            buyer: Buyer::new(&mut client),
            _database: database,
            client,
            transactions: 0,
        }
    }

    fn reserve(
        &mut self,
        payment: &str,
        key: Option<&str>,
    ) -> Result<(String, bool), postgres::Error> {
        let row = self.client.query_one(
            "SELECT reservation_id::text, is_new FROM reserve_x402_payment($1, $2, $3, $4)",
            &[&payment, &self.buyer.requirements, &ENDPOINT, &key],
        )?;
        Ok((row.get(0), row.get(1)))
    }

    /// A new payment, reserved; who signed it.
    fn reserved(&mut self) -> (String, String) {
        let (payment, payer) = self.buyer.pay();
        (self.reserve(&payment, None).unwrap().0, payer)
    }

    fn new_hash(&mut self) -> String {
        self.transactions += 1;
        hash(self.transactions)
    }

    fn settle(&mut self, id: &str, answer: &Value) -> State {
        let row = self
            .client
            .query_one(
                "SELECT state, tx_hash, reason FROM settle_x402_reservation($1::text::uuid, $2)",
                &[&id, answer],
            )
            .unwrap();
        State {
            state: row.get(0),
            tx_hash: row.get(1),
            reason: row.get(2),
        }
    }

    fn ledger(&mut self, hash: &str) -> usize {
        self.client
            .query("SELECT FROM x402_payments WHERE tx_hash = $1", &[&hash])
            .unwrap()
            .len()
    }

    fn is_listed(&mut self, id: &str) -> bool {
        let rows = self.client.query(
            "SELECT FROM insforge_integrations.unsettled_x402_reservations WHERE reservation_id::text = $1",
            &[&id],
        );
        rows.unwrap().len() == 1
    }

    /// Makes an authorization end as long ago as it takes for it not to land any more.
    fn expire(&mut self, id: &str) {
        self.superuser
            .execute(
                "UPDATE insforge_integrations.x402_reservations SET valid_before = now() - interval '301 seconds' WHERE id::text = $1",
                &[&id],
            )
            .unwrap();
    }
}

#[test]
fn success_in_every_spelling_settles() {
    let mut shop = Shop::new();
    let spellings: Vec<fn(&str, &str) -> Value> = vec![
        |hash, payer| json!({"success": true, "transaction": hash, "network": "eip155:196", "payer": payer}),
        |hash, _| json!({"success": true, "transaction": hash, "network": "xlayer", "payer": null, "errorReason": null, "amount": "10000"}),
        |hash, payer| json!({"success": true, "transaction": hash.to_uppercase().replace("0X", "0x"), "payer": payer.to_lowercase(), "status": "success"}),
        |hash, payer| json!({"code": "0", "msg": "", "data": [{"success": true, "txHash": hash, "chainIndex": "196", "payer": payer}]}),
        |hash, payer| json!({"code": 0, "msg": "", "data": [{"success": true, "txHash": hash, "chainIndex": 196, "payer": payer, "errorReason": ""}]}),
        |hash, payer| json!({"code": 0, "data": {"success": true, "status": "success", "transaction": hash, "network": "eip155:196", "payer": payer, "errorReason": null}}),
        |hash, _| json!({"code": "0", "data": {"success": true, "transaction": hash, "txHash": hash}}),
    ];
    for spelling in spellings {
        let (id, payer) = shop.reserved();
        let hash = shop.new_hash();
        let answer = spelling(&hash, &payer);
        for _ in 0..2 {
            let state = shop.settle(&id, &answer);
            assert_eq!(
                state,
                State {
                    state: "settled".to_owned(),
                    tx_hash: Some(hash.clone()),
                    reason: None
                },
                "{answer}"
            );
        }
        assert_eq!(shop.ledger(&hash), 1);
        assert!(!shop.is_listed(&id));
        let kept: i32 = shop
            .superuser
            .query_one("SELECT jsonb_array_length(answers) FROM insforge_integrations.x402_reservations WHERE id::text = $1", &[&id])
            .unwrap()
            .get(0);
        assert_eq!(kept, 1, "the same answer again is nothing new");
    }
}

#[test]
fn what_may_have_moved_is_pending_until_it_is_known() {
    let mut shop = Shop::new();
    let named = hash(77);
    for answer in [
        Value::Null,
        json!("Bad Gateway"),
        json!([]),
        json!({}),
        json!({"error": "timeout"}),
        json!({"success": "true", "transaction": named}),
        json!({"success": true, "transaction": ""}),
        json!({"success": true, "status": "success", "transaction": ""}),
        json!({"success": true, "status": "pending", "transaction": named}),
        json!({"success": true, "status": "timeout", "transaction": named}),
        json!({"success": true, "status": "failed", "transaction": named}),
        json!({"success": true, "status": "whatever", "transaction": named}),
        json!({"success": false, "transaction": named, "errorReason": "insufficient_funds"}),
        json!({"success": false, "errorReason": "not_found"}),
        json!({"success": false, "errorReason": "a reason of next year"}),
        json!({"success": false}),
        json!({"code": "0", "data": []}),
        json!({"code": "0", "data": [{"success": true, "txHash": named}, {"success": true, "txHash": named}]}),
        json!({"code": 0, "data": null}),
        json!({"code": 50026, "msg": "System error", "data": null}),
        json!({"code": "50011", "msg": "", "data": {"success": true, "transaction": named}}),
        json!({"isValid": false, "invalidReason": "insufficient_funds"}),
    ] {
        let (id, payer) = shop.reserved();
        let state = shop.settle(&id, &answer);
        assert_eq!(state.state, "pending", "{answer} {state:?}");
        assert!(state.reason.is_some(), "{answer}");
        assert!(shop.is_listed(&id));
        assert_eq!(shop.ledger(&named), 0);
        // A later failure does not undo what may have been.
        let later = shop.settle(
            &id,
            &json!({"success": false, "errorReason": "insufficient_funds"}),
        );
        assert_eq!(later.state, "pending");
        shop.expire(&id);
        assert!(shop.is_listed(&id));
        let landed = shop.new_hash();
        let state = shop.settle(
            &id,
            &json!({"success": true, "transaction": landed, "payer": payer}),
        );
        assert_eq!((state.state.as_str(), shop.ledger(&landed)), ("settled", 1));
    }
}

#[test]
fn an_answer_about_another_payment_is_a_conflict_and_no_settlement() {
    let mut shop = Shop::new();
    let other = hash(78);
    for answer in [
        json!({"success": true, "transaction": other, "payer": PAYER}),
        json!({"success": true, "transaction": other, "network": "eip155:8453"}),
        json!({"success": true, "transaction": other, "network": "base"}),
        json!({"success": true, "transaction": other, "network": "solana"}),
        json!({"success": true, "transaction": other, "chainIndex": "8453"}),
        json!({"success": true, "transaction": other, "amount": "10001"}),
        json!({"success": true, "transaction": "5UfDuX7hXbTTQ5VZ"}),
        json!({"success": true, "transaction": &other[..64]}),
        json!({"success": true, "transaction": other, "txHash": hash(79)}),
        json!({"code": "0", "data": [{"success": true, "txHash": other, "chainIndex": "1"}]}),
    ] {
        let (id, payer) = shop.reserved();
        assert_eq!(shop.settle(&id, &answer).state, "conflict", "{answer}");
        assert!(shop.is_listed(&id));
        assert_eq!(shop.ledger(&other), 0);
        let kept: Value = shop
            .superuser
            .query_one("SELECT answers -> 0 -> 'answer' FROM insforge_integrations.x402_reservations WHERE id::text = $1", &[&id])
            .unwrap()
            .get(0);
        assert_eq!(kept, answer);
        assert_eq!(
            shop.settle(
                &id,
                &json!({"success": false, "errorReason": "insufficient_funds"})
            )
            .state,
            "conflict"
        );
        let right = shop.new_hash();
        assert_eq!(
            shop.settle(
                &id,
                &json!({"success": true, "transaction": right, "payer": payer})
            )
            .state,
            "settled"
        );
    }
}

/// Reasons of reference.md C3 and of the packages whose facilitators give them: before anything is
/// sent, and after.
#[test]
fn every_reason_is_sorted() {
    let mut shop = Shop::new();
    let (before, after) = (
        [
            "insufficient_funds",
            "invalid_exact_evm_payload_authorization_valid_after",
            "invalid_exact_evm_payload_authorization_valid_before",
            "invalid_exact_evm_payload_authorization_value",
            "invalid_exact_evm_payload_authorization_value_mismatch",
            "invalid_exact_evm_payload_signature",
            "invalid_exact_evm_payload_recipient_mismatch",
            "invalid_network",
            "invalid_payload",
            "invalid_payment_requirements",
            "invalid_scheme",
            "unsupported_scheme",
            "invalid_x402_version",
            "invalid_exact_evm_payload_undeployed_smart_wallet",
            "invalid_payment",
            "payment_expired",
            "invalid_exact_evm_failed_to_parse_signature",
            "unsupported_payload_type",
            "invalid_exact_evm_signature",
            "invalid_exact_evm_recipient_mismatch",
            "invalid_exact_evm_insufficient_balance",
            "invalid_permit2_signature",
            "invalid_permit2_spender",
            "invalid_permit2_recipient_mismatch",
            "permit2_deadline_expired",
            "permit2_not_yet_valid",
            "permit2_amount_mismatch",
            "permit2_token_mismatch",
            "permit2_allowance_required",
            "permit2_insufficient_balance",
            "invalid_exact_evm_payload_from_address_kyt",
            "payer_blocked",
            "risk_address",
        ],
        [
            "invalid_transaction_state",
            "unexpected_verify_error",
            "unexpected_settle_error",
            "duplicate_settlement",
            "smart_wallet_deployment_failed",
            "settlement_pending",
            "permit2_invalid_nonce",
            "invalid_exact_evm_nonce_already_used",
            "invalid_exact_evm_transaction_simulation_failed",
            "invalid_exact_evm_transfer_event_mismatch",
            "invalid_exact_evm_transaction_failed",
            "settlement_timeout",
            "not_found",
        ],
    );
    for (reasons, expected) in [(&before[..], "failed"), (&after[..], "pending")] {
        for reason in reasons {
            let (id, payer) = shop.reserved();
            let answer = json!({"success": false, "errorReason": reason, "transaction": "", "network": "eip155:196", "payer": payer});
            let state = shop.settle(&id, &answer);
            assert_eq!(
                (state.state.as_str(), state.reason.as_deref()),
                (expected, Some(*reason))
            );
            assert!(shop.is_listed(&id), "the signature can still be used");
        }
    }
    for (code, expected) in [
        ("50113", "failed"),
        ("50114", "failed"),
        ("50011", "failed"),
        ("50026", "pending"),
        ("1", "pending"),
    ] {
        let (id, _) = shop.reserved();
        for code in [json!(code), json!(code.parse::<i32>().unwrap())] {
            assert_eq!(
                shop.settle(&id, &json!({"code": code, "msg": "", "data": null}))
                    .state,
                expected,
                "{code}"
            );
        }
    }
}

#[test]
fn a_key_is_held_while_its_authorization_may_land() {
    let mut shop = Shop::new();
    let refused_with = |error: postgres::Error| refused(&error).code().code().to_owned();
    for (answer, may_pay_again_later) in [
        (None, true),
        (
            Some(json!({"success": false, "errorReason": "insufficient_funds"})),
            true,
        ),
        (Some(Value::Null), true),
        (
            Some(json!({"success": true, "transaction": hash(500)})),
            false,
        ),
    ] {
        let key = format!("{answer:?}");
        let first = shop.buyer.pay().0;
        let (id, is_new) = shop.reserve(&first, Some(&key)).unwrap();
        assert!(is_new);
        assert_eq!(
            shop.reserve(&first, Some(&key)).unwrap(),
            (id.clone(), false)
        );
        assert_eq!(
            shop.reserve(&first, None).map(drop).map_err(refused_with),
            Err("23505".to_owned())
        );
        assert_eq!(
            shop.reserve(&first, Some("another"))
                .map(drop)
                .map_err(refused_with),
            Err("23505".to_owned())
        );
        if let Some(answer) = &answer {
            shop.settle(&id, answer);
        }
        let second = shop.buyer.pay().0;
        assert_eq!(
            shop.reserve(&second, Some(&key))
                .map(drop)
                .map_err(refused_with),
            Err("23505".to_owned())
        );
        shop.expire(&id);
        let later = shop.reserve(&second, Some(&key)).map(|(_, is_new)| is_new);
        assert_eq!(later.is_ok(), may_pay_again_later, "{answer:?}");
        if may_pay_again_later {
            // The first may have moved all the same, and is not forgotten.
            let is_failed = matches!(&answer, Some(answer) if answer.is_object());
            assert_eq!(shop.is_listed(&id), !is_failed);
        }
    }
}

#[test]
fn the_buyers_own_name_for_the_request_is_the_key() {
    let mut shop = Shop::new();
    let with_name = |shop: &mut Shop, name: Value| -> Result<bool, postgres::Error> {
        let header = shop.buyer.pay().0;
        let mut payment: Value = shop
            .client
            .query_one(
                "SELECT insforge_integrations.x402_decode_header($1)",
                &[&header],
            )
            .unwrap()
            .get(0);
        payment["extensions"] =
            json!({"payment-identifier": {"info": {"required": true, "id": name}}});
        shop.reserve(&payment.to_string(), None)
            .map(|(_, is_new)| is_new)
    };
    assert!(with_name(&mut shop, json!("pay_0123456789abcdef")).unwrap());
    let error = with_name(&mut shop, json!("pay_0123456789abcdef")).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    assert!(with_name(&mut shop, json!("pay_0123456789abcdeg")).unwrap());
    for name in [json!("short"), json!(7), json!("with spaces in its name")] {
        let error = with_name(&mut shop, name).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INVALID_TEXT_REPRESENTATION));
    }
}

#[test]
fn a_payment_that_does_not_fit_is_not_reserved() {
    let mut shop = Shop::new();
    let payment = shop.buyer.pay().0;
    shop.buyer.requirements["maxAmountRequired"] = json!("10001");
    let error = shop.reserve(&payment, None).unwrap_err();
    assert_eq!(refused(&error).code().code(), "28000");
    assert!(
        refused(&error)
            .detail()
            .unwrap()
            .starts_with("invalid_exact_evm_payload_authorization_value: ")
    );
    let error = shop.reserve("not a payment", None).unwrap_err();
    assert_eq!(refused(&error).code().code(), "22P02");
}

#[test]
fn a_row_that_the_server_recorded_first_is_adopted_once() {
    let mut shop = Shop::new();
    let recorded = |shop: &mut Shop, payer: &str, amount: &str| {
        let hash = shop.new_hash();
        shop.client
            .query_one(
                "SELECT FROM record_x402_settlement($1, $2, $3, $4)",
                &[&hash, &payer, &ENDPOINT, &amount],
            )
            .unwrap();
        hash
    };
    let (id, payer) = shop.reserved();
    let hash = recorded(&mut shop, &payer, "10000");
    let answer = json!({"success": true, "transaction": hash});
    assert_eq!(shop.settle(&id, &answer).state, "settled");
    assert_eq!(shop.ledger(&hash), 1);
    let (id, _) = shop.reserved();
    let state = shop.settle(&id, &answer);
    assert_eq!(
        (state.state.as_str(), state.reason.as_deref()),
        ("conflict", Some("transaction_taken"))
    );
    assert_eq!(state.tx_hash.as_deref(), Some(hash.as_str()));
    // A transaction that carried both: the operator says so, and the totals count both.
    shop.client
        .query_one(
            "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, 'conflict', $2, 'one batch')",
            &[&id, &hash],
        )
        .unwrap();
    assert!(!shop.is_listed(&id));
    let total: String = shop
        .client
        .query_one(
            "SELECT sum(amount + corrections)::text FROM insforge_integrations.x402_totals",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(total, "20000");
    let (id, payer) = shop.reserved();
    let hash = recorded(&mut shop, &payer, "9999");
    assert_eq!(
        shop.settle(&id, &json!({"success": true, "transaction": hash}))
            .state,
        "conflict"
    );
}

#[test]
fn an_operator_enters_what_is_on_chain() {
    let mut shop = Shop::new();
    let resolve = |shop: &mut Shop,
                   id: &str,
                   outcome: &str,
                   hash: Option<&str>,
                   note: Option<&str>| {
        shop.client
            .query_one(
                "SELECT state FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, $2, $3, $4)",
                &[&id, &outcome, &hash, &note],
            )
            .map(|row| row.get::<_, String>(0))
            .map_err(|error| refused(&error).code().code().to_owned())
    };
    let (id, payer) = shop.reserved();
    let row = shop
        .client
        .query_one(
            "SELECT authorization_state_call, payer_address, nonce FROM insforge_integrations.unsettled_x402_reservations",
            &[],
        )
        .unwrap();
    // What viem's encodeFunctionData makes of authorizationState(address,bytes32).
    let call: Value = row.get(0);
    let (listed, nonce): (String, String) = (row.get(1), row.get(2));
    assert_eq!(listed, payer.to_lowercase());
    assert_eq!(
        call["params"][0]["data"],
        insforge_integrations_tests::node::run("authorization_state.mjs", &[&payer, &nonce])
            .unwrap()
            .trim()
    );
    let landed = shop.new_hash();
    for (outcome, hash, note) in [
        ("landed", Some(landed.as_str()), None),
        ("settled", None, None),
        ("settled", Some("0x12"), None),
        ("failed", None, None),
        ("failed", Some(landed.as_str()), Some("x")),
        ("conflict", Some(landed.as_str()), None),
    ] {
        assert_eq!(
            resolve(&mut shop, &id, outcome, hash, note),
            Err("22023".to_owned())
        );
    }
    for _ in 0..2 {
        assert_eq!(
            resolve(&mut shop, &id, "settled", Some(&landed), None).unwrap(),
            "settled"
        );
    }
    assert_eq!(
        resolve(&mut shop, &id, "failed", None, Some("no")),
        Err("55000".to_owned())
    );
    let (id, _) = shop.reserved();
    assert_eq!(
        resolve(&mut shop, &id, "settled", Some(&landed), None),
        Err("23505".to_owned())
    );
    shop.expire(&id);
    assert_eq!(
        resolve(&mut shop, &id, "failed", None, Some("nonce unused")).unwrap(),
        "failed"
    );
    assert!(!shop.is_listed(&id));
    let landed = shop.new_hash();
    assert_eq!(
        shop.settle(&id, &json!({"success": true, "transaction": landed}))
            .state,
        "settled"
    );
    assert_eq!(
        resolve(
            &mut shop,
            "00000000-0000-0000-0000-000000000000",
            "settled",
            Some(&landed),
            None
        ),
        Err("22023".to_owned())
    );
}

#[test]
fn what_is_paid_is_delivered_once_and_nothing_else_is() {
    let mut shop = Shop::new();
    let (id, _) = shop.reserved();
    let deliver = |shop: &mut Shop| {
        shop.client
            .query_one(
                "SELECT is_new FROM insforge_integrations.mark_x402_delivered($1::text::uuid)",
                &[&id],
            )
            .map(|row| row.get::<_, bool>(0))
            .map_err(|error| refused(&error).code().code().to_owned())
    };
    let header = |shop: &mut Shop| {
        shop.client
            .query_one(
                "SELECT insforge_integrations.x402_decode_header(insforge_integrations.x402_payment_response_header($1::text::uuid))",
                &[&id],
            )
            .map(|row| row.get::<_, Value>(0))
    };
    assert_eq!(deliver(&mut shop), Err("55000".to_owned()));
    assert!(header(&mut shop).is_err());
    let request: Value = shop
        .client
        .query_one(
            "SELECT insforge_integrations.x402_facilitator_request($1::text::uuid)",
            &[&id],
        )
        .unwrap()
        .get(0);
    assert_eq!(
        (&request["chainIndex"], &request["x402Version"]),
        (&json!("196"), &json!(1))
    );
    let hash = shop.new_hash();
    shop.settle(&id, &json!({"success": true, "transaction": hash}));
    let undelivered = "SELECT FROM insforge_integrations.undelivered_x402_reservations";
    assert_eq!(shop.client.query(undelivered, &[]).unwrap().len(), 1);
    assert_eq!(
        (deliver(&mut shop), deliver(&mut shop)),
        (Ok(true), Ok(false))
    );
    assert_eq!(shop.client.query(undelivered, &[]).unwrap().len(), 0);
    assert_eq!(header(&mut shop).unwrap()["transaction"], hash);
}

#[test]
fn mocks_are_allowed_by_the_operator_alone_and_count_in_no_total() {
    let mut shop = Shop::new();
    let (id, _) = shop.reserved();
    let mock = |shop: &mut Shop| {
        shop.client
            .query_one("SELECT state, is_mock FROM insforge_integrations.mock_x402_settlement($1::text::uuid)", &[&id])
            .map(|row| (row.get::<_, String>(0), row.get::<_, bool>(1)))
            .map_err(|error| refused(&error).code().code().to_owned())
    };
    assert_eq!(mock(&mut shop), Err("55000".to_owned()));
    shop.superuser
        .execute(
            "SELECT insforge_integrations.configure('allow_mock_settlements', 'on')",
            &[],
        )
        .unwrap();
    for _ in 0..2 {
        assert_eq!(mock(&mut shop), Ok(("settled".to_owned(), true)));
    }
    let row = shop
        .client
        .query_one(
            "SELECT payments, amount::text, mock_payments, mock_amount::text, symbol FROM insforge_integrations.x402_totals",
            &[],
        )
        .unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, String>(1)),
        (0, "0".to_owned())
    );
    assert_eq!(
        (row.get::<_, i64>(2), row.get::<_, String>(3)),
        (1, "10000".to_owned())
    );
    assert_eq!(row.get::<_, String>(4), "USDG");
}
