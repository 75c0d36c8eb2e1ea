# Sourced after setup.sh: builds the dashboard, web/out, when it is missing or older than what it is made of.
# The machine's Node 20+ builds it, else one from PyPI in .venv. At run time no Node is needed.
# shellcheck shell=bash

WEB=$ROOT/web
OLDEST_NODE=20

# Says why the dashboard is not there; the caller goes on without it.
no_web() {
    say "the dashboard was not built: $*"
    return 1
}

# Says whether a file of the dashboard's sources, or of the package list alone, is newer than FILE.
outdates() { # FILE [PATTERN]
    local newer
    newer=$(find "$WEB" \( -path "$WEB/node_modules" -o -path "$WEB/out" -o -path "$WEB/.next" \) -prune \
        -o -type f -name "${2:-*}" ! -name next-env.d.ts ! -name '*.tsbuildinfo' -newer "$1" -print -quit)
    [[ -n $newer ]]
}

web_is_built() { [[ -f $WEB/out/index.html ]] && ! outdates "$WEB/out/index.html"; }

is_new_enough() {
    local version
    version=$("$1" --version 2>/dev/null) && [[ $version =~ ^v([0-9]+) ]] && ((BASH_REMATCH[1] >= OLDEST_NODE))
}

has_node() {
    local node
    node=$(type -P node) && is_new_enough "$node" && type -P npm >/dev/null
}

# Prints the folder of a Node that is new enough, with its npm; installs one into .venv if the machine has none.
find_node() {
    local node
    if has_node; then
        node=$(type -P node)
        printf '%s\n' "${node%/*}"
        return
    fi
    is_new_enough "$VENV/bin/node" || say "found no Node $OLDEST_NODE or newer with npm: taking one from PyPI"
    (setup requirements-node.txt) || return
    is_new_enough "$VENV/bin/node" && printf '%s\n' "$VENV/bin"
}

# Runs npm in web/, what it says in a log; fails with the log's first error in one line.
run_npm() {
    local log=$VENV/web.log
    (cd -- "$WEB" && NEXT_TELEMETRY_DISABLED=1 exec npm "$@") >"$log" 2>&1 </dev/null && return
    say "npm $*: $(grep -m 1 -iE 'error' "$log" || tail -n 1 "$log") (all it said: $log)"
    return 1
}

install_packages() {
    local stamp=$WEB/node_modules/.package-lock.json
    [[ -f $stamp ]] && ! outdates "$stamp" 'package*.json' && return
    say "installing the dashboard's packages"
    run_npm ci --no-audit --no-fund --no-progress
}

build_with() { # FOLDER of node and npm
    local PATH=$1:$PATH
    install_packages || return
    say "building the dashboard; that takes about a minute"
    run_npm run build
}

# Two at once wait for each other. Fails, with one line, where it cannot be built.
build_web() (
    [[ -f $WEB/package.json ]] || { no_web "$WEB/package.json is not there"; return; }
    exec 8<"$WEB"
    flock 8
    web_is_built && return
    folder=$(find_node) || { no_web "it needs Node.js $OLDEST_NODE or newer, with npm (https://nodejs.org)"; return; }
    build_with "$folder"
)

# The dashboard's own tests and lints.
check_web() (
    folder=$(find_node) || return
    PATH=$folder:$PATH
    run_npm test && run_npm run lint
)
