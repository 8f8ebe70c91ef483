# usage: ./ticketflow test [SUITE…] [-k PATTERN] [--long]
#
# Runs the suites unit, integration, e2e and fuzz (all by default), on servers, ports and data of their own: a running
# installation is not touched. What failed is listed with its cause before the last line, which is "N passed, N failed".
# Two more, which --long has too: chaos kills and disturbs what runs (tests/chaos), spec model-checks the purchase protocol
# (docs/spec; Java and Maven are installed for it).
#   -k PATTERN   only what matches: names of programs (unit, integration, fuzz) and of models (spec), Python cases as pytest -k
#   --long       races by the thousand, minutes of fuzzing; suite by suite when the time is short: test --long e2e
# Environment: TF_TEST_PORT (19000), the first of their ports; TF_TEST_KEEP=yes keeps their data; TF_MAXFAIL (20), Python
# cases that may fail before a suite gives up; TF_FUZZ_SECONDS (10; --long 300) and TF_FUZZ_SEED for each fuzzer;
# TF_CHAOS_SEED, which a chaos run prints, draws the same again.

# shellcheck shell=bash
tf_suites=() tf_pattern=
while [ $# -gt 0 ]; do
  case "$1" in
  unit | integration | e2e | fuzz | chaos | spec) tf_suites+=("$1") ;;
  --long) # races by the thousand, minutes of fuzzing
    export TF_LONG=1
    TF_FUZZ_SECONDS=${TF_FUZZ_SECONDS:-300}
    ;;
  -k)
    [ $# -gt 1 ] || tf_misuse "-k needs a pattern"
    tf_pattern=$2
    shift
    ;;
  *) tf_misuse "no suite '$1'; there are unit, integration, e2e, fuzz, chaos, spec" ;;
  esac
  shift
done
[ ${#tf_suites[@]} -gt 0 ] || tf_suites=(unit integration e2e fuzz ${TF_LONG:+chaos spec})

tf_passed=0 tf_failed=0 tf_faults=()
TF_TEST_PORT=${TF_TEST_PORT:-19000}
if [ "$(id -u)" = 0 ]; then
  tf_test_home=/var/lib/ticketflow-test-$TF_TEST_PORT
else
  tf_test_home=$TF_ROOT/build/test-$TF_TEST_PORT
fi

# Nothing stays behind, however the tests end.
tf_test_cleanup() {
  local home store
  for home in "$tf_test_home-integration" "$tf_test_home-e2e" "$tf_test_home-chaos" "$tf_test_home-chaos-stage" "$tf_test_home-chaos-variant"; do
    [ -d "$home" ] || continue
    "$TF_BIN/tf-local" stop --home "$home" >/dev/null 2>&1 || true
    for store in redis pg; do # tests/chaos/faults/disk.py
      ! mountpoint -q "$home/$store" || umount "$home/$store"
    done
    [ "${TF_TEST_KEEP:-no}" = yes ] || rm -rf "$home"
  done
}
trap tf_test_cleanup EXIT

# tf_count PASSED FAILED
tf_count() {
  tf_passed=$((tf_passed + ${1:-0}))
  tf_failed=$((tf_failed + ${2:-0}))
}

# tf_fault SENTENCE…: something failed; the list is printed before the last line.
tf_fault() {
  tf_faults+=("$*")
}

# tf_ctest LABEL JOBS: runs the programs with this label from the sanitizer build and counts them.
tf_ctest() {
  local log=$TF_ROOT/build/asan/ctest-$1.log total failed fault
  (cd "$TF_ROOT/build/asan" && ctest -L "^$1\$" -j"$2" --output-on-failure --timeout 300 ${tf_pattern:+-R "$tf_pattern"}) >"$log" 2>&1 || true
  total=$(sed -n 's/.*tests failed out of \([0-9]*\).*/\1/p' "$log")
  failed=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed.*/\1/p' "$log")
  if [ -z "$total" ]; then
    [ -n "$tf_pattern" ] && grep -q 'No tests were found' "$log" && return 0
    tail -n 20 "$log"
    tf_fault "$1: ctest ran nothing; its output is in $log"
    tf_count 0 1
    return 0
  fi
  # A failed program and the first lines that say why.
  while IFS= read -r fault; do tf_fault "$fault"; done < <(awk -v label="$1" '
    /^ *[0-9]+\/[0-9]+ Test +#[0-9]+:/ {
      failing = /\*\*\*/
      if (failing) { sub(/^[^:]*: /, ""); sub(/ \.\.*/, ": "); print label ": " $0; shown = 0 }
      next
    }
    failing && shown < 4 && /ERROR|FAILED  |[Ss]anitizer|runtime error|panic|[Aa]ssert|: (error|cannot)/ { print "    " $0; shown++ }' "$log")
  echo "$1: $((total - failed)) of $total programs passed (output in $log)"
  tf_count $((total - failed)) "$failed"
}

# tf_counted WORD LINE: the number before a word in pytest's last line.
tf_counted() {
  local n
  n=$(sed -n "s/.*\b\([0-9]\+\) $1\b.*/\1/p" <<<"$2")
  echo "${n:-0}"
}

# tf_pytest DIR: the Python suite of a directory. False when no case was chosen.
tf_pytest() {
  local log=$TF_ROOT/build/pytest-$1.log line fault status=0
  COLUMNS=240 "$TF_ROOT/build/venv/bin/python" -m pytest -q --maxfail="${TF_MAXFAIL:-20}" --durations=5 -p no:cacheprovider "$TF_ROOT/tests/$1" \
    ${tf_pattern:+-k "$tf_pattern"} 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
  case "$status" in
  0 | 1 | 2) ;;
  5) # nothing collected
    [ -n "$tf_pattern" ] || { tf_fault "$1: pytest found no case" && tf_count 0 1; }
    return 1
    ;;
  *)
    tf_fault "$1: pytest ended with status $status; its output is in $log"
    tf_count 0 1
    return 0
    ;;
  esac
  while IFS= read -r fault; do tf_fault "$fault"; done < <(sed -n "s,^\(FAILED\|ERROR\) .*tests/$1/,$1: ,p" "$log")
  line=$(grep -E '(passed|failed|error).* in [0-9.]+s' "$log" | tail -n 1)
  tf_count "$(tf_counted passed "$line")" $(($(tf_counted failed "$line") + $(tf_counted 'errors\{0,1\}' "$line")))
  if [ "$status" != 0 ] && [ "$(($(tf_counted failed "$line") + $(tf_counted 'errors\{0,1\}' "$line")))" = 0 ]; then
    tf_fault "$1: pytest was interrupted; its output is in $log"
    tf_count 0 1
  fi
}

