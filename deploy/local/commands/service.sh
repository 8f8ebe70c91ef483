# ./ticketflow service NAME ARGUMENT…: the program of a service with the environment of this installation, for its commands (--dead-letters, --migrate, --help).
# Sourced by ../../ticketflow.
[ $# -ge 2 ] || tf_die "usage: ./ticketflow service NAME ARGUMENT…, say: service order --dead-letters list"
tf_built
[ -d "$TF_HOME/secrets" ] || tf_die "no installation in $TF_HOME: ./ticketflow up"
exec "$TF_BIN/tf-local" run --home "$TF_HOME" --base-port "$TF_BASE_PORT" "$@"
