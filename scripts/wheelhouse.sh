#!/usr/bin/env bash
# Fills a folder with all that install.sh takes from the network: ./scripts/wheelhouse.sh DIR
# Do it on a machine with the same processor and the same Python; PYTHON=/path/to/python3.x picks another one.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/components/common.sh"
source "$SCRIPTS/components/services.sh"

(($# == 1)) && [[ $1 != -* ]] || die "expected a folder: ${0##*/} DIR"
python=$(system_python)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
(cd -- "$REPOSITORY" && grep -h == "${PINNED[@]}") | sort -u >"$work/pins"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip wheel --quiet --no-input --disable-pip-version-check --wheel-dir "$1" -r "$work/pins" hatchling
say "$1 has $(find "$1" -name '*.whl' | wc -l) packages for $("$python" --version)"
