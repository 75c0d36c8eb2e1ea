# Sourced by install.sh and uninstall.sh: the services of a machine, from a copy of the programs below PREFIX.
# Whatever is made is written down in PREFIX/.made, so that all of it can be removed again.
# shellcheck shell=bash

USUAL=(telemetry usb pipeline mux cx-export retention web)
ETC=/etc/benchlab
UNIT_FOLDER=/etc/systemd/system
DATA=/var/log/benchlab
STATE=/var/lib/benchlab
CACHE=/var/cache/benchlab
SAVED=$STATE/etc
LINKS=/usr/local/bin
OLDEST_MINOR=10
PINNED=(requirements.txt requirements-edge.txt requirements-web.txt)
EXTRAS=edge,i2c,web

# Prints the units of the services named.
units_of() {
    local name
    for name in "$@"; do
        printf 'benchlab-%s.service\n' "$name"
        [[ $name != retention ]] || printf 'benchlab-retention.timer\n'
    done
}

# Prints those of the units named that are enabled by themselves: a timer starts its service.
enabled_of() { units_of "$@" | grep -v '^benchlab-retention.service$'; }

# Prints the services that are installed.
installed_services() {
    local name
    for name in "${SERVICES[@]}"; do
        [[ ! -e $DEST$UNIT_FOLDER/benchlab-$name.service ]] || printf '%s\n' "$name"
    done
}

# Prints the services that this machine can use, and says which it cannot, and those that are installed already.
usable_services() {
    local name board
    board=$(board_of)
    for name in "${SERVICES[@]}"; do
        case $name in
        pimon) [[ $board == raspberry_pi ]] || is_installed pimon || { skip pimon "this is no Raspberry Pi" && continue; } ;;
        edgepower) [[ -n $board ]] || is_installed edgepower || { skip edgepower "this board is not known" && continue; } ;;
        vmstat)
            [[ -e $DEST/usr/sbin/libvirtd || -e $DEST/usr/sbin/virtqemud ]] || is_installed vmstat ||
                { skip vmstat "there is no libvirt" && continue; }
            ;;
        esac
        printf '%s\n' "$name"
    done
}

is_installed() { [[ -e $DEST$UNIT_FOLDER/benchlab-$1.service ]]; }

skip() { say "$1 is left out: $2; to install it all the same: --components $1"; }

# Prints the device type of this board, nothing where it is not known.
board_of() {
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$REPOSITORY/apps:$REPOSITORY/libs "$(system_python)" -c '
import sys
from pathlib import Path
from edgepower.detect import device_type_of
print(device_type_of(Path(sys.argv[1])) or "")' "${DEST:-/}"
}

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

# Refuses what would be in the way of the services, before anything is changed.
check_machine() {
    local unit
    system_python >/dev/null || exit
    [[ -n $DEST ]] || command -v systemd-sysusers >/dev/null ||
        code=5 die "found no systemd-sysusers, needed to make the user; to mend it: sudo apt-get install -y systemd"
    for unit in "pimon pi-stat pistat" "edgepower edge-metrics-exporter edge"; do
        read -r name old component <<<"$unit"
        [[ " $* " != *" $name "* || ! -f $DEST$UNIT_FOLDER/$old.service || -L $DEST$UNIT_FOLDER/$old.service ]] ||
            code=5 die "found $UNIT_FOLDER/$old.service, which runs from a checkout and has the port of" \
                "benchlab-$name: remove it first: sudo scripts/uninstall.sh --components $component"
    done
}

