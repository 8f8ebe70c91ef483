# usage: ./ticketflow status [--json]
#
# Each part: state, pid, address, memory, restarts, version. Exit status 0: all run; 3: nothing does; 1: something is
# starting, down or restarted again and again.

# shellcheck shell=bash
case "$*" in
'' | --json) ;;
*) tf_misuse "unknown argument '$1'" ;;
esac
if [ ! -x "$TF_BIN/tf-local" ]; then
  echo "TicketFlow is not running (and not built)."
  exit 3
fi
exec "$TF_BIN/tf-local" status --home "$TF_HOME" "$@"
