//! The networks and assets of x402: built-in ones, and those that an operator adds.

mod sdks;

use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::Value;

/// Circle's own USDC on X Layer, which is not built in. Its separator under "USD Coin" and "2" by
/// ethers.
const NATIVE: &str = "0xb6ceceab302e2e4948951ee7843fc24e92933061";
const NATIVE_SEPARATOR: &str = "0x3a24e8fd7fa4f83434fb2376284ea7ec53281203a78a6b525e8bb88a0df41538";

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

/// SQLSTATE, DETAIL and HINT of a refusal.
#[track_caller]
fn refused(client: &mut Client, call: &str) -> (SqlState, String, String) {
    let error = client
        .query(&format!("SELECT insforge_integrations.{call}"), &[])
        .expect_err(call);
    let error = error.as_db_error().unwrap();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (
        error.code().clone(),
        text(error.detail()),
        text(error.hint()),
    )
}

fn asset(symbol: &str, name: &str, version: &str, separator: &str) -> String {
    format!(
        "register_x402_asset('xlayer', '{NATIVE}', '{symbol}', '{name}', '{version}', 6, {separator})"
    )
}

#[test]
fn every_built_in_domain_hashes_to_the_separator_that_is_on_chain() {
    let (_database, mut client) = database();
    let row = client
        .query_one(
            "SELECT jsonb_agg(jsonb_build_object('name', name, 'version', version, 'chainId', substring(network FROM 8)::int,
                      'verifyingContract', address) ORDER BY network, address)::text,
                    jsonb_agg(domain_separator ORDER BY network, address)::text,
                    bool_and(is_verified AND is_builtin
                      AND network IN (SELECT network FROM insforge_integrations.x402_networks)), count(*)
             FROM insforge_integrations.x402_assets WHERE name IS NOT NULL",
            &[],
        )
        .unwrap();
    let hashed = node::run("domain_separators.mjs", &[row.get(0)]).unwrap();
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(parse(&hashed), parse(row.get(1)));
    assert!(row.get::<_, bool>(2) && row.get::<_, i64>(3) >= 18);
    // As InsForge's guide read it on chain.
    let usdg: String = client
        .query_one(
            "SELECT domain_separator FROM insforge_integrations.x402_assets WHERE symbol = 'USDG'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(
        usdg,
        "0x415f0706e345fcaf25d5be24c4fd7830d0054fc5742c51a0db9319c759bd3743"
    );
}

#[test]
fn a_domain_that_does_not_hash_to_the_separator_is_refused_with_the_one_that_does() {
    let (_database, mut client) = database();
    let pinned = format!("'{NATIVE_SEPARATOR}'");
    let (code, detail, hint) = refused(&mut client, &asset("USDC", "USDC", "1", &pinned));
    assert_eq!(code, SqlState::INVALID_PARAMETER_VALUE);
    assert!(
        detail.contains("name \"USDC\" and version \"1\" does not hash"),
        "{detail}"
    );
    assert!(
        hint.contains("Name \"USD Coin\" and version \"2\" hash to it."),
        "{hint}"
    );
    let nothing = format!("'0x{}'", "11".repeat(32));
    let (_, _, hint) = refused(&mut client, &asset("USDC", "USD Coin", "2", &nothing));
    assert!(hint.contains("No common name and version"), "{hint}");
    let count: i64 = client
        .query_one(
            "SELECT count(*) FROM insforge_integrations.x402_assets WHERE address = $1",
            &[&NATIVE],
        )
        .unwrap()
        .get(0);
    assert_eq!(count, 0);
}

