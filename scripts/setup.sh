# Sourced by dev_run.sh and test.sh: makes .venv in the repository and keeps it as the requirements say.
# `setup FILE` returns at once when nothing changed; what ails it is one line on stderr and exit code 1.
# PYTHON=/path/to/python3.x picks the interpreter; else it is the newest python3.x on PATH that can make a venv.
# shellcheck shell=bash

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
VENV_PYTHON=$VENV/bin/python
OLDEST=10 # the oldest minor version of Python 3 that works

# pip would take a package found through these for installed, or put it elsewhere.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$@"
    exit 1
}

# Prints the minor version of a released Python 3; fails for anything else, such as a shim with no Python behind it.
minor_of() {
    "$1" -c 'import sys; v = sys.version_info; print(v[1]); sys.exit(v[0] != 3 or v[3] != "final")' 2>/dev/null
}

# Prints the Pythons to choose from, one "minor path" a line, the newest first.
list_pythons() {
    local IFS=: folder candidate minor
    for folder in $PATH; do
        for candidate in "$folder"/python3 "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9]; do
            if [[ -x $candidate ]] && minor=$(minor_of "$candidate"); then
                printf '%s %s\n' "$minor" "$candidate"
            fi
        done
    done | sort --stable --reverse --numeric-sort --key=1,1
}

# Prints the newest Python that is new enough and has a whole venv module, which Debian packages apart.
choose_python() {
    local minor path too_old="" bare=""
    while read -r minor path; do
        if ((minor < OLDEST)); then
            too_old=${too_old:-"3.$minor ($path)"}
        elif "$path" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s\n' "$path"
            return
        else
            bare=${bare:-"python3.$minor"}
        fi
    done < <(list_pythons)
    [[ -z $bare ]] || die "$bare has no venv module; to mend it: sudo apt-get install -y $bare-venv"
    die "found ${too_old:+Python }${too_old:-no Python}, needed 3.$OLDEST or newer; to mend it:" \
        "sudo apt-get install -y python3 python3-venv (Debian 12, Ubuntu 22.04 or newer)"
}

# Prints what .venv is made from; it is up to date while its stamp says the same.
fingerprint() {
    {
        printf '%s\n' "$ROOT"
        "$VENV_PYTHON" -c 'import sys; print(sys.version)'
        cat "$ROOT"/requirements*.txt "$ROOT/pyproject.toml"
    } 2>/dev/null | sha256sum
}

is_current() { [[ -x $VENV_PYTHON && -f $1 && $(<"$1") == "$(fingerprint)" ]]; }

make_venv() {
    local python
    "$VENV_PYTHON" -c "import pip, sys; sys.exit(sys.version_info < (3, $OLDEST))" 2>/dev/null && return
    python=${PYTHON:-$(choose_python)} || exit
    say "making .venv with $python"
    "$python" -m venv --clear "$VENV" >&2 || die "$python could not make $VENV"
}

# Turns the failure of pip into one line.
explain_pip() {
    local log=$1 reason
    if grep -qE "(gcc|cc|clang)' failed: No such file|unable to execute '[^']*cc'|Python\.h: No such file" "$log"; then
        die "a package has to be compiled here and there is no compiler; to mend it:" \
            "sudo apt-get install -y build-essential python3-dev"
    fi
    reason=$(grep -m 1 '^ERROR: ' "$log") || reason=$(tail -n 1 "$log")
    die "pip could not install the requirements: ${reason#ERROR: } (all it said: $log)"
}

install_requirements() {
    local log=$VENV/setup.log
    # From the root, because "-e ." in the requirements means the current folder.
    (cd -- "$ROOT" && exec "$VENV_PYTHON" -m pip install --quiet --no-input --disable-pip-version-check -r "$1") \
        >"$log" 2>&1 </dev/null || explain_pip "$log"
}

# Makes .venv hold what the requirements file named says. Two at once wait for each other.
setup() {
    local stamp=$VENV/.stamp-$1
    exec 9<"$ROOT"
    flock 9
    if ! is_current "$stamp"; then
        [[ -w $ROOT ]] || die "cannot write $ROOT, needed for .venv; run as its owner or clone where you can write"
        make_venv
        say "installing $1 into .venv; the first time takes about a minute"
        install_requirements "$1"
        fingerprint >"$stamp"
    fi
    exec 9<&-
}
