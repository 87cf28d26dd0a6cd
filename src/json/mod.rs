//! JSON in two readings.
//!
//! [`Json`] takes a text apart where somebody looks, and keeps each number as it is written.
//! [`strict`] reads a whole text into a tree, and refuses what a verifier must not accept.

mod lazy;
pub mod strict;

use serde::Deserialize;
use serde::de::{Error, MapAccess};

#[cfg(test)]
pub(crate) use lazy::tests;
pub use lazy::{Json, MemberList, Members};

/// Reads the members of an object, and refuses a duplicate name: two readers of one text must not see
/// two values for a name. `insert` says whether a name is one.
fn read_members<'de, N, V, A>(
    mut object: A,
    mut insert: impl FnMut(N, V) -> bool,
) -> Result<(), A::Error>
where
    N: Deserialize<'de>,
    V: Deserialize<'de>,
    A: MapAccess<'de>,
{
    while let Some((name, value)) = object.next_entry()? {
        if insert(name, value) {
            return Err(A::Error::custom("duplicate name"));
        }
    }
    Ok(())
}
