#!/usr/bin/env bash
# Makes a Debian package of what `cargo pgrx package` built: deb.sh PACKAGE MAJOR DIRECTORY
#
#   PACKAGE     the output of `cargo pgrx package` for Debian's or postgresql.org's PostgreSQL
#   MAJOR       its major version
#   DIRECTORY   where to put postgresql-MAJOR-insforge-integrations_VERSION_ARCHITECTURE.deb
#
# If lintian is there, it checks the package. The last line printed is the package's path.
set -euo pipefail
umask 022

major=${2:?usage: deb.sh PACKAGE MAJOR DIRECTORY}
package=$(realpath "$1")
mkdir -p "$3"
directory=$(realpath "$3")
cd "$(dirname "$0")/.."

name=postgresql-$major-insforge-integrations
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
maintainer=$(sed -n 's/^ *"maintainer": "\(.*\)",/\1/p' META.json)
architecture=$(dpkg --print-architecture)
# The time of the last commit makes two builds of it equal.
date=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH=$date

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
packaging/install.sh "$package" "$root" > /dev/null
library=$root/usr/lib/postgresql/$major/lib/insforge_integrations.so
[ -f "$library" ] || { echo "deb.sh: $package is not for the PostgreSQL $major of Debian's packages" >&2; exit 1; }
strip --strip-unneeded "$library"

doc=$root/usr/share/doc/$name
mkdir -p "$doc"
cp packaging/copyright "$doc/copyright"
gzip -9n < CHANGELOG.md > "$doc/CHANGELOG.md.gz"
gzip -9n > "$doc/changelog.gz" <<END
$name ($version) unstable; urgency=medium

  * CHANGELOG.md.gz lists the changes.

 -- $maintainer  $(date -R -u -d "@$date")
END

# The library contains these crates, whose licenses must go along.
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
cargo tree --locked --package insforge_integrations --edges normal --prefix none \
    --no-default-features --features "pg$major,jwks-fetch" --format '{p}|{l}' |
    sed -nE -e 's/ \(\*\)$//' -e '/^insforge_integrations /! s/^([^ ]+) v([^ |]+)[^|]*\|(.*)$/\1-\2 \3/p' | sort -u |
    while read -r crate license; do
        printf '\n==== %s: %s\n' "$crate" "$license"
        for text in "$registry"/*/"$crate"/{LICENSE,LICENCE,COPYING,COPYRIGHT,NOTICE}*; do
            [ ! -f "$text" ] || { printf '\n'; cat "$text"; }
        done
    done | gzip -9n > "$doc/third-party-notices.gz"

# dpkg-shlibdeps wants a source package's directory.
mkdir "$work/debian"
printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$name" "$name" > "$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps --warnings=0 -O "$library" 2> shlibdeps.log | sed -n 's/^shlibs:Depends=//p') ||
    { cat "$work/shlibdeps.log" >&2; exit 1; }

mkdir "$root/DEBIAN"
(cd "$root" && find usr -type f | sort | xargs md5sum) > "$root/DEBIAN/md5sums"
cat > "$root/DEBIAN/control" <<END
Package: $name
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: postgresql-$major, $libraries
Section: database
Priority: optional
Description: who is asking, what was signed and what was paid, for InsForge
 Policies for row level security ask the extension which user is asking. It
 verifies the tokens of Clerk, Auth0, WorkOS, Kinde, Stytch, Better Auth and
 OpenID providers, verifies wallets' signatures and x402 payments, keeps the
 ledger of payments, and finds mistakes that leak rows or lose money.
 .
 This package is for PostgreSQL $major. CREATE EXTENSION insforge_integrations
 adds the extension to a database.
END

file=$directory/${name}_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$file" > /dev/null
if command -v lintian > /dev/null; then
    lintian --allow-root --fail-on error "$file" >&2
fi
echo "$file"
