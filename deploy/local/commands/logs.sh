# usage: ./ticketflow logs [-f] [PART]
#
# Prints the end of the logs, of one part (order; its second instance: order-2) or of all. -f (--follow) goes on printing
# what is added, until Ctrl-C.

# shellcheck shell=bash
tf_follow=() tf_part=
while [ $# -gt 0 ]; do
  case "$1" in
  -f | --follow) tf_follow=(-F) ;;
  -* | *[!a-z0-9-]*) tf_misuse "unknown argument '$1'" ;;
  *) tf_part=$1 ;;
  esac
  shift
done
cd "$TF_HOME/log" 2>/dev/null || tf_die "no logs in $TF_HOME/log"
if [ -n "$tf_part" ]; then
  tf_logs=(*.log)
  [ -f "$tf_part.log" ] || tf_die "no part '$tf_part'; there are: ${tf_logs[*]%.log}"
  exec tail -n 100 "${tf_follow[@]}" "$tf_part.log"
fi
exec tail -n 20 "${tf_follow[@]}" ./*.log
