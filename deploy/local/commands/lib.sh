# Shared by the commands, which ../../../ticketflow sources after this file: where things are, packages, building, talking
# to the supervisor. A command's file opens with a comment that is its help.

# shellcheck shell=bash

tf_die() {
  echo "ticketflow: $*" >&2
  exit 1
}

# tf_misuse SENTENCE…: the command line is at fault.
# shellcheck disable=SC2154 # tf_command is set by ../../../ticketflow
tf_misuse() {
  echo "ticketflow: $tf_command: $*; see ./ticketflow $tf_command --help" >&2
  exit 64
}

# tf_command_file NAME: prints the command's file; false when there is no such command.
tf_command_file() {
  case "$1" in
  lib | '' | *[!a-z]*) return 1 ;;
  esac
  [ -f "$TF_ROOT/deploy/local/commands/$1.sh" ] && echo "$TF_ROOT/deploy/local/commands/$1.sh"
}

# tf_usage COMMAND: prints its help.
tf_usage() {
  sed -n '/^#/!q; s/^# \{0,1\}//p' "$TF_ROOT/deploy/local/commands/$1.sh"
}

# State of the installation: root's under /var/lib, a user's under the state directory; TF_HOME overrides.
tf_default_home() {
  if [ "$(id -u)" = 0 ]; then
    echo /var/lib/ticketflow
  else
    echo "${XDG_STATE_HOME:-$HOME/.local/state}/ticketflow"
  fi
}
TF_BUILD=$TF_ROOT/build/release
TF_BIN=$TF_BUILD/bin

# tf_ports_used: the first port of the installation's last start; nothing before there was one.
tf_ports_used() {
  sed -n '1s/^[0-9]* //p' "$TF_HOME/run/lock" 2>/dev/null || true
}

# tf_place HOME PORT: which installation the commands mean; PORT may be empty: that of its last start.
tf_place() {
  TF_HOME=$(realpath -m -- "$1")
  TF_BASE_PORT=${2:-$(tf_ports_used)}
  TF_BASE_PORT=${TF_BASE_PORT:-17000}
  case "$TF_BASE_PORT" in
  *[!0-9]* | ??????*)
    echo "ticketflow: base port '$TF_BASE_PORT': a number from 1024 to 65300" >&2
    exit 64
    ;;
  esac
  TF_GATEWAY=http://127.0.0.1:$((TF_BASE_PORT + 80))
}
tf_given_port=${TF_BASE_PORT:-}
tf_place "${TF_HOME:-$(tf_default_home)}" "$tf_given_port"

# tf_packages LIST…: installs the Debian packages of these lists that are missing, naming them.
tf_packages() {
  local list name installed missing=()
  installed=$'\n'$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')$'\n'
  for list in "$@"; do
    while read -r name; do
      case "$name" in '' | '#'*) continue ;; esac
      case "$installed" in *$'\n'"$name"$'\n'*) ;; *) missing+=("$name") ;; esac
    done <"$TF_ROOT/deploy/local/$list"
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || tf_die "missing packages: ${missing[*]} (and no apt-get here to install them)"
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || tf_die "missing packages: ${missing[*]}; install them as root, or install sudo"
    sudo=(sudo)
  fi
  local log
  log=$(mktemp)
  echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"; } 2>&1 |
    tee "$log" | awk '/newly installed/ { total = $3 } /^Setting up/ { if (++n % 20 == 0) { printf "  %d of %d set up\n", n, total; fflush() } }'; then
    tail -n 20 "$log" >&2
    tf_die "the packages could not be installed; whole output in $log"
  fi
  rm -f "$log"
}

# tf_build PRESET [TARGET…]: configures and builds; silent when there is nothing to do, last lines of the output on failure.
tf_build() {
  local preset=$1
  shift
  local dir=$TF_ROOT/build/$preset log
  mkdir -p "$dir"
  log=$dir/build.log
  # Two builds of one directory at once would spoil each other.
  exec 8>"$dir/build-lock"
  flock -n 8 || {
    echo "Waiting for another build ($preset)"
    flock 8
  }
  if [ ! -f "$dir/build.ninja" ]; then
    echo "Configuring ($preset)"
    (cd "$TF_ROOT" && cmake --preset "$preset") >"$log" 2>&1 || {
      tail -n 30 "$log" >&2
      tf_die "cmake failed; whole output in $log"
    }
  fi
  # A line for every tenth of a build that is worth one.
  if ! ninja -C "$dir" "$@" 2>&1 | tee "$log" | awk -v preset="$preset" -F '[][/]' '
      /^\[[0-9]+\/[0-9]+\]/ && $3 >= 20 {
        if (!begun) { printf "Building (%s): %d steps\n", preset, $3; begun = 1 }
        if (int($2 * 10 / $3) > tenth) { tenth = int($2 * 10 / $3); printf "  %d %%\n", tenth * 10; fflush() }
      }'; then
    grep -A 20 -m 1 '^FAILED' "$log" >&2 || tail -n 20 "$log" >&2
    tf_die "the build failed; whole output in $log"
  fi
  exec 8>&-
}

tf_built() {
  [ -x "$TF_BIN/tf-local" ] || tf_die "not built yet: run ./ticketflow up"
}

tf_running() {
  [ -x "$TF_BIN/tf-local" ] || return 1
  local status=0
  "$TF_BIN/tf-local" status --home "$TF_HOME" >/dev/null 2>&1 || status=$?
  [ "$status" != 3 ]
}

tf_story() {
  "$TF_BIN/tf-story" "$@" --gateway "$TF_GATEWAY" --secrets "$TF_HOME/secrets"
}
