"""The last reading of every device, for /metrics: a scrape touches neither hardware nor files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic

from benchlab.catalog import lookup
from edgepower.settings import Settings

STALE_INTERVALS = 3
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NOTHING_SHOWN = """\
# No metric of this device is enabled, or none has been read yet. GET /metrics/list on port {port} has their names;
# POST /metrics/enable there turns them on, as does "NAME: true" below metrics: in {path}, and then POST /reload.
"""

Labels = tuple[tuple[str, str], ...]


@dataclass
class Device:
    """What is known of a device. ``scopes`` is what its powers cover.

    ``read_s`` is when it last answered, on CLOCK_MONOTONIC; None: not yet.
    """

    device_type: str
    dev: str | None = None
    period_s: float = 1.0
    values: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    read_s: float | None = None
    problem: str = ""

    def is_fresh(self, now_s: float) -> bool:
        """Return whether its values still hold."""
        return self.read_s is not None and now_s - self.read_s <= STALE_INTERVALS * self.period_s

    def is_up(self, now_s: float) -> bool:
        """Return whether it delivers."""
        return not self.problem and self.is_fresh(now_s)


class Live:
    """The devices that are sampled, each written by its own thread; what is replaced is replaced whole."""

    def __init__(self, hostname: str, clock: Callable[[], float] = monotonic) -> None:
        self.hostname = hostname
        self._clock = clock
        self._devices: dict[tuple[str, str | None], Device] = {}

    def begin(self, device: Device) -> Device:
        """Show a device from now on; it replaces one of the same type and name."""
        self._devices = {**self._devices, (device.device_type, device.dev): device}
        return device

    def clear(self) -> None:
        """Forget all devices."""
        self._devices = {}

    def answered(
        self, device: Device, values: Mapping[str, float], absent: Mapping[str, str], scopes: Mapping[str, str]
    ) -> None:
        """Take in a reading, why the device does not tell what it might, and what its powers cover."""
        device.absent, device.scopes = dict(absent), dict(scopes)
        device.values, device.read_s, device.problem = values, self._clock(), ""

    def failed(self, device: Device, problem: str, is_gone: bool) -> None:
        """Note why a device does not answer; of one that is gone nothing is shown any more."""
        device.problem = problem
        if is_gone:
            device.read_s = None

    @property
    def devices(self) -> list[Device]:
        """The devices, in the order of the configuration."""
        return list(self._devices.values())

    def state(self, device: Device) -> str:
        """Return ``starting``, ``up`` or ``down``."""
        if device.is_up(self._clock()):
            return "up"
        return "down" if device.problem or device.read_s is not None else "starting"

    def render(self, settings: Settings, path: str) -> bytes:
        """Return the text exposition (format 0.0.4) of what is enabled and fresh."""
        families: dict[str, list[str]] = {}
        for device in self.devices:
            self._add(families, device, settings)
        shown = [line for name in sorted(families) for line in families[name]]
        head = "" if shown else NOTHING_SHOWN.format(port=settings.reload_port, path=path)
        return (head + "\n".join([*shown, *self._about_devices(settings)]) + "\n").encode()

    def _add(self, families: dict[str, list[str]], device: Device, settings: Settings) -> None:
        if not device.is_fresh(self._clock()):
            return
        labels = _text(self._labels(device, settings))
        for name, value in device.values.items():
            if settings.shows(name):
                lines = families.setdefault(name, _head(device.device_type, name))
                lines.append(f"{name}{labels} {_number(value)}")

    def _labels(self, device: Device, settings: Settings, is_whole: bool = False) -> Labels:
        """Return what tells a device's series apart; its type and host too, unless an info metric has them."""
        dev = (("dev", device.dev),) if device.dev else ()
        if settings.info_metric and not is_whole:
            return dev
        return (("device_type", device.device_type), ("hostname", self.hostname), *dev)

    def _about_devices(self, settings: Settings) -> Iterator[str]:
        now_s = self._clock()
        devices = self.devices
        yield from ("# HELP edge_device_up Whether a device delivers", "# TYPE edge_device_up gauge")
        for device in devices:
            yield f"edge_device_up{_text(self._labels(device, settings, True))} {int(device.is_up(now_s))}"
        if settings.info_metric:
            yield from ("# HELP edge_device_info What the devices are", "# TYPE edge_device_info gauge")
            yield from (f"edge_device_info{_text(self._labels(device, settings, True))} 1" for device in devices)
        if any(device.simulated for device in devices):
            yield "# HELP edge_device_simulated Whether a device is made up by a simulator"
            yield "# TYPE edge_device_simulated gauge"
            for device in devices:
                yield f"edge_device_simulated{_text(self._labels(device, settings, True))} {int(device.simulated)}"


def _head(device_type: str, name: str) -> list[str]:
    signal = lookup(f"edge.{device_type}", name)
    kind = signal.prometheus_type if signal else "gauge"
    text = signal.help if signal else f"{name}, as {device_type} tells it"
    return [f"# HELP {name} {_escaped(text)}", f"# TYPE {name} {kind}"]


def _text(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str, quoted: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quoted else text


def _number(value: float) -> str:
    special = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
    text = repr(value)
    return special.get(text, text)
