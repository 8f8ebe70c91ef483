# usage: ./ticketflow scale PART=N…
#
# That many instances (1 to 8) of user, program, order, pay or gateway, kept over restarts of the installation. New ones
# are named order-2, order-3 …, with ports 200, 400 … above the first one's. When there are to be fewer, the last ones
# finish what they have under way and end; the others serve meanwhile.

# shellcheck shell=bash
[ $# -gt 0 ] || tf_misuse "PART=N is needed, say: order=2"
for tf_argument in "$@"; do
  case "$tf_argument" in
  -* | =* | *[!a-z0-9=]*) tf_misuse "'$tf_argument' is not PART=N" ;;
  *=[0-9]*) ;;
  *) tf_misuse "'$tf_argument' is not PART=N" ;;
  esac
done
tf_built
exec "$TF_BIN/tf-local" scale --home "$TF_HOME" "$@"
