use proptest::prelude::*;

use super::*;

/// For each issuer: its address, and a document shaped as it publishes one.
const ISSUERS: [(&str, &str, &str, &[Algorithm]); 9] = [
    (
        // Keycloak 26 names every algorithm of the realm, symmetric ones too.
        "https://id.example/realms/notes",
        "https://id.example/realms/notes/.well-known/openid-configuration",
        r#"{"issuer": "https://id.example/realms/notes",
            "jwks_uri": "https://id.example/realms/notes/protocol/openid-connect/certs",
            "id_token_signing_alg_values_supported": ["PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512",
              "ES256", "RS256", "HS384", "ES512", "PS256", "PS512", "RS512"]}"#,
        &[
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::ES512,
            Algorithm::EdDSA,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
        ],
    ),
    (
        "https://notes-abc123.zitadel.cloud",
        "https://notes-abc123.zitadel.cloud/.well-known/openid-configuration",
        r#"{"issuer": "https://notes-abc123.zitadel.cloud", "jwks_uri": "https://notes-abc123.zitadel.cloud/oauth/v2/keys",
            "id_token_signing_alg_values_supported": ["EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]}"#,
        &[
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::ES512,
            Algorithm::EdDSA,
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
        ],
    ),
    (
        "https://notes.logto.app/oidc",
        "https://notes.logto.app/oidc/.well-known/openid-configuration",
        r#"{"issuer": "https://notes.logto.app/oidc", "jwks_uri": "https://notes.logto.app/oidc/jwks",
            "id_token_signing_alg_values_supported": ["ES384"]}"#,
        &[Algorithm::ES384],
    ),
    (
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi/.well-known/openid-configuration",
        r#"{"issuer": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi",
            "jwks_uri": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["RS256"]}"#,
        &[Algorithm::RS256],
    ),
    (
        // The keys are on another host.
        "https://securetoken.google.com/notes-1",
        "https://securetoken.google.com/notes-1/.well-known/openid-configuration",
        r#"{"issuer": "https://securetoken.google.com/notes-1",
            "jwks_uri": "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
            "id_token_signing_alg_values_supported": ["RS256"]}"#,
        &[Algorithm::RS256],
    ),
    (
        "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0",
        "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0/.well-known/openid-configuration",
        r#"{"issuer": "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0",
            "jwks_uri": "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/discovery/v2.0/keys",
            "id_token_signing_alg_values_supported": ["RS256"]}"#,
        &[Algorithm::RS256],
    ),
    (
        // Microsoft Entra's first version: the slash belongs to the issuer, and is not doubled.
        "https://sts.windows.net/11111111-2222-4333-8444-555555555555/",
        "https://sts.windows.net/11111111-2222-4333-8444-555555555555/.well-known/openid-configuration",
        r#"{"issuer": "https://sts.windows.net/11111111-2222-4333-8444-555555555555/",
            "jwks_uri": "https://login.microsoftonline.com/common/discovery/keys",
            "id_token_signing_alg_values_supported": ["RS256"]}"#,
        &[Algorithm::RS256],
    ),
    (
        "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
        "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/openid-configuration",
        r#"{"issuer": "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
            "jwks_uri": "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"]}"#,
        &[Algorithm::ES256, Algorithm::RS256],
    ),
    (
        // WorkOS names no algorithms.
        "https://api.workos.com/user_management/client_01EXAMPLE",
        "https://api.workos.com/user_management/client_01EXAMPLE/.well-known/openid-configuration",
        r#"{"issuer": "https://api.workos.com/user_management/client_01EXAMPLE",
            "jwks_uri": "https://api.workos.com/sso/jwks/client_01EXAMPLE"}"#,
        &[Algorithm::RS256],
    ),
];

