# Sourced by install.sh and uninstall.sh: what all components share. With --root DIR, everything goes below DIR and
# the running system is left alone.
# shellcheck shell=bash

SCRIPTS=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
REPOSITORY=$(dirname -- "$SCRIPTS")
UNITS=$REPOSITORY/systemd
COMPONENTS=(edge logger pistat)
SERVICES=(telemetry usb pipeline mux cx-export retention web pimon vmstat edgepower)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$@"
    exit "${code:-2}"
}

usage() {
    cat <<TEXT
usage: ${0##*/} [--components NAME[,NAME...]] [--prefix DIR] [--wheelhouse DIR] [--dry-run] [--root DIR] [--user NAME]

  --components  what to ${0##*/} (default: the services that this machine can use). Services: all, or some of
                ${SERVICES[*]}
                One program as a service that runs from this checkout, as --user: ${COMPONENTS[*]}
  --prefix DIR  where the services are installed (default: /opt/benchlab)
  --wheelhouse DIR
                take Python packages from there, and nothing from the network (scripts/wheelhouse.sh fills it)
  --dry-run     say what would be done, and do nothing
  --root DIR    put everything below DIR and leave the running system alone
  --user NAME   who the programs run as that run from this checkout (default: whoever called sudo, else whoever this is)
TEXT
}

# Reads the command line into chosen (empty: nothing was chosen), DEST, PREFIX, WHEELHOUSE, DRY and RUN_AS. The exit
# code of a wrong one is 2.
read_arguments() {
    local names="" name
    DEST="" PREFIX="" WHEELHOUSE="" DRY="" RUN_AS=${SUDO_USER:-$(id -un)}
    while (($#)); do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --dry-run) DRY=yes && shift ;;
        --components | --root | --user | --prefix | --wheelhouse)
            (($# > 1)) && [[ -n $2 ]] || die "$1: expected a value"
            case $1 in
            --components) names=$2 ;;
            --root) DEST=$2 ;;
            --user) RUN_AS=$2 ;;
            --prefix) PREFIX=$2 ;;
            --wheelhouse) WHEELHOUSE=$2 ;;
            esac
            shift 2
            ;;
        *) die "found $1, expected --components, --prefix, --wheelhouse, --dry-run, --root or --user" ;;
        esac
    done
    [[ $RUN_AS =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || die "--user: found $RUN_AS, expected the name of a user"
    [[ -z $WHEELHOUSE || -d $WHEELHOUSE ]] || die "--wheelhouse: found no folder $WHEELHOUSE"
    [[ -z $WHEELHOUSE ]] || WHEELHOUSE=$(cd -- "$WHEELHOUSE" && pwd -P)
    [[ $names != all ]] || names=$(IFS=, && printf '%s' "${SERVICES[*]}")
    IFS=, read -r -a chosen <<<"$names"
    for name in ${chosen[@]+"${chosen[@]}"}; do
        is_service "$name" || [[ " ${COMPONENTS[*]} " == *" $name "* ]] ||
            die "--components: found $name, expected all, ${SERVICES[*]}, ${COMPONENTS[*]}"
        [[ -z $DRY ]] || is_service "$name" || die "--dry-run: is for services, found --components $name"
    done
    [[ -z $DEST || $DEST == /* ]] || DEST=$PWD/$DEST
    DEST=${DEST%/}
    PREFIX=${PREFIX:-$(installed_prefix)}
    PREFIX=${PREFIX:-/opt/benchlab}
    [[ $PREFIX =~ ^(/[A-Za-z0-9_][A-Za-z0-9_.-]*){2,}$ ]] ||
        die "--prefix: found $PREFIX, expected a folder of its own, such as /opt/benchlab, without spaces"
    [[ ! $PREFIX =~ ^/(home|root|tmp|run)/ ]] ||
        die "--prefix: found $PREFIX, which services do not see: expected a place such as /opt/benchlab"
    [[ -n $DEST || -n $DRY || $EUID -eq 0 ]] || code=5 die "must be run as root: sudo $0 ..., or with --root DIR"
}

# Prints where the services were installed, nothing where they are not.
installed_prefix() {
    sed -n 's#^ExecStart=\(/.*\)/\.venv/bin/.*#\1#p' "$DEST"/etc/systemd/system/benchlab-*.service 2>/dev/null | sort -u | head -n 1 || true
}

is_service() { [[ " ${SERVICES[*]} " == *" $1 "* ]]; }

has_systemd() { [[ -z $DEST && -z $DRY && -d /run/systemd/system ]]; }

# act COMMAND...: runs what changes something, or says so.
act() {
    if [[ -n $DRY ]]; then
        say "would run: $*"
    else
        "$@"
    fi
}

# note KIND NAME: writes down, with what is installed, that something was made that was not there before.
notes=()
note() {
    [[ -z $DRY ]] || return 0
    notes+=("$1 $2")
    [[ -d $DEST$PREFIX ]] || return 0
    printf '%s\n' "${notes[@]}" >>"$DEST$PREFIX/.made"
    notes=()
}

# make_folder PATH: makes a folder below DEST and those above it that are missing.
make_folder() {
    local path=$1 missing=()
    while [[ $path != / && ! -d $DEST$path ]]; do
        missing+=("$path")
        path=$(dirname -- "$path")
    done
    ((${#missing[@]})) || return 0
    act install -d -m 0755 -- "$DEST$1"
    for path in "${missing[@]}"; do
        note folder "$path"
    done
}

# put MODE PATH: writes what comes on stdin to PATH below DEST, unless it is there already.
put() {
    local mode=$1 path=$DEST$2
    local temporary
    temporary=$(mktemp)
    cat >"$temporary"
    if cmp --silent -- "$temporary" "$path"; then
        say "$path is up to date"
    elif [[ -n $DRY ]]; then
        say "would write $path"
    else
        make_folder "$(dirname -- "$2")"
        install -m "$mode" -- "$temporary" "$path.new"
        mv -f -- "$path.new" "$path"
        say "wrote $path"
    fi
    rm -f -- "$temporary"
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
    [[ -e $DEST$1 || -L $DEST$1 ]] || return 0
    act rm -f -- "$DEST$1"
    [[ -n $DRY ]] || say "removed $DEST$1"
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
