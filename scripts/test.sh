#!/usr/bin/env bash
# Every check of the repository; arguments go to pytest: ./scripts/test.sh tests/log -k torn
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/web.sh"
setup requirements-dev.txt
if pkg-config --exists gobject-introspection-1.0 cairo 2>/dev/null; then
    setup requirements-gst.txt # else the tests that need GStreamer are skipped, and say so
fi
if [[ -n ${CI-} ]] || { (($# == 0)) && has_node; }; then # else the tests in a browser take what is built
    build_web && check_web
fi
if pkg-config --exists libvirt 2>/dev/null; then
    setup requirements-vm.txt # else the tests that need libvirt are skipped, and say so
fi
cd -- "$ROOT"
"$VENV_PYTHON" -m ruff check --quiet .
"$VENV_PYTHON" -m ruff format --check --quiet .
"$VENV_PYTHON" -m mypy --no-error-summary
exec "$VENV_PYTHON" -m pytest --numprocesses "$(nproc)" --dist loadgroup "$@"
