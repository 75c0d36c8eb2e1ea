#!/usr/bin/env bash
# Uninstalls components of the product as services: ./scripts/uninstall.sh --components edge [--root DIR] [--user NAME]
# Doing it twice does no more than once. A component is a file scripts/components/NAME.sh with uninstall_NAME.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/components/common.sh"

read_arguments "$@"
for name in "${chosen[@]}"; do
    # shellcheck source=/dev/null
    source "$SCRIPTS/components/$name.sh"
    "uninstall_$name"
done
