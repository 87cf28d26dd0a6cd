//! Discovery documents that are refused, and what is left afterwards.

use insforge_integrations_tests::node::{self, Process};
use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

use super::certificates::certificates;

/// A server that misbehaves, and a database that trusts one of its certificates.
struct Issuer {
    client: Client,
    server: Process,
    _directory: tempfile::TempDir,
}

impl Issuer {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut trusted = String::new();
        for (name, host) in [
            ("trusted", "localhost"),
            ("unknown", "localhost"),
            ("other-host", "elsewhere.example"),
        ] {
            let (authority, server) = certificates(name, host);
            std::fs::write(directory.path().join(format!("{name}.pem")), server).unwrap();
            if name != "unknown" {
                trusted += &authority;
            }
        }
        let server =
            Process::start("jwks_server.mjs", &[directory.path().to_str().unwrap()]).unwrap();
        let database = shared_cluster().database(Fixture::Extension).unwrap();
        let mut client = database.connect().unwrap();
        let configure = "SELECT insforge_integrations.configure('jwks_ca', $1)";
        client.execute(configure, &[&trusted]).unwrap();
        Self {
            client,
            server,
            _directory: directory,
        }
    }

    fn url(&self, server: &str, path: &str) -> String {
        format!("{}{path}", self.server.greeting[server].as_str().unwrap())
    }

    /// Publishes a document with these members beside a valid issuer and address.
    fn discover(&mut self, changes: &Value) -> String {
        let issuer = self.url("trusted", "/issuer");
        let mut document = json!({"issuer": issuer, "jwks_uri": self.url("trusted", "/jwks"),
            "id_token_signing_alg_values_supported": ["ES256"]});
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.discover_text(&document.to_string());
        issuer
    }

    fn discover_text(&mut self, text: &str) {
        self.server.ask(&json!(["discover", text])).unwrap();
    }

    fn requests(&mut self) -> u64 {
        let answer = self.server.ask(&json!(["requests"])).unwrap();
        answer["requests"].as_u64().unwrap()
    }

    fn publish_keys(&mut self) -> Vec<String> {
        let now = node::now();
        let claims = json!({"iss": self.url("trusted", "/issuer"), "aud": "api", "sub": "u", "iat": now, "exp": now + 600});
        let signed = node::sign(&json!([{"alg": "ES256", "kid": "k1", "claims": claims}])).unwrap();
        self.server.ask(&json!(["publish", signed.jwks])).unwrap();
        signed.tokens
    }

    fn register(&mut self, issuer: &str) -> Result<Option<Value>, postgres::Error> {
        let register = "SELECT jwks FROM insforge_integrations.register_oidc_provider($1, 'api')";
        Ok(self.client.query_one(register, &[&issuer])?.get(0))
    }

    /// Asserts SQLSTATE and DETAIL of a statement that is refused and changes nothing.
    #[track_caller]
    fn refused(&mut self, statement: &str, argument: &str, code: &str, detail: &str) {
        let state = |client: &mut Client| -> String {
            let row = client.query_one(
                "SELECT coalesce(string_agg(p::text, ''), '') FROM insforge_integrations.auth_providers p",
                &[],
            );
            row.unwrap().get(0)
        };
        let before = state(&mut self.client);
        let error = self
            .client
            .execute(statement, &[&argument])
            .expect_err(statement);
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code, "{error:?}");
        assert!(
            error.detail().unwrap().contains(detail),
            "{detail}: {error:?}"
        );
        let offline = error.hint().unwrap().contains("register_auth_provider()");
        assert!(offline || code != "55000", "{error:?}");
        assert_eq!(state(&mut self.client), before);
    }

    fn refresh(&mut self) -> Result<i32, String> {
        let row = self.client.query_one(
            "SELECT key_count, error FROM insforge_integrations.refresh_provider_jwks('oidc')",
            &[],
        );
        let row = row.unwrap();
        let error: Option<String> = row.get(1);
        error.map_or_else(|| Ok(row.get(0)), Err)
    }

    fn is_valid(&mut self, token: &str) -> bool {
        super::verdict(&mut self.client, token).is_ok()
    }
}

