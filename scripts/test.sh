#!/usr/bin/env bash
# Every check of the repository; arguments go to pytest: ./scripts/test.sh tests/log -k torn
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
setup requirements-dev.txt
cd -- "$ROOT"
"$VENV_PYTHON" -m ruff check --quiet .
"$VENV_PYTHON" -m ruff format --check --quiet .
"$VENV_PYTHON" -m mypy --no-error-summary
exec "$VENV_PYTHON" -m pytest --numprocesses "$(nproc)" --dist loadgroup "$@"
