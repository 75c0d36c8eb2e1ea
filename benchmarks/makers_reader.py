"""What a program on the maker's client does: read, translate, write a line, as often as it is asked and can.

Usage: makers_reader.py PORT FILE HZ
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import serial
from benchlab_pycore.core import read_device, read_sensors, translate_sensor_struct


def main() -> None:
    path, out, hz = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    with serial.Serial(path, 115200, timeout=1) as port, out.open("w") as file:
        time.sleep(0.1)
        port.reset_input_buffer()  # of firmware that greets unasked
        device = read_device(port)
        if device is None:
            raise SystemExit(f"{path}: no BENCHLAB")
        due_s = time.monotonic()
        while True:
            read = read_sensors(port, device["ProductId"], device["FwVersion"])
            if read is not None:
                kv = translate_sensor_struct(read)
                file.write(json.dumps({"ts_ns": time.time_ns(), "kv": kv}) + "\n")
                file.flush()
            due_s = max(due_s + 1.0 / hz, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    main()
