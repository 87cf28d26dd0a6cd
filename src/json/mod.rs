//! JSON in two readings.
//!
//! [`Json`] decodes a value when it is asked for, and keeps each number as it is written.
//! [`strict`] reads a whole text into a tree, and refuses everything that a verifier must not
//! accept.

mod lazy;
mod object;
pub mod strict;

#[cfg(test)]
pub(crate) use lazy::tests;
pub use lazy::{Json, MemberList, Members};
