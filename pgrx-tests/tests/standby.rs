//! A streaming standby: it reads as its primary does, refuses to write, follows changes in open
//! sessions, and goes on after its promotion.

use insforge_integrations_tests::node::{Signed, now, sign};
use insforge_integrations_tests::request::{claims_of, request};
use insforge_integrations_tests::{Cluster, Database, Fixture};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::json;

const SECRET: &str = "insforge's JWT_SECRET, 32 bytes or more";

/// A primary with a provider, a secret, a user's table and a payment, and its standby.
struct Pair {
    signed: Signed,
    standby: Cluster,
    primary: Cluster,
}

impl Pair {
    fn start() -> Self {
        let primary = Cluster::start().unwrap();
        let claims = json!({"iss": "https://i.example", "aud": "api", "sub": "alice", "iat": now(), "exp": now() + 600});
        let signed = sign(&json!([
            {"alg": "ES256", "kid": "first", "claims": claims},
            {"alg": "ES256", "kid": "next", "claims": claims}
        ]))
        .unwrap();
        let database = primary.database(Fixture::Extension).unwrap();
        assert_eq!(database.name(), "db_0");
        let mut client = database.connect().unwrap();
        client
            .batch_execute(
                "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', 'http://127.0.0.1:1/jwks',
                   '{api}', algorithms => '{ES256}', subject_prefix => 'p:');
                 CREATE TABLE notes (user_id text NOT NULL DEFAULT requesting_user_id(), body text);
                 ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY own_rows ON notes TO authenticated
                   USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()));
                 INSERT INTO notes VALUES ('p:alice', 'by alice'), ('p:bob', 'by bob')",
            )
            .unwrap();
        client
            .execute(
                "SELECT insforge_integrations.set_jwt_secret($1)",
                &[&SECRET],
            )
            .unwrap();
        set_key(&mut client, &signed, 0);
        record(&mut client, 1).unwrap();
        let standby = primary.start_standby().unwrap();
        standby.wait_for_replay(&mut client).unwrap();
        Self {
            signed,
            standby,
            primary,
        }
    }

    fn on_primary(&self) -> Client {
        connect(&self.primary, "postgres")
    }

    fn on_standby(&self, role: &str) -> Client {
        connect(&self.standby, role)
    }
}

fn connect(cluster: &Cluster, role: &str) -> Client {
    Database::named(cluster, "db_0").connect_as(role).unwrap()
}

/// Makes one of the two keys the only one.
fn set_key(client: &mut Client, signed: &Signed, index: usize) {
    let jwks: serde_json::Value = serde_json::from_str(&signed.jwks).unwrap();
    let jwks = json!({"keys": [jwks["keys"][index]]}).to_string();
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('p', $1::text::jsonb)",
            &[&jwks],
        )
        .unwrap();
}

fn record(client: &mut Client, number: u32) -> Result<(), postgres::Error> {
    client
        .execute(
            "SELECT record_x402_settlement($1, '0x' || repeat('1', 40), '/api', '10000')",
            &[&format!("0x{number:064x}")],
        )
        .map(drop)
}

/// Which of the two tokens verify, and the reason for the other.
fn verdicts(client: &mut Client, signed: &Signed) -> [Option<String>; 2] {
    [0, 1].map(|index| {
        client
            .query_one(
                "SELECT reason FROM insforge_integrations.inspect_provider_jwt($1)",
                &[&signed.tokens[index]],
            )
            .unwrap()
            .get::<_, Option<String>>(0)
            .map(|reason| reason.split(':').next().unwrap().to_owned())
    })
}

fn unknown() -> Option<String> {
    Some("unknown_key".to_owned())
}

