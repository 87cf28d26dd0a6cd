//! PostgREST 12 and 14 return a pooled connection with its transaction open when an exception of
//! their own ends a request after its pre-request. The next request's BEGIN only warns. That
//! request must not be answered with the earlier identity.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::provider_tokens::{a_token_of, providers, register};
use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::{Client, Error, NoTls};
use serde_json::{Value, json};

const OURS: &str = "\"insforge_integrations\".\"pre_request\"";
/// A pre-request function of an application. It calls `authenticate()` with a header or a cookie.
const APPLICATIONS: &str = "\"public\".\"check_request\"";
/// A pre-request function of an application that catches errors. The caught error undoes everything
/// that `pre_request()` did.
const LENIENT: &str = "\"public\".\"check_request_leniently\"";
const HEADER: &str = "x-provider-token";
const VICTIM: &str = "user_2victim";

/// A connection of PostgREST's pool.
struct Pooled {
    client: Client,
    /// Number of BEGINs that found a transaction in progress.
    warnings: Arc<AtomicUsize>,
}

fn prepared() -> (Database<'static>, Client, Pooled) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    register(&mut superuser, "clerk");
    register(&mut superuser, "workos");
    superuser
        .batch_execute(&format!(
            "CREATE FUNCTION check_request() RETURNS void LANGUAGE plpgsql AS $$
             DECLARE
               token text := coalesce(current_setting('request.headers')::json ->> '{HEADER}',
                                      current_setting('request.cookies')::json ->> 'token');
             BEGIN
               IF token <> '' THEN
                 PERFORM insforge_integrations.authenticate(token);
               END IF;
             END $$;
             CREATE FUNCTION check_request_leniently() RETURNS void LANGUAGE plpgsql AS $$
             BEGIN
               PERFORM insforge_integrations.pre_request();
             EXCEPTION WHEN OTHERS THEN
               NULL;
             END $$;
             CREATE TABLE notes (user_id text DEFAULT requesting_user_id(), body text);
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes TO authenticated
               USING (user_id = requesting_user_id()) WITH CHECK (user_id = requesting_user_id())"
        ))
        .unwrap();
    let warnings = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&warnings);
    let client = database
        .config()
        .notice_callback(move |notice| {
            if notice.code().code() == "25001" {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        })
        .connect(NoTls)
        .unwrap();
    (database, superuser, Pooled { client, warnings })
}

fn set_identity_source(superuser: &mut Client, value: &str) {
    superuser
        .execute(
            "SELECT insforge_integrations.configure('identity_source', $1)",
            &[&value],
        )
        .unwrap();
}

fn attacker() -> &'static Value {
    let cases = providers()["clerk"]["tokens"].as_array().unwrap();
    cases
        .iter()
        .find(|case| case["accept"] == true && case["org_id"].is_string())
        .unwrap()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Identity in the main query: role, claims, user, organisation, role in it, permissions.
type Seen = (
    String,
    Value,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<String>>,
);

const WHO: &str =
    "SELECT current_user::text, auth.jwt(), requesting_user_id(), requesting_org_id(),
                          requesting_org_role(), requesting_permissions()";

fn seen(row: &postgres::Row) -> Seen {
    (
        row.get(0),
        row.get(1),
        row.get(2),
        row.get(3),
        row.get(4),
        row.get(5),
    )
}

fn who(client: &mut Client, request: &Request) -> Result<Seen, Error> {
    request.serve(client, |transaction| {
        Ok(seen(&transaction.query_one(WHO, &[])?))
    })
}

fn user(client: &mut Client) -> Option<String> {
    client
        .query_one("SELECT requesting_user_id()", &[])
        .unwrap()
        .get(0)
}

