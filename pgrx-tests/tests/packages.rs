//! The Debian package of `make deb`, and META.json for PGXN.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insforge_integrations_tests::request::claims_of;
use insforge_integrations_tests::{Cluster, Fixture, package_dir, request};
use postgres::Client;
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What a command printed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The paths of the files below a directory, from it on.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    output(
        Command::new("find")
            .arg(directory)
            .args(["-type", "f", "-printf", "%P\\n"]),
    )
    .lines()
    .map(PathBuf::from)
    .collect()
}

/// `make try-deb` installs it by apt on a new system, which takes minutes.
#[test]
fn the_debian_package_has_every_file_and_its_extension_works() {
    let major = std::env::var("PG_MAJOR").unwrap_or_else(|_| "15".to_owned());
    let package = package_dir().unwrap();
    let lib = format!("usr/lib/postgresql/{major}/lib");
    if !package.join(&lib).is_dir() || Command::new("dpkg-deb").arg("--version").output().is_err() {
        eprintln!("make deb: not run, because this is not Debian's PostgreSQL");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let printed = output(Command::new(repository().join("packaging/deb.sh")).args([
        &package,
        Path::new(&major),
        directory.path(),
    ]));
    let deb = Path::new(printed.lines().last().unwrap());
    let architecture = output(Command::new("dpkg").arg("--print-architecture"));
    let name = format!("postgresql-{major}-insforge-integrations");
    assert_eq!(
        deb.file_name().unwrap().to_str().unwrap(),
        format!("{name}_{VERSION}_{}.deb", architecture.trim())
    );

    let field = |field: &str| output(Command::new("dpkg-deb").arg("--field").arg(deb).arg(field));
    assert_eq!(field("Package").trim(), name);
    assert_eq!(field("Version").trim(), VERSION);
    assert_eq!(field("Architecture"), architecture);
    let depends = field("Depends");
    assert!(
        depends.starts_with(&format!("postgresql-{major}, ")),
        "{depends}"
    );
    assert!(depends.contains("libc6 (>= "), "{depends}");

    let unpacked = directory.path().join("unpacked");
    output(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(deb)
            .arg(&unpacked),
    );
    let mut expected = files(&package);
    for document in [
        "copyright",
        "changelog.gz",
        "CHANGELOG.md.gz",
        "third-party-notices.gz",
    ] {
        expected.insert(Path::new("usr/share/doc").join(&name).join(document));
    }
    assert_eq!(files(&unpacked), expected);
    let notices = output(
        Command::new("zcat").arg(
            unpacked
                .join("usr/share/doc")
                .join(&name)
                .join("third-party-notices.gz"),
        ),
    );
    for part in ["aws-lc-sys-", "pgrx-0.18.1: MIT\n", "k256-", "rustls-"] {
        assert!(notices.contains(&format!("\n==== {part}")), "{part}");
    }

    assert!(notices.contains("Permission is hereby granted, free of charge"));

    // dpkg puts it into a running server, in the place of the files that are there.
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut running = database.connect().unwrap();
    assert_eq!(requesting_user(&mut running), "alice");
    let admin = directory.path().join("dpkg");
    fs::create_dir_all(admin.join("updates")).unwrap();
    fs::create_dir_all(admin.join("info")).unwrap();
    fs::write(admin.join("status"), "").unwrap();
    output(
        Command::new("dpkg")
            .args([
                "--force-depends",
                "--force-not-root",
                "--force-script-chrootless",
            ])
            .arg(format!(
                "--instdir={}",
                cluster.installation().root().display()
            ))
            .arg(format!("--admindir={}", admin.display()))
            .args(["--log=/dev/null", "--install"])
            .arg(deb),
    );
    let library = fs::read(unpacked.join(lib).join("insforge_integrations.so")).unwrap();
    assert!(fs::read(cluster.installation().library()).unwrap() == library);
    assert_eq!(requesting_user(&mut running), "alice");
    let database = cluster.database(Fixture::Extension).unwrap();
    assert_eq!(requesting_user(&mut database.connect().unwrap()), "alice");
}

fn requesting_user(client: &mut Client) -> String {
    request(client, "authenticated", &claims_of("alice"), |tx| {
        Ok(tx.query_one("SELECT requesting_user_id()", &[])?.get(0))
    })
    .unwrap()
}

/// The fields that PGXN Meta Spec 1.0.0 requires, and their types (https://pgxn.org/meta/spec.txt).
#[test]
fn meta_json_has_what_pgxn_requires_and_this_version() {
    let text = fs::read_to_string(repository().join("META.json")).unwrap();
    let meta: Value = serde_json::from_str(&text).unwrap();
    for field in ["name", "version", "abstract", "maintainer", "license"] {
        assert!(
            meta[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}"
        );
    }
    assert_eq!(meta["version"], VERSION);
    assert_eq!(meta["meta-spec"]["version"], "1.0.0");
    assert_eq!(meta["license"], "apache_2_0");
    let provided = meta["provides"].as_object().unwrap();
    assert_eq!(
        provided.keys().collect::<Vec<_>>(),
        ["insforge_integrations"]
    );
    let extension = &provided["insforge_integrations"];
    assert_eq!(extension["version"], VERSION);
    for field in ["file", "docfile"] {
        assert!(
            repository()
                .join(extension[field].as_str().unwrap())
                .is_file(),
            "{field}"
        );
    }
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("description = {}", meta["abstract"])));
}