install_services() {
    local services=("$@")
    umask 022
    check_machine "${services[@]}"
    install_program
    install_user
    install_config "${services[@]}"
    install_files
    install_units "${services[@]}"
    install_rules
    start_services "${services[@]}"
    tell_of_old_sessions
    tell_what_is_next "${services[@]}"
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

# Prints the folders that were made, the deepest first.
made_folders() { sed -n 's/^folder //p' "$DEST$PREFIX/.made" 2>/dev/null | sort -r; }

# Removes those of the folders that are empty.
remove_empty() {
    local folder
    for folder in "$@"; do
        [[ ! -d $DEST$folder ]] || act rmdir --ignore-fail-on-non-empty -- "$DEST$folder"
    done
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

# Makes the user and the groups.
install_user() {
    local group
    for group in $(awk '$1 == "g" || $1 == "u" { print $2 }' "$UNITS/sysusers.conf" | sort -u); do
        [[ -n $DEST ]] || getent group "$group" >/dev/null || note group "$group"
    done
    put 0644 /etc/sysusers.d/benchlab.conf <"$UNITS/sysusers.conf"
    put 0644 /etc/tmpfiles.d/benchlab.conf <"$UNITS/tmpfiles.conf"
    if [[ -n $DEST ]]; then
        say "the user benchlab is made when what is in $DEST is started"
    else
        act systemd-sysusers /etc/sysusers.d/benchlab.conf
        act systemd-tmpfiles --create /etc/tmpfiles.d/benchlab.conf
        take_over_data
    fi
}

# Gives data that an earlier installation left to the user.
take_over_data() {
    local folder
    for folder in "$DATA" "$STATE"; do
        [[ ! -d $folder || -n $DRY ]] || find "$folder" -uid 0 -exec chown -h benchlab:benchlab {} +
    done
}

install_config() {
    make_folder "$ETC"
    if [[ ! -e $DEST$ETC/config.toml && -d $DEST$SAVED && -z $DRY ]]; then
        cp -a -- "$DEST$SAVED/." "$DEST$ETC/"
        chown -R root:root -- "$DEST$ETC"
        rm -rf -- "$DEST$SAVED"
        say "took $DEST$ETC from what an earlier installation left"
    fi
    if [[ -e $DEST$ETC/config.toml ]]; then
        say "$DEST$ETC/config.toml is kept as it is"
        tell_of_new_keys
    else
        shipped_config | put 0644 "$ETC/config.toml"
    fi
    [[ " $* " != *" edgepower "* ]] || install_edge_config
}

shipped_config() { sed "s|^# data_root = .*|data_root = \"$DATA\"|" "$REPOSITORY/configs/config.toml"; }

install_edge_config() {
    local board
    [[ ! -e $DEST$ETC/edgepower.yaml ]] || { say "$DEST$ETC/edgepower.yaml is kept as it is" && return; }
    board=$(board_of)
    [[ -n $board ]] || say "this board is not known: set device_type in $DEST$ETC/edgepower.yaml"
    shipped_edge_config | put 0644 "$ETC/edgepower.yaml"
}

shipped_edge_config() {
    local board
    board=$(board_of)
    sed "s/^device_type: .*/device_type: \"${board:-jetson_orin}\"/" "$REPOSITORY/configs/edgepower/config.yaml.template"
}

# Prints the keys that a configuration mentions, those that are commented out included.
keys_of() {
    awk '/^\[/ { section = $1; gsub(/[][]/, "", section) }
        match($0, /^#? ?[a-z_]+ *=/) { key = $0; sub(/^# ?/, "", key); sub(/ *=.*/, "", key); print section "." key }' "$1" |
        LC_ALL=C sort -u
}

tell_of_new_keys() {
    local new
    new=$(LC_ALL=C comm -13 <(keys_of "$DEST$ETC/config.toml") <(keys_of "$REPOSITORY/configs/config.toml") | paste -sd ' ')
    [[ -z $new ]] || say "new keys, which have their defaults until you set them: $new" \
        "(explained in $PREFIX/configs/config.toml)"
}

# Copies what is not Python: documents, the explained configuration, the dashboard, and the way to remove it all.
install_files() {
    local name
    make_folder "$PREFIX"
    copy_folder "$REPOSITORY/docs" "$PREFIX/docs"
    copy_folder "$REPOSITORY/configs" "$PREFIX/configs"
    copy_folder "$SCRIPTS" "$PREFIX/scripts" uninstall.sh components
    copy_folder "$UNITS" "$PREFIX/systemd"
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

install_units() {
    local unit
    for unit in benchlab.target $(units_of "$@"); do
        sed "s#/opt/benchlab#$PREFIX#g" "$UNITS/$unit" | put 0644 "$UNIT_FOLDER/$unit"
    done
    [[ -n $DRY ]] || open_paths
}

# Prints where the services keep their data, and the folder that CapFrameX observes.
configured_paths() {
    "$DEST$PREFIX/.venv/bin/python" -c '
import sys
from pathlib import Path
from benchlab import config
loaded = config.load(Path(sys.argv[1]), {})
print(config.data_root(loaded), Path(loaded.config.cx_export.watch_dir).expanduser(), sep="\n")' "$DEST$ETC/config.toml"
}

# Lets the services write where the configuration says, where that is not the usual place.
open_paths() {
    local paths data watch
    paths=$(configured_paths)
    { read -r data && read -r watch; } <<<"$paths"
    open_path "$data" "$DATA" benchlab-.service.d
    open_path "$watch" /mnt/cx-import benchlab-cx-export.service.d
    [[ $data == "$DATA" || -n $DEST || -d $data ]] || install -d -m 2750 -o benchlab -g benchlab -- "$data"
}

# open_path PATH USUAL FOLDER: writes the addition to the units that lets them write PATH, if that is not the usual one.
open_path() {
    local addition=$UNIT_FOLDER/$3/benchlab-paths.conf
    if [[ $1 == "$2" ]]; then
        take "$addition"
        [[ ! -d $DEST$UNIT_FOLDER/$3 ]] || rmdir --ignore-fail-on-non-empty -- "$DEST$UNIT_FOLDER/$3"
        return
    fi
    [[ ! $1 =~ ^/(home|root|run/user)/ ]] || say "$1 is in a home, which services do not see: name another in $ETC/config.toml"
    printf '[Service]\nReadWritePaths=-%s\n' "${1//%/%%}" | put 0644 "$addition"
}

install_rules() {
    local rules
    for rules in "$REPOSITORY"/udev/*.rules; do
        put 0644 "/etc/udev/rules.d/${rules##*/}" <"$rules"
    done
    apply_rules
}

apply_rules() {
    [[ -z $DEST && -z $DRY && -S /run/udev/control ]] || return 0
    udevadm control --reload
    udevadm trigger --action=change --subsystem-match=tty --subsystem-match=video4linux
}

start_services() {
    local enabled
    mapfile -t enabled < <(enabled_of "$@")
    if [[ -n $DEST ]]; then
        ! command -v systemctl >/dev/null || act systemctl --quiet --root="$DEST" enable benchlab.target "${enabled[@]}"
    else
        act systemctl --quiet enable benchlab.target "${enabled[@]}"
    fi
    has_systemd || { say "no systemd runs here: the services are not started" && return; }
    systemctl daemon-reload
    systemctl restart benchlab.target
}

# Says where sessions lie that were recorded before, and how they get to where the services keep theirs.
tell_of_old_sessions() {
    local folder homes
    homes=$(getent passwd "${SUDO_USER:-root}" | cut -d : -f 6)
    [[ -z $DEST ]] || return 0
    for folder in "$homes/.local/state/benchlab/sessions" "$REPOSITORY/.benchlab/sessions"; do
        [[ ! -d $folder ]] || say "$folder holds sessions of before; to take them over:" \
            "sudo cp -a $folder/. $DATA/sessions/ && sudo chown -R benchlab:benchlab $DATA/sessions"
    done
}

tell_what_is_next() {
    local bind=127.0.0.1:3010
    [[ -z $DRY ]] || return 0
    [[ " $* " != *" vmstat "* ]] || "$DEST$PREFIX/.venv/bin/python" -c 'import libvirt' 2>/dev/null ||
        say "vmstat needs libvirt for Python: sudo apt-get install -y python3-libvirt"
    cat >&2 <<TEXT

Installed: $*

Next
  Fit $ETC/config.toml to this machine, then: sudo systemctl restart benchlab.target
  Read what is recorded as yourself:          sudo usermod -aG benchlab ${SUDO_USER:-USER}   (and log in again)
  Is all well?                                benchctl doctor; benchctl status; systemctl status 'benchlab-*'
  Dashboard                                   http://$bind
  Metrics                                     http://localhost:9109/metrics
  More                                        $PREFIX/docs/PRODUCTION.md
TEXT
}

uninstall_services() {
    local units unit
    [[ -n $(installed_services) || -e $DEST$PREFIX/.made ]] || { say "nothing is installed in $DEST$PREFIX" && return; }
    mapfile -t units < <(units_of "$@")
    ! has_systemd || systemctl --quiet stop "${units[@]}" || true
    for unit in "${units[@]}"; do
        remove_service_unit "$unit"
    done
    [[ -z $(installed_services) ]] || { forget_units && return; }
    remove_service_unit benchlab.target
    open_path "$DATA" "$DATA" benchlab-.service.d
    open_path /mnt/cx-import /mnt/cx-import benchlab-cx-export.service.d
    forget_units
    remove_shared
}

remove_service_unit() {
    [[ -e $DEST$UNIT_FOLDER/$1 ]] || return 0
    ! command -v systemctl >/dev/null || act systemctl --quiet ${DEST:+--root="$DEST"} disable "$1" 2>/dev/null || true
    take "$UNIT_FOLDER/$1"
}

forget_units() {
    has_systemd || return 0
    systemctl daemon-reload
    systemctl reset-failed 'benchlab-*' 2>/dev/null || true
}

# Removes what no single service owns: nothing is left but data, and settings of the owner, which go to the data.
remove_shared() {
    local path data
    for path in /etc/udev/rules.d/{99-benchlab,70-benchlab-uaccess,70-benchlab-rapl}.rules \
        /etc/sysusers.d/benchlab.conf /etc/tmpfiles.d/benchlab.conf; do
        take "$path"
    done
    apply_rules
    for path in "$DEST$LINKS"/*; do
        [[ $(readlink -- "$path" || true) != "$PREFIX/.venv/bin/"* ]] || take "$LINKS/${path##*/}"
    done
    data=$(configured_paths 2>/dev/null | head -n 1) || true
    save_settings
    [[ ! -e $DEST$CACHE ]] || act rm -rf -- "$DEST$CACHE"
    remove_user "${data:-$DATA}"
    remove_made
    tell_of_data "${data:-$DATA}"
}

# Keeps what the owner wrote below /etc/benchlab with the data, where another installation finds it.
save_settings() {
    local path
    [[ -d $DEST$ETC ]] || return 0
    [[ -z $DRY ]] || { say "would keep in $SAVED what of $ETC was edited" && return; }
    for path in "$DEST$ETC"/*; do
        [[ -e $path ]] || continue
        if ! cmp --silent -- "$path" <(as_shipped "${path##*/}"); then
            install -d -m 0750 -- "$DEST$SAVED"
            cp -a -- "$path" "$DEST$SAVED/"
            say "$path goes to $DEST$SAVED, where the next installation finds it"
        fi
        rm -rf -- "$path"
    done
}

# Prints a file of /etc/benchlab as it was installed.
as_shipped() {
    case $1 in
    config.toml) shipped_config ;;
    edgepower.yaml) shipped_edge_config ;;
    esac
}