const REGISTER: &str = "SELECT insforge_integrations.register_oidc_provider($1, 'api')";

#[test]
fn a_server_that_gives_no_document_is_refused() {
    let mut issuer = Issuer::start();
    for (server, path, detail) in [
        ("trusted", "/404", "status 404"),
        ("trusted", "/500", "status 500"),
        ("trusted", "/redirect", "redirect (302)"),
        ("trusted", "/endless", "longer than 262144 bytes"),
        ("trusted", "/slow", "within 5 seconds"),
        ("trusted", "/silent", "within 5 seconds"),
        ("unknown", "/issuer", "UnknownIssuer"),
        ("other_host", "/issuer", "not valid for name"),
    ] {
        let address = issuer.url(server, path);
        issuer.refused(REGISTER, &address, "55000", detail);
    }
}

#[test]
fn a_document_that_lies_or_misleads_is_refused() {
    let mut issuer = Issuer::start();
    let http = issuer.url("http", "/jwks");
    for (changes, detail) in [
        (
            json!({"issuer": "https://id.example"}),
            "names another issuer: \"https://id.example\"",
        ),
        (
            json!({"issuer": issuer.url("trusted", "/issuer/")}),
            "/issuer/\"",
        ),
        (
            json!({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}),
            "<tenant id>",
        ),
        (json!({"jwks_uri": http}), "not https"),
        (json!({"jwks_uri": "http://id.example/keys"}), "not https"),
        (
            json!({"jwks_uri": "https://169.254.169.254/latest/meta-data"}),
            "this machine or its network",
        ),
        (
            json!({"jwks_uri": "https://127.0.0.1:1/keys"}),
            "this machine or its network",
        ),
        (json!({"jwks_uri": null}), "no \"jwks_uri\""),
        (
            json!({"id_token_signing_alg_values_supported": ["HS256", "none"]}),
            "names none",
        ),
        (
            json!({"id_token_signing_alg_values_supported": []}),
            "names none",
        ),
    ] {
        let address = issuer.discover(&changes);
        let before = issuer.requests();
        issuer.refused(REGISTER, &address, "22023", detail);
        assert_eq!(
            issuer.requests(),
            before + 1,
            "only the document was asked for"
        );
    }
    for text in ["", "<html>", "[]", r#"{"issuer": "a", "issuer": "b"}"#] {
        issuer.discover_text(text);
        let address = issuer.url("trusted", "/issuer");
        issuer.refused(REGISTER, &address, "22023", "not a JSON object");
    }
}

#[test]
fn arguments_that_make_no_policy_are_refused() {
    let mut issuer = Issuer::start();
    let address = issuer.discover(&json!({}));
    let call = |arguments: &str| {
        format!("SELECT insforge_integrations.register_oidc_provider($1{arguments})")
    };
    for (arguments, detail) in [
        ("", "an audience or an authorized party"),
        (
            ", audiences => '{}', authorized_parties => '{}'",
            "an audience or an authorized party",
        ),
        (", ''", "not a valid audience"),
        (", 'api', subject_prefix => ''", "a pattern or a prefix"),
        (", 'api', name => 'insforge'", "built-in"),
        (", 'api', name => ''", "empty"),
        (", 'api', name => NULL", "missing"),
        (", 'api', token_types => '{}'", "No token type"),
    ] {
        issuer.refused(&call(arguments), &address, "22023", detail);
    }
    for (text, detail) in [
        ("", "https://"),
        ("http://id.example", "https://"),
        (
            "https://id.example/.well-known/openid-configuration",
            "Give the issuer itself: \"https://id.example\"",
        ),
    ] {
        let before = issuer.requests();
        issuer.refused(REGISTER, text, "22023", detail);
        assert_eq!(issuer.requests(), before, "nothing was fetched");
    }
}

