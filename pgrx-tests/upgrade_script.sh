#!/usr/bin/env bash
# Writes the upgrade script from the install script that was packaged last: make upgrade-script.
set -euo pipefail
cd "$(dirname "$0")/.."
from=0.1.0 to=0.2.0
fresh=$(find "$PACKAGE_DIR" -name "insforge_integrations--$to.sql")
{
    echo "-- Made by make upgrade-script. Change sql/upgrades/ and the files of the install script."
    cat "sql/upgrades/$from--$to-begin.sql"
    echo
    # Without the refusal of the guides' objects, which sql/start.sql begins with.
    awk '/^DO \$\$$/ && !cut { cut = 1; skip = 1 }
         !skip { sub(/^CREATE +FUNCTION/, "CREATE OR REPLACE FUNCTION"); print }
         skip && /^\$\$;$/ { skip = 0 }' "$fresh"
    cat "sql/upgrades/$from--$to-end.sql"
} > "sql/insforge_integrations--$from--$to.sql"