tf_venv() {
  local stamp=$TF_ROOT/build/venv/requirements.sum sum
  sum=$(sha256sum "$TF_ROOT/tests/requirements.txt")
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0
  echo "Installing the tests' Python packages (tests/requirements.txt)"
  mkdir -p "$TF_ROOT/build"
  /usr/bin/python3 -m venv "$TF_ROOT/build/venv"
  "$TF_ROOT/build/venv/bin/pip" install -q --disable-pip-version-check -r "$TF_ROOT/tests/requirements.txt"
  echo "$sum" >"$stamp"
}

# The contracts as Python modules, for the tests that speak gRPC.
tf_python_contracts() {
  local out=$TF_ROOT/build/python
  [ "$out/.done" -nt "$TF_ROOT/proto" ] && [ -z "$(find "$TF_ROOT/proto" -name '*.proto' -newer "$out/.done" 2>/dev/null)" ] && return 0
  mkdir -p "$out"
  (cd "$TF_ROOT/proto" && find ticketflow google -name '*.proto' -print0 | sort -z |
    xargs -0 "$TF_ROOT/build/venv/bin/python" -m grpc_tools.protoc -I. --python_out="$out" --grpc_python_out="$out")
  touch "$out/.done"
}

tf_suite_unit() {
  tf_ctest unit 2
}

tf_suite_integration() {
  local home=$tf_test_home-integration port=$((TF_TEST_PORT + 200))
  rm -rf "$home"
  "$TF_BIN/tf-local" start --home "$home" --base-port "$port" --stores-only || {
    tf_fault "integration: the servers did not start"
    tf_count 0 1
    return 0
  }
  TF_TEST_PG_DSN="host=127.0.0.1 port=$((port + 32)) user=ticketflow dbname=postgres password=$(cat "$home/secrets/pg-superuser.password")"
  TF_TEST_REDIS=127.0.0.1:$((port + 79))
  TF_TEST_ETCD=127.0.0.1:$((port + 23))
  TF_TEST_REDIS_PASSWORD_FILE=$home/secrets/redis.password
  export TF_TEST_PG_DSN TF_TEST_REDIS TF_TEST_REDIS_PASSWORD_FILE TF_TEST_ETCD
  tf_ctest integration 1 # one after the other: some take the servers' connections away
  tf_pytest integration || true
  "$TF_BIN/tf-local" stop --home "$home" >/dev/null
}