#[test]
fn a_user_id_has_a_prefix_unless_the_operator_gives_a_pattern() {
    let mut issuer = Issuer::start();
    issuer.publish_keys();
    let address = issuer.discover(&json!({}));
    let now = node::now();
    let uuid = "6f1c2a34-9b7d-4e58-8a21-0c5d7e9f1b23";
    let token = |subject: &str| {
        json!({"alg": "ES256", "kid": "k1", "claims":
        {"iss": address, "aud": "api", "sub": subject, "exp": now + 600}})
    };
    let signed = node::sign(&json!([token("u"), token(uuid)])).unwrap();
    issuer.server.ask(&json!(["publish", signed.jwks])).unwrap();
    let prefixed = format!("oidc:{uuid}");
    for (arguments, of_u, of_uuid) in [
        ("", Ok("oidc:u"), Ok(&*prefixed)),
        (
            ", subject_pattern => '[0-9a-f-]{36}'",
            Err("subject_rejected"),
            Ok(&*prefixed),
        ),
        (
            ", subject_prefix => '', subject_pattern => '[a-z]'",
            Ok("u"),
            Err("subject_rejected"),
        ),
        // A bare UUID could be one of InsForge's own users.
        (
            ", subject_prefix => '', subject_pattern => '.+'",
            Ok("u"),
            Err("subject_rejected"),
        ),
        (
            ", subject_prefix => '', subject_pattern => '.+', allow_uuid_subjects => true",
            Ok("u"),
            Ok(uuid),
        ),
    ] {
        let statement =
            format!("SELECT insforge_integrations.register_oidc_provider($1, 'api'{arguments})");
        issuer.client.execute(&*statement, &[&address]).unwrap();
        for (token, expected) in signed.tokens.iter().zip([of_u, of_uuid]) {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(
                super::verdict(&mut issuer.client, token),
                expected,
                "{arguments}"
            );
        }
    }
    // "oidc:" || "2:u" of one provider would be "oidc:2:" || "u" of the other.
    issuer.client.execute(REGISTER, &[&address]).unwrap();
    issuer.refused(
        "SELECT insforge_integrations.register_auth_provider('x', ARRAY['https://i.example', $1], 'https://i.example/jwks', '{api}', subject_prefix => 'oidc:2:')",
        &address, "22023", "user ids of provider \"oidc\" begin with \"oidc:\"",
    );
    issuer.refused(
        &REGISTER.replace("'api'", "'api', name => 'oidc:2'"),
        &address,
        "22023",
        "the same issuer and the same keys",
    );
}

#[test]
fn whatever_becomes_of_the_document_the_last_good_keys_stay() {
    let mut issuer = Issuer::start();
    let tokens = issuer.publish_keys();
    let address = issuer.discover(&json!({}));
    assert!(issuer.register(&address).unwrap().is_some());
    assert!(issuer.is_valid(&tokens[0]));
    for (changes, error) in [
        (
            json!({"issuer": "https://id.example"}),
            "names another issuer",
        ),
        (
            json!({"jwks_uri": issuer.url("http", "/jwks")}),
            "not https",
        ),
        (
            json!({"jwks_uri": "https://10.0.0.5/keys"}),
            "this machine or its network",
        ),
        (
            json!({"id_token_signing_alg_values_supported": ["HS256"]}),
            "names none",
        ),
        // The document is sound, and the keys are not there: the old address stays.
        (
            json!({"jwks_uri": issuer.url("trusted", "/404")}),
            "status 404",
        ),
        (
            json!({"jwks_uri": issuer.url("trusted", "/issuer")}),
            "It is a discovery document",
        ),
        (
            json!({"id_token_signing_alg_values_supported": ["EdDSA"]}),
            "No key fits the provider's algorithms, EdDSA.",
        ),
    ] {
        issuer.discover(&changes);
        let said = issuer.refresh().unwrap_err();
        assert!(said.contains(error), "{said}");
        assert!(issuer.is_valid(&tokens[0]), "{changes}");
    }
    issuer.discover_text("<html>");
    let said = issuer.refresh().unwrap_err();
    assert!(said.starts_with("Discovery failed. The answer"), "{said}");
    issuer.client.batch_execute("UPDATE insforge_integrations.auth_providers SET discovery_url = replace(discovery_url, '/issuer', '/500')").unwrap();
    let said = issuer.refresh().unwrap_err();
    assert_eq!(
        said,
        "Discovery failed. The server answered with status 500."
    );
    let recorded = issuer
        .client
        .query_one("SELECT error FROM insforge_integrations.jwks_fetches", &[]);
    assert_eq!(recorded.unwrap().get::<_, String>(0), said);
    assert!(issuer.is_valid(&tokens[0]));
    let row = issuer
        .client
        .query_one(
            "SELECT jwks_url, algorithms FROM insforge_integrations.auth_providers",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, String>(0), issuer.url("trusted", "/jwks"));
    assert_eq!(row.get::<_, Vec<String>>(1), ["ES256"]);
}

