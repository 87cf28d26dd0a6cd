//! What was verified before in this session.

use std::cell::RefCell;
use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::backend::BackendLocal;
use super::error::Result;
use super::providers::{REGISTRY, SECRETS, built_in_policy};
use super::verification::{Accepted, Attempt};
use super::{clock, settings};

/// Digest of a token, and the provider that was asked for.
pub type MemoryKey = (Vec<u8>, Option<String>);

/// What verdicts rest on: the registry, the secrets and the settings as they were.
pub type Generations = [u64; 3];

/// Tokens verified in this session, as long as nothing that their verdicts rest on has changed.
struct Memory {
    generations: Generations,
    tokens: HashMap<MemoryKey, Accepted>,
}

/// How many tokens a session remembers. A pooled connection serves many users.
const MEMORY: usize = 256;

static REMEMBERED: BackendLocal<RefCell<Option<Memory>>> = BackendLocal::new(RefCell::new(None));

fn memory() -> &'static RefCell<Option<Memory>> {
    // SAFETY: the one thread of the backend; the cell guards itself against reentry.
    unsafe { &*REMEMBERED.get() }
}

/// What a verdict on a token is remembered under.
pub fn memory_key(token: &str, provider: Option<&str>) -> MemoryKey {
    let digest = digest(&SHA256, token.as_bytes());
    (digest.as_ref().to_vec(), provider.map(str::to_owned))
}

/// As of the last invalidation that was accepted.
pub fn generations() -> Generations {
    [
        REGISTRY.generation(),
        SECRETS.generation(),
        settings::CACHE.generation(),
    ]
}

/// The verdict on a token that passed before, its times held against the clock again.
pub fn remembered(key: &MemoryKey) -> Result<Option<Attempt>> {
    // Accepts invalidations, so that what is remembered is not older than what it rests on.
    let registry = REGISTRY.current()?;
    let memory = memory().borrow();
    let Some(memory) = memory
        .as_ref()
        .filter(|memory| memory.generations == generations())
    else {
        return Ok(None);
    };
    let Some(accepted) = memory.tokens.get(key) else {
        return Ok(None);
    };
    let (times, now) = (&accepted.verified.times, clock::now());
    let verdict = match registry
        .get(&*accepted.provider)
        .map(|provider| &provider.policy)
    {
        Some(Ok(policy)) => policy.check_times(times, now),
        Some(Err(_)) => return Ok(None),
        None => built_in_policy()?.check_times(times, now),
    };
    Ok(Some(match verdict {
        Ok(()) => Ok(accepted.clone()),
        Err(rejection) => Err(rejection.into()),
    }))
}

/// Keeps what a token was accepted as.
pub fn remember(key: MemoryKey, accepted: &Accepted) {
    let generations = generations();
    let mut memory = memory().borrow_mut();
    let memory = memory.get_or_insert_with(|| Memory {
        generations,
        tokens: HashMap::new(),
    });
    if memory.generations != generations || memory.tokens.len() >= MEMORY {
        memory.tokens.clear();
        memory.generations = generations;
    }
    memory.tokens.insert(key, accepted.clone());
}
