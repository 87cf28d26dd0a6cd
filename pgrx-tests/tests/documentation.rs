//! The SQL in README and docs/ runs as it stands.

use std::path::Path;

use insforge_integrations_tests::{Fixture, node, shared_cluster};

/// Each page with SQL in it, and the database its reader has.
const PAGES: &[(&str, Fixture)] = &[
    ("README.md", Fixture::InsForge),
    ("docs/adoption.md", Fixture::Guide),
    ("docs/auth0.md", Fixture::Extension),
    ("docs/better_auth.md", Fixture::Extension),
    ("docs/clerk.md", Fixture::Extension),
    ("docs/kinde.md", Fixture::Extension),
    ("docs/ledger.md", Fixture::Extension),
    ("docs/payments.md", Fixture::Extension),
    ("docs/postgrest.md", Fixture::Extension),
    ("docs/providers.md", Fixture::Extension),
    ("docs/requesting_user_id.md", Fixture::Extension),
    ("docs/stytch.md", Fixture::Extension),
    ("docs/workos.md", Fixture::Extension),
];

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn sql_blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(page)).unwrap();
    text.split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_block_of_every_page_runs() {
    for (page, fixture) in PAGES {
        let database = shared_cluster().database(*fixture).unwrap();
        let mut client = database.connect().unwrap();
        if *page == "docs/better_auth.md" {
            let socket = shared_cluster().socket_directory().to_str().unwrap();
            node::run("better_auth.mjs", &[socket, database.name(), "better_auth"]).unwrap();
        }
        let blocks = sql_blocks(page);
        assert!(!blocks.is_empty(), "{page} has no SQL any more");
        for block in blocks {
            if let Err(error) = client.batch_execute(&block) {
                panic!("{page}: {error:?}\n{block}");
            }
        }
    }
}

#[test]
fn no_page_with_sql_is_left_out() {
    let pages = std::fs::read_dir(repository().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    for page in pages
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(".md"))
    {
        let page = format!("docs/{page}");
        assert!(
            sql_blocks(&page).is_empty() || PAGES.iter().any(|(known, _)| *known == page),
            "{page} is not in PAGES"
        );
    }
}
