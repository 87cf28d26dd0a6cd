//! Objects, as both readers take them.

use serde::Deserialize;
use serde::de::{Error, MapAccess};

/// Reads the members of an object, and refuses a duplicate name: two readers of one text must not see
/// two values for a name. `insert` says whether a name is one.
pub(super) fn read_members<'de, N, V, A>(
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
