#!/usr/bin/env bash
# Installs telemetry-logger.service, which runs as whoever calls this: ./scripts/install_service.sh [--root DIR] [--user NAME]
# The same as install.sh --components logger, which needs root: it asks sudo for that. uninstall.sh takes it away.
set -euo pipefail

as_root=()
((EUID == 0)) || [[ " $* " == *" --root "* ]] || as_root=(sudo)
exec "${as_root[@]}" "$(dirname -- "${BASH_SOURCE[0]}")/install.sh" --components logger "$@"
