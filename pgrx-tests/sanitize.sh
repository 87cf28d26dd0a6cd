#!/usr/bin/env bash
# Runs the tests with AddressSanitizer: the pure modules' own tests, then the suites on servers that load the extension.
# An access outside of what was allocated, or after it was freed, ends the server, and the report is printed.
#
#   PACKAGE_DIR   where `cargo pgrx package` put the extension
#   PG_MAJOR      the PostgreSQL that it was built for
#   arguments     go to `cargo test`: `--test ledger` runs one suite
#
# Not seen: accesses inside one block of Postgres' allocator, which cuts small pieces from blocks of 8 KiB and
# more, and those by code in C (Postgres, AWS-LC), which is compiled without it. Miri cannot stand in: it needs a
# nightly compiler, and runs no C.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
work=$PWD/target/sanitized
mkdir -p "$work"

# RUSTC_BOOTSTRAP: the flag is for nightly compilers, and stable ones ship what it needs.
sanitized() {
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_TARGET_DIR=$work \
        cargo "$@" --target "$host"
}
sanitized test --lib --no-default-features --features jwks-fetch
sanitized build --lib --no-default-features --features "pg$PG_MAJOR,jwks-fetch"

rm -rf "$work/package"
cp -a "$PACKAGE_DIR" "$work/package"
cp "$work/$host/debug/libinsforge_integrations.so" \
    "$(find "$work/package" -name 'insforge_integrations.so')"

# Rust ships the runtime for programs. Postgres is none of Rust's, so it preloads the runtime as a library, which
# cannot have the part that runs before a program's own start.
runtime=$(echo "$(rustc --print sysroot)/lib/rustlib/$host/lib/"librustc-*_rt.asan.a)
cp "$runtime" "$work/asan.a"
ar d "$work/asan.a" asan_preinit.cpp.o
gcc -shared -o "$work/asan.so" -Wl,--whole-archive "$work/asan.a" -Wl,--no-whole-archive -lpthread -ldl -lm -lrt

# A place that the server's user reaches, whoever owns this directory. Postgres frees little before it exits: no leaks.
shared=$(mktemp -d)
trap 'rm -rf "$shared"' EXIT
cp "$work/asan.so" "$shared"
mkdir "$shared/reports"
chmod 755 "$shared"
chmod 1777 "$shared/reports"
status=0
# The test that is left out measures the memory of a process, and the sanitizer keeps what was freed.
PACKAGE_DIR=$work/package SERVER_PRELOAD=$shared/asan.so \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:quarantine_size_mb=16:log_path=$shared/reports/asan \
    cargo test -p insforge-integrations-tests "$@" -- --skip a_session_remembers_a_bounded_number_of_tokens || status=$?
for report in "$shared"/reports/*; do
    [ -e "$report" ] || break
    cat "$report"
    status=1
done
exit "$status"
