//! The JWT secret read from a file on the server.

use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::error::SqlState;

/// The statement that a restore repeats has no secret in it.
#[test]
fn the_secret_is_read_from_a_file() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let file = directory.path().join("jwt secret");
    let path = file.to_str().unwrap().to_owned();
    const SECRET: &str = "sécret of InsForge, with 32 bytes and more";
    let mut set = |content: Option<&[u8]>| {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        client
            .query_one(
                "SELECT insforge_integrations.set_jwt_secret_from_file($1)::text",
                &[&path],
            )
            .err()
            .map(|error| error.as_db_error().unwrap().clone())
    };
    for (content, detail) in [
        (None, "The server does not find this file."),
        (Some(vec![b'a'; 4097]), "It has more than 4096 bytes."),
        (
            Some(b"JWT_SECRET=x\nADMIN_EMAIL=topsecret@example.com\n".to_vec()),
            "It has more than one line.",
        ),
        (
            Some(b"topsecret topsecret topsecret topsecret\xff".to_vec()),
            "It is not text in UTF-8.",
        ),
        (
            Some(b"topsecret topsecret topsecret\0topsecret".to_vec()),
            "It is not text in UTF-8.",
        ),
    ] {
        let error = set(content.as_deref()).unwrap();
        assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
        assert_eq!(
            error.detail(),
            Some(format!("{detail} Nothing was changed.").as_str())
        );
        let whole = format!("{error:?}");
        assert!(
            !whole.contains("topsecret") && !whole.contains("0xff") && !whole.contains("ADMIN"),
            "{whole}"
        );
        assert!(error.hint().unwrap().contains("/run/secrets"), "{error:?}");
    }
    for short in ["", "topsecret\n"] {
        let error = set(Some(short.as_bytes())).unwrap();
        assert_eq!(error.message(), "the JWT secret is too short");
        assert!(!format!("{error:?}").contains("topsecret"));
    }
    for content in [
        SECRET.to_owned(),
        format!("{SECRET}\n"),
        format!("{SECRET}\r\n\n"),
    ] {
        assert_eq!(set(Some(content.as_bytes())), None);
    }
    let stored: Vec<String> = client
        .query("SELECT secret FROM insforge_integrations.jwt_secrets", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(stored, [SECRET]);
    // Another keeps this one for a while, as set_jwt_secret() does.
    std::fs::write(&path, "another secret of InsForge, as long as it must be").unwrap();
    client
        .query_one(
            "SELECT insforge_integrations.set_jwt_secret_from_file($1, keep_previous => '2 hours')::text",
            &[&path],
        )
        .unwrap();
    let previous = client
        .query(
            "SELECT FROM insforge_integrations.jwt_secrets WHERE valid_until > now() + interval '1 hour'",
            &[],
        )
        .unwrap();
    assert_eq!(previous.len(), 1);
    // If the secret is given in place of a path, no message contains it.
    let long = "x".repeat(5000);
    for path in [Some(SECRET), Some(long.as_str()), Some(""), None] {
        let refused = client
            .execute(
                "SELECT insforge_integrations.set_jwt_secret_from_file($1)",
                &[&path],
            )
            .unwrap_err();
        let error = refused.as_db_error().unwrap();
        assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
        assert_eq!(
            error.detail(),
            Some("The server does not find this file. Nothing was changed.")
        );
        assert!(!format!("{error:?}").contains(SECRET));
    }
    for role in ["project_admin", "authenticated"] {
        let refused = database
            .connect_as(role)
            .unwrap()
            .execute(
                "SELECT insforge_integrations.set_jwt_secret_from_file($1)",
                &[&path],
            )
            .unwrap_err();
        assert_eq!(
            refused.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{role}"
        );
    }
}
