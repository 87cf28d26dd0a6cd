//! Settings that decide on the rights of users: `token_role`, `anon_role` and `identity_source`.

use insforge_integrations_tests::request::{claims_of, request};
use insforge_integrations_tests::{Cluster, Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

/// A role that reads every row, and a role that does not exist. The test has its own cluster.
#[test]
fn token_role_and_anon_role_take_only_a_role_that_policies_hold_for() {
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE ROLE root SUPERUSER; CREATE ROLE free BYPASSRLS;
             CREATE ROLE heir; GRANT free TO heir;
             CREATE ROLE grandchild NOINHERIT; GRANT heir TO grandchild;
             CREATE ROLE \"child of root\"; GRANT root TO \"child of root\";
             CREATE ROLE app_user; CREATE ROLE group_of_users; GRANT group_of_users TO app_user;
             GRANT app_user TO free; GRANT app_user TO root",
        )
        .unwrap();
    for (role, detail) in [
        ("nobody", "There is no such role."),
        ("Authenticated", "There is no such role."),
        ("postgres", "Role postgres is a superuser."),
        ("root", "Role root is a superuser."),
        ("free", "Role free has BYPASSRLS."),
        ("project_admin", "Role project_admin has BYPASSRLS."),
        (
            "heir",
            "Role heir is a member of free, which has BYPASSRLS.",
        ),
        (
            "grandchild",
            "Role grandchild is a member of free, which has BYPASSRLS.",
        ),
        (
            "child of root",
            "Role \"child of root\" is a member of root, which is a superuser.",
        ),
    ] {
        for setting in ["token_role", "anon_role"] {
            let refused = client
                .execute(
                    "SELECT insforge_integrations.configure($1, $2)",
                    &[&setting, &role],
                )
                .unwrap_err();
            let error = refused.as_db_error().unwrap();
            assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE, "{role}");
            assert!(error.message().contains(setting), "{error:?}");
            assert_eq!(
                error.detail(),
                Some(format!("{detail} Nothing was changed.").as_str())
            );
            assert!(error.hint().unwrap().contains("BYPASSRLS"), "{error:?}");
        }
    }
    let stored = |client: &mut Client| -> Option<String> {
        client
            .query_one("SELECT max(value) FROM insforge_integrations.settings", &[])
            .unwrap()
            .get(0)
    };
    assert_eq!(stored(&mut client), None);
    for role in ["app_user", "anon"] {
        client
            .execute(
                "SELECT insforge_integrations.configure('token_role', $1)",
                &[&role],
            )
            .unwrap();
        assert_eq!(stored(&mut client).as_deref(), Some(role));
    }
}

/// `configure('identity_source', …)` and the warnings that it gives, with their DETAIL and HINT.
fn warnings_of(database: &Database, value: &str) -> Vec<[Option<String>; 4]> {
    let (sender, warnings) = std::sync::mpsc::channel();
    let mut client = database
        .config()
        .notice_callback(move |notice| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let _ = sender.send([
                text(Some(notice.code().code())),
                text(Some(notice.message())),
                text(notice.detail()),
                text(notice.hint()),
            ]);
        })
        .connect(postgres::NoTls)
        .unwrap();
    client
        .execute(
            "SELECT insforge_integrations.configure('identity_source', $1)",
            &[&value],
        )
        .unwrap();
    drop(client);
    warnings.into_iter().collect()
}

#[test]
fn verified_warns_that_exchanged_tokens_identify_nobody() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let warnings = warnings_of(&database, "verified");
    let [[code, message, detail, hint]] = warnings.as_slice() else {
        panic!("{warnings:?}")
    };
    assert_eq!(code.as_deref(), Some("01000"));
    assert_eq!(
        message.as_deref(),
        Some("exchanged tokens identify nobody while identity_source is verified")
    );
    assert!(
        detail
            .as_deref()
            .unwrap()
            .contains("do not call authenticate()")
    );
    assert!(
        hint.as_deref()
            .unwrap()
            .contains("insforge_integrations.pre_request()")
    );
    assert_eq!(warnings_of(&database, "claims").len(), 0);
}

/// The warning is right: a request of InsForge with an exchanged token has no user, and a request
/// with the header has one.
#[test]
fn verified_goes_with_the_provider_token_in_a_header() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.set_jwt_secret('a secret for tests, of 32 bytes and more');
             SELECT insforge_integrations.configure('identity_source', 'verified')",
        )
        .unwrap();
    let exchanged = request(&mut client, "authenticated", &claims_of("alice"), |tx| {
        tx.query_one("SELECT requesting_user_id()", &[])
    });
    assert_eq!(exchanged.unwrap().get::<_, Option<String>>(0), None);
    let token: String = client
        .query_one(
            "SELECT insforge_integrations.issue_insforge_token('alice')",
            &[],
        )
        .unwrap()
        .get(0);
    let headers = format!("{{\"x-provider-token\": \"{token}\"}}");
    let in_header = request(&mut client, "anon", "{\"role\": \"anon\"}", |tx| {
        tx.execute(
            "SELECT set_config('request.headers', $1, true)",
            &[&headers],
        )?;
        tx.execute("SELECT insforge_integrations.pre_request()", &[])?;
        tx.query_one("SELECT requesting_user_id(), current_user::text", &[])
    })
    .unwrap();
    assert_eq!(in_header.get::<_, &str>(0), "alice");
    assert_eq!(in_header.get::<_, &str>(1), "authenticated");
}
