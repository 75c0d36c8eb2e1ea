"""What the answers of the API look like, as JSON Schema."""

from __future__ import annotations

from typing import Any

from pimon.api.history import COLUMNS
from pimon.api.stats import FIELDS

Schema = dict[str, Any]

SORTS = ("cpu", "memory", "name", "pid", "time")
MAX_PROCESSES = 100


def _of(kind: str | list[str], description: str = "", **more: object) -> Schema:
    return {"type": kind, **({"description": description} if description else {}), **more}


def _number(description: str) -> Schema:
    return _of("number", description)


def _count(description: str) -> Schema:
    return _of("integer", description, minimum=0)


def _maybe(description: str) -> Schema:
    return _of(["number", "null"], description)


def _object(description: str, properties: Schema, required: tuple[str, ...] | None = (), **more: object) -> Schema:
    """Return an object; ``required`` None: all of its properties."""
    names = list(properties) if required is None else list(required)
    wanted = {"required": names} if names else {}
    return {**_of("object", description), "properties": properties, **wanted, "additionalProperties": False, **more}


def _refers(name: str, description: str = "") -> Schema:
    return {"$ref": f"#/components/schemas/{name}", **({"description": description} if description else {})}


_SIM = _of("boolean", "Only there, and true, where all of it is made up by --simulate.", const=True)
_TIMESTAMP = _number("When it was taken, in epoch seconds.")

_USAGE = {
    "total": _count("Bytes."),
    "used": _count("Bytes."),
    "free": _count("Bytes."),
    "percent": _of("number", "Share in use.", minimum=0, maximum=100),
}
_IO = {
    "read_count": _count("Requests since boot."),
    "write_count": _count("Requests since boot."),
    "read_bytes": _count("Bytes since boot."),
    "write_bytes": _count("Bytes since boot."),
}
_COUNTERS = {
    "bytes_sent": _count("Bytes since boot."),
    "bytes_recv": _count("Bytes since boot."),
    "packets_sent": _count("Packets since boot."),
    "packets_recv": _count("Packets since boot."),
    "errin": _count("Errors while receiving."),
    "errout": _count("Errors while sending."),
    "dropin": _count("Packets dropped that came in."),
    "dropout": _count("Packets dropped that were to go out."),
    "signal_strength": _of("integer", "Signal of a wireless interface in dBm."),
}

_STATS: Schema = {
    "cpu_temp": _maybe("Temperature of the processor in °C."),
    "cpu_freq": _maybe("Frequency of the processor in MHz."),
    "cpu_usage": _maybe("Usage of all cores in percent."),
    "per_cpu_usage": _of("array", "Usage of each core that is online in percent.", items=_maybe("")),
    "memory": _object(
        "Memory in bytes.",
        {
            "total": _count("Bytes."),
            "available": _count("Bytes that programs can have without swapping."),
            "used": _count("Bytes."),
            "percent": _of("number", "What is not available.", minimum=0, maximum=100),
        },
    ),
    "swap": _object("Swap in bytes.", _USAGE),
    "disk": _object("The root file system in bytes.", _USAGE),
    "disk_io": _object("All whole disks together, since boot.", _IO),
    "uptime": _maybe("Seconds since the system started."),
    "load_avg": _of(["array", "null"], "Load over 1, 5 and 15 minutes.", items=_number(""), minItems=3, maxItems=3),
    "timestamp": _TIMESTAMP,
    "gpu": _object(
        "Of a Raspberry Pi.",
        {
            "temperature": _number("Temperature in °C."),
            "memory": _count("Memory that is split off for it, in bytes."),
            "v3d_clock": _count("Clock of the 3D block in Hz."),
        },
    ),
    "power": _object(
        "Of a Raspberry Pi: what holds now, not what has held since boot.",
        {
            "core_voltage": _number("Volts."),
            "under_voltage": _of("boolean", "The supply is too weak."),
            "throttled": _of("boolean", "The processor is slowed down."),
            "freq_capped": _of("boolean", "The processor's frequency is limited."),
        },
    ),
    "clocks": _object(
        "Of a Raspberry Pi, in Hz.", {"arm": _count("Hz."), "core": _count("Hz."), "sdram": _count("Hz.")}
    ),
    "network": _of(
        "object",
        "Each interface by name, and how many TCP connections there are.",
        properties={"active_connections": _count("TCP sockets in use.")},
        additionalProperties=_refers("Interface"),
    ),
    "hardware": _object(
        "What the machine is.",
        {
            "model": _of("string"),
            "serial": _of("string"),
            "firmware": _of("string"),
            "usb_devices": _count("USB devices that are plugged in."),
        },
    ),
}

