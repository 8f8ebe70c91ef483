# usage: ./ticketflow restart PART…|all
#
# Replaces processes one after the other: each finishes what it has under way, ends, and is started again; the next one's
# turn comes when it serves. order: all instances of order; order-2, order-1: that one; all: every service and gateway.
# With two instances or more, calls lose nothing. Of one instance alone nobody serves for the moment between.

# shellcheck shell=bash
[ $# -gt 0 ] || tf_misuse "a PART or all is needed"
for tf_argument in "$@"; do
  case "$tf_argument" in
  -* | *[!a-z0-9-]*) tf_misuse "unknown argument '$tf_argument'" ;;
  esac
done
tf_built
exec "$TF_BIN/tf-local" restart --home "$TF_HOME" "$@"