#[test]
fn what_is_no_asset_is_refused() {
    let (_database, mut client) = database();
    for (call, place) in [
        (asset("", "USD Coin", "2", "NULL"), "symbol:"),
        (
            asset("USDG", "USD Coin", "2", "NULL"),
            "symbol: Another asset",
        ),
        (
            asset("USDC", "USD Coin", "2", "'0x12'"),
            "domain_separator:",
        ),
        (
            asset("USDC", "USD Coin", "2", "NULL").replace("'2'", "NULL"),
            "name and version:",
        ),
        (
            asset("USDC", "USD Coin", "2", "NULL").replace(" 6,", " 78,"),
            "decimals:",
        ),
        (
            asset("USDC", "USD Coin", "2", "NULL").replace("'xlayer'", "'solana'"),
            "network:",
        ),
        (
            asset("USDC", "USD Coin", "2", "NULL").replace("'xlayer'", "NULL"),
            "network:",
        ),
        (
            asset("USDC", "USD Coin", "2", "NULL").replace(&format!("'{NATIVE}'"), "NULL"),
            "address:",
        ),
    ] {
        let (code, detail, hint) = refused(&mut client, &call);
        assert_eq!(code, SqlState::INVALID_PARAMETER_VALUE, "{call}");
        assert!(
            detail.starts_with(place) && !hint.is_empty(),
            "{call}: {detail}"
        );
    }
    let (code, ..) = refused(
        &mut client,
        &asset("USDC", "x", "2", "NULL").replace(NATIVE, "0x12"),
    );
    assert_eq!(code, SqlState::INVALID_TEXT_REPRESENTATION);
}

#[test]
fn what_is_no_network_is_refused() {
    let (_database, mut client) = database();
    for (arguments, place) in [
        ("'solana:x', 'solana'", "network:"),
        ("NULL, 'x'", "network:"),
        ("'eip155:0', 'x'", "network:"),
        ("'eip155:999', 'Hyper EVM'", "name:"),
        (
            "'eip155:999', 'hyperevm', 'http://explorer.example/{hash}'",
            "explorer_url:",
        ),
        (
            "'eip155:999', 'hyperevm', 'https://explorer.example/'",
            "explorer_url:",
        ),
        ("'eip155:999', 'hyperevm', NULL, 'Hyper'", "v1_network:"),
        (
            "'eip155:999', 'base'",
            "eip155:8453 already has one of these names",
        ),
        (
            "'eip155:999', 'hyperevm', NULL, 'base-sepolia'",
            "eip155:84532 already has one of these names",
        ),
    ] {
        let (code, detail, hint) =
            refused(&mut client, &format!("register_x402_network({arguments})"));
        assert_eq!(code, SqlState::INVALID_PARAMETER_VALUE, "{arguments}");
        assert!(
            detail.starts_with(place) && !hint.is_empty(),
            "{arguments}: {detail}"
        );
    }
}

/// After a registration in one session, another session accepts the token from its next call on,
/// until it is removed.
#[test]
fn what_an_operator_registers_holds_in_every_session_at_once() {
    let (database, mut operator) = database();
    let mut seller = database.connect_as("anon").unwrap();
    let statement = format!(
        "SELECT insforge_integrations.x402_payment_requirements('{NATIVE}', '1', version => 2, network => 'eip155:999', asset => 'USDX') ->> 'asset'"
    );
    assert!(seller.query_one(&statement, &[]).is_err());
    operator
        .batch_execute(
            "SELECT insforge_integrations.register_x402_network('eip155:999', 'hyperevm');
             SELECT insforge_integrations.register_x402_asset('hyperevm', '0xb88339CB7199b77E23DB6E890353E22632Ba630f', 'USDX', 'USDX', '1')",
        )
        .unwrap();
    let address: String = seller.query_one(&statement, &[]).unwrap().get(0);
    assert_eq!(address, "0xb88339cb7199b77e23db6e890353e22632ba630f");
    let row = operator
        .query_one("SELECT is_verified, is_builtin FROM insforge_integrations.x402_assets WHERE symbol = 'USDX'", &[])
        .unwrap();
    assert_eq!(
        (row.get::<_, bool>(0), row.get::<_, bool>(1)),
        (false, false)
    );
    operator
        .batch_execute("DELETE FROM insforge_integrations.x402_asset_entries WHERE NOT is_builtin")
        .unwrap();
    assert!(seller.query_one(&statement, &[]).is_err());
}

