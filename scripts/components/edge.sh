# Sourced by install.sh and uninstall.sh: the exporter of edge devices, as a service that runs from this checkout.
# CONFIG_SERVER_URL, CONFIG_TIMEOUT and LOCAL_CONFIG_PATH in the environment are written into the unit.
# shellcheck shell=bash

EDGE_UNIT=edge-metrics-exporter.service
EDGE_CONFIGS=$REPOSITORY/configs/edgepower

edge_config_path() { printf '%s' "${LOCAL_CONFIG_PATH:-$REPOSITORY/config.yaml}"; }

# Prints the device type of this board, nothing where it is not known.
edge_device_type() {
    PYTHONPATH=$REPOSITORY/apps:$REPOSITORY/libs python3 -c '
import sys
from pathlib import Path
from edgepower.detect import device_type_of
print(device_type_of(Path(sys.argv[1])) or "")' "${DEST:-/}"
}

install_edge() {
    local config board unit
    config=$(edge_config_path)
    [[ $config == /* ]] || die "LOCAL_CONFIG_PATH: found $config, expected an absolute path"
    unit=$(fill "$EDGE_CONFIGS/$EDGE_UNIT.template" "USER=$RUN_AS" "WORKING_DIRECTORY=$REPOSITORY" \
        "CONFIG_SERVER_URL=${CONFIG_SERVER_URL:-}" "CONFIG_TIMEOUT=${CONFIG_TIMEOUT:-5}" \
        "LOCAL_CONFIG_PATH=$config")
    [[ -n $DEST ]] || runuser -u "$RUN_AS" -- "$SCRIPTS/setup_edge.sh"
    if [[ -e $DEST$config ]]; then
        say "$DEST$config is kept as it is"
    else
        board=$(edge_device_type)
        [[ -n $board ]] || say "this board is not known: set device_type in $DEST$config"
        sed "s/^device_type: .*/device_type: \"${board:-jetson_orin}\"/" "$EDGE_CONFIGS/config.yaml.template" |
            put 0640 "$config"
        [[ -n $DEST ]] || chown -- "$RUN_AS:" "$config"
    fi
    printf '%s\n' "$unit" | put 0644 "/etc/systemd/system/$EDGE_UNIT"
    start_unit "$EDGE_UNIT"
}

uninstall_edge() {
    remove_unit "$EDGE_UNIT"
    keep "$(edge_config_path)"
}
