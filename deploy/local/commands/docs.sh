# ./ticketflow docs: makes the references that are generated from the sources and says where they are. Sourced by ../../ticketflow.
[ $# -eq 0 ] || tf_die "docs: unknown argument '$1'"
tf_packages packages.txt
tf_build release docs
cat <<EOT
API (every call, field and type)   $TF_BUILD/docs/api.md
Errors (every reason)              $TF_BUILD/docs/errors.md
Settings (every process)           $TF_BUILD/docs/settings.md
EOT
