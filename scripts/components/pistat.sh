# Sourced by install.sh and uninstall.sh: pimon's API, as a service that runs from this checkout.
# shellcheck shell=bash

PISTAT_UNIT=pi-stat.service

install_pistat() {
    local unit
    unit=$(fill "$UNITS/$PISTAT_UNIT.template" "USER=$RUN_AS" "REPOSITORY=$REPOSITORY")
    # The set of edgepower has what reads a battery HAT on I2C.
    [[ -n $DEST ]] || runuser -u "$RUN_AS" -- "$SCRIPTS/setup_edge.sh"
    printf '%s\n' "$unit" | put 0644 "/etc/systemd/system/$PISTAT_UNIT"
    start_unit "$PISTAT_UNIT"
}

uninstall_pistat() {
    remove_unit "$PISTAT_UNIT"
    keep /etc/benchlab/pi-stat.env
}
