#!/usr/bin/env bash
# The whole product with simulated devices, live, then exported: ./scripts/dev_run.sh [--duration SECONDS] [--no-web] [--help]
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/web.sh"

wants_web() {
    local word
    for word in "$@"; do
        case $word in
            --no-web | --sample | --help | -h | --version) return 1 ;;
        esac
    done
}

setup requirements.txt
if wants_web "$@"; then
    setup requirements-web.txt
    build_web || say "going on without: the page says so too, the API runs"
fi
export BENCHLAB_DATA_ROOT=${BENCHLAB_DATA_ROOT:-$ROOT/.benchlab}
exec "$VENV_PYTHON" -m benchctl demo "$@"