/// Superusers can write the table by hand. A row that does not hash to its separator is not
/// verified.
#[test]
fn a_row_spoiled_by_hand_is_not_verified_and_not_payable() {
    let (_database, mut client) = database();
    let pinned = format!("'{NATIVE_SEPARATOR}'");
    let register = asset("USDC", "USD Coin", "2", &pinned);
    client
        .batch_execute(&format!("SELECT insforge_integrations.{register}"))
        .unwrap();
    let is_verified = |client: &mut Client| -> bool {
        client
            .query_one(
                "SELECT is_verified FROM insforge_integrations.x402_assets WHERE address = $1",
                &[&NATIVE],
            )
            .unwrap()
            .get(0)
    };
    let pay = "x402_payment_requirements('0x209693bc6afc0c5328ba36faf03c514ef312287c', '1', 'x', asset => 'USDC')";
    assert!(is_verified(&mut client));
    client
        .query(&format!("SELECT insforge_integrations.{pay}"), &[])
        .unwrap();
    client
        .execute(
            "UPDATE insforge_integrations.x402_asset_entries SET name = 'USDC' WHERE address = $1",
            &[&NATIVE],
        )
        .unwrap();
    assert!(!is_verified(&mut client));
    assert_eq!(
        refused(&mut client, pay).0,
        SqlState::INVALID_PARAMETER_VALUE
    );
}

#[test]
fn an_operators_row_stands_before_the_built_in_one() {
    let (_database, mut client) = database();
    let explorer = |client: &mut Client| -> String {
        client
            .query_one(
                "SELECT explorer_url FROM insforge_integrations.x402_networks WHERE name = 'base'",
                &[],
            )
            .unwrap()
            .get(0)
    };
    assert_eq!(explorer(&mut client), "https://basescan.org/tx/{hash}");
    for url in ["https://one.example/{hash}", "https://two.example/{hash}"] {
        client
            .execute("SELECT insforge_integrations.register_x402_network('eip155:8453', 'base', $1, 'base')", &[&url])
            .unwrap();
        assert_eq!(explorer(&mut client), url);
    }
}

/// Built-in rows come with CREATE EXTENSION; the way back is in `life_cycle.rs`.
#[test]
fn a_dump_has_the_operators_rows_alone() {
    let (database, mut client) = database();
    client
        .batch_execute(&format!(
            "SELECT insforge_integrations.register_x402_network('eip155:8453', 'base', 'https://own.example/{{hash}}', 'base');
             SELECT insforge_integrations.{}",
            asset("USDC", "USD Coin", "2", &format!("'{NATIVE_SEPARATOR}'"))
        ))
        .unwrap();
    let dump = shared_cluster()
        .client_command("pg_dump")
        .arg(database.name())
        .output()
        .unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("https://own.example/") && dump.contains(NATIVE));
    assert!(!dump.contains("optimistic.etherscan.io") && !dump.contains("Global Dollar"));
}

#[test]
fn only_superusers_register() {
    let (database, _client) = database();
    for role in ["anon", "authenticated", "project_admin"] {
        let mut client = database.connect_as(role).unwrap();
        for call in [
            "register_x402_network('eip155:999', 'x')".to_owned(),
            asset("USDC", "USD Coin", "2", "NULL"),
        ] {
            assert_eq!(
                refused(&mut client, &call).0,
                SqlState::INSUFFICIENT_PRIVILEGE,
                "{role}"
            );
        }
        let error = client
            .batch_execute("UPDATE insforge_integrations.x402_assets SET symbol = 'x'")
            .expect_err(role);
        assert!(error.as_db_error().is_some());
        client
            .query("TABLE insforge_integrations.x402_assets", &[])
            .unwrap();
    }
}

