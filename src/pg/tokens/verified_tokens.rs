//! Tokens that this session has verified before.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::providers::{REGISTRY, built_in_policy};
use super::verdict::Accepted;
use crate::pg::error::Result;
use crate::pg::sys::clock;
use crate::pg::sys::table_cache::{Uses, changes};

/// Digest of a token, and the provider that the caller named.
pub(crate) type MemoryKey = (Vec<u8>, Option<String>);

/// Tokens that this session has verified. They count until the registry, the secrets or the
/// settings change.
struct VerifiedTokens {
    changes: u64,
    tokens: HashMap<MemoryKey, Accepted>,
}

/// How many tokens a session remembers. A pooled connection serves many users.
const MAX_TOKENS: usize = 256;

thread_local! {
    static REMEMBERED: RefCell<Option<VerifiedTokens>> = const { RefCell::new(None) };
    static USES: Cell<Uses> = const { Cell::new(Uses { hits: 0, misses: 0 }) };
}

/// How often a token was remembered, and how often not.
pub(crate) fn uses() -> Uses {
    USES.get()
}

/// The key under which a verdict on a token is remembered.
pub(crate) fn memory_key(token: &str, provider: Option<&str>) -> MemoryKey {
    let digest = digest(&SHA256, token.as_bytes());
    (digest.as_ref().to_vec(), provider.map(str::to_owned))
}

/// The verdict on a token that was accepted before, after a new check of its times.
pub(crate) fn remembered(key: &MemoryKey) -> Result<Option<Accepted>> {
    // This accepts invalidations, so the memory is not older than the tables.
    let registry = REGISTRY.current()?;
    let accepted = REMEMBERED.with_borrow(|memory| {
        let memory = memory.as_ref()?;
        let accepted = memory.tokens.get(key)?;
        (memory.changes == changes()).then(|| accepted.clone())
    });
    USES.set(USES.get().count(accepted.is_some()));
    let Some(accepted) = accepted else {
        return Ok(None);
    };
    let (times, now) = (&accepted.times, clock::now());
    match registry
        .get(&*accepted.provider)
        .map(|provider| &provider.policy)
    {
        Some(Ok(policy)) => policy.check_times(times, now)?,
        Some(Err(_)) => return Ok(None),
        None => built_in_policy()?.check_times(times, now)?,
    }
    Ok(Some(accepted))
}

/// Remembers the verdict on an accepted token.
pub(crate) fn remember(key: MemoryKey, accepted: &Accepted) {
    let changes = changes();
    REMEMBERED.with_borrow_mut(|memory| {
        let memory = memory.get_or_insert_with(|| VerifiedTokens {
            changes,
            tokens: HashMap::new(),
        });
        if memory.changes != changes || memory.tokens.len() >= MAX_TOKENS {
            memory.tokens.clear();
            memory.changes = changes;
        }
        memory.tokens.insert(key, accepted.clone());
    });
}
