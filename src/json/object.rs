//! Reading of objects, for both readers.

use serde::Deserialize;
use serde::de::{Error, MapAccess};

/// Reads the members of an object. A duplicate name is refused, because two readers of one text
/// must not see two values for a name. `insert` returns true for a duplicate.
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
