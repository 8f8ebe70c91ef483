# usage: ./ticketflow import FILE
#
# Puts an organiser's file (docs/import-format.md) on offer in the running installation. The same file again changes
# nothing.

# shellcheck shell=bash
[ $# -eq 1 ] || tf_misuse "one FILE is needed"
case "$1" in -*) tf_misuse "unknown option '$1'" ;; esac
if [ ! -f "$1" ] || [ ! -r "$1" ]; then tf_die "import: $1 is no file that can be read"; fi
tf_built
tf_running || tf_die "TicketFlow is not running: ./ticketflow up"
tf_story import "$1"
