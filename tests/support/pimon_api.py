"""A machine that a test makes up, and the API of pimon over it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchlab.config_schema import PiMon
from pimon.api.server import Server, serve
from pimon.snapshot import (
    BatterySample,
    Clock,
    Core,
    Disk,
    Filesystem,
    Hardware,
    Interface,
    Process,
    Snapshot,
    SystemSample,
    Voltage,
)

GIB = 1 << 30
PI4 = SystemSample(
    cpu_temp_c=45.76,
    cpu_freq_mhz=1500.0,
    cpu_util_pct=12.46,
    cores=tuple(Core(n, share) for n, share in enumerate((10.5, 14.2, 11.8, 13.5))),
    load1=0.5,
    load5=0.7,
    load15=0.9,
    mem_total_b=8 * GIB,
    mem_available_b=6 * GIB,
    mem_used_b=2 * GIB,
    mem_free_b=GIB,
    swap_total_b=GIB,
    swap_used_b=GIB // 4,
    filesystems=(
        Filesystem("/boot/firmware", "/dev/mmcblk0p1", "vfat", GIB // 4, GIB // 16, 3 * GIB // 16),
        Filesystem("/", "/dev/mmcblk0p2", "ext4", 32 * GIB, 8 * GIB, 22 * GIB),
    ),
    disks=(
        Disk("mmcblk0", 12000, 67000, 123000000, 987000000, 10.25, 20.5, 1.5),
        Disk("sda", 345, 890, 456789, 654321),
    ),
    gpu_temp_c=44.2,
    gpu_mem_b=134217728,
    clocks=(
        Clock("arm", 1500000000),
        Clock("core", 500000000),
        Clock("v3d", 500000992),
        Clock("sdram", 400000000),
    ),
    voltages=(Voltage("core", 1.35), Voltage("sdram_c", 1.1)),
    throttled_flags=0x50005,
    interfaces=(
        Interface("eth0", 87654321, 12345678, 5678, 1234, 1, 2, 3, 4, 100.0, 50.0),
        Interface("wlan0", 7654321, 1234567, 56, 12, 0, 0, 0, 0, signal_dbm=-58.0),
    ),
    connections=12,
    usb_devices=3,
    uptime_s=86400.5,
)
"""A Pi 4 with the values of the first API's example where it has them; throttled and under voltage, now and before."""

HARDWARE = Hardware("Raspberry Pi 4 Model B Rev 1.2", "10000000abcdef", "Sep 3 2020 13:11:43")
PROCESSES = (
    Process(1, "systemd", 1000.0, 0.5, 0.3, user="root"),
    Process(700, "Xorg", 1500.0, 30.25, 2.1, command_line="Xorg --token s3cret", user="pi"),
    Process(50, "bash", 1200.0, 30.25, 0.1),
    Process(900, "python3", 1100.0, 120.0, 9.5, user="pi"),
)


class FakeSampler:
    """Gives what a test tells it to, or raises ``error``; counts how often it was asked, and by how many at once."""

    def __init__(self, system: SystemSample = PI4, hardware: Hardware = HARDWARE, is_simulated: bool = False) -> None:
        self.hardware = hardware
        self.is_simulated = is_simulated
        self.machine = system
        self.error: Exception | None = None
        self.samples = 0
        self.walks = 0
        self.most_at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        self.at_once = 0

    def system(self) -> SystemSample:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.gate.wait(60)
        self.samples += 1
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return replace(self.machine, usb_devices=self.samples)

    def battery(self) -> BatterySample:
        return BatterySample()

    def processes(self, top: int | None = None) -> tuple[Process, ...]:
        self.walks += 1
        if self.error is not None:
            raise self.error
        return PROCESSES[:top]

    def sample(self) -> Snapshot:
        return Snapshot(0, self.system(), None, ())


@contextmanager
def served(sampler: Any, root: Path = Path("/"), **options: Any) -> Iterator[Server]:
    """Serve a sampler on a free port of loopback."""
    port = options.pop("port", 0)
    server = serve(sampler, PiMon(host="127.0.0.1", port=port, **options), root)
    try:
        yield server
    finally:
        server.close()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers in lower case, and body of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


def get(port: int, path: str) -> tuple[int, Any]:
    """Return status and decoded body."""
    status, _, body = ask(port, path)
    return status, json.loads(body)
