//! `register_oidc_provider()`: a real OpenID provider over https, whose discovery document is
//! followed.

use insforge_integrations_tests::node::{self, Process};
use insforge_integrations_tests::provider_tokens::{discovered, set_keys};
use insforge_integrations_tests::{Database, Fixture, request, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

#[path = "../certificates/mod.rs"]
mod certificates;
mod documents;
use certificates::certificates;

const REGISTER: &str = "SELECT * FROM insforge_integrations.register_oidc_provider($1, authorized_parties => '{notes-web}')";

/// A provider as Keycloak behaves, and a database that trusts its certificate.
struct Keycloak {
    database: Database<'static>,
    client: Client,
    server: Process,
    issuer: String,
    _directory: tempfile::TempDir,
}

impl Keycloak {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (authority, pem) = certificates("keycloak", "localhost");
        std::fs::write(directory.path().join("trusted.pem"), pem).unwrap();
        let path = directory.path().to_str().unwrap();
        let server = Process::start("oidc_provider.mjs", &[path]).unwrap();
        let database = shared_cluster().database(Fixture::Extension).unwrap();
        let mut client = database.connect().unwrap();
        let configure = "SELECT insforge_integrations.configure('jwks_ca', $1)";
        client.execute(configure, &[&authority]).unwrap();
        let issuer = server.greeting["issuer"].as_str().unwrap().to_owned();
        Self {
            database,
            client,
            server,
            issuer,
            _directory: directory,
        }
    }

    fn registered() -> Self {
        let mut keycloak = Self::start();
        keycloak
            .client
            .query_one(REGISTER, &[&keycloak.issuer])
            .unwrap();
        keycloak
    }

    fn ask(&mut self, question: Value) -> Value {
        let answer = self.server.ask(&question).unwrap();
        assert_eq!(answer["error"], Value::Null, "{question}");
        answer
    }

    /// The access token of a user who signs in.
    fn sign_in(&mut self, user: &str) -> String {
        let tokens = self.ask(json!(["sign_in", user, "account"]));
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    fn user_id(&self, user: &str) -> String {
        format!(
            "oidc:{}",
            self.server.greeting["users"][user].as_str().unwrap()
        )
    }

    fn verdict(&mut self, token: &str) -> Result<String, String> {
        verdict(&mut self.client, token)
    }

    /// The number of keys, or the error, which must be in the table too.
    fn refresh(&mut self) -> Result<i32, String> {
        let row = self.client.query_one(
            "SELECT r.key_count, r.error, f.error IS NOT DISTINCT FROM r.error
             FROM insforge_integrations.refresh_provider_jwks('oidc') r JOIN insforge_integrations.jwks_fetches f USING (provider)",
            &[],
        );
        let row = row.unwrap();
        let error: Option<String> = row.get(1);
        error.map_or_else(|| Ok(row.get(0)), Err)
    }

    fn one(&mut self, query: &str) -> String {
        self.client.query_one(query, &[]).unwrap().get(0)
    }
}

/// The user id, or the reason code.
fn verdict(client: &mut Client, token: &str) -> Result<String, String> {
    let row = client.query_one(
        "SELECT user_id, split_part(reason, ':', 1) FROM insforge_integrations.inspect_provider_jwt($1)",
        &[&token],
    );
    let row = row.unwrap();
    row.get::<_, Option<String>>(0).ok_or_else(|| row.get(1))
}

/// The journey of docs/oidc.md: two statements of the operator, and a user who reads own rows.
#[test]
fn keycloak_by_discovery() {
    let mut keycloak = Keycloak::start();
    keycloak
        .client
        .batch_execute("SELECT insforge_integrations.set_jwt_secret('insforge''s JWT_SECRET, 32 bytes or more')")
        .unwrap();
    let row = keycloak
        .client
        .query_one(REGISTER, &[&keycloak.issuer])
        .unwrap();
    let text = |name: &str| row.get::<_, String>(name);
    assert_eq!(text("name"), "oidc");
    assert_eq!(text("preset"), "oidc");
    assert_eq!(text("subject_prefix"), "oidc:");
    assert_eq!(
        text("jwks_url"),
        format!("{}/protocol/openid-connect/certs", keycloak.issuer)
    );
    assert_eq!(
        text("discovery_url"),
        format!("{}/.well-known/openid-configuration", keycloak.issuer)
    );
    assert_eq!(row.get::<_, Vec<String>>("issuers"), [&*keycloak.issuer]);
    assert_eq!(row.get::<_, Vec<String>>("algorithms"), ["RS256"]);
    assert!(
        row.get::<_, Option<Value>>("jwks").is_some(),
        "the keys are there at once"
    );

    let alice = keycloak.user_id("alice");
    let token = keycloak.sign_in("alice");
    keycloak
        .client
        .batch_execute(
            "CREATE TABLE notes (user_id text NOT NULL DEFAULT requesting_user_id(), body text NOT NULL);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             GRANT SELECT, INSERT ON notes TO authenticated;
             CREATE POLICY own_rows ON notes TO authenticated
               USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));
             INSERT INTO notes VALUES ('oidc:somebody else', 'theirs')",
        )
        .unwrap();
    let mut anonymous = keycloak.database.connect_as("anon").unwrap();
    let answer: Value = anonymous
        .query_one("SELECT exchange_provider_token($1)", &[&token])
        .unwrap()
        .get(0);
    assert_eq!(answer["user_id"], *alice);
    assert_eq!(answer["provider"], "oidc");
    let minted = answer["access_token"].as_str().unwrap();
    let claims: Value = keycloak
        .client
        .query_one(
            "SELECT insforge_integrations.verify_provider_jwt($1, 'insforge')",
            &[&minted],
        )
        .unwrap()
        .get(0);
    assert_eq!(claims["sub"], *alice);
    assert_eq!(claims["email"], "alice@example.com");
    let seen = request(
        &mut keycloak.client,
        "authenticated",
        &claims.to_string(),
        |transaction| {
            transaction.execute("INSERT INTO notes (body) VALUES ('mine')", &[])?;
            transaction.query("SELECT user_id, body FROM notes", &[])
        },
    );
    let seen = seen.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].get::<_, String>(0), alice);
    // As pre_request() does with the header.
    let bound: String = anonymous
        .query_one("SELECT insforge_integrations.authenticate($1)", &[&token])
        .unwrap()
        .get(0);
    assert_eq!(bound, alice);

    // Keycloak's realm roles as permissions.
    let map = REGISTER.replace(
        "'{notes-web}'",
        "'{notes-web}', permissions_claim => 'realm_access.roles'",
    );
    keycloak
        .client
        .query_one(&map, &[&keycloak.issuer])
        .unwrap();
    let inspect = "SELECT permissions FROM insforge_integrations.inspect_provider_jwt($1, 'oidc')";
    let row = keycloak.client.query_one(inspect, &[&token]).unwrap();
    let permissions: Vec<String> = row.get(0);
    assert_eq!(permissions, ["editor", "offline_access"]);
}

