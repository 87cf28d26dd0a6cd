//! A new library replaces the old one while sessions are at work, as `make install` and a package do it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use insforge_integrations_tests::request::claims_of;
use insforge_integrations_tests::{Cluster, Database, Fixture, package_dir, request};
use postgres::Client;
use tempfile::TempDir;

const SESSIONS: usize = 8;

/// What is packaged, with a library that differs from it in the last bytes of the file, which no section needs.
fn another_package() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(package_dir().unwrap().join("."))
        .arg(directory.path())
        .status();
    assert!(copied.unwrap().success());
    let found = Command::new("find")
        .arg(directory.path())
        .args(["-name", "insforge_integrations.so"])
        .output()
        .unwrap();
    let library = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim_end());
    let mut content = fs::read(&library).unwrap();
    content.extend(b"another version");
    fs::write(&library, content).unwrap();
    (directory, library)
}

/// The lines of the session's memory map that name the extension's library.
fn mapped(client: &mut Client) -> Vec<String> {
    let map: String = client
        .query_one("SELECT pg_read_file('/proc/self/maps')", &[])
        .unwrap()
        .get(0);
    map.lines()
        .filter(|line| line.contains("/insforge_integrations.so"))
        .map(str::to_owned)
        .collect()
}

/// Whose request it is, and the check of a token, which reads much of the library.
fn one_request(client: &mut Client, user: &str) -> Result<String, postgres::Error> {
    request(client, "authenticated", &claims_of(user), |tx| {
        tx.query_one(
            "SELECT reason FROM insforge_integrations.inspect_provider_jwt('not.a.token')",
            &[],
        )?;
        Ok(tx.query_one("SELECT requesting_user_id()", &[])?.get(0))
    })
}

/// Lets sessions work, calls `replace` ten times meanwhile, and returns the sessions, or the errors that ended them.
fn under_load(database: &Database, replace: impl Fn()) -> Vec<Result<Client, String>> {
    let stop = AtomicBool::new(false);
    let requests: [AtomicU64; SESSIONS] = Default::default();
    // Each session has answered, or has ended.
    let all_go_on = || {
        let before: Vec<u64> = requests.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        while requests
            .iter()
            .zip(&before)
            .any(|(now, before)| now.load(Ordering::Relaxed) == *before)
        {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        let (stop, requests) = (&stop, &requests);
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let mut client = database.connect().unwrap();
                scope.spawn(move || {
                    let user = format!("user_{number}");
                    let mut result = Ok(());
                    while result.is_ok() && !stop.load(Ordering::Relaxed) {
                        result = match one_request(&mut client, &user) {
                            Ok(answer) if answer == user => Ok(()),
                            other => Err(format!("{user}: {other:?}")),
                        };
                        requests[number].fetch_add(1, Ordering::Relaxed);
                    }
                    // Ended sessions count on, so that nobody waits for them.
                    while !stop.load(Ordering::Relaxed) {
                        requests[number].fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                    }
                    result.map(|()| client)
                })
            })
            .collect();
        for _ in 0..10 {
            all_go_on();
            replace();
        }
        all_go_on();
        stop.store(true, Ordering::Relaxed);
        sessions
            .into_iter()
            .map(|session| session.join().unwrap())
            .collect()
    })
}

#[test]
fn no_session_dies_and_new_sessions_load_the_new_library() {
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let (package, new_library) = another_package();
    let old_content = fs::read(cluster.installation().library()).unwrap();

    for session in under_load(&database, || {
        cluster.installation().install(package.path()).unwrap();
    }) {
        let mut session = session.unwrap();
        // A running session keeps the library that it loaded.
        let lines = mapped(&mut session);
        assert!(!lines.is_empty());
        assert!(
            lines.iter().all(|line| line.ends_with("(deleted)")),
            "{lines:?}"
        );
        assert_eq!(one_request(&mut session, "alice").unwrap(), "alice");
    }

    let installed = cluster.installation().library();
    assert!(fs::read(&installed).unwrap() == fs::read(new_library).unwrap());
    assert!(fs::read(&installed).unwrap() != old_content);
    let mut session = database.connect().unwrap();
    assert_eq!(one_request(&mut session, "bob").unwrap(), "bob");
    let lines = mapped(&mut session);
    assert!(!lines.is_empty());
    assert!(
        !lines.iter().any(|line| line.ends_with("(deleted)")),
        "{lines:?}"
    );

    // Nothing is left beside the files, and the server has not restarted.
    for directory in [
        installed.parent().unwrap(),
        &cluster.installation().extensions(),
    ] {
        let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
        assert!(
            !fs::read_dir(directory)
                .unwrap()
                .flatten()
                .any(|entry| hidden(&entry))
        );
    }
    let log = cluster.log().unwrap();
    assert!(!log.contains("terminated by signal"), "{log}");
}

/// The load above is enough to notice a copy in place.
#[test]
fn a_copy_in_place_ends_sessions_with_signal_7() {
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let (_package, new_library) = another_package();
    let sessions = under_load(&database, || {
        fs::copy(&new_library, cluster.installation().library()).unwrap();
    });
    assert!(sessions.iter().all(Result::is_err));
    let log = cluster.log().unwrap();
    assert!(
        log.contains("was terminated by signal 7: Bus error"),
        "{log}"
    );
}

#[test]
fn make_install_uses_the_same_script() {
    let output = Command::new("make")
        .args([
            "--dry-run",
            "install",
            "PG_CONFIG=/pg_config",
            "DESTDIR=/root",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    let commands = String::from_utf8(output.stdout).unwrap();
    let package = package_dir().unwrap();
    let release = "target/release/insforge_integrations-pg";
    assert!(commands.contains("packaging/install.sh "), "{commands}");
    assert!(commands.contains(release) || commands.contains(package.to_str().unwrap()));
    assert!(commands.contains(" /root\n"), "{commands}");
    assert!(!commands.contains("cargo pgrx install"), "{commands}");
}
