#!/usr/bin/env bash
# Uninstalls what install.sh installed; what was recorded stays: sudo ./scripts/uninstall.sh [--components NAME,...] [--help]
# Doing it twice does no more than once. A component that runs from this checkout is a file scripts/components/NAME.sh
# with uninstall_NAME; the services of a machine are all in scripts/components/services.sh.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/components/common.sh"
source "$SCRIPTS/components/services.sh"

read_arguments "$@"
services=()
((${#chosen[@]})) || services=("${SERVICES[@]}")
for name in ${chosen[@]+"${chosen[@]}"}; do
    if is_service "$name"; then
        services+=("$name")
    else
        # shellcheck source=/dev/null
        source "$SCRIPTS/components/$name.sh"
        "uninstall_$name"
    fi
done
((${#services[@]} == 0)) || uninstall_services "${services[@]}"
exit # what stands here may be gone
