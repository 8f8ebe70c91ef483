# ./ticketflow demo: a purchase from log-in to ticket, each request and answer printed. Sourced by ../../ticketflow.
tf_built
tf_running || tf_die "TicketFlow is not running: ./ticketflow up"
tf_story demo --catalogue "$TF_ROOT/catalogue/self-check.json"
