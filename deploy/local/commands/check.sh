# ./ticketflow check [--json]: do PostgreSQL, Redis and the provider's books agree? Exit 1 and the rows when not. Sourced by ../../ticketflow.
tf_built
exec "$TF_BIN/tf-check" --home "$TF_HOME" --base-port "$TF_BASE_PORT" "$@"