/// The requests that bind the attacker's identity, each in its own way.
fn attacks() -> Vec<Request<'static>> {
    let header = json!({ HEADER: attacker()["token"] });
    let cookie = json!({ "token": attacker()["token"] });
    let own = json!({ "sub": attacker()["user_id"] });
    let attack = |role, claims: &Value, pre_request| Request {
        role,
        claims: claims.clone(),
        headers: header.clone(),
        pre_request: Some(pre_request),
        ..Request::default()
    };
    let nothing = json!({});
    vec![
        attack("anon", &nothing, OURS),
        attack("authenticated", &own, OURS),
        attack("anon", &nothing, LENIENT),
        attack("anon", &nothing, APPLICATIONS),
        attack("authenticated", &own, APPLICATIONS),
        attack("project_admin", &nothing, APPLICATIONS),
        Request {
            headers: json!({}),
            cookies: cookie,
            ..attack("anon", &nothing, APPLICATIONS)
        },
    ]
}

/// Leaves an attack's transaction open, checks that the attacker was bound, and returns the claims.
fn leave_open(attack: &Request, client: &mut Client) -> Value {
    attack.leave_open(client).unwrap();
    let row = client.query_one(WHO, &[]).unwrap();
    let seen = seen(&row);
    assert_eq!(
        (seen.2, seen.3),
        (text(&attacker()["user_id"]), text(&attacker()["org_id"]))
    );
    seen.1
}

#[test]
fn the_next_request_is_answered_as_itself() {
    let (_database, mut superuser, mut pooled) = prepared();
    let mut attempts = 0;
    for identity_source in ["claims", "verified"] {
        set_identity_source(&mut superuser, identity_source);
        for attack in attacks() {
            // The attacker's claims as they were and as `pre_request()` made them, too: a request
            // of the same user with an InsForge token has no provider's token.
            let mut final_claims = leave_open(&attack, &mut pooled.client);
            final_claims["role"] = json!("authenticated");
            pooled.client.batch_execute("ROLLBACK").unwrap();
            for (role, claims) in [
                ("anon", json!({})),
                ("authenticated", json!({"sub": VICTIM})),
                ("authenticated", json!({"sub": attacker()["user_id"]})),
                ("authenticated", final_claims),
                ("project_admin", json!({})),
                ("project_admin", json!({"sub": "an administrator"})),
            ] {
                for pre_request in [None, Some(OURS), Some(APPLICATIONS), Some(LENIENT)] {
                    for method in ["POST", "GET"] {
                        leave_open(&attack, &mut pooled.client);
                        let request = Request {
                            role,
                            claims: claims.clone(),
                            method,
                            pre_request,
                            ..Request::default()
                        };
                        let mut all = claims.clone();
                        all["role"] = json!(role);
                        let (mut user, mut organisation) = (None, None);
                        let (mut org_role, mut permissions) = (None, None);
                        if identity_source == "claims" {
                            user = text(&claims["sub"]);
                            organisation = text(&claims["org_id"]);
                            org_role = text(&claims["org_role"]);
                            permissions =
                                serde_json::from_value(claims["permissions"].clone()).ok();
                        }
                        assert_eq!(
                            who(&mut pooled.client, &request).unwrap(),
                            (
                                role.to_owned(),
                                all,
                                user,
                                organisation,
                                org_role,
                                permissions
                            ),
                            "{identity_source}, after {attack:?}: {request:?}"
                        );
                        attempts += 1;
                    }
                }
            }
        }
    }
    assert_eq!(pooled.warnings.load(Ordering::Relaxed), attempts);
}

#[test]
fn rows_are_read_and_written_as_the_next_requests() {
    let (_database, mut superuser, mut pooled) = prepared();
    let attacker_id = text(&attacker()["user_id"]).unwrap();
    superuser
        .execute(
            "INSERT INTO notes VALUES ($1, 'seen'), ($2, 'seen')",
            &[&attacker_id, &VICTIM],
        )
        .unwrap();
    for attack in attacks() {
        leave_open(&attack, &mut pooled.client);
        let request = Request {
            role: "authenticated",
            claims: json!({"sub": VICTIM}),
            ..Request::default()
        };
        let (read, written): (Vec<String>, String) = request
            .serve(&mut pooled.client, |transaction| {
                let rows =
                    transaction.query("SELECT user_id FROM notes WHERE body = 'seen'", &[])?;
                let row = transaction.query_one(
                    "INSERT INTO notes (body) VALUES ('new') RETURNING user_id",
                    &[],
                )?;
                Ok((rows.iter().map(|row| row.get(0)).collect(), row.get(0)))
            })
            .unwrap();
        assert_eq!((read, written.as_str()), (vec![VICTIM.to_owned()], VICTIM));
    }
    let foreign = "SELECT count(*) FROM notes WHERE body = 'new' AND user_id IS DISTINCT FROM $1";
    let count: i64 = superuser.query_one(foreign, &[&VICTIM]).unwrap().get(0);
    assert_eq!(count, 0);
}

