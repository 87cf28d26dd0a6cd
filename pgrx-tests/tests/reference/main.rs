//! `docs/reference.md` and `docs/clients/insforge_integrations.d.ts` are made from the objects in the catalog and
//! their comments. `UPDATE_DOCS=1` writes them.

mod catalog;
mod page;
mod typescript;

use std::path::{Path, PathBuf};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Checks that a file is what the catalog says, or writes it.
fn is_made(path: &str, expected: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, expected).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(file).is_ok_and(|text| text == expected),
        "{path} is not what the catalog says: run UPDATE_DOCS=1 make test-suites"
    );
}