#[test]
fn only_the_access_tokens_of_the_named_application_are_accepted() {
    let mut keycloak = Keycloak::registered();
    let tokens = keycloak.ask(json!(["sign_in", "bob", "account"]));
    let machine = keycloak.ask(json!(["machine", "account"]));
    let other = keycloak.ask(json!(["sign_in", "bob", "https://other.example"]));
    let [access, id, machine, other] = [
        &tokens["access_token"],
        &tokens["id_token"],
        &machine["access_token"],
        &other["access_token"],
    ]
    .map(|token| token.as_str().unwrap().to_owned());
    let bob = keycloak.user_id("bob");
    assert_eq!(keycloak.verdict(&access), Ok(bob.clone()));
    assert_eq!(
        keycloak.verdict(&other),
        Ok(bob.clone()),
        "the same client's"
    );
    assert_eq!(
        keycloak.verdict(&id),
        Err("wrong_authorized_party".to_owned())
    );
    assert_eq!(
        keycloak.verdict(&machine),
        Err("subject_rejected".to_owned())
    );

    let register = "SELECT insforge_integrations.register_oidc_provider($1, $2)";
    for (audience, of_access, of_other, of_id) in [
        (
            "https://other.example",
            Err("wrong_audience"),
            Ok(&bob),
            Err("wrong_audience"),
        ),
        // The audience of an ID token is the client.
        (
            "notes-web",
            Err("wrong_audience"),
            Err("wrong_audience"),
            Ok(&bob),
        ),
    ] {
        keycloak
            .client
            .execute(register, &[&keycloak.issuer, &audience])
            .unwrap();
        for (token, expected) in [(&access, of_access), (&other, of_other), (&id, of_id)] {
            let expected = expected.cloned().map_err(str::to_owned);
            assert_eq!(keycloak.verdict(token), expected, "{audience}");
        }
        let refused = keycloak.verdict(&machine).unwrap_err();
        assert!(["wrong_audience", "subject_rejected"].contains(&&*refused));
    }
}