#[test]
fn a_refused_request_leaves_nobody_behind() {
    let (_database, _superuser, mut pooled) = prepared();
    let client = &mut pooled.client;
    let expired = providers()["clerk"]["tokens"].as_array().unwrap().iter();
    let expired = expired
        .clone()
        .find(|case| case["reason"] == "expired")
        .unwrap();
    for attack in attacks() {
        for (header, claims, code) in [
            (&expired["token"], json!({}), "expired"),
            (&json!("not a token"), json!({}), "malformed"),
            (
                &attacker()["token"],
                json!({"sub": VICTIM}),
                "subject_rejected",
            ),
        ] {
            let request = Request {
                role: if claims["sub"].is_null() {
                    "anon"
                } else {
                    "authenticated"
                },
                claims: claims.clone(),
                headers: json!({ HEADER: header }),
                pre_request: Some(OURS),
                ..Request::default()
            };
            leave_open(&attack, client);
            let error = who(client, &request).unwrap_err();
            let error = error.as_db_error().unwrap();
            let reason = error.detail().unwrap().split(':').next().unwrap();
            assert_eq!((error.code().code(), reason), ("PT401", code));
            let anonymous = Request::default();
            let seen = who(client, &anonymous).unwrap();
            assert_eq!((seen.0.as_str(), seen.2), ("anon", None));
            // A pre-request function that catches the error undoes everything that `pre_request()`
            // did, and goes on.
            leave_open(&attack, client);
            let lenient = Request {
                pre_request: Some(LENIENT),
                ..request
            };
            let seen = who(client, &lenient).unwrap();
            assert_eq!(
                (seen.0.as_str(), seen.2, seen.3),
                (lenient.role, text(&claims["sub"]), None)
            );
        }
    }
}

#[test]
fn an_identity_that_has_ended_meanwhile_does_not_end_the_next_request() {
    let (_database, mut superuser, mut pooled) = prepared();
    let now = node::now();
    let signed = node::sign(&json!([{"alg": "ES256", "kid": "k", "claims":
        {"iss": "https://issuer.example", "aud": "api", "sub": "shortlived", "exp": now + 10}}]))
    .unwrap();
    superuser
        .batch_execute(&format!(
            "SELECT insforge_integrations.register_auth_provider('issuer', '{{https://issuer.example}}',
               'https://issuer.example/jwks', '{{api}}', algorithms => '{{ES256}}', subject_pattern => '[a-z]+',
               leeway_seconds => 0);
             SELECT insforge_integrations.set_provider_jwks('issuer', '{}')",
            signed.jwks
        ))
        .unwrap();
    let attack = Request {
        headers: json!({ HEADER: signed.tokens[0] }),
        pre_request: Some(APPLICATIONS),
        ..Request::default()
    };
    attack.leave_open(&mut pooled.client).unwrap();
    assert_eq!(user(&mut pooled.client).as_deref(), Some("shortlived"));
    while node::now() <= now + 10 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let request = Request {
        role: "authenticated",
        claims: json!({"sub": VICTIM}),
        ..Request::default()
    };
    assert_eq!(
        who(&mut pooled.client, &request).unwrap().2.as_deref(),
        Some(VICTIM)
    );
}