#[test]
fn an_issuer_whose_keys_cannot_be_fetched_is_registered_without_them() {
    let mut issuer = Issuer::start();
    let address = issuer.discover(&json!({}));
    issuer
        .server
        .ask(&json!(["publish", r#"{"keys": []}"#]))
        .unwrap();
    assert_eq!(issuer.register(&address).unwrap(), None);
    let recorded = issuer.client.query_one(
        "SELECT error FROM insforge_integrations.jwks_fetches WHERE provider = 'oidc'",
        &[],
    );
    let recorded: String = recorded.unwrap().get(0);
    assert!(
        recorded.starts_with("It has no keys. The provider publishes its first key"),
        "{recorded}"
    );
    let tokens = issuer.publish_keys();
    assert_eq!(issuer.refresh(), Ok(1));
    assert!(issuer.is_valid(&tokens[0]));
}

#[test]
fn keys_that_move_to_another_providers_address_are_not_followed() {
    let mut issuer = Issuer::start();
    let tokens = issuer.publish_keys();
    let address = issuer.discover(&json!({}));
    issuer.register(&address).unwrap();
    let laxer = issuer.url("trusted", "/jwks?lax");
    issuer
        .client
        .execute(
            "SELECT insforge_integrations.register_auth_provider('lax', ARRAY[$1], $2, authorized_parties => '{a}',
               audience_rule => 'ignored', algorithms => '{ES256}', subject_prefix => 'lax:')",
            &[&address, &laxer],
        )
        .unwrap();
    issuer.discover(&json!({"jwks_uri": issuer.url("trusted", "/jwks?lax")}));
    let said = issuer.refresh().unwrap_err();
    assert!(said.contains("provider \"lax\""), "{said}");
    assert!(issuer.is_valid(&tokens[0]));
}

#[test]
fn a_discovery_document_given_as_keys_is_recognised() {
    let mut issuer = Issuer::start();
    issuer.publish_keys();
    let address = issuer.discover(&json!({}));
    let register = "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', $1, '{api}', algorithms => '{ES256}', subject_prefix => 'p:')";
    for path in [
        "/issuer/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/issuer",
    ] {
        let document = issuer.url("trusted", path);
        issuer.refused(
            register,
            &document,
            "22023",
            "Call register_oidc_provider() with the issuer",
        );
    }
    // The same document at an address that does not show it.
    let document = issuer.url("trusted", "/issuer");
    issuer.client.execute(register, &[&document]).unwrap();
    let row = issuer.client.query_one(
        "SELECT error FROM insforge_integrations.refresh_provider_jwks('p')",
        &[],
    );
    let said: String = row.unwrap().get(0);
    let jwks_uri = issuer.url("trusted", "/jwks");
    assert_eq!(
        said,
        format!(
            "It is a discovery document, not a JWK set. The keys are at its \"jwks_uri\": \"{jwks_uri}\". Call register_oidc_provider() with its issuer: \"{address}\"."
        )
    );
    issuer.refused(
        "SELECT insforge_integrations.set_provider_jwks('p', jsonb_build_object('issuer', $1::text, 'jwks_uri', 'https://i.example/keys'))",
        &address, "22023", "The keys are at its \"jwks_uri\": \"https://i.example/keys\".",
    );
    issuer.refused(
        "SELECT insforge_integrations.set_provider_jwks('p', jsonb_build_object('keys', '[]'::jsonb, 'from', $1::text))",
        &address, "22023", "It has no keys.",
    );
}
