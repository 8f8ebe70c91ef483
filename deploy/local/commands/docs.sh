# usage: ./ticketflow docs
#
# Makes the references that come from the sources (API, errors, settings; Markdown) and says where they are.

# shellcheck shell=bash
[ $# -eq 0 ] || tf_misuse "unknown argument '$1'"
tf_packages packages.txt
tf_build release docs
cat <<EOT
API (every call, field and type)   $TF_BUILD/docs/api.md
Errors (every reason)              $TF_BUILD/docs/errors.md
Settings (every process)           $TF_BUILD/docs/settings.md
EOT
