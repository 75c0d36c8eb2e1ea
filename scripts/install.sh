#!/usr/bin/env bash
# Installs the product as services: sudo ./scripts/install.sh [--components NAME,...] [--wheelhouse DIR] [--dry-run] [--help]
# Doing it twice does no more than once. A component that runs from this checkout is a file scripts/components/NAME.sh
# with install_NAME; the services of a machine are all in scripts/components/services.sh.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/components/common.sh"
source "$SCRIPTS/components/services.sh"

read_arguments "$@"
services=()
if ((${#chosen[@]} == 0)); then
    usable=$(usable_services)
    mapfile -t services <<<"$usable"
fi
for name in ${chosen[@]+"${chosen[@]}"}; do
    if is_service "$name"; then
        services+=("$name")
    else
        # shellcheck source=/dev/null
        source "$SCRIPTS/components/$name.sh"
        "install_$name"
    fi
done
((${#services[@]} == 0)) || install_services "${services[@]}"
