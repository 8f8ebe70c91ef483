# ./ticketflow import FILE: an organiser's file (docs/import-format.md) into the running installation. Sourced by ../../ticketflow.
[ $# -eq 1 ] && [ -f "$1" ] || tf_die "usage: ./ticketflow import FILE"
tf_built
tf_story import "$1"
