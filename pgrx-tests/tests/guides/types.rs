//! The code has the types of the packages, with TypeScript's strict rules.

use insforge_integrations_tests::node;

#[test]
fn every_import_and_every_call_exists() {
    let found = node::run("guides/typecheck.mjs", &[]).unwrap();
    assert_eq!(found, "");
}