#[test]
fn the_documents_of_the_issuers_of_the_guide_are_read() {
    for (issuer, found_at, document, algorithms) in ISSUERS {
        assert_eq!(address(issuer).as_deref(), Ok(found_at));
        assert!(is_address(found_at) && !is_address(issuer));
        let discovered = read(document, issuer).unwrap();
        assert!(document.contains(&format!("\"{}\"", discovered.jwks_uri)));
        assert!(!is_address(&discovered.jwks_uri));
        assert_eq!(discovered.algorithms, algorithms, "{issuer}");
        // Another issuer's document is refused, and an issuer with another slash is another one.
        let slash = issuer
            .strip_suffix('/')
            .map_or_else(|| format!("{issuer}/"), str::to_owned);
        for other in ["https://other.example", &slash] {
            let refused = read(document, other).unwrap_err();
            assert!(refused.contains(&format!("\"{issuer}\"")), "{refused}");
        }
    }
}

#[test]
fn what_is_no_issuer_is_refused_with_what_to_give() {
    for (text, expected) in [
        ("", "does not begin with https://"),
        ("id.example", "does not begin with https://"),
        ("http://id.example", "does not begin with https://"),
        ("https://id.example/ realms", "white space"),
        ("https://me:secret@id.example", "name or password"),
        ("https://id.example?tenant=1", "no query"),
        ("https://id.example#top", "no fragment"),
        (
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "is a template",
        ),
        (
            "https://id.example/realms/notes/.well-known/openid-configuration",
            "Give the issuer itself: \"https://id.example/realms/notes\" or",
        ),
        (
            "https://id.example/.well-known/oauth-authorization-server/realms/notes",
            "Give the issuer itself: \"https://id.example\" or",
        ),
    ] {
        let refused = address(text).unwrap_err();
        assert!(refused.contains(expected), "{text}: {refused}");
        assert!(!refused.contains("secret"));
    }
    assert!(address("http://localhost:8080/realms/notes").is_ok());
}

#[test]
fn an_issuer_of_all_tenants_is_refused_with_the_issuer_to_give() {
    // As https://login.microsoftonline.com/common/v2.0 publishes it.
    let document = r#"{"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
        "jwks_uri": "https://login.microsoftonline.com/common/discovery/v2.0/keys"}"#;
    let refused = read(document, "https://login.microsoftonline.com/common/v2.0").unwrap_err();
    assert!(
        refused.contains("https://login.microsoftonline.com/<tenant id>/v2.0"),
        "{refused}"
    );
}

