//! EIP-712 in Postgres compared with viem and ethers: the same digest if both agree, and a refusal
//! if one of them refuses.

mod refusals;

use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::{Value, json};

const SEEDS: [&str; 3] = ["712", "3009", "402"];
const CASES: &str = "1500";

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

#[test]
fn random_typed_data_hashes_and_recovers_as_with_viem_and_ethers() {
    let (_database, mut client) = database();
    client
        .batch_execute("CREATE TABLE cases (number int, typed_data jsonb, expected jsonb)")
        .unwrap();
    for seed in SEEDS {
        println!("seed {seed}, {CASES} cases");
        client.batch_execute("TRUNCATE cases").unwrap();
        let lines = node::run("eip712_cases.mjs", &[seed, CASES]).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        client
            .execute(
                "INSERT INTO cases
                 SELECT number, (line::jsonb ->> 'typedData')::jsonb, line::jsonb - 'typedData'
                 FROM unnest($1::text[]) WITH ORDINALITY AS a (line, number)",
                &[&lines],
            )
            .unwrap();
        let differing = client
            .query(
                "SELECT number, typed_data::text, expected::text, found::text
                 FROM cases, LATERAL (SELECT jsonb_build_object(
                   'encodeType', CASE WHEN jsonb_typeof(expected -> 'encodeType') <> 'null'
                     THEN insforge_integrations.eip712_encode_type(typed_data -> 'types', typed_data ->> 'primaryType') END,
                   'domainSeparator', '0x' || encode(insforge_integrations.eip712_domain_separator(typed_data -> 'domain'), 'hex'),
                   'hashStruct', '0x' || encode(insforge_integrations.eip712_hash_struct(
                     typed_data -> 'types', typed_data ->> 'primaryType', typed_data -> 'message'), 'hex'),
                   'digest', '0x' || encode(insforge_integrations.eip712_digest(typed_data), 'hex'),
                   'signatures', expected -> 'signatures',
                   'signer', (SELECT string_agg(DISTINCT insforge_integrations.eip712_recover(typed_data, signature), ' and ')
                     FROM jsonb_array_elements_text(expected -> 'signatures') signature)) AS found) ours
                 WHERE found <> expected
                 ORDER BY number",
                &[],
            )
            .unwrap();
        if let Some(row) = differing.first() {
            let text = |index| row.get::<_, String>(index);
            panic!(
                "{} of {} cases differ; seed {seed}, case {}:\n{}\nexpected {}\nfound    {}",
                differing.len(),
                lines.len(),
                row.get::<_, i32>(0),
                text(1),
                text(2),
                text(3)
            );
        }
        let verified: i64 = client
            .query_one(
                "SELECT count(*) FROM cases
                 WHERE insforge_integrations.eip712_verify(typed_data, expected #>> '{signatures, 0}', expected ->> 'signer')
                   AND NOT insforge_integrations.eip712_verify(
                     jsonb_set(typed_data, '{domain}', '{\"name\": \"another\"}') #- '{types, EIP712Domain}',
                     expected #>> '{signatures, 0}', expected ->> 'signer')",
                &[],
            )
            .unwrap()
            .get(0);
        assert_eq!(verified, lines.len() as i64);
    }
}

/// A valid document.
fn document() -> Value {
    json!({
        "types": {
            "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
            "Message": [
                {"name": "to", "type": "Person[2]"},
                {"name": "count", "type": "uint8"},
                {"name": "offset", "type": "int8"},
                {"name": "total", "type": "uint256"},
                {"name": "id", "type": "bytes4"},
                {"name": "data", "type": "bytes"},
                {"name": "isUrgent", "type": "bool"}
            ]
        },
        "primaryType": "Message",
        "domain": {"name": "Test", "chainId": 1},
        "message": {
            "to": [
                {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
                {"name": "USD₮0", "wallet": "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}
            ],
            "count": 255,
            "offset": -128,
            "total": "0x10",
            "id": "0x01020304",
            "data": "0x0102",
            "isUrgent": true
        }
    })
}

fn digest(client: &mut Client, typed_data: &Value) -> Result<String, postgres::Error> {
    let row = client.query_one(
        "SELECT '0x' || encode(insforge_integrations.eip712_digest($1::text::jsonb), 'hex')",
        &[&typed_data.to_string()],
    )?;
    Ok(row.get(0))
}

/// Puts a value at a place of the valid document, or removes the value there.
fn changed(place: &str, value: Option<Value>) -> Value {
    let mut typed_data = document();
    match value {
        Some(value) => *typed_data.pointer_mut(place).unwrap() = value,
        None => {
            let (object, name) = place.rsplit_once('/').unwrap();
            let object = typed_data.pointer_mut(object).unwrap();
            object.as_object_mut().unwrap().remove(name).unwrap();
        }
    }
    typed_data
}

/// Checks that viem or ethers refuses the document, or that their digests differ, and that this
/// extension refuses it and names the place.
#[track_caller]
fn refused(typed_data: &Value, place: &str) {
    let (_database, mut client) = database();
    let mut libraries = node::Process::start("eip712_verdicts.mjs", &[]).unwrap();
    let verdicts = libraries.ask(typed_data).unwrap();
    let agree = verdicts["viem"].is_string() && verdicts["viem"] == verdicts["ethers"];
    assert!(!agree, "both take it: {verdicts}");
    let error = digest(&mut client, typed_data).expect_err("a refusal");
    let error = error.as_db_error().unwrap();
    assert_eq!(
        error.code(),
        &SqlState::INVALID_PARAMETER_VALUE,
        "{error:?}"
    );
    let detail = error.detail().unwrap_or_default();
    assert!(detail.starts_with(&format!("{place}: ")), "{detail}");
    assert!(error.hint().is_some());
}

#[track_caller]
fn taken(typed_data: &Value) {
    let (_database, mut client) = database();
    let mut libraries = node::Process::start("eip712_verdicts.mjs", &[]).unwrap();
    let verdicts = libraries.ask(typed_data).unwrap();
    assert_eq!(verdicts["viem"], verdicts["ethers"]);
    assert_eq!(
        Value::from(digest(&mut client, typed_data).unwrap()),
        verdicts["viem"]
    );
}

#[test]
fn takes_what_both_libraries_take() {
    taken(&document());
}

#[test]
fn ignores_members_that_no_type_names_as_both_libraries_do() {
    let mut typed_data = document();
    typed_data["message"]["more"] = json!(1);
    taken(&typed_data);
}

#[test]
fn takes_integers_as_numbers_and_as_strings() {
    for value in [
        json!(7),
        json!("7"),
        json!("0x7"),
        json!("0x07"),
        json!("07"),
    ] {
        taken(&changed("/message/total", Some(value.clone())));
        taken(&changed("/domain/chainId", Some(value)));
    }
    taken(&changed("/message/offset", Some(json!("-1"))));
}

/// To JSON, 5.0 is 5, and `jsonb` keeps it as it is written.
#[test]
fn takes_a_number_with_a_fraction_of_zeros_and_no_string_of_one() {
    taken(&changed("/message/total", Some(json!(5.0))));
    taken(&changed("/message/offset", Some(json!(-5.0))));
    taken(&changed("/domain/chainId", Some(json!(1.0))));
    refused(
        &changed("/message/total", Some(json!(5.5))),
        "message.total",
    );
    refused(
        &changed("/message/total", Some(json!("5.0"))),
        "message.total",
    );
}

/// viem 2.57, ethers 6.17, MetaMask's eth-sig-util 8.2 and eth-account 0.14 hash each of these
/// alike.
#[test]
fn takes_any_name_of_a_member() {
    for name in [
        "a b",
        "é",
        "e\u{301}",
        "₮",
        "😀",
        "1a",
        "-",
        "a,b",
        "a)",
        "\n",
        "\"",
        "__proto__",
        "constructor",
        "",
    ] {
        let mut typed_data = document();
        typed_data["types"]["Message"][3]["name"] = json!(name);
        let members = typed_data["message"].as_object_mut().unwrap();
        let total = members.remove("total").unwrap();
        members.insert(name.to_owned(), total);
        taken(&typed_data);
    }
}

#[test]
fn takes_no_domain_member_at_all() {
    taken(&changed("/domain", Some(json!({}))));
}

/// JSON, and so `jsonb`, has integers that JavaScript rounds; both libraries take them as strings.
#[test]
fn a_number_of_78_digits_hashes_as_its_digits() {
    let (_database, mut client) = database();
    let digits = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let as_string = changed("/message/total", Some(json!(digits)));
    let as_number = as_string
        .to_string()
        .replace(&format!("\"{digits}\""), digits);
    let hashed: String = client
        .query_one(
            "SELECT '0x' || encode(insforge_integrations.eip712_digest($1::text::jsonb), 'hex')",
            &[&as_number],
        )
        .unwrap()
        .get(0);
    assert_eq!(hashed, digest(&mut client, &as_string).unwrap());
    taken(&as_string);
}

#[test]
fn signatures_are_refused_by_name_with_a_hint() {
    let (_database, mut client) = database();
    let mut error = |signature: &str| {
        let digest = vec![1_u8; 32];
        let statement = "SELECT insforge_integrations.recover_signer($1, $2)";
        let error = client
            .query(statement, &[&digest, &signature])
            .expect_err(signature);
        let error = error.as_db_error().unwrap();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        (
            error.code().clone(),
            text(error.detail()),
            text(error.hint()),
        )
    };
    let (r, s) = ("11".repeat(32), "22".repeat(32));
    for (signature, detail, hint) in [
        (format!("0x{r}{s}"), "ERC-2098", "Expand it"),
        (
            format!("0x{r}{}1b", "ee".repeat(32)),
            "upper half",
            "Replace s",
        ),
        (
            format!("0x{r}{s}25"),
            "EIP-155",
            "Replace an odd EIP-155 v by 27",
        ),
        (
            format!("0x{r}{s}02"),
            "0, 1, 27 or 28",
            "130 hexadecimal digits",
        ),
        (format!("0x{}{s}1b", "00".repeat(32)), "above zero", ""),
        (format!("0x{}{s}1b", "ff".repeat(32)), "below the order", ""),
        (format!("0x{r}{s}1b00"), "more than 65 bytes", "facilitator"),
        (
            String::new(),
            "0x and two hexadecimal digits",
            "130 hexadecimal digits",
        ),
    ] {
        let (code, in_detail, in_hint) = error(&signature);
        assert_eq!(code, SqlState::INVALID_TEXT_REPRESENTATION, "{signature}");
        assert!(in_detail.contains(detail), "{signature}: {in_detail}");
        assert!(
            in_hint.contains(hint) && !in_hint.is_empty(),
            "{signature}: {in_hint}"
        );
    }
    // 5 is no x of a point of secp256k1.
    let (code, ..) = error(&format!("0x{:064x}{s}1b", 5));
    assert_eq!(code, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
}
