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
         FROM insforge_integrations.correct_x402_settlement($1, $2, 'a note', $3, $4)",
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
    beyond("10001", None, "10000");
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
    correct(&mut client, &hash(1), "batched", Some("500"), None).unwrap();
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
    correct(&mut client, &hash(1), "batched", Some(largest), None).unwrap();
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
