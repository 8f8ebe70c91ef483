# ./ticketflow up [--home DIR] [--base-port N] [--pg DSN] [--redis ADDR] [--etcd ADDR] [--set PART.NAME=VALUE]… [--no-demo]
# Installs, builds, starts, proves. Sourced by ../../ticketflow.
tf_up_args=() tf_demo=yes
while [ $# -gt 0 ]; do
  case "$1" in
  --pg | --redis | --etcd)
    [ $# -gt 1 ] || tf_die "$1 needs an address"
    tf_demo=no
    tf_up_args+=("$1" "$2")
    shift 2
    ;;
  --set)
    [ $# -gt 1 ] || tf_die "--set needs PART.NAME=VALUE"
    tf_up_args+=("$1" "$2")
    shift 2
    ;;
  --home)
    [ $# -gt 1 ] || tf_die "--home needs a directory"
    TF_HOME=$(realpath -m "$2")
    shift 2
    ;;
  --base-port)
    [ $# -gt 1 ] || tf_die "--base-port needs a number"
    TF_BASE_PORT=$2
    TF_GATEWAY=http://127.0.0.1:$((TF_BASE_PORT + 80))
    shift 2
    ;;
  --no-demo)
    tf_demo=no
    shift
    ;;
  -h | --help)
    sed -n '1s/^# /usage: /p' "$TF_ROOT/deploy/local/commands/up.sh"
    exit 0
    ;;
  *) tf_die "up: unknown argument '$1'" ;;
  esac
done

if tf_running; then
  echo "TicketFlow runs already ($TF_HOME, ports from $(sed -n '1s/^[0-9]* //p' "$TF_HOME/run/lock")); nothing was changed. ./ticketflow status shows it."
  exit 0
fi
tf_packages packages.txt
tf_build release
mkdir -p "$(dirname "$TF_HOME")" || tf_die "cannot make $(dirname "$TF_HOME")"
# Ctrl-C at any moment stops what had started.
trap 'trap - INT TERM; "$TF_BIN/tf-local" stop --home "$TF_HOME"; exit 130' INT TERM
status=0
"$TF_BIN/tf-local" start --home "$TF_HOME" --base-port "$TF_BASE_PORT" "${tf_up_args[@]}" || status=$?
case "$status" in
0) ;;
130) exit 130 ;;
*) tf_die "the start failed; logs are in $TF_HOME/log" ;;
esac

if [ "$tf_demo" = yes ]; then
  # The same files again change nothing.
  tf_story import "$TF_ROOT/catalogue/demo.json" --quiet
  tf_story selfcheck --catalogue "$TF_ROOT/catalogue/self-check.json" || tf_die "the self-check failed; everything is left running; logs are in $TF_HOME/log"
fi
trap - INT TERM
if [ -f "$TF_HOME/secrets/operator.password" ]; then
  echo
  echo "Operator account, shown this once:"
  sed 's/^/  /' "$TF_HOME/secrets/operator.password"
  rm -f "$TF_HOME/secrets/operator.password"
fi
# The other commands find this installation by these, when they are not the usual ones.
tf_with=
[ "$TF_HOME" = "$(tf_default_home)" ] || tf_with="TF_HOME=$TF_HOME "
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
