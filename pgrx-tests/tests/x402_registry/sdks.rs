//! Built-in tokens beside the tables of the SDKs, and tokens without EIP-3009.

use super::*;

/// Tokens of the SDKs without a second source for their domain.
const LEFT_OUT: [&str; 19] = [
    "eip155:14 USDT0",
    "eip155:50 USDC",
    "eip155:51 USDC",
    "eip155:988 USDT0",
    "eip155:1328 USDC",
    "eip155:1328 null",
    "eip155:1514 null",
    "eip155:2201 USDT0",
    "eip155:2741 null",
    "eip155:3338 null",
    "eip155:4689 null",
    "eip155:11124 null",
    "eip155:36900 USDC.e",
    "eip155:41923 null",
    "eip155:42220 USAT",
    "eip155:181228 USDC.e",
    "eip155:190415 USDC.e",
    "eip155:11142220 USDC",
    "eip155:324705682 null",
];

/// A default token of the SDKs is built in as they describe it, or left out on purpose.
#[test]
fn the_sdks_default_assets_are_built_in() {
    let (_database, mut client) = database();
    let assets: Vec<Value> =
        serde_json::from_str(&node::run("default_assets.mjs", &[]).unwrap()).unwrap();
    assert!(assets.len() > 40);
    let mut left_out: Vec<String> = assets
        .into_iter()
        .filter_map(|asset| {
            let rows = client.query(
                "SELECT to_jsonb(a) FROM insforge_integrations.x402_assets a JOIN insforge_integrations.x402_networks n USING (network)
                 WHERE a.network = $1 AND a.address = $2 AND a.is_builtin AND n.explorer_url IS NOT NULL",
                &[&asset["network"].as_str(), &asset["address"].as_str()],
            );
            let Some(own) = rows.unwrap().first().map(|row| row.get::<_, Value>(0)) else {
                return Some(format!("{} {}", asset["network"].as_str().unwrap(), asset["symbol"].as_str().unwrap_or("null")));
            };
            for (name, value) in asset.as_object().unwrap() {
                // Without EIP-3009, a domain that only the SDK vouches for is left out.
                let is_unknown = own["transfer_method"] == "permit2" && own[name].is_null();
                assert!(is_unknown || own[name] == *value, "{name}: {own} {asset}");
            }
            None
        })
        .collect();
    left_out.sort();
    let mut expected: Vec<String> = LEFT_OUT.iter().map(|&one| one.to_owned()).collect();
    expected.sort();
    assert_eq!(left_out, expected);
}

#[test]
fn a_token_without_eip_3009_needs_no_domain() {
    let (_database, mut client) = database();
    let address = "0x00000000000000000000000000000000000000bb";
    for (arguments, place) in [
        ("'DAI'", "name and version:"),
        ("'DAI', transfer_method => 'permit'", "transfer_method:"),
        ("'DAI', transfer_method => NULL", "transfer_method:"),
        (
            "'DAI', name => 'Dai', transfer_method => 'permit2'",
            "name and version:",
        ),
        (
            "'DAI', domain_separator => '0x' || repeat('11', 32), transfer_method => 'permit2'",
            "domain_separator and salt:",
        ),
    ] {
        let call = format!("register_x402_asset('base', '{address}', {arguments})");
        let (code, detail, _) = refused(&mut client, &call);
        assert_eq!(code, SqlState::INVALID_PARAMETER_VALUE);
        assert!(detail.starts_with(place), "{arguments}: {detail}");
    }
    client
        .batch_execute(&format!(
            "SELECT insforge_integrations.register_x402_asset('base', '{address}', 'DAI', decimals => 18, transfer_method => 'permit2')"
        ))
        .unwrap();
    let row = client
        .query_one(
            "SELECT is_verified, transfer_method, insforge_integrations.x402_payment_requirements(
               '0x209693bc6afc0c5328ba36faf03c514ef312287c', '1', asset => 'dai', network => 'base', version => 2) -> 'extra'
             FROM insforge_integrations.x402_assets WHERE symbol = 'DAI'",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, Option<bool>>(0), None);
    assert_eq!(row.get::<_, &str>(1), "permit2");
    assert_eq!(
        row.get::<_, Value>(2),
        serde_json::json!({"assetTransferMethod": "permit2"})
    );
}
