# Sourced by services.sh: /etc/benchlab, which belongs to the owner of the machine, and what units draw from it.
# shellcheck shell=bash

install_config() {
    make_folder "$ETC"
    if [[ ! -e $DEST$ETC/config.toml && -d $DEST$SAVED && -z $DRY ]]; then
        cp -a -- "$DEST$SAVED/." "$DEST$ETC/"
        chown -R root:root -- "$DEST$ETC"
        chmod 0755 -- "$DEST$ETC" # cp gave it the mode of the folder of data
        # A token that the services read was for their group, which is another one now.
        [[ -n $DEST ]] || find "$ETC" -type f -perm -040 ! -perm -004 -exec chgrp benchlab {} +
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

# Prints where the services keep their data, the folder that CapFrameX observes, and the address of the dashboard.
configured_paths() {
    "$DEST$PREFIX/.venv/bin/python" -c '
import sys
from pathlib import Path
from benchlab import config
loaded = config.load(Path(sys.argv[1]), {})
print(config.data_root(loaded), Path(loaded.config.cx_export.watch_dir).expanduser(), loaded.config.web.bind, sep="\n")' "$DEST$ETC/config.toml"
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
        [[ ! -d $DEST$UNIT_FOLDER/$3 ]] || act rmdir --ignore-fail-on-non-empty -- "$DEST$UNIT_FOLDER/$3"
        return
    fi
    [[ ! $1 =~ ^/(home|root|run/user)/ ]] || say "$1 is in a home, which services do not see: name another in $ETC/config.toml"
    printf '[Service]\nReadWritePaths=-%s\n' "${1//%/%%}" | put 0644 "$addition"
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
