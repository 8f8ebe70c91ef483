# usage: ./ticketflow demo
#
# A purchase from log-in to ticket and refund on the running installation, each request and answer printed.

# shellcheck shell=bash
[ $# -eq 0 ] || tf_misuse "unknown argument '$1'"
tf_built
tf_running || tf_die "TicketFlow is not running: ./ticketflow up"
tf_story demo --catalogue "$TF_ROOT/catalogue/self-check.json"
