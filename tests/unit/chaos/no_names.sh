#!/bin/sh
# No program of the release build has the name of a kill point or of a breakable rule, nor the switch that arms them; a
# chaos build, where there is one, has them all. Usage: no_names.sh ROOT. Status 77: there is no release build to look at.
set -eu

root=$1
if ! ls "$root"/build/release/bin/tf-order >/dev/null 2>&1; then
    echo "skipped: build/release is not built (./ticketflow test builds it first)"
    exit 77
fi
names=$(mktemp)
trap 'rm -f "$names"' EXIT
sed -n 's/^TF_POINT(\([a-z_]*\),.*/\1/p; s/^TF_RULE(\([a-z_]*\),.*/\1/p' \
    "$root/common/base/kill_points.def" "$root/common/base/broken.def" >"$names"
[ "$(wc -l <"$names")" -ge 40 ] || { echo "the names were not found in the .def files"; exit 1; }
echo TF_CHAOS_FILE >>"$names"

failed=0
for program in "$root"/build/release/bin/*; do
    if LC_ALL=C grep -aqF -f "$names" "$program"; then
        echo "FAILED: $program has: $(LC_ALL=C grep -aoF -f "$names" "$program" | sort -u | tr '\n' ' ')"
        failed=1
    fi
done
# The search finds what is there.
if [ -x "$root/build/chaos/bin/tf-order" ] && [ "$root/build/chaos/bin/tf-order" -nt "$root/common/base/kill_points.def" ]; then
    while read -r name; do
        LC_ALL=C grep -aqF "$name" "$root/build/chaos/bin/tf-order" || { echo "FAILED: the chaos build does not have $name"; failed=1; }
    done <"$names"
fi
exit $failed
