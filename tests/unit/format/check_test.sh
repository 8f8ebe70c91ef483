#!/bin/sh
# The format check passes a formatted file and names the one that is not. Usage: check_test.sh ROOT.
set -eu

root=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/common"
cp "$root/.clang-format" "$tree"
printf 'int one(void);\n' >"$tree/common/good.h"
"$root/tools/format/check.sh" "$tree"

printf 'int  two( void );\n' >"$tree/common/bad.h"
if said=$("$root/tools/format/check.sh" "$tree"); then
    echo "an unformatted file passed"
    exit 1
fi
case $said in
*common/bad.h*) ;;
*)
    echo "the file is not named: $said"
    exit 1
    ;;
esac