SCHEMAS: dict[str, Schema] = {
    "Stats": _object("All keys, or those of ``fields``.", {**{name: _STATS[name] for name in FIELDS}, "sim": _SIM}),
    "Interface": _object("An interface's counters.", _COUNTERS),
    "Health": _object(
        "",
        {
            "status": _of("string", "It is healthy.", const="healthy"),
            "uptime": _maybe("Seconds since the system started."),
            "memory_usage": _maybe("Memory that is not available, in percent."),
            "timestamp": _TIMESTAMP,
            "version": _of("string", "Version of pimon."),
            "sim": _SIM,
        },
        ("status", "uptime", "memory_usage", "timestamp", "version"),
    ),
    "Unhealthy": _object(
        "", {"status": _of("string", const="unhealthy"), "error": _of("string"), "timestamp": _TIMESTAMP}, None
    ),
    "Processes": _object(
        "",
        {
            "processes": _of("array", "The first in the order that was asked for.", items=_refers("Process")),
            "timestamp": _TIMESTAMP,
            "sim": _SIM,
        },
        ("processes", "timestamp"),
    ),
    "Process": _object(
        "",
        {
            "pid": _count("Its number."),
            "name": _of("string", "The program's name."),
            "user": _of(["string", "null"], "Whose it is."),
            "cpu_percent": _of(["number", "null"], "Of one core, since the sample before.", minimum=0),
            "memory_percent": _of(["number", "null"], "Of the memory.", minimum=0),
            "running_time": _of("number", "Seconds since it started.", minimum=0),
        },
        None,
    ),
    "Interfaces": _object(
        "",
        {
            "interfaces": _of(
                "object",
                "Each interface by name: counters, and bytes a second.",
                additionalProperties=_object(
                    "",
                    {
                        **_COUNTERS,
                        "bytes_sent_per_s": _number("Since the sample before."),
                        "bytes_recv_per_s": _number("Since the sample before."),
                    },
                ),
            ),
            "timestamp": _TIMESTAMP,
            "sim": _SIM,
        },
        ("interfaces", "timestamp"),
    ),
    "Devices": _object(
        "",
        {
            "devices": _of(
                "array",
                "The mounted file systems on disks.",
                items=_object(
                    "",
                    {
                        "device": _of("string", "What is mounted."),
                        "mountpoint": _of("string", "Where."),
                        "filesystem": _of("string", "Its kind."),
                        **_USAGE,
                    },
                    None,
                ),
            ),
            "disk_io": _STATS["disk_io"],
            "disks": _of(
                "object",
                "Each whole disk by name.",
                additionalProperties=_object(
                    "",
                    {
                        **_IO,
                        "read_bytes_per_s": _number("Since the sample before."),
                        "write_bytes_per_s": _number("Since the sample before."),
                        "busy_percent": _number("Time with a request in hand, since the sample before."),
                    },
                    tuple(_IO),
                ),
            ),
            "timestamp": _TIMESTAMP,
            "sim": _SIM,
        },
        ("devices", "disk_io", "disks", "timestamp"),
    ),
    "History": _object(
        "",
        {
            "samples": _of(
                "array",
                "The oldest first.",
                items=_object("", {name: _maybe("") for name in COLUMNS}, None),
            ),
            "capacity": _count("How many are kept at most."),
            "timestamp": _number("When it was asked, in epoch seconds."),
            "sim": _SIM,
        },
        ("samples", "capacity", "timestamp"),
    ),
    "Config": _object(
        "",
        {
            "platform": _of("string", "Kernel and architecture."),
            "is_raspberry_pi": _of("boolean", "Whether it is one."),
            "hostname": _of("string", "The host's name."),
            "python_version": _of("string", "What runs pimon."),
            "server": _refers("Server", "How the API is set up."),
            "timestamp": _number("When it was asked, in epoch seconds."),
            "sim": _SIM,
        },
        ("platform", "is_raspberry_pi", "hostname", "python_version", "server", "timestamp"),
    ),
    "Server": _object(
        "",
        {
            "port": _count("PISTAT_PORT."),
            "host": _of("string", "PISTAT_HOST."),
            "debug_mode": _of("boolean", "PISTAT_DEBUG."),
            "cache_seconds": _number("PISTAT_CACHE_SECONDS."),
            "rate_limiting": _object(
                "PISTAT_RATE_LIMIT.",
                {"enabled": _of("boolean"), "requests": _count("So many."), "window": _count("In so many seconds.")},
                None,
            ),
            "compression": _object(
                "gzip.", {"enabled": _of("boolean"), "min_size": _count("From so many bytes on.")}, None
            ),
        },
        None,
    ),
    "OpenApi": _of("object", "An OpenAPI 3.1 document."),
    "Error": _object("", {"error": _of("string", "What was found, and what was expected.")}, None),
    "RateLimited": _object("", {"error": _of("string"), "message": _of("string", "What is allowed.")}, None),
    "Failure": _object("", {"error": _of("string"), "details": _of("string", "With PISTAT_DEBUG, the error.")}, None),
}
