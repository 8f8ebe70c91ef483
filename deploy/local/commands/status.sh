# ./ticketflow status [--json]. Sourced by ../../ticketflow.
if [ ! -x "$TF_BIN/tf-local" ]; then
  echo "TicketFlow is not running (and not built)."
  exit 3
fi
exec "$TF_BIN/tf-local" status --home "$TF_HOME" "$@"
