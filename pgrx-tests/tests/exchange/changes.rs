//! Changes by an operator while others exchange tokens.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use insforge_integrations_tests::Cluster;
use insforge_integrations_tests::postgrest::Request;
use postgres::Client;
use serde_json::Value;

use super::{SECRET, a_token_of, prepared, prepared_in, refused, text};

/// Two hundred connections exchange in a loop while an operator acts.
fn meanwhile(
    act: impl FnOnce(&mut Client),
    check: impl Fn(&Result<Value, postgres::Error>, bool) + Sync,
) -> usize {
    const CONNECTIONS: usize = 200;
    // Its connections are all that a server of these tests has.
    let cluster = Cluster::start().unwrap();
    let (database, mut superuser) = prepared_in(&cluster, &["workos"]);
    let token = text(&a_token_of("workos")["token"]);
    let ready = Barrier::new(CONNECTIONS + 1);
    let has_acted = AtomicBool::new(false);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let exchanges: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = database.connect_as("anon").unwrap();
                    ready.wait();
                    let mut count = 0;
                    while !is_over.load(Ordering::SeqCst) {
                        let acted = has_acted.load(Ordering::SeqCst);
                        check(
                            &Request::default().exchange(&mut client, token, None),
                            acted,
                        );
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        ready.wait();
        std::thread::sleep(std::time::Duration::from_millis(1500));
        act(&mut superuser);
        has_acted.store(true, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(1500));
        is_over.store(true, Ordering::SeqCst);
        exchanges
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    })
}

#[test]
fn a_provider_disabled_while_two_hundred_exchange_is_refused_from_then_on() {
    let count = meanwhile(
        |superuser| {
            superuser
                .execute(
                    "UPDATE insforge_integrations.auth_providers SET enabled = false",
                    &[],
                )
                .unwrap();
        },
        |outcome, has_acted| match outcome {
            Ok(_) => assert!(!has_acted, "exchanged after the provider was disabled"),
            Err(error) => assert!(
                refused(error)
                    .detail()
                    .unwrap()
                    .starts_with("unknown_issuer"),
                "{error:?}"
            ),
        },
    );
    println!("{count} exchanges");
}

#[test]
fn a_secret_rotated_while_two_hundred_exchange_signs_from_then_on() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    const NEXT: &str = "the next JWT_SECRET of InsForge, 32 bytes";
    let is_signed_with = |secret: &str, response: &Value| {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["insforge-api"]);
        let key = DecodingKey::from_secret(secret.as_bytes());
        decode::<Value>(text(&response["access_token"]), &key, &validation).is_ok()
    };
    let count = meanwhile(
        |superuser| {
            superuser
                .execute("SELECT insforge_integrations.set_jwt_secret($1)", &[&NEXT])
                .unwrap();
        },
        |outcome, has_acted| {
            let response = outcome.as_ref().unwrap_or_else(|error| panic!("{error:?}"));
            assert!(
                is_signed_with(NEXT, response) || (!has_acted && is_signed_with(SECRET, response))
            );
        },
    );
    println!("{count} exchanges");
}

#[test]
fn tokens_minted_before_a_rotation_verify_for_the_overlap() {
    let (database, mut superuser) = prepared(&["workos"]);
    let mut anon = database.connect_as("anon").unwrap();
    let response = Request::default()
        .exchange(&mut anon, text(&a_token_of("workos")["token"]), None)
        .unwrap();
    let verdict = |client: &mut Client| -> String {
        client
            .query_one(
                "SELECT coalesce(user_id, reason) FROM insforge_integrations.inspect_provider_jwt($1, 'insforge')",
                &[&response["access_token"].as_str()],
            )
            .unwrap()
            .get(0)
    };
    let rotate = "SELECT insforge_integrations.set_jwt_secret('another JWT_SECRET of InsForge, 32 bytes', '2 seconds')";
    assert_eq!(verdict(&mut anon), text(&response["user_id"]));
    superuser.batch_execute(rotate).unwrap();
    assert_eq!(verdict(&mut anon), text(&response["user_id"]));
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(verdict(&mut anon).starts_with("bad_signature"));
}
