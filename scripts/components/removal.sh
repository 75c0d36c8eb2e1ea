# Sourced by services.sh: taking away what install_services made, and nothing else.
# shellcheck shell=bash

uninstall_services() {
    local units unit name others=""
    [[ -n $(installed_services) || -e $DEST$PREFIX/.made ]] || { say "nothing is installed in $DEST$PREFIX" && return; }
    for name in $(installed_services); do
        [[ " $* " == *" $name "* ]] || others=yes
    done
    mapfile -t units < <(units_of "$@")
    ! has_systemd || systemctl --quiet stop "${units[@]}" || true
    for unit in "${units[@]}"; do
        remove_service_unit "$unit"
    done
    [[ -z $others ]] || { forget_units && return; }
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
    remove_manual
    data=$(configured_paths 2>/dev/null | head -n 1) || true
    save_settings
    [[ ! -e $DEST$CACHE ]] || act rm -rf -- "$DEST$CACHE"
    remove_user "${data:-$DATA}"
    remove_made
    tell_of_data "${data:-$DATA}"
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

# Prints the folders that were made, the deepest first.
made_folders() { sed -n 's/^folder //p' "$DEST$PREFIX/.made" 2>/dev/null | sort -r; }

# Removes those of the folders that are empty.
remove_empty() {
    local folder
    for folder in "$@"; do
        [[ ! -d $DEST$folder ]] || act rmdir --ignore-fail-on-non-empty -- "$DEST$folder"
    done
}

remove_made() {
    local folders folder
    mapfile -t folders < <(made_folders)
    for folder in .venv .venv.new .venv.old configs docs scripts systemd udev web .made; do
        [[ ! -e $DEST$PREFIX/$folder ]] || act rm -rf -- "$DEST$PREFIX/$folder"
    done
    remove_empty ${folders[@]+"${folders[@]}"} "$DATA" "$STATE/edgepower" "$STATE"
    [[ -n $DRY ]] || say "removed $DEST$PREFIX"
}

tell_of_data() {
    local folder
    for folder in "$1" "$STATE"; do
        [[ ! -d $DEST$folder ]] || say "$DEST$folder is kept, with what was recorded; to delete it: sudo rm -r $DEST$folder"
    done
}