#[test]
fn a_document_that_no_verifier_should_use_is_refused() {
    const ISSUER: &str = "https://id.example";
    let with = |more: &str| format!(r#"{{"issuer": "{ISSUER}", {more}}}"#);
    for (document, expected) in [
        (String::new(), "not a JSON object"),
        ("<html>".to_owned(), "not a JSON object"),
        ("[]".to_owned(), "not a JSON object"),
        (
            with(r#""jwks_uri": "https://id.example/a", "jwks_uri": "https://evil.example/b""#),
            "not a JSON object",
        ),
        (
            with(r#""issuer": "https://id.example", "jwks_uri": "https://id.example/a""#),
            "not a JSON object",
        ),
        (r#"{"keys": []}"#.to_owned(), "no \"issuer\""),
        (with(r#""jwks_uri": null"#), "no \"jwks_uri\""),
        (
            with(r#""jwks_uri": ["https://id.example/a"]"#),
            "no \"jwks_uri\"",
        ),
        (
            with(
                r#""jwks_uri": "https://id.example/a", "id_token_signing_alg_values_supported": "RS256""#,
            ),
            "not a list",
        ),
        (
            with(
                r#""jwks_uri": "https://id.example/a", "id_token_signing_alg_values_supported": []"#,
            ),
            "names none",
        ),
        (
            with(
                r#""jwks_uri": "https://id.example/a", "id_token_signing_alg_values_supported": ["none", "HS256", "HS512", "rs256", 1]"#,
            ),
            "names none",
        ),
    ] {
        let refused = read(&document, ISSUER).unwrap_err();
        assert!(refused.contains(expected), "{document}: {refused}");
    }
}

/// An issuer on the internet names an address that only this server reaches.
#[test]
fn an_issuer_cannot_send_this_server_into_its_own_network() {
    let read = |jwks_uri: &str, issuer: &str| {
        read(
            &format!(r#"{{"issuer": "{issuer}", "jwks_uri": "{jwks_uri}"}}"#),
            issuer,
        )
    };
    for jwks_uri in [
        "http://id.example/keys",
        "http://localhost/keys",
        "http://127.0.0.1:8080/keys",
        "ftp://id.example/keys",
        "file:///etc/passwd",
        "//id.example/keys",
        "",
        "https://",
        "https:///keys",
        "https://localhost/keys",
        "https://LOCALHOST:8443/keys",
        "https://localhost./keys",
        "https://db.localhost/keys",
        "https://169.254.169.254/latest/meta-data",
        "https://metadata.google.internal/computeMetadata",
        "https://printer.local/keys",
        "https://keycloak:8443/keys",
        "https://10.0.0.5/keys",
        "https://127.1/keys",
        "https://2130706433/keys",
        "https://0x7f000001/keys",
        "https://0x7f.0.0.0x1/keys",
        "https://[::1]/keys",
        "https://[fd00:ec2::254]/keys",
        "https://id.example\\\\@localhost/keys",
        "https://user:pw@id.example/keys",
        "https://id.example@localhost/keys",
        "https://id.example/ keys",
        "https://b\u{fc}cher.example/keys",
    ] {
        assert!(read(jwks_uri, "https://id.example").is_err(), "{jwks_uri}");
    }
    for (jwks_uri, issuer) in [
        ("https://keys.example/a", "https://id.example"),
        ("https://id.example:8443/a", "https://id.example"),
        // A server of the own network, which the operator named.
        (
            "https://keycloak:8443/keys",
            "https://keycloak:8443/realms/a",
        ),
        ("https://10.0.0.5/keys", "https://10.0.0.5"),
        ("https://localhost:1/keys", "https://localhost:2"),
        // Development.
        ("http://localhost:8080/keys", "http://localhost:8080"),
        ("http://127.0.0.1/keys", "http://localhost"),
    ] {
        assert!(read(jwks_uri, issuer).is_ok(), "{jwks_uri}");
    }
    assert!(read("http://localhost/keys", "https://localhost").is_err());
    assert!(read("http://10.0.0.5/keys", "http://localhost").is_err());
}

#[test]
fn a_discovery_document_in_place_of_keys_is_recognised() {
    let (issuer, _, document, _) = ISSUERS[0];
    let said = mistaken_for_keys(document).unwrap();
    assert!(said.contains("\"https://id.example/realms/notes/protocol/openid-connect/certs\""));
    assert!(said.contains(&format!(
        "register_oidc_provider() with its issuer: \"{issuer}\""
    )));
    for other in [
        r#"{"keys": [], "jwks_uri": "https://a.example"}"#,
        "{}",
        "",
        "[]",
        r#"{"jwks_uri": 1}"#,
    ] {
        assert_eq!(mistaken_for_keys(other), None, "{other}");
    }
}

proptest! {
    /// Whatever the document says: no symmetric algorithm, and no address that is not https.
    #[test]
    fn an_accepted_document_is_safe(
        jwks_uri in "(https?://)?[a-z.:@0-9\\[\\]/]{0,20}",
        algorithms in prop::collection::vec("(none|HS|RS|ES|PS|EdDSA)(256|384|512)?", 0..5),
    ) {
        let document = serde_json::json!({"issuer": "https://i.example", "jwks_uri": jwks_uri,
            "id_token_signing_alg_values_supported": algorithms}).to_string();
        if let Ok(discovered) = read(&document, "https://i.example") {
            prop_assert!(discovered.jwks_uri.starts_with("https://"));
            prop_assert!(!discovered.algorithms.is_empty());
            prop_assert!(discovered.algorithms.iter().all(|algorithm| !algorithm.is_symmetric()));
            prop_assert!(discovered.algorithms.iter().all(|one| algorithms.iter().any(|name| name == one.name())));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,200}", issuer in ".{0,60}") {
        let _ = (read(&text, &issuer), address(&issuer), mistaken_for_keys(&text), is_address(&issuer));
    }
}
