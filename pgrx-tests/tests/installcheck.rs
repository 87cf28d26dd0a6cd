//! `make installcheck`, as it is run on a server where the extension was installed.

use std::path::Path;
use std::process::Command;

use insforge_integrations_tests::{Fixture, shared_cluster};

#[test]
fn passes_and_leaves_nothing_on_the_server() {
    let mut client = shared_cluster()
        .database(Fixture::Empty)
        .unwrap()
        .connect()
        .unwrap();
    let mut names = || -> Vec<String> {
        client
            .query(
                "SELECT datname::text FROM pg_database UNION ALL SELECT rolname::text FROM pg_roles ORDER BY 1",
                &[],
            )
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    };
    let before = names();
    let output = Command::new("make")
        .arg("installcheck")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("PGHOST", shared_cluster().socket_directory())
        .env("PGUSER", "postgres")
        .env_remove("PGPORT")
        .env_remove("PGDATABASE")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(names(), before);
}