#[test]
fn identity_and_verification_work() {
    let pair = Pair::start();
    let mut users = pair.on_standby("authenticated");
    for user in ["p:alice", "p:bob"] {
        let owners = request(&mut users, "authenticated", &claims_of(user), |tx| {
            tx.query("SELECT user_id FROM notes", &[])
        })
        .unwrap();
        let owners: Vec<String> = owners.iter().map(|row| row.get(0)).collect();
        assert_eq!(owners, [user]);
    }

    let mut session = pair.on_standby("anon");
    assert_eq!(verdicts(&mut session, &pair.signed), [None, unknown()]);
    let claims: serde_json::Value = session
        .query_one(
            "SELECT insforge_integrations.verify_provider_jwt($1)",
            &[&pair.signed.tokens[0]],
        )
        .unwrap()
        .get(0);
    assert_eq!(claims["sub"], "alice");

    // A token of InsForge, which the server that has the primary verifies too.
    let exchanged: serde_json::Value = session
        .query_one(
            "SELECT exchange_provider_token($1)",
            &[&pair.signed.tokens[0]],
        )
        .unwrap()
        .get(0);
    let valid: bool = pair
        .on_primary()
        .query_one(
            "SELECT is_valid FROM insforge_integrations.inspect_provider_jwt($1, 'insforge')",
            &[&exchanged["access_token"].as_str()],
        )
        .unwrap()
        .get(0);
    assert!(valid);

    // authenticate(), and pre_request() with the token in the header.
    let mut transaction = session.transaction().unwrap();
    transaction
        .execute(
            "SELECT insforge_integrations.authenticate($1)",
            &[&pair.signed.tokens[0]],
        )
        .unwrap();
    let user: String = transaction
        .query_one("SELECT requesting_user_id()", &[])
        .unwrap()
        .get(0);
    assert_eq!(user, "p:alice");
    transaction.rollback().unwrap();

    let mut authenticator = pair.on_standby("postgres");
    let mut transaction = authenticator.transaction().unwrap();
    let headers = json!({"x-provider-token": pair.signed.tokens[0]}).to_string();
    transaction.batch_execute("SET LOCAL ROLE anon").unwrap();
    transaction
        .execute(
            "SELECT set_config('request.headers', $1, true), set_config('request.jwt.claims', '{\"role\": \"anon\"}', true)",
            &[&headers],
        )
        .unwrap();
    transaction
        .execute("SELECT insforge_integrations.pre_request()", &[])
        .unwrap();
    let row = transaction
        .query_one(
            "SELECT requesting_user_id(), current_user::text, (SELECT string_agg(body, ',') FROM notes)",
            &[],
        )
        .unwrap();
    assert_eq!(
        (row.get(0), row.get(1), row.get(2)),
        (
            "p:alice".to_owned(),
            "authenticated".to_owned(),
            "by alice".to_owned()
        )
    );
}

#[test]
fn every_write_is_refused_with_25006() {
    let pair = Pair::start();
    let mut session = pair.on_standby("postgres");
    for statement in [
        "SELECT insforge_integrations.configure('realtime', 'on')",
        "SELECT insforge_integrations.register_clerk('clerk.example.com')",
        "SELECT insforge_integrations.set_provider_jwks('p', (SELECT jwks FROM insforge_integrations.auth_providers))",
        "SELECT insforge_integrations.refresh_provider_jwks('p')",
        "SELECT insforge_integrations.set_jwt_secret('another JWT_SECRET of 32 bytes or more')",
        "SELECT record_x402_settlement('0x' || repeat('2', 64), '0x' || repeat('1', 40), '/api', '10000')",
        "SELECT record_x402_settlement('0x' || lpad('1', 64, '0'), '0x' || repeat('1', 40), '/api', '10000')",
        "SELECT correct_x402_settlement('0x' || lpad('1', 64, '0'), 'note', 'a note')",
        "SELECT insforge_integrations.map_x402_payer('0x' || repeat('1', 40), 'alice')",
        "SELECT insforge_integrations.grant_to_insforge_roles()",
        "DROP EXTENSION insforge_integrations",
    ] {
        let error = session.batch_execute(statement).unwrap_err();
        assert_eq!(
            error.code(),
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION),
            "{statement}: {error:?}"
        );
    }
    // The session goes on.
    assert_eq!(verdicts(&mut session, &pair.signed), [None, unknown()]);
}

