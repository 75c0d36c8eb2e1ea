# Sourced by install.sh and uninstall.sh: what all components share. With --root DIR, everything goes below DIR and
# the running system is left alone.
# shellcheck shell=bash

SCRIPTS=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
REPOSITORY=$(dirname -- "$SCRIPTS")
UNITS=$REPOSITORY/systemd
COMPONENTS=(edge logger pistat)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$@"
    exit "${code:-2}"
}

usage() {
    cat <<TEXT
usage: ${0##*/} --components NAME[,NAME...] [--root DIR] [--user NAME]

  --components  what to ${0##*/}: ${COMPONENTS[*]}
  --root DIR    put everything below DIR and leave the running system alone
  --user NAME   who the services run as (default: whoever called sudo, else whoever this is)
TEXT
}

# Reads the command line into chosen, DEST and RUN_AS. The exit code of a wrong one is 2.
read_arguments() {
    local names=""
    DEST="" RUN_AS=${SUDO_USER:-$(id -un)}
    while (($#)); do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --components | --root | --user)
            (($# > 1)) || die "$1: expected a value"
            case $1 in
            --components) names=$2 ;;
            --root) DEST=$2 ;;
            --user) RUN_AS=$2 ;;
            esac
            shift 2
            ;;
        *) die "found $1, expected --components, --root or --user" ;;
        esac
    done
    [[ -n $names ]] || die "expected --components, one or more of: ${COMPONENTS[*]}"
    [[ $RUN_AS =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || die "--user: found $RUN_AS, expected the name of a user"
    IFS=, read -r -a chosen <<<"$names"
    for name in "${chosen[@]}"; do
        [[ " ${COMPONENTS[*]} " == *" $name "* ]] || die "--components: found $name, expected ${COMPONENTS[*]}"
    done
    [[ -z $DEST || $DEST == /* ]] || DEST=$PWD/$DEST
    DEST=${DEST%/}
    [[ -n $DEST || $EUID -eq 0 ]] || code=5 die "must be run as root: sudo $0 ..., or with --root DIR"
}

has_systemd() { [[ -z $DEST && -d /run/systemd/system ]]; }

# put MODE PATH: writes what comes on stdin to PATH below DEST, unless it is there already.
put() {
    local mode=$1 path=$DEST$2
    local temporary
    install -d -m 0755 -- "$(dirname -- "$path")"
    temporary=$(mktemp -- "$path.XXXXXX")
    cat >"$temporary"
    chmod -- "$mode" "$temporary"
    if cmp --silent -- "$temporary" "$path"; then
        rm -f -- "$temporary"
        say "$path is up to date"
    else
        mv -f -- "$temporary" "$path"
        say "wrote $path"
    fi
}

# fill TEMPLATE NAME=VALUE...: prints the template with each {{NAME}} replaced.
fill() {
    local text pair
    text=$(<"$1")
    shift
    for pair in "$@"; do
        case ${pair#*=} in *[$'\n"\\%']*) die "${pair%%=*}: found ${pair#*=}, expected no quote, backslash or percent sign" ;; esac
        text=${text//"{{${pair%%=*}}}"/"${pair#*=}"}
    done
    printf '%s\n' "$text"
}

start_unit() {
    has_systemd || { say "no systemd runs here: $1 is not started" && return; }
    systemctl daemon-reload
    systemctl enable "$1"
    systemctl restart "$1"
}

stop_unit() { ! has_systemd || systemctl disable --now "$1" 2>/dev/null || true; }

# take PATH: removes a file below DEST, if it is there.
take() {
    [[ -e $DEST$1 ]] || return 0
    rm -f -- "$DEST$1"
    say "removed $DEST$1"
}

# keep PATH: says what is left of a component below DEST, if anything is.
keep() { [[ ! -e $DEST$1 ]] || say "$DEST$1 is kept: delete it if it is no longer needed"; }

# remove_unit UNIT: stops it, takes it away, and has systemd forget it, a failure of it included.
remove_unit() {
    stop_unit "$1"
    take "/etc/systemd/system/$1"
    has_systemd || return 0
    systemctl daemon-reload
    systemctl reset-failed "$1" 2>/dev/null || true
}
