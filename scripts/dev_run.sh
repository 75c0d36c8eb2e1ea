#!/usr/bin/env bash
# The whole chain with simulated devices, live, then exported: ./scripts/dev_run.sh [--duration SECONDS] [--help]
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
setup requirements.txt
export BENCHLAB_DATA_ROOT=${BENCHLAB_DATA_ROOT:-$ROOT/.benchlab}
exec "$VENV_PYTHON" -m benchctl demo "$@"
