//! A project with role names of its own, those of PostgREST's tutorial, and users of Auth0. The
//! statements are those of docs/postgrest.md.

use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use insforge_integrations_tests::{Cluster, Fixture};
use serde_json::json;

use super::server::{Call, SECRET, Server, programs};
use super::{HEADER, text};

/// The blocks of docs/postgrest.md that an operator runs, up to the next heading.
fn statements() -> Vec<&'static str> {
    let page = include_str!("../../../docs/postgrest.md");
    let section = page
        .split("\n## ")
        .find(|part| part.starts_with("Set it up"))
        .unwrap();
    let blocks = section.split("```text\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

#[test]
fn auth0s_users_read_and_write_their_own_rows_under_the_projects_roles() {
    for program in programs() {
        let cluster = Cluster::start().unwrap();
        let database = cluster.database(Fixture::Empty).unwrap();
        let mut superuser = database.connect().unwrap();
        superuser
            .batch_execute(
                "CREATE ROLE authenticator LOGIN NOINHERIT; CREATE ROLE web_anon; CREATE ROLE web_user;
                 GRANT web_anon, web_user TO authenticator;
                 CREATE TABLE notes (user_id text NOT NULL, body text);
                 ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT ON notes TO web_user;
                 INSERT INTO notes VALUES ('somebody else', 'theirs')",
            )
            .unwrap();
        let uri = format!(
            "host='{}' user=authenticator dbname={}",
            cluster.socket_directory().display(),
            database.name()
        );
        let environment = [
            ("PGRST_DB_URI", uri.as_str()),
            ("PGRST_DB_ANON_ROLE", "web_anon"),
            ("PGRST_JWT_SECRET", SECRET),
        ];
        let server = Server::start_with(program, &database, &environment);
        let case = a_token_of("auth0");
        let token = text(&case["token"]);
        let anonymous = Call::get("/notes?select=user_id,body");
        let signed_in = anonymous.clone().header(HEADER, token);
        assert_eq!(server.answer(&signed_in).error(), (401, "42501"));

        superuser
            .batch_execute(
                "CREATE EXTENSION insforge_integrations;
                 ALTER TABLE notes ALTER user_id SET DEFAULT requesting_user_id();
                 CREATE POLICY own_rows ON notes TO web_user
                   USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))",
            )
            .unwrap();
        for block in statements() {
            let block = block.replace("DATABASE app", &format!("DATABASE \"{}\"", database.name()));
            superuser.batch_execute(&block).unwrap();
        }
        register(&mut superuser, "auth0");

        let answer = server.answer_when(&signed_in, |answer| answer.status == 200);
        assert_eq!(answer.body, json!([]));
        let own = json!([{"user_id": case["user_id"], "body": "mine"}]);
        let write = Call::post("/notes?select=user_id,body", &json!({"body": "mine"}))
            .header("prefer", "return=representation");
        let written = server.answer(&write.clone().header(HEADER, token));
        assert_eq!((written.status, &written.body), (201, &own));
        assert_eq!(server.answer(&signed_in).body, own);
        let claims = Call::get("/rpc/requesting_claims").header(HEADER, token);
        let claims = server.answer_when(&claims, |answer| answer.status == 200);
        assert_eq!(claims.body["sub"], case["user_id"]);
        assert_eq!(claims.body["iss"], "https://example.eu.auth0.com/");
        // Without a token, and with a bad one.
        assert_eq!(server.answer(&anonymous).error(), (401, "42501"));
        let refused = server.answer(&anonymous.clone().header(HEADER, "not a token"));
        assert_eq!(refused.error(), (401, "PT401"));

        // The same user by an exchange.
        let set = "SELECT insforge_integrations.set_jwt_secret($1)";
        superuser.execute(set, &[&SECRET]).unwrap();
        let exchange = Call::post("/rpc/exchange_provider_token", &json!({"token": token}));
        let answer = server.answer(&exchange);
        assert_eq!(answer.status, 200, "{answer:?}");
        let users = anonymous.clone().bearer(text(&answer.body["access_token"]));
        assert_eq!(server.answer(&users).body, own);
    }
}

/// The setting was forgotten: the answer says so and names PostgREST's role.
#[test]
fn a_forgotten_setting_says_so() {
    for program in programs() {
        let cluster = Cluster::start().unwrap();
        let database = cluster.database(Fixture::Empty).unwrap();
        let mut superuser = database.connect().unwrap();
        superuser
            .batch_execute("CREATE ROLE web_anon; CREATE EXTENSION insforge_integrations")
            .unwrap();
        register(&mut superuser, "auth0");
        let environment = [
            ("PGRST_DB_ANON_ROLE", "web_anon"),
            ("PGRST_DB_PRE_REQUEST", super::OURS),
        ];
        let server = Server::start_with(program, &database, &environment);
        let token = text(&a_token_of("auth0")["token"]);
        let call = Call::get("/rpc/requesting_user_id");
        assert_eq!(server.answer(&call).status, 200);
        let answer = server.answer(&call.header(HEADER, token));
        assert_eq!(answer.error(), (500, "55000"), "{answer:?}");
        assert!(
            text(&answer.body["details"]).contains("\"web_anon\""),
            "{answer:?}"
        );
        assert!(
            text(&answer.body["hint"]).contains("configure('anon_role'"),
            "{answer:?}"
        );
    }
}