/// Bridged USDC on Polygon: its domain has a salt in the place of the chain's id. The separator is
/// as on chain, and as ethers hashes the domain.
#[test]
fn a_domain_with_a_salt_is_registered_and_paid_under() {
    let (_database, mut client) = database();
    let address = "0x2791bca1f2de4661ed88a30c99a7a9449aa84174";
    let salt = format!("0x{:064x}", 137);
    let domain = serde_json::json!({"name": "USD Coin (PoS)", "version": "1", "verifyingContract": address, "salt": salt});
    let mut with_chain = domain.clone();
    with_chain["chainId"] = 137.into();
    let separators: Value = serde_json::from_str(
        &node::run(
            "domain_separators.mjs",
            &[&serde_json::json!([domain, with_chain]).to_string()],
        )
        .unwrap(),
    )
    .unwrap();
    assert_eq!(
        separators[0],
        "0x294369e003769a2d4d625e8a9ebebffa09ff70dd7c708497d8b56d2c2d199a19"
    );
    let register = |salt: &str, separator: &str| {
        format!(
            "register_x402_asset('polygon', '{address}', 'USDC.e', 'USD Coin (PoS)', '1', 6, {separator}, {salt})"
        )
    };
    let salt_of = |salt: &str| format!("'{salt}'");
    for (salt, separator, place) in [
        (
            salt_of(&salt),
            "NULL".to_owned(),
            "domain_separator: It is missing.",
        ),
        (
            salt_of("0x89"),
            salt_of(separators[0].as_str().unwrap()),
            "salt: It must be 0x",
        ),
        (
            "NULL".to_owned(),
            salt_of(separators[0].as_str().unwrap()),
            "name and version:",
        ),
        (
            salt_of(&format!("0x{:064x}", 138)),
            salt_of(separators[0].as_str().unwrap()),
            "name and version:",
        ),
    ] {
        let (code, detail, _) = refused(&mut client, &register(&salt, &separator));
        assert_eq!(code, SqlState::INVALID_PARAMETER_VALUE);
        assert!(detail.starts_with(place), "{detail}");
    }
    // The separator tells whether the domain has the chain's id beside the salt.
    for separator in [&separators[1], &separators[0]] {
        let statement = register(&salt_of(&salt), &salt_of(separator.as_str().unwrap()));
        client
            .query(&format!("SELECT insforge_integrations.{statement}"), &[])
            .unwrap();
        let row = client
            .query_one(
                "SELECT is_verified, domain_separator, salt FROM insforge_integrations.x402_assets WHERE symbol = 'USDC.e' AND network = 'eip155:137'",
                &[],
            )
            .unwrap();
        assert!(row.get::<_, bool>(0));
        assert_eq!(Some(row.get::<_, &str>(1)), separator.as_str());
        assert_eq!(row.get::<_, &str>(2), salt);
    }
    let requirements: Value = client
        .query_one(
            "SELECT insforge_integrations.x402_payment_requirements('0x209693Bc6afc0C5328bA36FaF03C514EF312287C', '10000',
               asset => 'USDC.e', network => 'polygon', version => 2)",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(
        requirements["extra"],
        serde_json::json!({"name": "USD Coin (PoS)", "version": "1", "salt": salt})
    );
    // viem's signature under that domain is valid. Its signature under the same domain without the
    // salt is not.
    for (domain, expected) in [
        (&domain, None),
        (
            &serde_json::json!({"name": "USD Coin (PoS)", "version": "1", "chainId": 137, "verifyingContract": address}),
            Some("invalid_exact_evm_payload_signature"),
        ),
    ] {
        let mut buyer = node::Process::start("salted_buyer.mjs", &[]).unwrap();
        let paid = buyer
            .ask(&serde_json::json!({"domain": domain, "accepted": requirements}))
            .unwrap();
        let row = client
            .query_one(
                "SELECT invalid_reason, payer FROM insforge_integrations.verify_x402_payment($1, $2)",
                &[&paid["payment"].to_string(), &requirements],
            )
            .unwrap();
        assert_eq!(row.get::<_, Option<&str>>(0), expected);
    }
}
