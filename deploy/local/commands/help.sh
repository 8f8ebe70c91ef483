# usage: ./ticketflow help [COMMAND]
#
# Lists the commands, or explains one.

# shellcheck shell=bash
[ $# -le 1 ] || tf_misuse "unknown argument '$2'"
if [ $# -eq 1 ]; then
  tf_command_file "$1" >/dev/null || tf_misuse "no command '$1'"
  tf_usage "$1"
  exit 0
fi
cat <<'EOT'
usage: ./ticketflow COMMAND [ARGUMENT…]

  up                   install what is missing, build, start everything, prove it with one purchase
  down [--wipe]        stop everything; --wipe also deletes data and secrets
  status [--json]      each part: state, pid, address, memory, version
  logs [-f] [PART]     the end of the logs; -f follows
  scale PART=N…        that many instances of a service or of the gateway
  restart PART…|all    replace processes one after the other, while the others serve
  import FILE          put an organiser's file on offer (docs/import-format.md)
  demo                 a purchase, each request and answer printed
  order KEY            what happened to an order: by number, mobile, e-mail, ticket, code, or --show SHOW PLACE
  events dead|replay|… events that could not be handled, with the cause
  check [--json]       compare PostgreSQL, Redis and the provider's books
  test [SUITE…]        run the tests (unit, integration, e2e, fuzz) on servers of their own
  bench [NAME…]        measure (hold, inventory, commit, purchase) on a private installation; --json FILE keeps the figures
  load prepare|run …   buyers by the hundred over the public interface, and a witness of what they were told
  service NAME ARG…    a service's own command, say: service order --dead-letters list
  docs                 make the references of API, errors and settings (Markdown), say where they are
  help [COMMAND]       this page, or a command's; so does COMMAND --help

Environment: TF_HOME (state; default /var/lib/ticketflow as root, else ~/.local/state/ticketflow), TF_BASE_PORT (default
17000; the gateway listens on it plus 80).
EOT
