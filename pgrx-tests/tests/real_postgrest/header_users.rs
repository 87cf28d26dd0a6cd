//! What is different for a user whose token is in the header: docs/postgrest.md tells it.

use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use insforge_integrations_tests::{Cluster, Fixture, shared_cluster};
use serde_json::{Value, json};

use super::server::{Call, SECRET, Server, agent, programs};
use super::{HEADER, OURS, insforge_token, prepared, text};

/// A PostgREST that reads the settings of its database, as is the default.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("PGRST_DB_ANON_ROLE", "anon"),
    ("PGRST_DB_PRE_REQUEST", OURS),
    ("PGRST_JWT_SECRET", SECRET),
];

#[test]
fn the_functions_answer_after_create_extension_without_a_reload_by_hand() {
    for program in programs() {
        let database = shared_cluster().database(Fixture::InsForge).unwrap();
        let mut superuser = database.connect().unwrap();
        let without = [ENVIRONMENT[0], ENVIRONMENT[2]];
        let server = Server::start_with(program, &database, &without);
        let call = Call::post(
            "/rpc/exchange_provider_token",
            &json!({"token": "no token"}),
        );
        assert_eq!(server.answer(&call).error(), (404, "PGRST202"));
        superuser
            .batch_execute("CREATE EXTENSION insforge_integrations")
            .unwrap();
        let answer = server.answer_when(&call, |answer| answer.error() != (404, "PGRST202"));
        assert_eq!(answer.error(), (401, "PT401"), "{answer:?}");
        // Without the function PostgREST answers the same before and after it reads its schema.
        superuser
            .batch_execute("DROP EXTENSION insforge_integrations")
            .unwrap();
        assert_eq!(server.answer(&call).status, 404);
    }
}

/// PostgREST sets the settings of the request's role, if its own role is a member of that role. The
/// pre-request changes the role later.
#[test]
fn the_settings_of_a_role_are_those_of_anon() {
    for program in programs() {
        // Settings of roles hold for all databases of a server.
        let cluster = Cluster::start().unwrap();
        let database = cluster.database(Fixture::Extension).unwrap();
        let mut superuser = database.connect().unwrap();
        superuser
            .batch_execute(
                "CREATE FUNCTION allowed_time() RETURNS text STABLE LANGUAGE sql AS $$
                   SELECT current_setting('statement_timeout')
                 $$;
                 ALTER ROLE anon SET statement_timeout = '3s';
                 ALTER ROLE authenticated SET statement_timeout = '8s'",
            )
            .unwrap();
        register(&mut superuser, "clerk");
        let case = a_token_of("clerk");
        let call = Call::get("/rpc/allowed_time");
        let by_header = call.clone().header(HEADER, text(&case["token"]));
        let by_token = call.bearer(&insforge_token("authenticated", case["user_id"].as_str()));
        for (members, header, token) in [
            // InsForge's PostgREST is a superuser and no member.
            ("SELECT 1", "0", "0"),
            ("GRANT anon, authenticated TO postgres", "3s", "8s"),
        ] {
            superuser.batch_execute(members).unwrap();
            let server = Server::start_with(program, &database, &ENVIRONMENT);
            assert_eq!(server.answer(&by_header).body, json!(header), "{members}");
            assert_eq!(server.answer(&by_token).body, json!(token), "{members}");
        }
    }
}

#[test]
fn a_missing_privilege_is_401_where_a_jwt_gets_403() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        superuser
            .batch_execute(
                "CREATE TABLE hidden (id integer); REVOKE ALL ON hidden FROM anon, authenticated",
            )
            .unwrap();
        let server = Server::start_with(program, &database, &ENVIRONMENT);
        let case = a_token_of("clerk");
        let call = Call::get("/hidden");
        let by_header = server.answer(&call.clone().header(HEADER, text(&case["token"])));
        assert_eq!(by_header.error(), (401, "42501"));
        assert!(
            text(&by_header.body["message"]).contains("hidden"),
            "{by_header:?}"
        );
        let by_token = call.bearer(&insforge_token("authenticated", case["user_id"].as_str()));
        assert_eq!(server.answer(&by_token).error(), (403, "42501"));
        // InsForge's backend sends a JWT for anon.
        let by_both = Call::get("/hidden").bearer(&insforge_token("anon", None));
        let by_both = server.answer(&by_both.header(HEADER, text(&case["token"])));
        assert_eq!(by_both.error(), (401, "42501"));
    }
}

/// What a browser asks before it sends the header from a page of another origin.
#[test]
fn cors_allows_the_header() {
    for program in programs() {
        let (database, _superuser) = prepared();
        let server = Server::start_with(program, &database, &ENVIRONMENT);
        let preflight = Call::get("/notes")
            .method("OPTIONS")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", HEADER);
        let answer = agent().run(preflight.build(server.url())).unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_lowercase();
        assert_eq!(answer.status(), 200);
        assert_eq!(header("access-control-allow-origin"), "*");
        assert!(header("access-control-allow-headers").contains(HEADER));
    }
}

/// A setting of PostgREST's role, as docs/postgrest.md sets it while PostgREST runs.
#[test]
fn the_setting_of_a_role_holds_after_reload_config() {
    for program in programs() {
        let database = shared_cluster().database(Fixture::Extension).unwrap();
        let name = database.name();
        let mut superuser = database.connect().unwrap();
        register(&mut superuser, "clerk");
        // PostgREST does not read the settings of a database.
        superuser
            .batch_execute(&format!(
                "ALTER DATABASE {name} SET pgrst.db_pre_request = '{OURS}'"
            ))
            .unwrap();
        let without = [ENVIRONMENT[0], ENVIRONMENT[2]];
        let server = Server::start_with(program, &database, &without);
        let call = Call::get("/rpc/requesting_user_id");
        let case = a_token_of("clerk");
        let call = call.header(HEADER, text(&case["token"]));
        assert_eq!(server.answer(&call).body, Value::Null);
        superuser
            .batch_execute(&format!(
                "ALTER ROLE postgres IN DATABASE {name} SET pgrst.db_pre_request = '{OURS}'; NOTIFY pgrst, 'reload config'"
            ))
            .unwrap();
        server.answer_when(&call, |answer| answer.body == case["user_id"]);
        // A role's setting is in no dump of the database.
        let dump = shared_cluster()
            .client_command("pg_dump")
            .arg(database.name())
            .output()
            .unwrap();
        let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
        assert!(dump.contains("CREATE EXTENSION") && !dump.contains("db_pre_request"));
    }
}
