//! Looks for the JWT secret in texts that everybody can write, for `advise()`.

use std::hash::{BuildHasher, Hasher, RandomState};

use pgrx::prelude::*;

use crate::secret_search::{constants, search};

/// Whether a text, the constants of an expression's tree, or bytes contain one of the secrets.
///
/// The text is read as bytes, because Postgres' configuration files need not be UTF-8.
#[pg_extern(
    schema = "insforge_integrations",
    sql = r#"
CREATE FUNCTION insforge_integrations_internal.holds_secret(content text, tree text, bytes bytea, secrets text[]) RETURNS boolean
  IMMUTABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#
)]
fn holds_secret(
    content: Option<&[u8]>,
    tree: Option<&str>,
    bytes: Option<&[u8]>,
    secrets: Option<Array<'_, &str>>,
) -> bool {
    let Some(secrets) = secrets else { return false };
    let key = RandomState::new().build_hasher().finish();
    let constants: Vec<Vec<u8>> = tree.into_iter().flat_map(constants).collect();
    let places: Vec<&[u8]> = content
        .into_iter()
        .chain(bytes)
        .chain(constants.iter().map(Vec::as_slice))
        .collect();
    // It searches every place for every secret, even after a find.
    secrets.iter().flatten().fold(false, |found, secret| {
        places.iter().fold(found, |found, place| {
            found | search(place, secret.as_bytes(), key).found
        })
    })
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn a_secret_is_found_in_each_kind_of_place() {
        let holds = |arguments: &str| {
            Spi::get_one::<bool>(&format!(
                "SELECT insforge_integrations_internal.holds_secret({arguments})"
            ))
            .unwrap()
            .unwrap()
        };
        for arguments in [
            "'a secret', NULL, NULL, '{none,secret}'",
            "NULL, '[ 115 101 99 114 101 116 ]', NULL, '{secret}'",
            "NULL, NULL, 'a\\000secret', '{secret}'",
        ] {
            assert!(holds(arguments), "{arguments}");
        }
        for arguments in [
            "'a secret', NULL, NULL, '{secre1,a  secret}'",
            "'secret', NULL, NULL, NULL",
            "'secret', NULL, NULL, '{NULL,\"\"}'",
            "NULL, NULL, NULL, '{secret}'",
        ] {
            assert!(!holds(arguments), "{arguments}");
        }
    }
}
