//! The arguments of registrations that decide on a token's audience and authorized party.

use insforge_integrations_tests::node::{now, sign};
use insforge_integrations_tests::provider_tokens::{a_token_of, providers};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

fn register(client: &mut Client, call: &str) {
    let statement = format!("SELECT insforge_integrations.{call}");
    client
        .batch_execute(&statement)
        .unwrap_or_else(|error| panic!("{call}: {error:?}"));
}

/// The reason code, or `valid`.
fn verdict(client: &mut Client, provider: &str, token: &Value) -> String {
    let row = client
        .query_one(
            "SELECT coalesce(split_part(reason, ':', 1), 'valid') FROM insforge_integrations.inspect_provider_jwt($1, $2)",
            &[&token.as_str(), &provider],
        )
        .unwrap();
    row.get(0)
}

fn set_keys(client: &mut Client, provider: &str, jwks: &str) {
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks($1, $2::text::jsonb)",
            &[&provider, &jwks],
        )
        .unwrap();
}

#[test]
fn a_token_for_one_of_several_audiences_is_accepted() {
    let (_database, mut client) = database();
    let auth0 = &providers()["auth0"];
    let arguments = &auth0["registration"]["arguments"];
    let (domain, audience) = (
        arguments["domain"].as_str().unwrap(),
        arguments["audience"].as_str().unwrap(),
    );
    let token = &a_token_of("auth0")["token"];
    for (call, expected) in [
        (format!("register_auth0('{domain}', '{audience}')"), "valid"),
        (
            format!(
                "register_auth0('{domain}', 'https://other.example', audiences => '{{{audience}}}')"
            ),
            "valid",
        ),
        (
            format!(
                "register_auth0('{domain}', audiences => '{{https://other.example,{audience}}}')"
            ),
            "valid",
        ),
        (
            format!("register_auth0('{domain}', audiences => '{{https://other.example}}')"),
            "wrong_audience",
        ),
    ] {
        register(&mut client, &call);
        set_keys(&mut client, "auth0", &auth0["jwks"].to_string());
        assert_eq!(verdict(&mut client, "auth0", token), expected, "{call}");
    }
}

#[test]
fn a_party_may_be_missing_but_not_another_if_the_rule_says_so() {
    let (_database, mut client) = database();
    for (name, without, another) in [
        ("clerk", "no authorized party", "another authorized party"),
        ("kinde", "no client", "another client"),
    ] {
        let provider = &providers()[name];
        let arguments = &provider["registration"]["arguments"];
        let place = arguments["frontend_api"]
            .as_str()
            .or(arguments["domain"].as_str())
            .unwrap();
        let party = arguments["authorized_parties"][0].as_str().unwrap();
        let token = |wanted: &str| {
            let cases = provider["tokens"].as_array().unwrap();
            cases.iter().find(|case| case["case"] == wanted).unwrap()["token"].clone()
        };
        for (rule, expected) in [("required", "missing_claim"), ("if_present", "valid")] {
            register(
                &mut client,
                &format!(
                    "register_{name}('{place}', authorized_parties => '{{{party}}}', authorized_party_rule => '{rule}')"
                ),
            );
            set_keys(&mut client, name, &provider["jwks"].to_string());
            assert_eq!(
                verdict(&mut client, name, &token(without)),
                expected,
                "{name}"
            );
            assert_eq!(
                verdict(&mut client, name, &token(another)),
                "wrong_authorized_party",
                "{name}"
            );
            assert_eq!(
                verdict(&mut client, name, &a_token_of(name)["token"]),
                "valid",
                "{name}"
            );
        }
    }
}

#[test]
fn the_rule_for_parties_holds_for_any_issuer() {
    let (_database, mut client) = database();
    let claims = |party: Value| {
        let mut claims =
            json!({"iss": "https://i.example", "aud": "api", "sub": "alice", "exp": now() + 600});
        if party != "missing" {
            claims["azp"] = party;
        }
        json!({"alg": "ES256", "kid": "k", "claims": claims})
    };
    let parties = [
        json!("web"),
        json!("missing"),
        Value::Null,
        json!("other"),
        json!(""),
        json!(["web"]),
    ];
    let signed = sign(&parties.iter().cloned().map(claims).collect()).unwrap();
    for (rule, expected) in [
        (
            "required",
            [
                "valid",
                "missing_claim",
                "missing_claim",
                "wrong_authorized_party",
                "wrong_authorized_party",
                "wrong_authorized_party",
            ],
        ),
        (
            "if_present",
            [
                "valid",
                "valid",
                "valid",
                "wrong_authorized_party",
                "wrong_authorized_party",
                "wrong_authorized_party",
            ],
        ),
    ] {
        register(&mut client, &format!(
            "register_auth_provider('p', '{{https://i.example}}', 'https://i.example/jwks', '{{api}}', '{{web}}', '{{ES256}}',
               subject_prefix => 'p:', authorized_party_rule => '{rule}')"
        ));
        set_keys(&mut client, "p", &signed.jwks);
        for ((token, party), expected) in signed.tokens.iter().zip(&parties).zip(expected) {
            assert_eq!(
                verdict(&mut client, "p", &json!(token)),
                expected,
                "{rule}: {party}"
            );
        }
    }
}
