# Sourced by install.sh and uninstall.sh: the services of a machine, from a copy of the programs below PREFIX.
# Whatever is made is written down in PREFIX/.made, so that all of it can be removed again.
# shellcheck shell=bash

ETC=/etc/benchlab
UNIT_FOLDER=/etc/systemd/system
DATA=/var/log/benchlab
STATE=/var/lib/benchlab
CACHE=/var/cache/benchlab
SAVED=$STATE/etc
LINKS=/usr/local/bin
OLDEST_MINOR=10
PINNED=(requirements.txt requirements-edge.txt requirements-influx.txt requirements-web.txt)
EXTRAS=edge,i2c,influx,web

for part in program manual settings removal; do
    # shellcheck source=/dev/null
    source "$SCRIPTS/components/$part.sh"
done

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
    install_manual
    install_units "${services[@]}"
    install_rules
    start_services "${services[@]}"
    tell_of_old_sessions
    tell_what_is_next "${services[@]}"
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

install_units() {
    local unit
    for unit in benchlab.target $(units_of "$@"); do
        sed "s#/opt/benchlab#$PREFIX#g" "$UNITS/$unit" | put 0644 "$UNIT_FOLDER/$unit"
    done
    [[ -n $DRY ]] || open_paths
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

# Says where sessions lie that were recorded before, and how they get to where the services keep theirs: without the link
# to the current one, which is that of the services.
tell_of_old_sessions() {
    local folder homes
    homes=$(getent passwd "${SUDO_USER:-root}" | cut -d : -f 6)
    [[ -z $DEST ]] || return 0
    for folder in "$homes/.local/state/benchlab/sessions" "$REPOSITORY/.benchlab/sessions"; do
        [[ ! -d $folder ]] || say "$folder holds sessions of before; to take them over:" \
            "sudo find $folder -mindepth 1 -maxdepth 1 -type d -exec cp -an -t $DATA/sessions {} +" \
            "&& sudo chown -R benchlab:benchlab $DATA/sessions"
    done
}

tell_what_is_next() {
    local bind
    [[ -z $DRY ]] || return 0
    bind=$(configured_paths | tail -n 1)
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