/// XX000 means a bug. Each function either answers or says what is wrong.
#[test]
fn no_function_fails_as_if_it_were_a_bug() {
    let pair = Pair::start();
    let mut session = pair.on_standby("postgres");
    let calls: Vec<String> = session
        .query(
            "SELECT format('SELECT * FROM %s(%s)', p.oid::regproc,
                           (SELECT string_agg(CASE t.oid WHEN 'text'::regtype THEN quote_literal('p') ELSE 'NULL' END
                                              || '::' || format_type(t.oid, NULL), ', ' ORDER BY a.place)
                            FROM unnest(p.proargtypes) WITH ORDINALITY a(type, place) JOIN pg_type t ON t.oid = a.type))
             FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
             JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'insforge_integrations'
             WHERE p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(calls.len() > 60, "{}", calls.len());
    let failed: Vec<String> = calls
        .iter()
        .filter_map(|call| {
            let error = session.batch_execute(call).err()?;
            (error.code() == Some(&SqlState::INTERNAL_ERROR)).then(|| format!("{call}: {error:?}"))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let findings = session.query("SELECT FROM insforge_integrations.advise()", &[]);
    assert!(findings.is_ok(), "{findings:?}");
}

#[test]
fn a_key_change_arrives_in_an_open_session() {
    let pair = Pair::start();
    let mut session = pair.on_standby("anon");
    // A transaction that began before the change and holds its snapshot.
    let mut old = pair.on_standby("anon");
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        .unwrap();
    let mut operator = pair.on_primary();
    for _ in 0..2 {
        assert_eq!(verdicts(&mut session, &pair.signed), [None, unknown()]);
        assert_eq!(verdicts(&mut old, &pair.signed), [None, unknown()]);
        set_key(&mut operator, &pair.signed, 1);
        pair.standby.wait_for_replay(&mut operator).unwrap();
        assert_eq!(verdicts(&mut session, &pair.signed), [unknown(), None]);
        assert_eq!(verdicts(&mut old, &pair.signed), [unknown(), None]);
        set_key(&mut operator, &pair.signed, 0);
        pair.standby.wait_for_replay(&mut operator).unwrap();
    }
    operator
        .batch_execute("UPDATE insforge_integrations.auth_providers SET enabled = false")
        .unwrap();
    pair.standby.wait_for_replay(&mut operator).unwrap();
    let error = session
        .query_one(
            "SELECT insforge_integrations.verify_provider_jwt($1, 'p')",
            &[&pair.signed.tokens[0]],
        )
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(
        (error.code(), error.detail()),
        (
            &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            Some("It is disabled.")
        )
    );
}

#[test]
fn the_status_is_that_of_the_standby() {
    let pair = Pair::start();
    let mut session = pair.on_standby("project_admin");
    let rows: Vec<String> = session
        .query(
            "SELECT format('%s %s %s', item, subject, value) FROM insforge_integrations.status
             WHERE item IN ('ledger_rows', 'provider_keys', 'versions_differ') ORDER BY 1",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(
        rows,
        ["ledger_rows  1", "provider_keys p 1", "versions_differ  0"]
    );
}

#[test]
fn a_promoted_standby_goes_on() {
    let pair = Pair::start();
    let mut session = pair.on_standby("postgres");
    let error = record(&mut session, 2).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    let promoted: bool = session
        .query_one("SELECT pg_promote()", &[])
        .unwrap()
        .get(0);
    assert!(promoted);

    // The same session writes now. What the primary recorded is still recorded only once.
    record(&mut session, 2).unwrap();
    let error = record(&mut session, 1).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    // A new key holds in the other sessions.
    let mut other = pair.on_standby("anon");
    assert_eq!(verdicts(&mut other, &pair.signed), [None, unknown()]);
    set_key(&mut session, &pair.signed, 1);
    assert_eq!(verdicts(&mut other, &pair.signed), [unknown(), None]);
    let exchanged = other.query_one(
        "SELECT exchange_provider_token($1)",
        &[&pair.signed.tokens[1]],
    );
    assert!(exchanged.is_ok(), "{exchanged:?}");
    request(&mut session, "authenticated", &claims_of("p:alice"), |tx| {
        tx.execute("INSERT INTO notes (body) VALUES ('after')", &[])
    })
    .unwrap();
    let owner: String = session
        .query_one("SELECT user_id FROM notes WHERE body = 'after'", &[])
        .unwrap()
        .get(0);
    assert_eq!(owner, "p:alice");
    // Nothing of this reached the old primary.
    let count: i64 = pair
        .on_primary()
        .query_one("SELECT count(*) FROM x402_payments", &[])
        .unwrap()
        .get(0);
    assert_eq!(count, 1);
}
