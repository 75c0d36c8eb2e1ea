#!/usr/bin/env bash
# Makes .venv with what edgepower needs.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
setup requirements-edge.txt
