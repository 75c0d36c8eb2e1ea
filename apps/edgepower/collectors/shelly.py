"""shelly: smart plugs and energy meters of Shelly, Gen1 to Gen4, over HTTP; one collector a device."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic_ns
from typing import Annotated, Any

import msgspec

from benchlab.daemon import Absent, Transient
from edgepower.collectors.base import CURRENT, ENERGY, RETURNED, TOTAL, VOLTAGE, BaseCollector, Options, Stamp, section
from edgepower.collectors.shelly_http import ShellyHttp
from edgepower.collectors.shelly_status import Channel, Status, gen1_status, gen2_status

MIN_PERIOD_S = 1.0
"""A Shelly has new readings about once a second, and few sockets to give."""

_EARLY_NS = 100_000_000
_NOT_SHELLY = "a Shelly's address, as its app or the router shows it; shelly.host names it"
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class Plug(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One device: ``channel`` picks one of its meters; a password is given in one of three ways or not at all."""

    host: str
    name: str | None = None
    user: str = "admin"
    password: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    channel: Annotated[int, msgspec.Meta(ge=0)] | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.5

    def __post_init__(self) -> None:
        """Refuse what is no address, and two passwords."""
        if not _ADDRESS.fullmatch(self.host):
            raise ValueError(f"found host {self.host!r}, expected an address or a name, with :PORT if it is not 80")
        if sum(each is not None for each in (self.password, self.password_file, self.password_env)) > 1:
            raise ValueError("found several of password, password_file and password_env, expected one")

    def read_password(self) -> str | None:
        """Return the password, read anew each time. Raises Absent if it is said to be where it is not."""
        if self.password_file is not None:
            try:
                return Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "not text"
                raise Absent(f"shelly.password_file {self.password_file}: {why}", "correct the path") from None
        if self.password_env is not None:
            found = os.environ.get(self.password_env)
            if found is None:
                raise Absent(f"shelly.password_env: {self.password_env} is not set", "set it in the service's unit")
            return found
        return self.password


class Plugs(msgspec.Struct, forbid_unknown_fields=True):
    """The section ``shelly`` where it names several devices."""

    plugs: list[Plug]


class Register:
    """A counter of the device as one that goes on when it begins anew, at power loss or reboot."""

    def __init__(self) -> None:
        self.total_j = 0.0
        self._before_j: float | None = None

    def take(self, value_j: float) -> float:
        """Return all that was counted, beginning with what the device had counted when it was first read."""
        before_j = self._before_j or 0.0
        self.total_j += value_j - before_j if value_j >= before_j else value_j
        self._before_j = value_j
        return self.total_j


