# usage: ./ticketflow events dead [--json] [--service S]
#        ./ticketflow events replay ID|--all [--service S]
#        ./ticketflow events discard ID --reason TEXT [--service S]
#
# Events that a service (order, pay or program; all by default) could not handle and has parked, with the cause. replay:
# the running service handles it again; discard: closed without effect, the reason is kept. ID is the event's number, or
# TOPIC/NUMBER. Exit status 1: there is no such event, or a replay failed.

# shellcheck shell=bash
tf_verb=${1:-} tf_event='' tf_service='' tf_reason='' tf_all=no tf_json=no
case "$tf_verb" in
dead | replay | discard) shift ;;
-*) tf_misuse "unknown option '$tf_verb'" ;;
*) tf_misuse "dead, replay or discard is needed" ;;
esac
while [ $# -gt 0 ]; do
  case "$1" in
  --json) tf_json=yes ;;
  --all) tf_all=yes ;;
  --service | --reason)
    [ $# -gt 1 ] || tf_misuse "$1 needs a value"
    if [ "$1" = --service ]; then tf_service=$2; else tf_reason=$2; fi
    shift
    ;;
  -*) tf_misuse "unknown option '$1'" ;;
  *)
    [ -z "$tf_event" ] || tf_misuse "unknown argument '$1'"
    tf_event=$1
    ;;
  esac
  shift
done
case "$tf_service" in '' | order | pay | program) ;; *) tf_misuse "no service '$tf_service' hears events" ;; esac
[ "$tf_verb" = dead ] || [ "$tf_json" = no ] || tf_misuse "--json is for dead"
[ "$tf_verb" = replay ] || [ "$tf_all" = no ] || tf_misuse "--all is for replay"
[ "$tf_verb" = discard ] || [ -z "$tf_reason" ] || tf_misuse "--reason is for discard"
[ "$tf_verb" != discard ] || [ -n "$tf_reason" ] || tf_misuse "a --reason is needed"
case "$tf_verb,$tf_all,${tf_event:+given}" in
dead,no, | replay,yes, | replay,no,given | discard,no,given) ;;
*) tf_misuse "$tf_verb takes ${tf_event:+no }ID" ;;
esac
tf_built
[ -d "$TF_HOME/secrets" ] || tf_die "no installation in $TF_HOME: ./ticketflow up"

# tf_letters SERVICE ARGUMENT…: the service's own command.
tf_letters() {
  local service=$1
  shift
  "$TF_BIN/tf-local" run --home "$TF_HOME" --base-port "$TF_BASE_PORT" "$service" --dead-letters "$@"
}

# tf_dead: the open ones of all services, one JSON object a line.
tf_dead() {
  local service
  for service in ${tf_service:-order pay program}; do
    tf_letters "$service" json || tf_die "the dead letters of $service cannot be read"
  done
}

if [ "$tf_verb" = dead ]; then
  tf_found=$(tf_dead) || exit 1
  if [ "$tf_json" = yes ]; then
    printf '[%s]\n' "$(paste -sd, - <<<"$tf_found")"
  else
    for tf_name in ${tf_service:-order pay program}; do
      echo "$tf_name"
      tf_letters "$tf_name" list | sed 's/^/  /'
    done
  fi
  exit 0
fi

# The events meant: SERVICE TOPIC/ID a line.
tf_meant=$(tf_dead) || exit 1
tf_meant=$(sed -n 's/^{"service":"\([a-z]*\)","topic":"\([a-z]*\)","event_id":"\(-\{0,1\}[0-9]*\)".*/\1 \2\/\3/p' <<<"$tf_meant")
if [ "$tf_all" = no ]; then
  tf_meant=$(awk -v id="$tf_event" '$2 == id || substr($2, index($2, "/") + 1) == id' <<<"$tf_meant")
  [ -n "$tf_meant" ] || tf_die "no dead letter '$tf_event' is open"
  [ "$(wc -l <<<"$tf_meant")" = 1 ] || tf_die "several services have '$tf_event'; name one by --service, or TOPIC/ID: ${tf_meant//$'\n'/, }"
fi
tf_failed=0
while read -r tf_name tf_id; do
  [ -n "$tf_name" ] || continue
  if [ "$tf_verb" = replay ]; then
    tf_letters "$tf_name" replay "$tf_id" </dev/null || tf_failed=1
  else
    tf_letters "$tf_name" discard "$tf_id" "$tf_reason" </dev/null || tf_failed=1
  fi
done <<<"$tf_meant"
exit "$tf_failed"
