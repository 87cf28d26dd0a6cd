//! Types and domains that were seen before, so that the next message costs its own hashes alone.

use super::{Invalid, Schema, TypedData};
use crate::evm::Word;

/// Schemas that are remembered, at most.
const ENTRIES: usize = 16;
/// Bytes of the text that one was made of, at most.
const MAX_TEXT: usize = 8 << 10;

/// Makes digests, and remembers what their messages had in common.
#[derive(Default)]
pub struct Memory(Vec<Entry>);

/// A schema and the text of the types, the primary type and the domain that it was made of.
struct Entry {
    text: [String; 3],
    schema: Schema,
}

impl Memory {
    /// No schema yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// As [`super::digest`].
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn digest(&mut self, typed_data: &str) -> Result<Word, Invalid> {
        let data = TypedData::read(typed_data)?;
        let text = [data.types, data.primary_type, data.domain].map(|json| json.text());
        if let Some(entry) = self.0.iter().find(|entry| entry.text == text) {
            return entry.schema.digest(data.message);
        }
        let schema = data.schema()?;
        let digest = schema.digest(data.message)?;
        if text.iter().map(|text| text.len()).sum::<usize>() <= MAX_TEXT {
            if self.0.len() >= ENTRIES {
                self.0.clear();
            }
            self.0.push(Entry {
                text: text.map(str::to_owned),
                schema,
            });
        }
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES, Memory};
    use crate::eip712::digest;

    fn typed_data(name: &str, value: usize) -> String {
        format!(
            r#"{{"types": {{"T": [{{"name": "x", "type": "uint256"}}]}}, "primaryType": "T", "domain": {{"name": "{name}"}}, "message": {{"x": {value}}}}}"#
        )
    }

    #[test]
    fn what_is_remembered_changes_no_digest() {
        let mut memory = Memory::new();
        for round in 0..3 {
            for name in 0..2 * ENTRIES {
                let typed_data = typed_data(&name.to_string(), round);
                assert_eq!(memory.digest(&typed_data), digest(&typed_data));
                assert!(memory.0.len() <= ENTRIES);
            }
        }
    }

    #[test]
    fn a_long_schema_is_not_kept() {
        let mut memory = Memory::new();
        assert!(memory.digest(&typed_data(&"x".repeat(10_000), 1)).is_ok());
        assert!(memory.0.is_empty());
    }

    #[test]
    fn a_refusal_is_not_kept_and_a_bad_message_is_refused_each_time() {
        let mut memory = Memory::new();
        assert!(memory.digest(&typed_data("a", 1)).is_ok());
        let bad = typed_data("a", 1).replace("{\"x\": 1}", "{\"x\": -1}");
        for _ in 0..2 {
            assert_eq!(memory.digest(&bad).unwrap_err().path, "message.x");
        }
    }
}
