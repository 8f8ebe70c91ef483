# usage: ./ticketflow check [--json]
#
# Do PostgreSQL, Redis and the provider's books agree? Every rule is proved with counts; orders that run meanwhile do no
# harm. Exit status 1 and the offending rows when a rule is violated.

# shellcheck shell=bash
case "$*" in
'' | --json) ;;
*) tf_misuse "unknown argument '$1'" ;;
esac
tf_built
[ -d "$TF_HOME/secrets" ] || tf_die "no installation in $TF_HOME: ./ticketflow up"
exec "$TF_BIN/tf-check" --home "$TF_HOME" --base-port "$TF_BASE_PORT" "$@"
