#!/bin/sh
# Tests tools/layers/check.sh on small trees: one case a line: what the tree breaks, the file, its include, and what the
# message must contain ("-": the tree is good).
set -eu

check=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

rules() {
    mkdir -p "$tree/tools" "$tree/common/base" "$tree/common/pg" "$tree/services/order/store" "$tree/services/order/domain" \
        "$tree/services/pay"
    cat > "$tree/tools/layers.txt" <<'RULES'
room common/base
room common/pg common/base
room services/order common ticketflow/order
room services/order/domain services/order common/base
room services/pay common ticketflow/pay
foreign libpq common/pg
system stdio.h sys/
RULES
    for header in common/base/a.h common/pg/pg.h services/order/order.h services/order/store/s.h services/pay/p.h; do
        : > "$tree/$header"
    done
}

case_row() {
    name=$1 file=$2 include=$3 expected=$4
    rm -rf "${tree:?}"/*
    rules
    mkdir -p "$tree/$(dirname "$file")"
    printf '// a line before\n  #  include %s // why\n' "$include" > "$tree/$file"
    status=0
    out=$("$check" "$tree" 2>&1) || status=$?
    if [ "$expected" = - ]; then
        if [ $status -eq 0 ]; then return; fi
    elif [ $status -eq 1 ]; then
        case $out in *"$file:2: "*"$expected"*) return ;; esac
    fi
    printf 'FAILED: %s (status %d)\n%s\n' "$name" $status "$out"
    failed=1
}

case_row "a lower room"              common/pg/x.c             '"common/base/a.h"'          -
case_row "its own room"              common/pg/x.c             '"common/pg/pg.h"'           -
case_row "its own room, relative"    services/order/store/x.c  '"s.h"'                      -
case_row "relative upwards"          services/order/store/x.c  '"../order.h"'               -
case_row "a room below its own"      services/order/x.c        '"services/order/store/s.h"' -
case_row "its contract"              services/order/x.c        '"ticketflow/order/v1/order.tf.h"' -
case_row "a system header"           common/base/x.c           '<stdio.h>'                  -
case_row "a system directory"        common/base/x.c           '<sys/stat.h>'               -
case_row "its foreign library"       common/pg/x.c             '<libpq-fe.h>'               -
case_row "a higher room"             common/base/x.c           '"common/pg/pg.h"'           'may not include "common/pg/pg.h"; allowed in: '
case_row "a higher room, relative"   common/base/x.c           '"../pg/pg.h"'               'room common/base may not include'
case_row "another service's header"  services/order/x.c        '"services/pay/p.h"'         'room services/order may not include'
case_row "another's contract"        services/pay/x.c          '"ticketflow/order/v1/order.tf.h"' 'allowed in: services/order'
case_row "I/O in a pure room"        services/order/domain/x.c '"common/pg/pg.h"'           'room services/order/domain may not include'
case_row "a foreign library"         services/order/x.c        '<libpq-fe.h>'               'allowed in: common/pg'
case_row "an unknown library"        common/base/x.c           '<zmq.h>'                    'neither a system header nor a known library'
case_row "in a header"               services/order/x.h        '"services/pay/p.h"'         'room services/order may not include'

rm -rf "${tree:?}"/*
rules
mkdir -p "$tree/common/new"
: > "$tree/common/new/x.c"
if out=$("$check" "$tree" 2>&1); then
    echo "FAILED: a file in no room passes: $out"
    failed=1
fi
exit $failed
