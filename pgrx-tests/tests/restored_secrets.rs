//! Secrets are in no dump. A restored database says which are missing.

use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::Client;

fn critical(client: &mut Client) -> Vec<String> {
    let rules = "SELECT rule_id FROM insforge_integrations.advise() WHERE severity = 'critical' AND rule_id LIKE 'jwt%'";
    let rows = client.query(rules, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_restored_database_says_which_secret_it_lacks() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    register(&mut superuser, "clerk");
    superuser
        .batch_execute(
            "SELECT insforge_integrations.set_jwt_secret('2f7c1e90b64d3a8857f0c2be91d6a43f');
             CREATE SCHEMA better_auth;
             SELECT insforge_integrations.register_better_auth('http://localhost:3000', session_secret => 'a secret of its own')",
        )
        .unwrap();
    assert_eq!(critical(&mut superuser), [""; 0]);

    let mut dump = shared_cluster().client_command("pg_dump");
    let dump = dump.arg(database.name()).output().unwrap().stdout;
    let restored = shared_cluster().database(Fixture::Empty).unwrap();
    let mut superuser = restored.connect().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dump).unwrap();
    let mut psql = shared_cluster().client_command("psql");
    psql.args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        restored.name(),
        "-f",
    ]);
    let output = psql.arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(critical(&mut superuser), ["jwt_secret_missing"]);

    let mut anon = restored.connect_as("anon").unwrap();
    let mut refusal = |credential: &str| {
        let error = Request::default().exchange(&mut anon, credential, None);
        let error = error.unwrap_err();
        let error = error.as_db_error().unwrap();
        let texts = [
            error.code().code(),
            error.message(),
            error.detail().unwrap(),
        ];
        texts.map(str::to_owned)
    };
    let [code, message, detail] = refusal(a_token_of("clerk")["token"].as_str().unwrap());
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("55000", "no JWT secret is stored")
    );
    assert!(detail.contains("a restored database has none"), "{detail}");
    // The value of a cookie of Better Auth: a token and its HMAC-SHA256 in base64.
    let cookie = "S6DzmEqeHqXJKXJ2ZvAsZoBVpDEdZgMI.MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE%3D";
    let [code, message, detail] = refusal(cookie);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("PT401", "token rejected")
    );
    assert!(detail.contains("without session_secret"), "{detail}");

    superuser
        .batch_execute(
            "SELECT insforge_integrations.set_jwt_secret('2f7c1e90b64d3a8857f0c2be91d6a43f')",
        )
        .unwrap();
    assert_eq!(critical(&mut superuser), [""; 0]);
}
