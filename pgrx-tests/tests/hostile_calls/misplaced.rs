//! If a credential is given in place of a name, the error does not repeat it.

use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::error::SqlState;
use postgres::types::Type;

/// A token of a provider's form, a session's token, a secret, the beginning of a payment, a key.
const CREDENTIALS: [&str; 5] = [
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6d",
    "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    r#"{"x402Version":1,"payload":{"signature":"0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c"}}"#,
    "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
];
const REGISTER: &str = "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', 'https://i.example/jwks', '{api}', subject_prefix => 'p:'";

#[test]
fn a_credential_in_the_place_of_a_name_does_not_stand_in_the_error() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let token = CREDENTIALS[0];
    let hidden = "(not shown: it is no name)";
    for (statement, detail) in [
        (format!("SELECT insforge_integrations.verify_provider_jwt('{token}', $1)"), format!("There is no provider {hidden}.")),
        (format!("SELECT insforge_integrations.inspect_provider_jwt('{token}', $1)"), format!("There is no provider {hidden}.")),
        (format!("SELECT insforge_integrations.authenticate('{token}', $1)"), format!("There is no provider {hidden}.")),
        (format!("SELECT exchange_provider_token('{token}', $1)"), format!("There is no provider {hidden}.")),
        ("SELECT insforge_integrations.set_provider_jwks($1, '{}')".to_owned(), format!("There is no provider {hidden}.")),
        ("SELECT insforge_integrations.refresh_provider_jwks($1)".to_owned(), format!("There is no provider {hidden}.")),
        ("SELECT insforge_integrations.configure($1, 'on')".to_owned(), format!("There is no setting {hidden}.")),
        ("SELECT insforge_integrations.configure('identity_source', $1)".to_owned(), "The setting \"identity_source\" does not accept this value. Nothing was changed.".to_owned()),
        ("SELECT insforge_integrations_internal.provider_registration($1, '{}')".to_owned(), format!("There is no preset {hidden}.")),
        (format!("{REGISTER}, algorithms => ARRAY[$1])"), format!("{hidden} is not a known algorithm.")),
        (format!("{REGISTER}, audience_rule => $1)"), "An argument is missing or of the wrong type: expected one of `required`, `if_present`, `ignored`.".to_owned()),
        (
            "SELECT insforge_integrations_internal.provider_registration('clerk', pg_catalog.jsonb_build_object('frontend_api', 'a.example', 'audiences', $1))".to_owned(),
            "An argument is missing or of the wrong type: expected a sequence.".to_owned(),
        ),
        (
            "SELECT insforge_integrations.register_auth_provider('p', ARRAY['http://' || $1], 'https://i.example/jwks', '{api}', subject_prefix => 'p:')".to_owned(),
            "An issuer is not https: anybody on the way could change what it says.".to_owned(),
        ),
        (
            "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', $1, '{api}', subject_prefix => 'p:')".to_owned(),
            "jwks_url is not the address of a JWK set: that begins with https://.".to_owned(),
        ),
        (
            "SELECT insforge_integrations.x402_facilitator_request(NULL, '{}', $1)".to_owned(),
            format!("No facilitator is called {hidden}."),
        ),
    ] {
        for credential in CREDENTIALS {
            let error = client.query_typed(&statement, &[(&credential, Type::TEXT)]).unwrap_err();
            let raised = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error}"));
            assert_eq!(raised.code(), &SqlState::INVALID_PARAMETER_VALUE, "{statement}: {raised:?}");
            assert_eq!(raised.detail(), Some(detail.as_str()), "{statement}");
            assert!(raised.hint().is_some(), "{statement}");
            let all = format!("{raised:?}").to_ascii_lowercase();
            assert!(!all.contains(&credential.to_ascii_lowercase()), "{statement}: {raised:?}");
        }
    }
}

#[test]
fn a_plain_name_stands_in_the_error() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let error = client
        .query(
            "SELECT insforge_integrations.set_provider_jwks('stytsch', '{}')",
            &[],
        )
        .unwrap_err();
    let raised = error.as_db_error().unwrap();
    assert_eq!(raised.message(), "unknown identity provider \"stytsch\"");
    assert_eq!(raised.detail(), Some("There is no provider \"stytsch\"."));
}