# Removes the user, whose data go to root: without an owner they would belong to whoever gets the number next.
remove_user() {
    local folder group
    [[ -z $DEST ]] || return 0
    [[ -z $DRY ]] || { say "would remove the user benchlab and give its data to root" && return; }
    for folder in "$1" "$STATE"; do
        [[ ! -d $folder ]] || ! getent group benchlab >/dev/null || find "$folder" -group benchlab -exec chown -h root:root {} +
    done
    ! getent passwd benchlab >/dev/null || userdel benchlab || say "the user benchlab is kept"
    ! getent group benchlab >/dev/null || groupdel benchlab || say "the group benchlab is kept"
    for group in $(sed -n 's/^group //p' "$PREFIX/.made" 2>/dev/null); do
        ! is_unused "$group" || groupdel "$group"
    done
}

# Tells whether a group has no member and no file in the places where devices and services have theirs.
is_unused() {
    local entry
    entry=$(getent group "$1") || return 1
    [[ -z ${entry##*:} && -z $(find /dev /run /etc /var -xdev -group "$1" -print -quit 2>/dev/null) ]]
}

remove_made() {
    local folders folder
    mapfile -t folders < <(made_folders)
    for folder in .venv .venv.new .venv.old configs docs scripts systemd web .made; do
        [[ ! -e $DEST$PREFIX/$folder ]] || act rm -rf -- "$DEST$PREFIX/$folder"
    done
    remove_empty ${folders[@]+"${folders[@]}"} "$DATA" "$STATE/edgepower" "$STATE"
    say "removed $DEST$PREFIX"
}

tell_of_data() {
    local folder
    for folder in "$1" "$STATE"; do
        [[ ! -d $DEST$folder ]] || say "$DEST$folder is kept, with what was recorded; to delete it: sudo rm -r $DEST$folder"
    done
}
