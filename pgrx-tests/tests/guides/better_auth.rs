//! Better Auth with Drizzle, after its guide: the SQL of docs/better_auth.md and the code in
//! docs/clients, in an app with a real Better Auth.

use insforge_integrations_tests::node::Process;
use insforge_integrations_tests::{Fixture, shared_cluster};
use serde_json::{Value, json};

use super::{SECRET, socket};

const PAGE: &str = include_str!("../../../docs/better_auth.md");

/// The page's blocks of SQL, with the reader's own values. Drizzle makes its tables in `public`.
fn statements(base_url: &str, secret: &str) -> Vec<String> {
    let blocks = PAGE.split("```sql\n").skip(1);
    blocks
        .map(|rest| {
            let block = rest.split("```").next().unwrap();
            block
                .replace(
                    "seal_better_auth('better_auth')",
                    "seal_better_auth('public')",
                )
                .replace("schema_name => 'better_auth'", "schema_name => 'public'")
                .replace("better_auth.\"user\"", "public.\"user\"")
                .replace("https://app.example.com", base_url)
                .replace("BETTER_AUTH_SECRET, another one than InsForge''s", secret)
                .replace(
                    "the JWT_SECRET of InsForge, 32 bytes or more",
                    &SECRET.replace('\'', "''"),
                )
        })
        .collect()
}

#[test]
fn an_app_with_drizzle_works_after_the_guide() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    let arguments = [socket(), database.name(), "public", SECRET];
    let mut app = Process::start("guides/better_auth.mjs", &arguments).unwrap();
    let text = |name: &str| app.greeting[name].as_str().unwrap().to_owned();
    let statements = statements(&text("base_url"), &text("secret"));
    let [first, table, secret, cookies, inspect] = &statements[..] else {
        panic!("{statements:#?}");
    };
    for block in [first, table, secret, cookies, inspect] {
        superuser.batch_execute(block).unwrap();
    }
    let [ada, ben] = ["ada", "ben"].map(|name| app.greeting["users"][name].clone());
    let seen = app.ask(&json!("go")).unwrap();

    let own = |user: &Value| json!([{"user_id": user, "body": "mine"}]);
    let expected = json!({
        "written": [null, null],
        "ada": own(&ada), "ada_by_cookie": own(&ada),
        "ben": own(&ben), "ben_by_cookie": own(&ben),
        "nobody": [], "nobody_by_cookie": [],
        "wrong": 0,
        "page": own(&ada), "page_after_sign_out": [],
        "ada_after_sign_out": [], "ada_by_cookie_after_sign_out": [],
    });
    assert_eq!(seen, expected);
}
