# usage: ./ticketflow load prepare --accounts N --out FILE [--token-life-s S]
#        ./ticketflow load run --accounts FILE --show ID,… --out FILE [ARGUMENT…]
#
# Buyers by the hundred, in a closed loop over the public HTTP interface of the installation. prepare writes accounts
# straight into its database and signs their tokens with its key; run lets them buy and writes what became of each call
# to FILE (format: tools/load/README.md). They are real orders: use a show made for this.
#   --connections 128   buyers at the same time; as many accounts at least
#   --seconds 10        how long; --until-signal: until SIGTERM or SIGINT
#   --pay               every order is paid at the sandbox
#   --mix order=70,pay=15,cancel=10,get=5   shares of what buyers do (orders alone by default)
#   --places 2  --tier 1  --split           the best so many places of a tier; --split: apart, when need be
#   --tries 10  --timeout-ms 10000          attempts with one key; for each of them
#   --rate-limit N  --seed N  --json FILE   begun in a second, at most; what is drawn by lot; the summary
#   --gateways http://HOST:PORT,…           the installation's first gateway by default

# shellcheck shell=bash
tf_load=${1:-}
case "$tf_load" in
prepare | run) shift ;;
*) tf_misuse "'$tf_load': prepare or run" ;;
esac
tf_built
case "$tf_load" in
prepare)
  [ -d "$TF_HOME/secrets" ] || tf_die "no installation in $TF_HOME: ./ticketflow up"
  exec "$TF_BIN/tf-load" prepare --home "$TF_HOME" --base-port "$TF_BASE_PORT" "$@"
  ;;
run)
  case " $* " in
  *' --gateways '*) ;;
  *) set -- --gateways "$TF_GATEWAY" "$@" ;;
  esac
  exec "$TF_BIN/tf-load" run "$@"
  ;;
esac
