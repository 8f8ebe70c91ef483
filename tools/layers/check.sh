#!/bin/sh
# Fails when a file includes what its room may not. Usage: check.sh [ROOT]; the rules are ROOT/tools/layers.txt.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${1:-$here/../..}
cd "$root"

dirs=
for dir in common services gateway sandbox tools deploy tests proto; do
    if [ -d "$dir" ]; then dirs="$dirs $dir"; fi
done

# shellcheck disable=SC2086 # the names are ours, without blanks
find $dirs -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' \) -print | LC_ALL=C sort |
    LC_ALL=C awk -v rules=tools/layers.txt -f "$here/layers.awk"
