# usage: ./ticketflow service NAME ARGUMENT…
#
# Runs the program of a service (user, program, order, pay, gateway, sandbox) with the environment of this installation,
# for its own commands:
#   ./ticketflow service order --help                 its settings
#   ./ticketflow service order --dead-letters list    events that it could not handle; also replay ID, discard ID REASON

# shellcheck shell=bash
[ $# -ge 2 ] || tf_misuse "a service's NAME and an ARGUMENT are needed"
case "$1" in -*) tf_misuse "unknown option '$1'" ;; esac
tf_built
[ -d "$TF_HOME/secrets" ] || tf_die "no installation in $TF_HOME: ./ticketflow up"
exec "$TF_BIN/tf-local" run --home "$TF_HOME" --base-port "$TF_BASE_PORT" "$@"
