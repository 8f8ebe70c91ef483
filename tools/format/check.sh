#!/bin/sh
# Fails when a C file is not as clang-format leaves it (.clang-format), and names the command that mends it.
# Usage: check.sh [ROOT].
set -eu

root=${1:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$root"
command -v clang-format >/dev/null || {
    echo "clang-format is not installed" >&2
    exit 1
}

files=
for dir in common services gateway sandbox tools deploy tests; do
    if [ -d "$dir" ]; then files="$files $(find "$dir" -type f \( -name '*.c' -o -name '*.h' \) | LC_ALL=C sort)"; fi
done

# shellcheck disable=SC2086 # the names are ours, without blanks
wrong=$(clang-format --dry-run $files 2>&1 | sed -n 's/^\([^: ]*\.[ch]\):.*clang-format.*/\1/p' | sort -u)
[ -n "$wrong" ] || exit 0
echo "Not formatted; run: clang-format -i" $wrong
exit 1
