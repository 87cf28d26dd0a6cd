#!/usr/bin/env bash
# Puts the files of a package into a running server's directories: install.sh PACKAGE [DESTDIR]
#
#   PACKAGE   what `cargo pgrx package` built, with the paths from / on
#   DESTDIR   the directory that stands for /
#
# Sessions have the library mapped. A copy over the file truncates it first, and then every session dies of signal 7.
# Therefore each file is written under a temporary name beside its target, and renamed over the target. A session that
# has loaded the old library keeps it until it ends. A new session loads the new library.
set -euo pipefail
umask 022

package=${1:?usage: install.sh PACKAGE [DESTDIR]}
destination=${2:-}

# First the library, which the new SQL needs, then the SQL, and last the control file, which names the new version.
files=()
for pattern in '*.so' '*.sql' '*.control'; do
    while read -r file; do files+=("$file"); done < <(cd "$package" && find . -type f -name "$pattern" -printf '%P\n' | sort)
done
[ ${#files[@]} -ge 3 ] || { echo "install.sh: no extension in $package" >&2; exit 1; }

for file in "${files[@]}"; do
    directory=$destination/$(dirname "$file")
    until [ -e "$directory" ]; do directory=$(dirname "$directory"); done
    [ -w "$directory" ] || [ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
done

temporary=
trap 'rm -f "$temporary"' EXIT
for file in "${files[@]}"; do
    target=$destination/$file
    temporary=$(dirname "$target")/.$(basename "$target").$$
    install -D -m 644 "$package/$file" "$temporary"
    mv -f -T "$temporary" "$target"
    echo "installed $target"
done
