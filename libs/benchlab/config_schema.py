"""The sections and keys of config.toml with their types, bounds and defaults.

Every key is described, for people, in configs/config.toml. Lengths of time carry their unit in the name.
"""

from __future__ import annotations

import os
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Stage = Annotated[str, Meta(min_length=1, max_length=128)]
Pair = Annotated[list[Stage], Meta(min_length=2, max_length=2, description='["STAGE", "STAGE"]')]
PowerKey = Annotated[str, Meta(pattern=r"^[^:\s]+:[^:\s]+$")]
PowerCut = Annotated[list[PowerKey], Meta(min_length=1, description='["SOURCE:KEY", ...]')]
Host = Annotated[str, Meta(pattern=r"^[0-9A-Za-z.:-]+$", description="the name or address of this host")]
Bind = Annotated[str, Meta(pattern=r"^\S+:[0-9]{1,5}$", description="HOST:PORT")]


def _default_power_sources() -> list[PowerCut]:
    return [
        ["benchlab.usb:p_sys"],
        ["edge.*:power_total_watts"],
        ["gpu.nvml:power_w", "cpu.rapl:package_w"],
        ["gpu.nvml:power_w"],
    ]


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A table of config.toml."""


class General(Section, frozen=True):
    """``[general]``: what every program uses. ``data_root`` None stands for the rule of the documentation."""

    data_root: Annotated[str, Meta(min_length=1)] | None = None
    sample_hz: Annotated[float, Meta(gt=0, le=1000)] = 10.0
    node_name: Annotated[str, Meta(min_length=1, max_length=253)] = msgspec.field(
        default_factory=lambda: os.uname().nodename or "localhost"
    )
    session_rotate: Literal["never", "daily"] = "never"
    fsync_s: Annotated[float, Meta(ge=0, le=3600)] = 1.0


class Gpu(Section, frozen=True):
    """``[gpu]``: which graphics processors are sampled."""

    provider: Literal["nvml"] = "nvml"
    device_index: Annotated[int, Meta(ge=0, le=255)] | Literal["all"] = "all"


class Cpu(Section, frozen=True):
    """``[cpu]``: what is read of the processor besides its load."""

    enable_rapl: bool = True


class BenchLab(Section, frozen=True):
    """``[benchlab]``: the BENCHLAB power meter on USB; ``offset_ns`` is how old its readings are when it gives them."""

    device: Annotated[str, Meta(min_length=1)] = "/dev/ttyACM0"
    baud: Annotated[int, Meta(ge=50, le=4_000_000)] = 115_200
    calibration_interval_sec: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    offset_ns: Annotated[int, Meta(ge=0, le=10_000_000_000)] = 0


class Pipeline(Section, frozen=True):
    """``[pipeline]``: the stages whose distance is the latency; ``pairs`` adds more of them.

    An empty ``stage_socket`` stands for the rule of docs/STAGES.md.
    """

    stage_a: Stage = "ingress"
    stage_b: Stage = "encoded"
    pairs: list[Pair] = []
    stage_socket: str = ""


class CxExport(Section, frozen=True):
    """``[cx_export]``: files for CapFrameX."""

    enabled: bool = True
    watch_dir: Annotated[str, Meta(min_length=1)] = "/mnt/cx-import"
    application_name: Annotated[str, Meta(min_length=1)] = "Vantage:Pipeline"


class Prometheus(Section, frozen=True):
    """``[prometheus]``: where muxd serves /metrics."""

    bind: Bind = "0.0.0.0:9109"


class Retention(Section, frozen=True):
    """``[retention]``: how many days a session, and its raw part, are kept; ``min_free_gb`` 0 is off."""

    days: Annotated[int, Meta(ge=1, le=36_500)] = 90
    raw_keep_days: Annotated[int, Meta(ge=0, le=36_500)] = 7
    min_free_gb: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0


class Mux(Section, frozen=True):
    """``[mux]``: how events become latency with power and energy."""

    window_s: Annotated[float, Meta(gt=0, le=3600)] = 2.0
    lateness_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 2500
    max_gap_ms: Annotated[int, Meta(gt=0, le=3_600_000)] = 2500
    signals_hz: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    power_sources: list[PowerCut] = msgspec.field(default_factory=_default_power_sources)


class Sinks(Section, frozen=True):
    """``[sinks]``: where muxd keeps the aligned rows besides the log."""

    sqlite: bool = False
    influx: bool = False

    @property
    def enabled(self) -> set[str]:
        """The names of those that are switched on."""
        return {name for name in self.__struct_fields__ if getattr(self, name)}


class Influx(Section, frozen=True):
    """``[influx]``: the InfluxDB that the sink writes to; ``influx_db`` is a bucket where ``api`` is v2.

    At most ``max_queue`` lines are in memory, the others wait in the log. ``query`` has the dashboard read from it.
    """

    influx_url: Annotated[str, Meta(pattern=r"^https?://[^\s?#]+$", description="http://HOST:PORT")] = (
        "http://localhost:8086"
    )
    influx_db: Annotated[str, Meta(min_length=1, max_length=64)] = "vmstats"
    influx_org: Annotated[str, Meta(max_length=255)] = ""
    api: Literal["v3", "v2", "v1"] = "v3"
    token_file: str = ""
    batch_max_lines: Annotated[int, Meta(ge=1, le=100_000)] = 2000
    batch_max_sec: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    max_queue: Annotated[int, Meta(ge=2, le=1_000_000)] = 20_000
    query: bool = False


class EdgePower(Section, frozen=True):
    """``[edgepower]``: where the edge exporter is served, and where its device document comes from."""

    config_path: str = ""
    bind: Host = "0.0.0.0"
    management_bind: Host = "127.0.0.1"
    token_file: str = ""
    server_url: Annotated[str, Meta(pattern=r"^(https?://\S+)?$", description="http://HOST:PORT")] = ""
    server_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0


class PiMon(Section, frozen=True):
    """``[pimon]``: what is sampled of a small host, and its HTTP API.

    ``power_supply`` may name a meter, for which ``shunt_ohms`` and ``current_reversed`` are; ``rate_limit`` is requests
    a minute and client, 0 is off.
    """

    interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    top_procs: Annotated[int, Meta(ge=1, le=1000)] = 10
    power_supply: Annotated[str, Meta(min_length=1, max_length=64)] = "auto"
    shunt_ohms: Annotated[float, Meta(gt=0, le=100)] = 0.1
    current_reversed: bool = False
    host: Host = "0.0.0.0"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 8585
    cache_seconds: Annotated[float, Meta(ge=0, le=3600)] = 2.0
    rate_limit: Annotated[int, Meta(ge=0, le=100_000)] = 0
    debug: bool = False


class Web(Section, frozen=True):
    """``[web]``: the dashboard and its API. An empty ``static_dir`` stands for the rule of docs/WEB.md.

    Latency up to ``ok_ms`` is shown as good, above ``slow_ms`` as bad.
    """

    bind: Bind = "127.0.0.1:3010"
    token_file: str = ""
    static_dir: str = ""
    ok_ms: Annotated[float, Meta(gt=0, le=3_600_000)] = 10.0
    slow_ms: Annotated[float, Meta(gt=0, le=3_600_000)] = 20.0


class VmStat(Section, frozen=True):
    """``[vmstatd]``: which hypervisor is asked about its machines, how often, and what of it is recorded.

    Times are in seconds. ``fields`` are names or patterns of keys, empty: all; ``every`` maps such to how far apart
    two recordings of the key are at least. ``libvirt_timeout`` is how long one answer is waited for.
    """

    poll_interval: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    libvirt_uri: Annotated[str, Meta(pattern=r"^[a-z+]+://\S*$", description="a libvirt URI")] = "qemu:///system"
    libvirt_timeout: Annotated[float, Meta(ge=0.1, le=600)] = 10.0
    fields: list[Annotated[str, Meta(min_length=1)]] = []
    every: dict[str, Annotated[float, Meta(gt=0, le=86_400)]] = {}


class Config(Section, frozen=True):
    """The whole configuration."""

    general: General = msgspec.field(default_factory=General)
    gpu: Gpu = msgspec.field(default_factory=Gpu)
    cpu: Cpu = msgspec.field(default_factory=Cpu)
    benchlab: BenchLab = msgspec.field(default_factory=BenchLab)
    pipeline: Pipeline = msgspec.field(default_factory=Pipeline)
    cx_export: CxExport = msgspec.field(default_factory=CxExport)
    prometheus: Prometheus = msgspec.field(default_factory=Prometheus)
    retention: Retention = msgspec.field(default_factory=Retention)
    mux: Mux = msgspec.field(default_factory=Mux)
    sinks: Sinks = msgspec.field(default_factory=Sinks)
    influx: Influx = msgspec.field(default_factory=Influx)
    edgepower: EdgePower = msgspec.field(default_factory=EdgePower)
    pimon: PiMon = msgspec.field(default_factory=PiMon)
    web: Web = msgspec.field(default_factory=Web)
    vmstatd: VmStat = msgspec.field(default_factory=VmStat)


OWN_VARIABLES = {
    "BENCHLAB_DATA_ROOT": "general.data_root",
    "BENCHLAB_SAMPLE_HZ": "general.sample_hz",
    "BENCHLAB_DEVICE": "benchlab.device",
    "BENCHLAB_BAUD": "benchlab.baud",
    "BENCHLAB_PROM": "prometheus.bind",
    "BENCHLAB_RETENTION_DAYS": "retention.days",
    "BENCHLAB_RAW_KEEP_DAYS": "retention.raw_keep_days",
    "BENCHLAB_STAGE_SOCKET": "pipeline.stage_socket",
    "CX_STAGE_A": "pipeline.stage_a",
    "CX_STAGE_B": "pipeline.stage_b",
    "CX_APP": "cx_export.application_name",
    "CONFIG_SERVER_URL": "edgepower.server_url",
    "CONFIG_TIMEOUT": "edgepower.server_timeout_s",
    "LOCAL_CONFIG_PATH": "edgepower.config_path",
    "PISTAT_HOST": "pimon.host",
    "PISTAT_PORT": "pimon.port",
    "PISTAT_CACHE_SECONDS": "pimon.cache_seconds",
    "PISTAT_RATE_LIMIT": "pimon.rate_limit",
    "PISTAT_DEBUG": "pimon.debug",
}
"""Variables with a name of their own, beside ``BENCHLAB_<SECTION>_<KEY>``, which wins where both are set."""

SECRET_VARIABLES = ("BENCHLAB_WEB_TOKEN",)
"""Variables that look like those of keys and are none: what is secret has no place in a file that others may read."""
