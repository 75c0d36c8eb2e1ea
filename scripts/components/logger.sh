# Sourced by install.sh and uninstall.sh: the stand-alone telemetry logger, as a service that runs from this checkout.
# shellcheck shell=bash

LOGGER_UNIT=telemetry-logger.service
LOGGER_PYTHON=/usr/bin/python3

install_logger() {
    local unit
    unit=$(fill "$UNITS/$LOGGER_UNIT.template" "USER=$RUN_AS" "REPOSITORY=$REPOSITORY")
    [[ -n $DEST ]] || "$LOGGER_PYTHON" -I -c 'import psutil' 2>/dev/null || code=5 die \
        "found no psutil for $LOGGER_PYTHON, needed by the logger; to mend it: sudo apt-get install -y python3 python3-psutil"
    printf '%s\n' "$unit" | put 0644 "/etc/systemd/system/$LOGGER_UNIT"
    start_unit "$LOGGER_UNIT"
}

uninstall_logger() {
    remove_unit "$LOGGER_UNIT"
    keep /var/lib/telemetry-logger
}
