# usage: ./ticketflow up [OPTION…]
#
# Installs the Debian packages that are missing, builds, starts everything, imports the demo catalogue, buys and refunds
# one ticket as proof, and returns. Runs already: says so and changes nothing.
#   --home DIR               state of the installation (TF_HOME)
#   --base-port N            first of its ports, 1024 to 65300 (TF_BASE_PORT, 17000); the gateway listens on it plus 80
#   --set PART.NAME=VALUE    a setting of a service, or of all with * as PART; see ./ticketflow service NAME --help
#   --scale PART=N,…         that many instances of these parts, as ./ticketflow scale does later
#   --pg "host=… port=… user=… dbname=… password=…", --redis HOST:PORT, --etcd HOST:PORT
#                            servers of your own, each for itself; then no demo catalogue and no self-check
#   --log-bytes N            a log that is larger (32 MiB) gives way; three older ones are kept
#   --no-demo                no demo catalogue and no self-check

# shellcheck shell=bash
tf_up_args=() tf_demo=yes
while [ $# -gt 0 ]; do
  case "$1" in
  --pg | --redis | --etcd)
    [ $# -gt 1 ] || tf_misuse "$1 needs an address"
    tf_demo=no
    tf_up_args+=("$1" "$2")
    shift 2
    ;;
  --log-bytes)
    [ $# -gt 1 ] || tf_misuse "--log-bytes needs a number"
    tf_up_args+=("$1" "$2")
    shift 2
    ;;
  --set)
    [ $# -gt 1 ] || tf_misuse "--set needs PART.NAME=VALUE"
    tf_up_args+=("$1" "$2")
    shift 2
    ;;
  --scale)
    [ $# -gt 1 ] || tf_misuse "--scale needs PART=N"
    tf_up_args+=("$1" "$2")
    shift 2
    ;;
  --home)
    [ $# -gt 1 ] || tf_misuse "--home needs a directory"
    tf_place "$2" "$tf_given_port"
    shift 2
    ;;
  --base-port)
    [ $# -gt 1 ] || tf_misuse "--base-port needs a number"
    tf_given_port=$2
    tf_place "$TF_HOME" "$tf_given_port"
    shift 2
    ;;
  --no-demo)
    tf_demo=no
    shift
    ;;
  *) tf_misuse "unknown argument '$1'" ;;
  esac
done

# Written when an up has gone to its end: without it what runs has not been proved yet, because its up was killed.
tf_up_done=$TF_HOME/run/up-done
tf_runs_already() {
  echo "TicketFlow runs already ($TF_HOME, ports from $(tf_ports_used)); nothing was changed. ./ticketflow status shows it."
  exit 0
}
if tf_running && [ -f "$tf_up_done" ]; then tf_runs_already; fi
tf_packages packages.txt
tf_build release
if tf_running; then
  echo "TicketFlow runs already ($TF_HOME); the up that started it did not come to its end."
else
  mkdir -p "$(dirname "$TF_HOME")" || tf_die "cannot make $(dirname "$TF_HOME")"
  # Ctrl-C at any moment stops what had started.
  trap 'trap - INT TERM; "$TF_BIN/tf-local" stop --home "$TF_HOME"; exit 130' INT TERM
  status=0
  "$TF_BIN/tf-local" start --home "$TF_HOME" --base-port "$TF_BASE_PORT" "${tf_up_args[@]}" || status=$?
  case "$status" in
  0) ;;
  2) exit 0 ;; # somebody else was quicker
  64 | 130) exit "$status" ;;
  *)
    [ -d "$TF_HOME/log" ] && tf_die "the start failed; logs are in $TF_HOME/log"
    tf_die "the start failed"
    ;;
  esac
fi
exec 9>"$TF_HOME/run/up-lock"
flock -n 9 || {
  echo "Another ./ticketflow up is at work on $TF_HOME; nothing was changed."
  exit 0
}

if [ "$tf_demo" = yes ]; then
  # The same files again change nothing.
  tf_story import "$TF_ROOT/catalogue/demo.json" --quiet
  tf_story selfcheck --catalogue "$TF_ROOT/catalogue/self-check.json" || tf_die "the self-check failed; everything is left running; logs are in $TF_HOME/log"
fi
touch "$tf_up_done"
trap - INT TERM
if [ -f "$TF_HOME/secrets/operator.password" ]; then
  echo
  echo "Operator account, shown this once:"
  sed 's/^/  /' "$TF_HOME/secrets/operator.password"
  rm -f "$TF_HOME/secrets/operator.password"
fi
# The other commands find this installation by these, when they are not the usual ones.
tf_with=
[ "$TF_HOME" = "$(realpath -m -- "$(tf_default_home)")" ] || tf_with="TF_HOME=$(printf %q "$TF_HOME") "
cat <<EOT

TicketFlow runs.
  API            $TF_GATEWAY/v1/programs
  Sandbox bank   http://127.0.0.1:$((TF_BASE_PORT + 90))/
  Data, logs     $TF_HOME

Next:  $tf_with./ticketflow demo     a purchase, each request and answer printed
       $tf_with./ticketflow status   what runs
       $tf_with./ticketflow check    do the books agree?
       $tf_with./ticketflow down     stop everything (data stays)
EOT
