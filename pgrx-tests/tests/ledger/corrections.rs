//! Corrections of settlements, each entered once.

use super::*;

fn correct(
    client: &mut Client,
    of: &str,
    kind: &str,
    amount: Option<&str>,
    by: Option<&str>,
) -> Result<(String, String), postgres::Error> {
    let row = client.query_one(
        "SELECT id::text, change::text
         FROM correct_x402_settlement($1, $2, 'a note', $3, $4)",
        &[&of, &kind, &amount, &by],
    )?;
    Ok((row.get(0), row.get(1)))
}

fn net(client: &mut Client) -> String {
    let net = "SELECT sum(amount + corrections)::text FROM insforge_integrations.x402_totals";
    client.query_one(net, &[]).unwrap().get(0)
}

#[test]
fn a_correction_by_a_transaction_is_entered_once() {
    let (_database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    let first = correct(
        &mut client,
        &hash(1),
        "refund",
        Some("4000"),
        Some(&hash(2)),
    )
    .unwrap();
    assert_eq!(first.1, "-4000");
    // The same transaction in another spelling.
    for by in [hash(2), hash(2)[2..].to_owned()] {
        let again = correct(
            &mut client,
            &hash(1)[2..],
            "refund",
            Some("04000"),
            Some(&by),
        );
        assert_eq!(again.unwrap(), first);
    }
    let error = correct(
        &mut client,
        &hash(1),
        "refund",
        Some("4001"),
        Some(&hash(2)),
    )
    .unwrap_err();
    let error = refused(&error);
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert!(error.detail().unwrap().ends_with("with amount 4000."));
    // One transaction pays back two payments, and another one pays the rest.
    record(&mut client, &hash(3)).unwrap();
    correct(&mut client, &hash(3), "refund", Some("1"), Some(&hash(2))).unwrap();
    correct(
        &mut client,
        &hash(1),
        "refund",
        Some("6000"),
        Some(&hash(4)),
    )
    .unwrap();
    assert_eq!(net(&mut client), "9999");
}

#[test]
fn a_reorganisation_is_entered_once() {
    let (_database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    let first = correct(&mut client, &hash(1), "reorg", None, None).unwrap();
    assert_eq!(first.1, "-10000");
    assert_eq!(
        correct(&mut client, &hash(1), "reorg", None, None).unwrap(),
        first
    );
    assert_eq!(
        correct(&mut client, &hash(1), "reorg", None, Some(&hash(2))).unwrap(),
        first
    );
    assert_eq!(net(&mut client), "0");
}

#[test]
fn no_more_is_paid_back_than_the_transaction_brought() {
    let (_database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    let mut beyond = |amount: &str, by: Option<&str>, left: &str| {
        let error = correct(&mut client, &hash(1), "refund", Some(amount), by).unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE, "{amount}");
        let expected =
            format!("amount: Only {left} of the transaction's amount is left to pay back.");
        assert_eq!(error.detail(), Some(expected.as_str()));
    };
    beyond("10001", Some(&hash(2)), "10000");
    correct(
        &mut client,
        &hash(1),
        "refund",
        Some("9000"),
        Some(&hash(2)),
    )
    .unwrap();
    let mut beyond = |amount: &str, left: &str| {
        let error = correct(
            &mut client,
            &hash(1),
            "refund",
            Some(amount),
            Some(&hash(3)),
        )
        .unwrap_err();
        assert!(
            refused(&error)
                .detail()
                .unwrap()
                .contains(&format!("Only {left} of"))
        );
    };
    beyond("1001", "1000");
    // A batched payment can be paid back, too.
    correct(
        &mut client,
        &hash(1),
        "batched",
        Some("500"),
        Some(&hash(5)),
    )
    .unwrap();
    correct(
        &mut client,
        &hash(1),
        "refund",
        Some("1500"),
        Some(&hash(3)),
    )
    .unwrap();
    assert_eq!(net(&mut client), "0");
}

#[test]
fn what_is_no_correction_is_refused_with_its_place() {
    let (_database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    let two_to_256 =
        "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for (of, kind, amount, by, place) in [
        (hash(2), "note", None, None, "tx_hash:"),
        (hash(1), "gift", None, None, "kind:"),
        (hash(1), "refund", None, None, "amount:"),
        (hash(1), "refund", Some("0"), None, "amount:"),
        (hash(1), "refund", Some("-1"), None, "amount:"),
        (hash(1), "batched", Some(two_to_256), None, "amount:"),
        (hash(1), "reorg", Some("1"), None, "amount:"),
        (hash(1), "refund", Some("1"), Some(hash(0)), "other_hash:"),
        (
            hash(1),
            "refund",
            Some("1"),
            Some("0x12".to_owned()),
            "other_hash:",
        ),
        (hash(1), "refund", Some("1"), Some(hash(1)), "other_hash:"),
        (hash(1), "refund", Some("1"), None, "reference:"),
        (hash(1), "batched", Some("1"), None, "reference:"),
    ] {
        let error = correct(&mut client, &of, kind, amount, by.as_deref()).unwrap_err();
        let error = refused(&error);
        assert_eq!(
            error.code(),
            &SqlState::INVALID_PARAMETER_VALUE,
            "{kind} {amount:?}"
        );
        assert!(error.detail().unwrap().starts_with(place), "{error:?}");
    }
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    correct(
        &mut client,
        &hash(1),
        "batched",
        Some(largest),
        Some(&hash(2)),
    )
    .unwrap();
}

/// Two operators at the same time. Neither sees the other's correction yet.
#[test]
fn corrections_that_cross_are_entered_once_at_every_isolation_level() {
    let (database, mut client) = database();
    for (number, isolation) in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
        .iter()
        .enumerate()
    {
        let of = hash(10 + number as u64);
        record(&mut client, &of).unwrap();
        for by in [[hash(100), hash(100)], [hash(101), hash(102)]] {
            let mut first = database.connect_as("project_admin").unwrap();
            let mut second = database.connect_as("project_admin").unwrap();
            for client in [&mut first, &mut second] {
                client
                    .batch_execute(&format!(
                        "BEGIN ISOLATION LEVEL {isolation}; SELECT FROM x402_payments"
                    ))
                    .unwrap();
            }
            correct(&mut first, &of, "refund", Some("3000"), Some(&by[0])).unwrap();
            let (of, other) = (of.clone(), by[1].clone());
            let crossing = std::thread::spawn(move || {
                let crossed = correct(&mut second, &of, "refund", Some("3000"), Some(&other));
                second.batch_execute("COMMIT").map(|()| crossed)
            });
            std::thread::sleep(std::time::Duration::from_millis(100));
            first.batch_execute("COMMIT").unwrap();
            let crossed = crossing.join().unwrap().unwrap();
            match *isolation {
                "READ COMMITTED" => assert!(crossed.is_ok(), "{crossed:?}"),
                _ => {
                    let error = crossed.unwrap_err();
                    assert_eq!(
                        error.code(),
                        Some(&SqlState::T_R_SERIALIZATION_FAILURE),
                        "{isolation}"
                    );
                    assert!(refused(&error).message() != "");
                }
            }
        }
        let entered: i64 = client
            .query_one(
                "SELECT count(*) FROM insforge_integrations.x402_corrections WHERE tx_hash = $1",
                &[&of],
            )
            .unwrap()
            .get(0);
        let expected = if *isolation == "READ COMMITTED" { 3 } else { 2 };
        assert_eq!(entered, expected, "{isolation}");
    }
}

/// A call with arguments in SQL.
fn refund(client: &mut Client, arguments: &str) -> Result<String, postgres::Error> {
    let call = format!(
        "SELECT id::text FROM correct_x402_settlement('{}', kind => 'refund', note => 'a note', {arguments})",
        hash(1)
    );
    Ok(client.query_one(&call, &[])?.get(0))
}

/// A refund off the chain has no transaction, so the seller names it.
#[test]
fn a_refund_is_entered_once_by_its_own_name() {
    let (_database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    let first = refund(&mut client, "amount => '4000', reference => 'R-1'").unwrap();
    for arguments in [
        "amount => '4000', reference => 'R-1'".to_owned(),
        // The transaction came later.
        format!(
            "amount => '4000', reference => 'R-1', other_hash => '{}'",
            hash(2)
        ),
    ] {
        assert_eq!(refund(&mut client, &arguments).unwrap(), first);
    }
    let error = refund(&mut client, "amount => '3999', reference => 'R-1'").unwrap_err();
    let error = refused(&error);
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert!(
        error.message().ends_with(" by R-1 is recorded already"),
        "{error:?}"
    );
    assert!(error.detail().unwrap().ends_with("with amount 4000."));
    // With both names, either tells that it is the same one.
    let both = format!(
        "amount => '1000', reference => 'R-2', other_hash => '{}'",
        hash(3)
    );
    let second = refund(&mut client, &both).unwrap();
    for one in [
        "reference => 'R-2'".to_owned(),
        format!("other_hash => '{}'", hash(3)),
    ] {
        let again = refund(&mut client, &format!("amount => '1000', {one}")).unwrap();
        assert_eq!(again, second);
    }
    for reference in ["''".to_owned(), "repeat('x', 256)".to_owned()] {
        let error = refund(
            &mut client,
            &format!("amount => '1', reference => {reference}"),
        )
        .unwrap_err();
        assert_eq!(
            refused(&error).detail(),
            Some("reference: It must have 1 to 255 bytes.")
        );
    }
    assert_eq!(net(&mut client), "5000");
}

/// Each payment of a transaction has its own refunds.
#[test]
fn a_refund_is_about_one_payment_of_a_transaction() {
    let mut shop = super::shop::Shop::new();
    let hash = shop.new_hash();
    let answer = json!({"success": true, "transaction": hash});
    let ids = [(); 3].map(|()| shop.reserved().0);
    for id in &ids[..2] {
        shop.settle(id, &answer);
    }
    shop.resolve(&ids[1], "conflict", Some(&hash)).unwrap();
    let of = |id: &str| format!("reservation_id => '{id}'");
    let refund = |shop: &mut super::shop::Shop, amount: &str, of: &str| {
        refund(
            &mut shop.client,
            &format!("amount => '{amount}', reference => 'R-1', {of}"),
        )
    };
    let first = refund(&mut shop, "6000", &of(&ids[0])).unwrap();
    // The payment that has the row in the ledger needs no id.
    assert_eq!(
        refund(&mut shop, "6000", "reservation_id => NULL").unwrap(),
        first
    );
    let second = refund(&mut shop, "10000", &of(&ids[1])).unwrap();
    assert_ne!(second, first);
    assert_eq!(refund(&mut shop, "10000", &of(&ids[1])).unwrap(), second);
    assert_eq!(net(&mut shop.client), "4000");
    for (arguments, detail) in [
        (
            format!("amount => '4001', reference => 'R-2', {}", of(&ids[0])),
            "amount: Only 4000 of the transaction's amount is left to pay back.",
        ),
        (
            format!("amount => '1', reference => 'R-2', {}", of(&ids[1])),
            "amount: Only 0 of the payment's amount is left to pay back.",
        ),
        (
            format!("amount => '1', reference => 'R-2', {}", of(&ids[2])),
            "reservation_id: The transaction has no such payment.",
        ),
    ] {
        let error = super::corrections::refund(&mut shop.client, &arguments).unwrap_err();
        let error = refused(&error);
        assert_eq!(
            (error.code(), error.detail()),
            (&SqlState::INVALID_PARAMETER_VALUE, Some(detail))
        );
    }
}

/// Many connections at once enter one refund, or more refunds than the payment has money for.
#[test]
fn one_refund_of_many_connections_counts_once() {
    use super::races::{CONNECTIONS, at_once};
    let (database, mut client) = database();
    let call = "SELECT id::text FROM correct_x402_settlement($1, 'refund', 'a note', '3000', reference => $2)";
    for (number, isolation) in ISOLATION_LEVELS.iter().enumerate() {
        let [same, different] = [0, 1].map(|kind| hash(10 + 2 * number as u64 + kind));
        for (of, is_same) in [(&same, true), (&different, false)] {
            record(&mut client, of).unwrap();
            let references: Vec<String> = (0..CONNECTIONS)
                .map(|place| format!("R-{}", if is_same { 0 } else { place }))
                .collect();
            let ids = std::sync::Mutex::new(Vec::new());
            let codes = at_once(&database, &references, |client, reference| {
                client.batch_execute(&format!(
                    "BEGIN ISOLATION LEVEL {isolation}; SELECT FROM x402_payments"
                ))?;
                let id: String = client.query_one(call, &[of, reference])?.get(0);
                client.batch_execute("COMMIT")?;
                ids.lock().unwrap().push(id);
                Ok(())
            });
            let serial = *isolation == "READ COMMITTED";
            for code in &codes {
                let refused = if is_same { "" } else { "22023" };
                let allowed = code.is_empty() || code == refused || (!serial && code == "40001");
                assert!(allowed, "{isolation} {codes:?}");
            }
            let entered = "SELECT count(*), sum(-change)::text FROM insforge_integrations.x402_corrections WHERE tx_hash = $1";
            let row = client.query_one(entered, &[of]).unwrap();
            let count: i64 = row.get(0);
            let mut ids = ids.into_inner().unwrap();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len() as i64, count, "{isolation}");
            // Three of 3000 are less than 10000.
            assert!(
                count >= 1 && count <= if is_same { 1 } else { 3 },
                "{isolation} {count}"
            );
            if serial {
                assert_eq!(count, if is_same { 1 } else { 3 });
            }
            // What a conflict refused is entered by trying again.
            for reference in &references {
                let again = client.query_one(call, &[of, reference]);
                assert!(again.is_ok() || !is_same);
            }
            let sum: String = client.query_one(entered, &[of]).unwrap().get(1);
            assert_eq!(sum, if is_same { "3000" } else { "9000" }, "{isolation}");
        }
    }
}
