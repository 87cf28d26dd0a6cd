//! The organisation functions, compared with the provider's own SDK on the same claims.

use insforge_integrations_tests::{Fixture, node, shared_cluster};
use serde_json::Value;

/// Clerk's npm package decodes random session tokens; Postgres must agree on every one.
#[test]
fn clerk_organizations_as_clerk_reads_them() {
    let seed = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .subsec_nanos()
        .to_string();
    println!("seed {seed}");
    let mut client = shared_cluster()
        .database(Fixture::Extension)
        .unwrap()
        .connect()
        .unwrap();
    let mut permissions_seen = 0;
    for line in node::run("clerk_organizations.mjs", &[&seed, "1000"])
        .unwrap()
        .lines()
    {
        let expected: Value = serde_json::from_str(line).unwrap();
        let row = client
            .query_one(
                "SELECT requesting_user_id(), requesting_org_id(), requesting_org_role(), requesting_permissions()
                 FROM set_config('request.jwt.claims', $1, false)",
                &[&expected["claims"].to_string()],
            )
            .unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |value: &Value| {
            value
                .as_array()
                .map(|list| list.iter().filter_map(text).collect::<Vec<_>>())
        };
        assert_eq!(
            row.get::<_, Option<String>>(0),
            text(&expected["claims"]["sub"]),
            "{line}"
        );
        assert_eq!(
            row.get::<_, Option<String>>(1),
            text(&expected["orgId"]),
            "{line}"
        );
        assert_eq!(
            row.get::<_, Option<String>>(2),
            text(&expected["orgRole"]),
            "{line}"
        );
        let permissions: Option<Vec<String>> = row.get(3);
        assert_eq!(permissions, list(&expected["orgPermissions"]), "{line}");
        permissions_seen += permissions.map_or(0, |list| list.len());
    }
    assert!(
        permissions_seen > 1000,
        "the generator has grown dull: {permissions_seen}"
    );
}