class ShellyCollector(BaseCollector):
    """One Shelly. Its scope is the wall: alternating current, true power, power supply and all."""

    device_type = "shelly"
    min_period_s = MIN_PERIOD_S

    def __init__(self, plug: Plug, options: Options) -> None:
        self.dev = plug.name or options.name or plug.host
        self._plug = plug
        self._http = ShellyHttp(plug.host, plug.read_password, options.now_ns, user=plug.user, timeout_s=plug.timeout_s)
        self._parse: Callable[[Mapping[str, Any]], Status] | None = None
        self._is_gen1 = False
        self._registers: dict[str, Register] = {}
        self._last: dict[str, float] = {}
        self._asked_ns: int | None = None

    def get_metrics(self) -> dict[str, float]:
        """Return what the plug reads. Raises Absent: no Shelly, no meter, no or a wrong password; else Transient."""
        now_ns = monotonic_ns()
        if self._asked_ns is not None and now_ns - self._asked_ns < MIN_PERIOD_S * 1e9 - _EARLY_NS:
            return dict(self._last)
        status = self._status()
        self._last = self._metrics(status)
        self._asked_ns = now_ns
        http = self._http
        rtt_ns = http.end_ns - http.begin_ns
        self.stamp = Stamp((http.begin_ns + http.end_ns) // 2, (rtt_ns + 1) // 2, rtt_ns)
        return dict(self._last)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _status(self) -> Status:
        parse = self._parse or self._identify()
        answer = self._http.get("/status" if self._is_gen1 else "/rpc/Shelly.GetStatus", may_be_basic=self._is_gen1)
        status = parse(_object(self._plug.host, answer))
        if status.mac is not None and status.mac != (expected := self.identity["mac"]):
            self._parse = None
            raise Transient(
                f"{self._plug.host}: found the Shelly {status.mac}, expected {expected}: asked who it is anew"
            )
        return status

    def _identify(self) -> Callable[[Mapping[str, Any]], Status]:
        about = self._http.get("/shelly")
        mac = about.get("mac") if isinstance(about, Mapping) else None
        if not isinstance(mac, str):
            raise Absent(f"{self._plug.host} answers, but not as a Shelly", _NOT_SHELLY)
        if self.identity and self.identity["mac"] != mac:
            self._registers.clear()
            self._last = {}
        gen = str(about.get("gen", 1))
        self._is_gen1 = gen == "1"
        model = str(about.get("type" if self._is_gen1 else "model", ""))
        firmware = str(about.get("fw" if self._is_gen1 else "ver", ""))
        self.identity = {"mac": mac, "model": model, "firmware": firmware, "generation": gen}
        self._parse = (lambda status: gen1_status(status, model)) if self._is_gen1 else gen2_status
        return self._parse

    def _metrics(self, status: Status) -> dict[str, float]:
        channels = self._chosen(status)
        found: dict[str, float] = {}
        absent: dict[str, str] = {}
        if len(status.channels) > 1:
            for number, channel in enumerate(status.channels):
                _put(found, absent, f"shelly_channel{number}_power_watts", channel.power_w, channel.why)
        if why := _do_not_add_up(channels):
            absent[TOTAL] = absent[ENERGY] = why
        else:
            powers = [channel.power_w for channel in channels if channel.power_w is not None]
            why = next((f"{channel.name}: {channel.why}" for channel in channels if channel.why), "")
            _put(found, absent, TOTAL, sum(powers) if not why else None, why)
            self._count(found, channels)
        if len(channels) == 1:
            _electrical(found, channels[0])
        if status.temp_c is not None:
            found["shelly_temp_celsius"] = status.temp_c
        self.scopes = {key: "wall" for key in found if key.endswith("_watts")}
        self.absent = absent
        return found

    def _chosen(self, status: Status) -> Sequence[Channel]:
        """Return the meters that the configuration means. Raises Absent if there are none."""
        model, host, there = self.identity["model"], self._plug.host, status.channels
        if all(channel.power_w is None and channel.energy_j is None for channel in there):
            why = f": {there[0].why}" if there else ""
            raise Absent(f"the Shelly {model} at {host} measures no power{why}", "use one with a meter")
        number = self._plug.channel
        if number is None:
            return there
        if number >= len(there):
            raise Absent(f"the Shelly {model} at {host} has no channel {number}", f"it has {len(there)}, from 0")
        return there[number : number + 1]

    def _count(self, found: dict[str, float], channels: Sequence[Channel]) -> None:
        """Add the energies, as counters that never run backwards."""
        drawn = [self._register(c.name, "drawn", c.energy_j) for c in channels if c.energy_j is not None]
        returned = [self._register(c.name, "returned", c.returned_j) for c in channels if c.returned_j is not None]
        if len(drawn) == len(channels):
            both = sum(self._registers[f"{c.name} returned"].total_j for c in channels if c.energy_is_both)
            found[ENERGY] = round(max(sum(drawn) - both, self._last.get(ENERGY, 0.0)), 3)
        if returned and len(returned) == len(channels):
            found[RETURNED] = round(sum(returned), 3)

    def _register(self, channel: str, which: str, value_j: float) -> float:
        return self._registers.setdefault(f"{channel} {which}", Register()).take(value_j)


def _do_not_add_up(channels: Sequence[Channel]) -> str:
    clamps = [channel for channel in channels if channel.kind == "clamp"]
    if len(channels) == 1 or not clamps:
        return ""
    return f"{len(channels)} meters that may be around the same wire: set shelly.channel, from 0, to the one meant"


def _put(found: dict[str, float], absent: dict[str, str], key: str, value: float | None, why: str) -> None:
    if value is None:
        absent[key] = why
    else:
        found[key] = value


def _electrical(found: dict[str, float], channel: Channel) -> None:
    values = {
        VOLTAGE: channel.voltage_v,
        CURRENT: channel.current_a,
        "shelly_power_factor_ratio": channel.power_factor,
        "shelly_frequency_hertz": channel.frequency_hz,
    }
    found.update((key, value) for key, value in values.items() if value is not None)


def _object(host: str, answer: object) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        raise Transient(f"{host}: found {type(answer).__name__} as its status, expected an object")
    return answer


def collectors(device_type: str, config: Mapping[str, Any], options: Options) -> list[BaseCollector]:
    """Return a collector for each plug of the section ``shelly``. Raises Fault (CONFIG)."""
    return [ShellyCollector(plug, options) for plug in _plugs(config)]


def _plugs(config: Mapping[str, Any]) -> Sequence[Plug]:
    if "plugs" in (config.get("shelly") or {}):
        return section(config, "shelly", Plugs).plugs
    return [section(config, "shelly", Plug)]
