# Sourced by services.sh: the programs below PREFIX, made from a wheel of this checkout, and what lies beside them.
# shellcheck shell=bash

# Prints the Python that the services run with: that of the system, which has GStreamer and libvirt, else a newer one.
system_python() {
    local python
    for python in ${PYTHON:+"$PYTHON"} /usr/bin/python3 /usr/bin/python3.[1-9][0-9] /usr/local/bin/python3; do
        if "$python" -c "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, $OLDEST_MINOR))" 2>/dev/null; then
            printf '%s\n' "$python"
            return
        fi
    done
    code=5 die "found no Python 3.$OLDEST_MINOR or newer with venv in /usr/bin; to mend it:" \
        "sudo apt-get install -y python3 python3-venv"
}

# Prints what the programs are made from; they are up to date while their stamp says the same.
program_fingerprint() {
    {
        "$1" --version
        printf '%s\n' "$PREFIX"
        cd -- "$REPOSITORY" && find apps libs pyproject.toml "${PINNED[@]}" -type f -not -path '*/__pycache__/*' -print0 |
            LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum
}

install_program() {
    local python stamp=$DEST$PREFIX/.venv/.installed fingerprint
    python=$(system_python)
    fingerprint=$(program_fingerprint "$python")
    if [[ -f $stamp && $(<"$stamp") == "$fingerprint" ]]; then
        say "$DEST$PREFIX/.venv is up to date"
    elif [[ -n $DRY ]]; then
        say "would install the programs into $DEST$PREFIX/.venv with $python"
    else
        make_folder "$PREFIX"
        say "installing the programs into $DEST$PREFIX/.venv with $python; this takes about a minute"
        make_program "$python" "$DEST$PREFIX/.venv.new"
        printf '%s\n' "$fingerprint" >"$DEST$PREFIX/.venv.new/.installed"
        swap_in_program
    fi
}

# Makes the programs in a folder of their own, so that what is installed works on until they are whole.
make_program() {
    local python=$1 place=$2 work pip source=()
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "clean_up '$work' '$place'" EXIT
    [[ -z $WHEELHOUSE ]] || source=(--no-index --find-links "$WHEELHOUSE")
    pip=("$place/bin/python" -m pip --quiet --no-input --disable-pip-version-check --no-cache-dir)
    (cd -- "$REPOSITORY" && grep -h == "${PINNED[@]}") >"$work/pins"
    rm -rf -- "$place"
    {
        "$python" -m venv --system-site-packages --prompt benchlab "$place" &&
            "${pip[@]}" wheel ${source[@]+"${source[@]}"} --no-deps --wheel-dir "$work" "$REPOSITORY" &&
            "${pip[@]}" install ${source[@]+"${source[@]}"} --constraint "$work/pins" "$(echo "$work"/*.whl)[$EXTRAS]"
    } >"$work/log" 2>&1 </dev/null || code=5 die "the programs could not be installed: $(reason_in "$work/log")"
    refuse_old_config "$place"
    # What pip wrote knows the place where it was made, not the one where it will be.
    grep -rlIF -- "$place" "$place/bin" "$place/pyvenv.cfg" | xargs sed -i "s#$place#$PREFIX/.venv#g"
    rm -rf -- "$work"
    trap - EXIT
}

reason_in() {
    local line
    line=$(grep -o 'ERROR: [^:]*[^:]$\|ERROR: .*: .*' "$1" | tail -n 1) && [[ -n $line ]] || line=$(grep . "$1" | tail -n 1)
    printf '%s' "${line#ERROR: }"
}

# Takes away what a vain attempt made, its folder too if there is nothing else in it.
clean_up() {
    local folders
    rm -rf -- "$@"
    [[ $(ls -A "$DEST$PREFIX") == .made ]] || return 0
    mapfile -t folders < <(made_folders)
    rm -f -- "$DEST$PREFIX/.made"
    remove_empty "${folders[@]}"
}

# Refuses to go on where the configuration that is there says what the new version does not understand.
refuse_old_config() {
    local said
    [[ -e $DEST$ETC/config.toml ]] || return 0
    said=$("$1/bin/python" -m benchctl config show --config "$DEST$ETC/config.toml" 2>&1 >/dev/null) ||
        code=3 die "${said#benchctl: }; nothing was changed"
}

swap_in_program() {
    local here=$DEST$PREFIX/.venv
    rm -rf -- "$here.old"
    [[ ! -d $here ]] || mv -- "$here" "$here.old"
    mv -- "$here.new" "$here"
    rm -rf -- "$here.old"
    say "wrote $here"
}

# Copies what is not Python: documents, the explained configuration, the dashboard, and the way to remove it all.
install_files() {
    local name
    make_folder "$PREFIX"
    copy_folder "$REPOSITORY/docs" "$PREFIX/docs"
    copy_folder "$REPOSITORY/configs" "$PREFIX/configs"
    copy_folder "$SCRIPTS" "$PREFIX/scripts" uninstall.sh components
    copy_folder "$UNITS" "$PREFIX/systemd"
    copy_folder "$REPOSITORY/udev" "$PREFIX/udev"
    if [[ -f $REPOSITORY/web/out/index.html ]]; then
        copy_folder "$REPOSITORY/web/out" "$PREFIX/web"
    else
        make_folder "$PREFIX/web"
        say "the dashboard is not built, its API works without: cd web && npm ci && npm run build, then install again"
    fi
    for name in $(programs); do
        link_program "$name"
    done
}

# copy_folder FROM TO [NAME...]: replaces TO below DEST by FROM, or by what is named in it.
copy_folder() {
    local from=$1 to=$DEST$2
    shift 2
    [[ -z $DRY ]] || { say "would copy $from to $to" && return; }
    rm -rf -- "$to.new"
    mkdir -- "$to.new"
    (cd -- "$from" && tar -cf - --exclude=__pycache__ -- "${@:-.}") | tar -xf - --no-same-owner -C "$to.new"
    rm -rf -- "$to"
    mv -- "$to.new" "$to"
}

# Prints the programs that are installed.
programs() {
    [[ -z $DRY ]] || return 0
    "$DEST$PREFIX/.venv/bin/python" -c '
from importlib.metadata import distribution
print(*(e.name for e in distribution("benchlab-linux-telemetry").entry_points if e.group == "console_scripts"))'
}

link_program() {
    local link=$LINKS/$1 target=$PREFIX/.venv/bin/$1
    [[ $(readlink -- "$DEST$link" || true) != "$target" ]] || return 0
    if [[ -e $DEST$link || -L $DEST$link ]]; then
        say "$DEST$link is another program and is left as it is; ours is $target"
    else
        make_folder "$LINKS"
        act ln -s -- "$target" "$DEST$link"
    fi
}
