# usage: ./ticketflow order [--json] [--show SHOW] KEY
#
# What happened to an order, oldest first: request, hold, commit, payments, notifications, refunds, decisions, scans, with
# time, process and request id. KEY is an order number, a mobile, an e-mail address, a ticket's number or code, or the
# provider's number of a payment; with --show a place of that show, by number or in the words of a ticket. Several orders
# are listed instead. Exit status 1: none is found, or a part of the story is missing.

# shellcheck shell=bash
tf_key='' tf_order_arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
  --json) tf_order_arguments+=(--json) ;;
  --show)
    [ $# -gt 1 ] || tf_misuse "--show needs a show's number"
    tf_order_arguments+=(--show "$2")
    shift
    ;;
  -*) tf_misuse "unknown option '$1'" ;;
  *)
    [ -z "$tf_key" ] || tf_misuse "unknown argument '$1'"
    tf_key=$1
    ;;
  esac
  shift
done
[ -n "$tf_key" ] || tf_misuse "a KEY is needed"
tf_built
tf_running || tf_die "TicketFlow is not running: ./ticketflow up"
tf_story order "$tf_key" "${tf_order_arguments[@]}"
