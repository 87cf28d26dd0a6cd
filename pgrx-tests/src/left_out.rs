//! What another build of Postgres lacks, and the line that says so.

use std::io::Write;

use crate::installation::sharedir;

/// Whether this Postgres has the files of an extension. If not, a line on stderr says which test was left out.
///
/// # Panics
/// When there is no Postgres.
#[must_use]
pub fn has_extension(name: &str) -> bool {
    let control = format!("extension/{name}.control");
    let has = sharedir().expect("a Postgres").join(control).exists();
    if !has {
        left_out(&format!("extension {name}"));
    }
    has
}

/// Says that this test, or a part of it, was not run, because this Postgres lacks something.
pub fn left_out(missing: &str) {
    not_run(&format!("this Postgres has no {missing}"));
}

/// Says that this test, or a part of it, was not run, and why.
pub fn not_run(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // A test's `eprintln!` would be shown only if it failed.
    let _ = writeln!(std::io::stderr(), "{test}: not run, because {reason}");
}