#[test]
fn a_savepoint_undoes_what_is_void_as_it_undoes_what_is_bound() {
    let (_database, mut superuser, mut pooled) = prepared();
    let client = &mut pooled.client;
    let attacker_id = text(&attacker()["user_id"]);
    for (identity_source, victim) in [("claims", Some(VICTIM)), ("verified", None)] {
        set_identity_source(&mut superuser, identity_source);
        for attack in attacks() {
            leave_open(&attack, client);
            for variable in ["request.jwt.claims", "request.headers", "request.cookies"] {
                let as_before: String = client
                    .query_one("SELECT current_setting($1)", &[&variable])
                    .unwrap()
                    .get(0);
                let other = json!({ "sub": VICTIM, "role": "authenticated" }).to_string();
                let set = "SELECT set_config($1, $2, true)";
                client.batch_execute("SAVEPOINT s").unwrap();
                client.execute(set, &[&variable, &other]).unwrap();
                // As if no identity had been bound: the user of the claims, or none.
                let claimed: Option<String> = client
                    .query_one("SELECT auth.jwt() ->> 'sub'", &[])
                    .unwrap()
                    .get(0);
                let expected = victim.and(claimed);
                assert_eq!(
                    user(client),
                    expected,
                    "{identity_source}, {variable}, {attack:?}"
                );
                client.batch_execute("ROLLBACK TO s").unwrap();
                assert_eq!(user(client), attacker_id);
                // The request's settings are back, so the identity holds again.
                client.batch_execute("SAVEPOINT s").unwrap();
                client.execute(set, &[&variable, &other]).unwrap();
                client.execute(set, &[&variable, &as_before]).unwrap();
                assert_eq!(user(client), attacker_id);
                client.batch_execute("RELEASE s").unwrap();
            }
            // A savepoint that the request left open does not help either.
            client.batch_execute("SAVEPOINT left_open").unwrap();
            let request = Request {
                role: "authenticated",
                claims: json!({"sub": VICTIM}),
                ..Request::default()
            };
            assert_eq!(who(client, &request).unwrap().2.as_deref(), victim);
        }
    }
}

#[test]
fn parallel_workers_answer_as_the_next_request() {
    let (_database, mut superuser, mut pooled) = prepared();
    superuser
        .execute(
            "INSERT INTO notes SELECT CASE i % 2 WHEN 0 THEN $1 ELSE $2 END, repeat('x', 200)
             FROM generate_series(1, 40000) i",
            &[&text(&attacker()["user_id"]), &VICTIM],
        )
        .unwrap();
    superuser.batch_execute("ANALYZE notes").unwrap();
    let client = &mut pooled.client;
    client
        .batch_execute(
            "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET parallel_leader_participation = off",
        )
        .unwrap();
    let query = "SELECT min(user_id), max(user_id), count(*) FROM notes";
    for attack in attacks() {
        leave_open(&attack, client);
        let request = Request {
            role: "authenticated",
            claims: json!({"sub": VICTIM}),
            pre_request: None,
            ..Request::default()
        };
        let (plan, row) = request
            .serve(client, |transaction| {
                Ok((
                    transaction.query(&format!("EXPLAIN (ANALYZE, TIMING OFF) {query}"), &[])?,
                    transaction.query_one(query, &[])?,
                ))
            })
            .unwrap();
        let launched =
            |row: &postgres::Row| row.get::<_, String>(0).contains("Workers Launched: 2");
        assert!(plan.iter().any(launched));
        assert_eq!(
            (row.get(0), row.get(1), row.get(2)),
            (VICTIM, VICTIM, 20_000_i64)
        );
    }
}

#[test]
fn the_same_user_is_served_again_and_again() {
    let (_database, mut superuser, mut pooled) = prepared();
    for identity_source in ["claims", "verified"] {
        set_identity_source(&mut superuser, identity_source);
        for request in attacks() {
            for is_left_open in [false, true, true, false] {
                if is_left_open {
                    leave_open(&request, &mut pooled.client);
                }
                let seen = who(&mut pooled.client, &request).unwrap();
                assert_eq!(
                    (seen.2, seen.3),
                    (text(&attacker()["user_id"]), text(&attacker()["org_id"])),
                    "{request:?}"
                );
            }
            // Two requests, each left open, and another user's token in the second.
            let other = a_token_of("workos");
            let second = Request {
                role: "anon",
                claims: json!({}),
                headers: json!({ HEADER: other["token"] }),
                ..request.clone()
            };
            leave_open(&request, &mut pooled.client);
            let seen = who(&mut pooled.client, &second).unwrap();
            assert_eq!(
                (seen.2, seen.3),
                (text(&other["user_id"]), text(&other["org_id"]))
            );
        }
    }
}
