# usage: ./ticketflow bench [NAME…] [--json FILE]
#
# Measures hold, inventory, commit and purchase (all by default) on an installation of its own, beside a running one.
# Every figure is the median of three runs (inventory: of fifteen short ones). --json: the figures of all benches that ran become members of one object in FILE.
# TF_BENCH_PORT is the first of its ports (28500).

# shellcheck shell=bash
tf_benches=() tf_json=
while [ $# -gt 0 ]; do
  case "$1" in
  hold | inventory | commit | purchase) tf_benches+=("$1") ;;
  --json)
    [ $# -gt 1 ] || tf_misuse "--json needs a file"
    tf_json=$2
    shift
    ;;
  *) tf_misuse "no measurement '$1'; there are hold, inventory, commit, purchase" ;;
  esac
  shift
done
[ ${#tf_benches[@]} -gt 0 ] || tf_benches=(hold inventory commit purchase)

tf_packages packages.txt
tf_build release
tf_bench_port=${TF_BENCH_PORT:-28500}
if [ "$(id -u)" = 0 ]; then tf_bench_home=/var/lib/ticketflow-bench-$tf_bench_port; else tf_bench_home=$TF_ROOT/build/bench-$tf_bench_port; fi
tf_bench_files=$(mktemp -d)

# Nothing stays behind, however the measurement ends.
tf_bench_cleanup() {
  "$TF_BIN/tf-local" stop --home "$tf_bench_home" >/dev/null 2>&1 || true
  rm -rf "$tf_bench_home" "$tf_bench_files"
}
trap tf_bench_cleanup EXIT
trap 'exit 130' INT TERM

# Six shows of 50,000 places: each measurement finds one that nobody has touched.
tf_bench_catalogue() {
  local day shows=() text='{"zh-CN": "测量", "en": "Bench"}'
  for day in 1 2 3 4 5 6; do
    shows+=("{\"ref\": \"bench-$day\", \"plan\": \"bench-plan\", \"name\": $text, \"start\": \"today+$((30 + day)) 19:30\", \"opens\": \"today-1 00:00\",
      \"currency\": \"CNY\", \"account_limit\": 1000, \"order_limit\": 6, \"one_pending_order\": false, \"publish\": true,
      \"tiers\": [{\"ref\": \"seat\", \"name\": $text, \"price\": {\"face\": 100}, \"color\": \"#2980b9\"}]}")
  done
  cat <<EOT
{"format": "ticketflow-catalogue/1",
 "organisers": [{"ref": "bench", "name": $text}],
 "venues": [{"ref": "bench-hall", "name": $text, "city": $text, "address": $text, "time_zone": "Asia/Shanghai"}],
 "plans": [{"ref": "bench-plan", "venue": "bench-hall", "sections": [
   {"section": "Hall", "name": $text, "entrance": $text, "rows": "1-500", "seats_per_row": 100, "tier": "seat"}]}],
 "programs": [{"ref": "bench", "title": $text, "performers": $text, "category": $text, "picture": "/pictures/bench.svg",
   "texts": {"detail": $text, "notice": $text, "refund_rule": $text, "real_name_rule": $text, "child_rule": $text, "delivery": $text,
             "entry_rule": $text, "prohibited_items": $text, "running_time": $text, "invoice": $text},
   "shows": [$(IFS=, && echo "${shows[*]}")]}]}
EOT
}

rm -rf "$tf_bench_home"
"$TF_BIN/tf-local" start --home "$tf_bench_home" --base-port "$tf_bench_port" || tf_die "the private installation did not start"
tf_bench_catalogue >"$tf_bench_files/catalogue.json"
"$TF_BIN/tf-story" import "$tf_bench_files/catalogue.json" --quiet --gateway "http://127.0.0.1:$((tf_bench_port + 80))" --secrets "$tf_bench_home/secrets"
for bench in "${tf_benches[@]}"; do
  echo
  echo "== $bench"
  "$TF_BIN/tf-bench" "$bench" --home "$tf_bench_home" --base-port "$tf_bench_port" --json "$tf_bench_files/$bench.figures"
done
if [ -n "$tf_json" ]; then
  # The benches' objects, joined.
  {
    echo "{"
    for bench in "${tf_benches[@]}"; do sed -n 's/^\(  ".*}\),\{0,1\}$/\1/p' "$tf_bench_files/$bench.figures"; done | sed '$!s/$/,/'
    echo "}"
  } >"$tf_json"
  echo "Figures: $tf_json"
fi
