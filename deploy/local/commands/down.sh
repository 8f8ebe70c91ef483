# usage: ./ticketflow down [--wipe]
#
# Stops everything; data stays. --wipe also deletes the installation: data, secrets, logs.

# shellcheck shell=bash
tf_wipe=no
while [ $# -gt 0 ]; do
  case "$1" in
  --wipe) tf_wipe=yes ;;
  *) tf_misuse "unknown argument '$1'" ;;
  esac
  shift
done
if [ -x "$TF_BIN/tf-local" ]; then
  "$TF_BIN/tf-local" stop --home "$TF_HOME"
elif read -r tf_pid _ 2>/dev/null <"$TF_HOME/run/lock" && [ "$(cat "/proc/$tf_pid/comm" 2>/dev/null)" = tf-local ]; then
  # The build is gone, what it started is not.
  kill "$tf_pid"
  for ((tf_waited = 0; tf_waited < 900; tf_waited++)); do
    kill -0 "$tf_pid" 2>/dev/null || break
    sleep 0.1
  done
  ! kill -0 "$tf_pid" 2>/dev/null || tf_die "the supervisor (pid $tf_pid) does not stop; see $TF_HOME/log/supervisor.log"
  echo "Stopped."
else
  echo "TicketFlow is not running."
fi
if [ "$tf_wipe" = yes ] && [ -d "$TF_HOME" ]; then
  # Only a directory that is ours is deleted.
  [ -f "$TF_HOME/run/lock" ] || tf_die "$TF_HOME does not look like TicketFlow's; not deleted"
  rm -rf "${TF_HOME:?}"
  echo "Deleted $TF_HOME."
fi
