//! How the pre-request is set for InsForge, and what the header does not reach.

use std::time::{Duration, Instant};

use insforge_integrations_tests::node;
use insforge_integrations_tests::provider_tokens::a_token_of;
use serde_json::{Value, json};

use super::backend::{ANON_KEY, API_KEY};
use super::server::{Answer, Call};
use super::{HEADER, InsForge, SECRETS};

const BY_PSQL: &str =
    "ALTER ROLE postgres SET pgrst.db_pre_request = 'insforge_integrations.pre_request'";

#[test]
fn by_psql_it_is_set_while_insforge_runs() {
    let Some(insforge) = InsForge::start(&[]) else {
        return;
    };
    let case = a_token_of("clerk");
    let call = Call::post("/api/database/rpc/who", &json!({})).bearer(ANON_KEY);
    let call = call.header(HEADER, case["token"].as_str().unwrap());
    // Without it, the header counts for nothing: no error says so.
    let ignored = insforge.backend.answer(&call);
    assert_eq!(
        (ignored.status, &ignored.body["role"]),
        (200, &json!("anon"))
    );

    for path in ["rawsql", "rawsql/unrestricted"] {
        let query = json!({"query": BY_PSQL});
        let refused = Call::post(format!("/api/database/advance/{path}"), &query).bearer(API_KEY);
        let refused = insforge.backend.answer(&refused);
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }

    let mut superuser = insforge.superuser();
    let mut reload = |statements: &str, expected: &dyn Fn(&Answer) -> bool| {
        let statements = format!("{statements}; NOTIFY pgrst, 'reload config'");
        superuser.batch_execute(&statements).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !expected(&insforge.backend.answer(&call)) {
            assert!(Instant::now() < deadline, "{}", insforge.postgrest.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    reload(BY_PSQL, &|answer| answer.body["user"] == case["user_id"]);
    let mut dump = insforge.database.cluster().client_command("pg_dump");
    let dump = dump.arg(insforge.database.name()).output().unwrap();
    assert!(!String::from_utf8_lossy(&dump.stdout).contains("db_pre_request"));

    // While the setting names a missing function, every request fails.
    reload(
        "DROP EXTENSION insforge_integrations CASCADE; CREATE OR REPLACE FUNCTION who() RETURNS json STABLE LANGUAGE sql AS $$ SELECT to_json('nobody'::text) $$",
        &|answer| answer.error() == (400, "3F000"),
    );
    reload(
        "ALTER ROLE postgres RESET pgrst.db_pre_request",
        &|answer| answer.body == json!("nobody"),
    );
}

/// InsForge's backend itself reads only the Authorization header.
#[test]
fn storage_and_realtime_need_an_exchanged_token() {
    let Some(insforge) = InsForge::shared() else {
        return;
    };
    let (mut superuser, backend) = (insforge.superuser(), &insforge.backend);
    superuser
        .batch_execute(&format!(
            "SELECT insforge_integrations.set_jwt_secret('{}');
             ALTER TABLE realtime.channels ENABLE ROW LEVEL SECURITY;
             CREATE POLICY users ON realtime.channels FOR SELECT TO authenticated USING (requesting_user_id() IS NOT NULL);
             INSERT INTO realtime.channels (pattern, description) VALUES ('room', '');
             CREATE POLICY own_files ON storage.objects TO authenticated
               USING (uploaded_by = requesting_user_id()) WITH CHECK (uploaded_by = requesting_user_id())",
            SECRETS.jwt_secret
        ))
        .unwrap();
    let bucket = Call::post(
        "/api/storage/buckets",
        &json!({"bucketName": "files", "isPublic": false}),
    );
    let made = backend.answer(&bucket.bearer(API_KEY));
    assert_eq!(made.status, 201, "{made:?}");
    let case = a_token_of("clerk");
    let token = case["token"].as_str().unwrap();
    let printed = node::run("insforge_services.mjs", &[backend.url(), ANON_KEY, token]);
    let seen: Value = serde_json::from_str(&printed.unwrap()).unwrap();
    assert_eq!(
        seen,
        json!({
            "header": {"uploaded": false, "subscribed": false},
            "exchange": {"uploaded": true, "subscribed": true},
        })
    );
    let uploaded = "SELECT key, uploaded_by FROM storage.objects";
    let uploaded = superuser.query_one(uploaded, &[]).unwrap();
    assert_eq!(uploaded.get::<_, &str>(0), "exchange.txt");
    assert_eq!(uploaded.get::<_, Option<&str>>(1), case["user_id"].as_str());
}