tf_suite_e2e() {
  TF_TEST_HOME=$tf_test_home-e2e
  TF_TEST_BASE_PORT=$((TF_TEST_PORT + 400))
  export TF_TEST_HOME TF_TEST_BASE_PORT
  rm -rf "$TF_TEST_HOME"
  # Short holds, so that expiry can be watched; the last second before the release still pays; due orders are looked for so often that money and release
  # really meet.
  "$TF_BIN/tf-local" start --home "$TF_TEST_HOME" --base-port "$TF_TEST_BASE_PORT" --set order.hold_floor_s=2 --set program.hold_floor_s=2 --set order.pay_margin_s=0 --set order.settle_interval_ms=10 || {
    tf_fault "e2e: the installation did not start"
    tf_count 0 1
    return 0
  }
  if tf_pytest e2e; then
    if "$TF_BIN/tf-check" --home "$TF_TEST_HOME" --base-port "$TF_TEST_BASE_PORT"; then
      tf_count 1 0
    else
      tf_fault "e2e: check finds violations after the suite"
      tf_count 0 1
    fi
  fi
  "$TF_BIN/tf-local" stop --home "$TF_TEST_HOME" >/dev/null
}

tf_suite_fuzz() {
  local program name line
  for program in "$TF_ROOT"/build/asan/bin/fuzz-*; do
    [ -x "$program" ] || continue
    name=$(basename "$program")
    [[ -z "$tf_pattern" || "$name" =~ $tf_pattern ]] || continue
    line=$("$program" --seconds "${TF_FUZZ_SECONDS:-10}" --seed "${TF_FUZZ_SEED:-$(date +%s)}" 2>&1 | tee -a "$TF_ROOT/build/asan/fuzz.log" | tail -n 1) || true
    echo "$name: $line"
    case "$line" in
    *' passed, 0 failed') tf_count 1 0 ;;
    *)
      tf_fault "fuzz: $name: $line (output in $TF_ROOT/build/asan/fuzz.log)"
      tf_count 0 1
      ;;
    esac
  done
}

# Its tests start and stop the installation themselves, from the chaos build.
tf_suite_chaos() {
  export TF_CHAOS_HOME=$tf_test_home-chaos TF_TEST_PORT
  tf_pytest chaos || true
}

# tests/spec/run.sh counts by itself; what passed with the same files is not run again.
tf_suite_spec() {
  local log=$TF_ROOT/build/spec.log line
  "$TF_ROOT/tests/spec/run.sh" --resume ${tf_pattern:+-k "$tf_pattern"} 2>&1 | tee "$log" || true
  while IFS= read -r line; do tf_fault "spec: ${line#FAILED }"; done < <(grep '^FAILED ' "$log")
  line=$(tail -n 1 "$log")
  if [[ "$line" =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    tf_count "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
  else
    tf_fault "spec: ${line:-no output} (output in $log)"
    tf_count 0 1
  fi
}

tf_packages packages.txt packages-test.txt
for suite in "${tf_suites[@]}"; do
  case "$suite" in
  unit | fuzz) tf_build asan ;;
  integration)
    tf_build release
    tf_build asan
    tf_venv
    ;;
  e2e)
    tf_build release
    tf_venv
    tf_python_contracts
    ;;
  chaos)
    tf_build release # stops what a run that was cut off left behind
    tf_build chaos
    tf_venv
    ;;
  spec) tf_packages packages-test-long.txt ;;
  esac
done
for suite in "${tf_suites[@]}"; do
  echo
  echo "== $suite"
  "tf_suite_$suite"
done
echo
if [ ${#tf_faults[@]} -gt 0 ]; then
  echo "Failed:"
  printf '  %s\n' "${tf_faults[@]}"
  echo
fi
[ $((tf_passed + tf_failed)) -gt 0 ] || tf_die "test: nothing in ${tf_suites[*]} matches '$tf_pattern'; no test ran"
echo "$tf_passed passed, $tf_failed failed"
[ "$tf_failed" = 0 ]
