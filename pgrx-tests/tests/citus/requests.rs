//! Requests whose claims must reach the workers.

use super::*;

/// A request as `authenticated`, with these claims.
fn request<T>(
    client: &mut Client,
    claims: &Value,
    hand_on: &str,
    query: impl FnOnce(&mut Transaction) -> T,
) -> T {
    let mut transaction = client.transaction().unwrap();
    let set = "SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)";
    transaction.query(set, &[&claims.to_string()]).unwrap();
    transaction.batch_execute(hand_on).unwrap();
    let answer = query(&mut transaction);
    transaction.commit().unwrap();
    answer
}

fn bodies(transaction: &mut Transaction) -> Vec<String> {
    let rows = transaction.query("SELECT body FROM notes ORDER BY body", &[]);
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

const HAND_ON: &str = "SELECT insforge_integrations.pre_request()";

#[test]
fn a_request_has_its_own_rows_of_a_distributed_table() {
    let Some(citus) = citus() else { return };
    let mut client = citus.connect(0);
    let users: Vec<String> = (0..20)
        .map(|number| format!("it's \\user_{number}"))
        .collect();
    for user in &users {
        let claims = json!({"sub": user, "role": "authenticated"});
        // Before the claims reach the workers, policies there see no user.
        assert_eq!(request(&mut client, &claims, "SELECT", bodies), [""; 0]);
        request(&mut client, &claims, HAND_ON, |transaction| {
            let insert = "INSERT INTO notes (body) VALUES ($1) RETURNING user_id";
            let row = transaction.query_one(insert, &[user]).unwrap();
            assert_eq!(row.get::<_, &str>(0), user);
            let mut savepoint = transaction.savepoint("s").unwrap();
            let foreign = "INSERT INTO notes (user_id, body) VALUES ('another', 'x')";
            let error = savepoint.batch_execute(foreign).unwrap_err();
            assert_eq!(refused(&error).code(), &SqlState::INSUFFICIENT_PRIVILEGE);
            savepoint.rollback().unwrap();
            assert_eq!(bodies(transaction), [user.as_str()]);
        });
    }
    for user in &users {
        let claims = json!({"sub": user, "role": "authenticated"});
        request(&mut client, &claims, HAND_ON, |transaction| {
            assert_eq!(bodies(transaction), [user.as_str()]);
            // Another request in the same transaction, and its end.
            let mut savepoint = transaction.savepoint("s").unwrap();
            let other = json!({"sub": users[0], "role": "authenticated"}).to_string();
            let set = "SELECT set_config('request.jwt.claims', $1, true)";
            savepoint.query(set, &[&other]).unwrap();
            savepoint.batch_execute(HAND_ON).unwrap();
            assert_eq!(bodies(&mut savepoint), [users[0].as_str()]);
            savepoint.rollback().unwrap();
            let changed = transaction.execute("UPDATE notes SET body = body", &[]);
            assert_eq!(changed.unwrap(), 1);
        });
        let nobody = json!({"role": "authenticated"});
        assert_eq!(request(&mut client, &nobody, HAND_ON, bodies), [""; 0]);
    }
}

#[test]
fn a_verified_identity_reaches_the_workers() {
    let Some(citus) = citus() else { return };
    let mut client = citus.connect(0);
    register(&mut client, "clerk");
    let simplest = insforge_integrations_tests::provider_tokens::a_token_of("clerk");
    let user = simplest["user_id"].as_str().unwrap();
    let signed = node::sign(&json!([
        {"like": simplest["token"], "claims": {"exp": node::now() + 3600}}
    ]));
    let signed = signed.unwrap();
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('clerk', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .unwrap();
    client
        .execute(
            "INSERT INTO notes VALUES ($1, 'verified'), ('user_other', 'other')",
            &[&user],
        )
        .unwrap();
    let claims = json!({"sub": "user_other", "role": "authenticated"});
    let authenticate = format!(
        "SELECT insforge_integrations.authenticate('{}')",
        signed.tokens[0]
    );
    request(&mut client, &claims, &authenticate, |transaction| {
        assert_eq!(bodies(transaction), ["verified"]);
        let own = transaction.query_one("SELECT current_setting('request.jwt.claims')", &[]);
        assert_eq!(own.unwrap().get::<_, String>(0), claims.to_string());
        transaction
            .batch_execute("SELECT insforge_integrations.deauthenticate()")
            .unwrap();
        assert_eq!(bodies(transaction), ["other"]);
    });
}

#[test]
fn claims_that_do_not_count_are_not_handed_on() {
    let Some(citus) = citus() else { return };
    let mut client = citus.connect(0);
    let add = "INSERT INTO notes VALUES ('unverified', 'mine')";
    client.batch_execute(add).unwrap();
    let set = "SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', '{\"sub\": \"unverified\"}', true)";
    for (source, seen) in [("claims", &["mine"][..]), ("verified", &[])] {
        let mut transaction = client.transaction().unwrap();
        let configure =
            format!("SELECT insforge_integrations.configure('identity_source', '{source}')");
        for statement in [configure.as_str(), set, HAND_ON] {
            transaction.batch_execute(statement).unwrap();
        }
        assert_eq!(bodies(&mut transaction), seen, "{source}");
        // The setting is the other tests', too.
        transaction.rollback().unwrap();
    }
}

#[test]
fn a_real_postgrest_shows_a_request_its_own_rows() {
    let Some(citus) = citus() else { return };
    citus
        .connect(0)
        .batch_execute("CREATE FUNCTION who() RETURNS text LANGUAGE sql STABLE AS 'SELECT requesting_user_id()'")
        .unwrap();
    for program in server::programs() {
        let environment = [
            ("PGRST_DB_ANON_ROLE", "anon"),
            ("PGRST_DB_PRE_REQUEST", "insforge_integrations.pre_request"),
            ("PGRST_DB_MAX_ROWS", "1000"),
            ("PGRST_JWT_SECRET", SECRET),
        ];
        let server = Server::start_with(program, &citus.database(0), &environment);
        let bearer = |user: &str| {
            let claims = json!({"sub": user, "role": "authenticated", "exp": node::now() + 600});
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
        };
        for number in 0..10 {
            let user = &format!("postgrest {} {number}", program.version);
            let add = Call::post("/notes", &json!({"body": user})).bearer(&bearer(user));
            assert_eq!(server.answer(&add).status, 201, "{}", server.log());
        }
        for number in 0..10 {
            let user = &format!("postgrest {} {number}", program.version);
            let own = json!([{"user_id": user, "body": user}]);
            let call = Call::get("/notes").bearer(&bearer(user));
            assert_eq!(server.answer(&call).body, own, "{}", server.log());
        }
        assert_eq!(server.answer(&Call::get("/notes")).body, json!([]));
    }
}
