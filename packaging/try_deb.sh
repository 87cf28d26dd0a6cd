#!/usr/bin/env bash
# Installs a package by apt on a new system and creates the extension there: try_deb.sh DEB
#
# The new system is a directory with this machine's release of Debian or Ubuntu and this machine's package sources. It
# needs root, debootstrap and the network. PostgreSQL comes as a dependency of the package.
set -euo pipefail

deb=$(realpath "${1:?usage: try_deb.sh DEB}")
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
command -v debootstrap > /dev/null || { echo "try_deb.sh: install debootstrap first" >&2; exit 1; }
major=$(dpkg-deb --field "$deb" Package | cut -d- -f2)
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")

root=$(mktemp -d)
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
as_postgres() { inside setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
bin=/usr/lib/postgresql/$major/bin
data=/var/lib/postgresql/data
stop() { as_postgres "$bin/pg_ctl" stop -s -m immediate -D "$data" 2> /dev/null || true; rm -rf "$root"; }
trap stop EXIT

debootstrap --variant=minbase --include=ca-certificates "$codename" "$root" > "$root.log" ||
    { cat "$root.log" >&2; rm -f "$root.log"; exit 1; }
rm -f "$root.log"
chmod 755 "$root"
rm -f "$root/etc/apt/sources.list"
cp -aL /etc/apt/. "$root/etc/apt/"
for keys in /usr/share/keyrings /usr/share/postgresql-common/pgdg; do
    [ ! -d "$keys" ] || { mkdir -p "$root$keys" && cp -aL "$keys/." "$root$keys/"; }
done
# Packages start no service here, and no cluster on a port that the machine uses.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mkdir -p "$root/etc/postgresql-common"
echo 'create_main_cluster = false' > "$root/etc/postgresql-common/createcluster.conf"

cp "$deb" "$root/tmp/"
inside apt-get update -q
inside apt-get install -y -q --no-install-recommends "/tmp/$(basename "$deb")"

as_postgres "$bin/initdb" -D "$data" --locale=C.UTF-8 --no-sync > /dev/null
as_postgres "$bin/pg_ctl" start -s -w -D "$data" -l /var/lib/postgresql/log \
    -o "-c listen_addresses='' -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=mmap"
query() { as_postgres "$bin/psql" -X -A -t -q -v ON_ERROR_STOP=1 -h /tmp -d postgres "$@"; }
query -c 'CREATE EXTENSION insforge_integrations'
answer=$(query -c "SELECT set_config('request.jwt.claims', '{\"sub\": \"user_2alice\"}', false)" -c 'SELECT requesting_user_id()' | tail -1)
[ "$answer" = user_2alice ] || { echo "try_deb.sh: requesting_user_id() answered $answer" >&2; exit 1; }

# What apt removes, it removes wholly.
inside apt-get purge -y -q "$(dpkg-deb --field "$deb" Package)"
left=$(find "$root/usr" -name '*insforge*')
[ -z "$left" ] || { echo "try_deb.sh: left behind: $left" >&2; exit 1; }
echo "apt installed and removed $(basename "$deb") on a new $codename"