#[test]
fn new_keys_a_new_algorithm_and_a_new_address_are_followed_at_refresh() {
    let mut keycloak = Keycloak::registered();
    let alice = keycloak.user_id("alice");
    let first = keycloak.sign_in("alice");
    assert_eq!(keycloak.verdict(&first), Ok(alice.clone()));

    keycloak.ask(json!(["rotate", "RS256"]));
    let second = keycloak.sign_in("alice");
    assert_eq!(keycloak.verdict(&second), Err("unknown_key".to_owned()));
    assert_eq!(keycloak.refresh(), Ok(2));
    assert_eq!(keycloak.verdict(&second), Ok(alice.clone()));

    keycloak.ask(json!(["rotate", "ES256"]));
    let third = keycloak.sign_in("alice");
    assert_eq!(
        keycloak.verdict(&third),
        Err("algorithm_not_allowed".to_owned())
    );
    assert_eq!(keycloak.refresh(), Ok(3));
    for token in [&first, &second, &third] {
        assert_eq!(keycloak.verdict(token), Ok(alice.clone()));
    }
    // The document names HS256, too. It is never taken.
    let algorithms = "SELECT algorithms::text FROM insforge_integrations.auth_providers";
    assert_eq!(keycloak.one(algorithms), "{ES256,RS256}");

    keycloak.ask(json!(["move", "/keys"]));
    assert_eq!(keycloak.refresh(), Ok(3));
    let moved = format!("{}/keys", keycloak.issuer);
    let address =
        "SELECT jwks_url FROM insforge_integrations.auth_providers WHERE key_source = jwks_url";
    assert_eq!(keycloak.one(address), moved);
    assert_eq!(keycloak.verdict(&third), Ok(alice.clone()));

    // A key, and with it an algorithm, that the issuer withdraws.
    keycloak.ask(json!(["forget"]));
    let version = "SELECT xmin::text FROM insforge_integrations.auth_providers";
    assert_eq!(keycloak.refresh(), Ok(1));
    assert_eq!(
        keycloak.verdict(&first),
        Err("algorithm_not_allowed".to_owned())
    );
    assert_eq!(keycloak.verdict(&third), Ok(alice));
    let before = keycloak.one(version);
    assert_eq!(keycloak.refresh(), Ok(1));
    assert_eq!(
        keycloak.one(version),
        before,
        "what has not changed rewrites nothing"
    );
    // Registered again, the provider keeps its keys even if the issuer cannot be reached.
    keycloak
        .client
        .query_one(REGISTER, &[&keycloak.issuer])
        .unwrap();
    assert_eq!(
        keycloak.verdict(&first),
        Err("algorithm_not_allowed".to_owned())
    );
}

#[test]
fn no_verification_asks_the_issuer() {
    let mut keycloak = Keycloak::registered();
    let token = keycloak.sign_in("alice");
    let registration = keycloak.ask(json!(["requests"]));
    assert_eq!(
        registration["paths"],
        json!([
            "/realms/notes/.well-known/openid-configuration",
            "/realms/notes/.well-known/openid-configuration",
            "/realms/notes/protocol/openid-connect/certs"
        ])
    );
    keycloak.ask(json!(["rotate", "RS256"]));
    let unknown = keycloak.sign_in("alice");
    for token in [&token, &unknown] {
        let _ = keycloak.verdict(token);
    }
    assert_eq!(keycloak.ask(json!(["requests"]))["paths"], json!([]));
}

/// Documents and tokens as the issuers of docs/oidc.md publish them.
#[test]
fn every_issuer_of_the_guide_is_registered_by_one_statement() {
    let now = node::now().to_string();
    let printed = node::run("oidc_issuers.mjs", &[&now]).unwrap();
    let issuers: Value = serde_json::from_str(&printed).unwrap();
    let issuers = issuers.as_object().unwrap();
    assert_eq!(issuers.len(), 9);
    let mut client = shared_cluster()
        .database(Fixture::Extension)
        .unwrap()
        .connect()
        .unwrap();
    // All of them in one database: no user of one is a user of another.
    for (name, issuer) in issuers {
        discovered(&mut client, name, &issuer["arguments"], &issuer["document"]);
        set_keys(&mut client, name, &issuer["jwks"]);
    }
    for (name, issuer) in issuers {
        for case in issuer["tokens"].as_array().unwrap() {
            let got = verdict(&mut client, case["token"].as_str().unwrap());
            let text = |name: &str| case[name].as_str().map(str::to_owned);
            let expected = text("user").ok_or_else(|| text("reason").unwrap());
            assert_eq!(got, expected, "{name}: {}", case["case"]);
        }
    }
}

#[test]
fn registering_again_keeps_what_an_operator_set_and_where_claims_stand() {
    let mut keycloak = Keycloak::start();
    let mut register = |more: &str| -> String {
        let statement = format!(
            "SELECT concat_ws(' ', leeway_seconds, passed_claims, org_id_claim, permissions_claim)
             FROM insforge_integrations.register_oidc_provider($1, 'account'{more})"
        );
        let row = keycloak.client.query_one(&statement, &[&keycloak.issuer]);
        row.unwrap().get(0)
    };
    assert_eq!(register(""), "5 {}");
    let set = ", leeway_seconds => 30, passed_claims => '{acr}', org_id_claim => 'organization', permissions_claim => 'realm_access.roles'";
    let kept = "30 {acr} organization realm_access.roles";
    assert_eq!(register(set), kept);
    assert_eq!(register(""), kept);
}
