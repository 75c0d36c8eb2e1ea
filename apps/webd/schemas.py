"""What the answers of the API look like, as JSON Schema. Every test of the API holds its answers against these."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _of(kind: str | list[str], description: str = "", **more: object) -> Schema:
    return {"type": kind, **({"description": description} if description else {}), **more}


def _object(description: str, properties: Schema, optional: tuple[str, ...] = (), **more: object) -> Schema:
    """Return an object that has all of its properties but the optional ones, and no others."""
    required = [name for name in properties if name not in optional]
    wanted = {"required": required} if required else {}
    return {**_of("object", description), "properties": properties, **wanted, "additionalProperties": False, **more}


def _list(items: Schema, description: str = "", **more: object) -> Schema:
    return {**_of("array", description), "items": items, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT = _of("string")
FLAG = _of("boolean")
COUNT = _of("integer", minimum=0)
NUMBER = _of("number")
TIME = _of("number", "Epoch milliseconds with up to three decimals.")
MAYBE_TEXT = _of(["string", "null"])
MAYBE_NUMBER = _of(["number", "null"])
MAYBE_TIME = _of(["number", "null"], "Epoch milliseconds with up to three decimals; null where there is none.")
IDENTITY = _of(["integer", "string", "null"], "What the pipeline calls the frame.")
NUMBERS = _list(NUMBER)
MAYBE_NUMBERS = _list(MAYBE_NUMBER)
COUNTS = _list(COUNT)
SHARE = _of(
    "number", "Share of the rows that is indexed yet; below 1 the answer covers only that.", minimum=0, maximum=1
)

_STATE = {
    "now_ms": TIME,
    "newest_ms": MAYBE_TIME,
    "lag_ms": _of(["number", "null"], "The present less the newest row's time."),
    "muxd": _of(
        "string", "Whether a muxd works on the session, did once, or never did.", enum=["live", "stale", "absent"]
    ),
    "power_source": MAYBE_TEXT,
    "power_now_w": _of(["number", "null"], "Watts of the newest row that has any; null when that is older than 5 s."),
    "temp_c": MAYBE_NUMBER,
    "dropped": _of("object", "Dropped frames by pair since ``dropped_since_ms``.", additionalProperties=COUNT),
    "dropped_since_ms": _of(
        ["number", "null"], "From when on dropped frames are counted; null where that is the session's beginning."
    ),
}
_HELLO = {
    "session": MAYBE_TEXT,
    "node": MAYBE_TEXT,
    "open": FLAG,
    "sim": FLAG,
    "sim_of": _list(TEXT),
    "pairs": _list(_ref("Pair")),
    "default_pair": _or_null(_ref("Pair")),
    "thresholds_ms": _list(NUMBER, "Up to the first a latency is good, above the second bad.", minItems=2, maxItems=2),
    "now_ms": TIME,
    "version": TEXT,
    "clock": _object("How good the clock is.", {"synchronized": _of(["boolean", "null"]), "unc_ms": MAYBE_NUMBER}),
    "reset": _of("boolean", "Whether all that was told before is void."),
}
_SESSION_ROW = {
    "id": TEXT,
    "node": MAYBE_TEXT,
    "created_ms": TIME,
    "first_ms": MAYBE_TIME,
    "last_ms": MAYBE_TIME,
    "open": FLAG,
    "current": FLAG,
    "pinned": FLAG,
    "sim": FLAG,
    "size_bytes": COUNT,
    "pairs": _list(_object("A pair and its rows.", {"pair": _ref("Pair"), "frames": COUNT, "drops": COUNT})),
    "notes": _of("integer", "How many notes there are.", minimum=0),
    "why": _of(["string", "null"], "Why the session cannot be read."),
    "indexing": SHARE,
}
_FRAME_COLUMNS = {
    "t_ms": NUMBERS,
    "lat_ms": NUMBERS,
    "power_w": MAYBE_NUMBERS,
    "energy_j": MAYBE_NUMBERS,
    "frame": _list(IDENTITY),
    "temp_c": MAYBE_NUMBERS,
}
_BUCKET_COLUMNS = {
    "t_ms": NUMBERS,
    "n": COUNTS,
    **dict.fromkeys(("lat_min_ms", "lat_mean_ms", "lat_max_ms"), NUMBERS),
    **dict.fromkeys(("power_min_w", "power_mean_w", "power_max_w", "energy_j"), MAYBE_NUMBERS),
    "drops": COUNTS,
}
_FIGURES = ("min_ms", "max_ms", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "power_mean_w", "energy_mean_j", "energy_j")
_SIGNAL = {"source": TEXT, "dev": MAYBE_TEXT, "key": TEXT, "unit": MAYBE_TEXT}
_NOTE = {"t_ms": TIME, "text": TEXT, "author": MAYBE_TEXT}
_BOOKMARK = {"t_ms": TIME, "name": TEXT}

_WHY = _of("string", "Why nothing is known, in place of what would be.")
_VALUE = _of(["number", "string", "boolean", "null"])
_VM_VALUE = _object(
    "The last value of a field.", {"key": TEXT, "value": _VALUE, "unit": MAYBE_TEXT, "help": MAYBE_TEXT}
)
_VM_ENERGY = {
    "t_ms": TIME,
    **dict.fromkeys(("energy_j", "power_w", "share_pct", "cpu_s", "host_cpu_s", "idle_pct", "interval_s"), NUMBER),
    "package_j": NUMBER,
    "vms": COUNT,
    "energy_why": _WHY,
    "sim": FLAG,
    "sim_of": _or_null(_list(TEXT)),
}
_VM = {
    "uuid": TEXT,
    "id": _of(["integer", "null"], "The number of its present or last run."),
    "name": MAYBE_TEXT,
    "state": MAYBE_TEXT,
    "last_ms": TIME,
    "age_ms": NUMBER,
    "stale": FLAG,
    "sim": FLAG,
    "values": _list(_VM_VALUE),
    "energy": _or_null(_ref("VmEnergy")),
}
_VM_COUNTS = ("total_collections", "total_errors", "vms_monitored", "total_metrics_written")
_VM_COLLECTOR = {
    "started_at_ms": MAYBE_TIME,
    "last_collection_time_ms": MAYBE_TIME,
    **dict.fromkeys(_VM_COUNTS, _of(["integer", "null"])),
}
_UNUSUAL = {
    "from_ms": TIME,
    "to_ms": TIME,
    "value": NUMBER,
    "usual": NUMBER,
    "z": NUMBER,
    "direction": _of("string", enum=["above", "below"]),
}
_ANOMALY = {
    "now": _of("boolean", "Whether one is under way."),
    "z": _of(["number", "null"], "Robust standard deviations of the last minute from the hour before."),
    "minutes": COUNT,
    "stretches": _list(_object("A stretch that was unusual.", _UNUSUAL)),
    "why": _WHY,
}
_FORECAST = {
    "alarm": FLAG,
    **dict.fromkeys(("full_ms", "low_ms", "high_ms"), _of(["number", "null"], "Epoch milliseconds; null for never.")),
    **dict.fromkeys(("limit_kb", "level_kb", "slope_kb_s", "slope_low_kb_s", "slope_high_kb_s", "over_s"), NUMBER),
    "why": _WHY,
}
_HINT = {
    "kind": _of("string", enum=["vcpu_delay", "vcpu_wait", "block_latency", "swap"]),
    "key": TEXT,
    "typical": NUMBER,
    "limit": NUMBER,
    "share_of_time": NUMBER,
    "minutes": COUNT,
    "meaning": TEXT,
}


def _size(unit: str) -> Schema:
    numbers = (f"now_{unit}", f"recommended_{unit}", f"used_{unit}", "percentile", "over_s")
    advice = {"advice": {"enum": ["grow", "shrink", "keep", None]}}
    told = {**advice, **dict.fromkeys(numbers, NUMBER), "at_least": FLAG, "why": _WHY}
    return _object("How large it should be.", told, (*numbers, "at_least", "why"))


_ANALYTICS = {
    "window_s": NUMBER,
    "anomalies": _of("object", "By field.", additionalProperties=_object("What was unusual.", _ANOMALY, ("why",))),
    "forecast": _object("When memory is used up.", _FORECAST, tuple(name for name in _FORECAST if name != "alarm")),
    "bottlenecks": _list(_object("What holds it back.", _HINT), "Worst first."),
    "sizing": _object("How large it should be.", {"cpu": _size("vcpus"), "memory": _size("kb")}),
}
_VMS = {
    "session": MAYBE_TEXT,
    "now_ms": TIME,
    "vms": _list(_ref("Vm")),
    "rest": _or_null(_ref("VmEnergy")),
    "collector": _or_null(_ref("VmCollector")),
    "why": _WHY,
}
_VM_STATS = {
    "session": TEXT,
    "now_ms": TIME,
    **_VM,
    "tables": _of("object", "Its vCPUs, disks and interfaces.", additionalProperties=_list(_of("object"))),
    "collector": _or_null(_ref("VmCollector")),
    "analytics": _object("What the last day says (docs/VMS.md).", _ANALYTICS),
}
_VM_HISTORY = {
    "session": TEXT,
    "vm": _object("Which one.", {"uuid": TEXT, "name": MAYBE_TEXT}),
    "field": TEXT,
    "unit": MAYBE_TEXT,
    "kind": MAYBE_TEXT,
    "from": _of("string", "Where it was found.", enum=["store", "signals", "raw", "influx"]),
    "from_ms": TIME,
    "to_ms": TIME,
    "sim": FLAG,
    "resolution": _of("string", enum=["samples", "buckets"]),
    "columns": _object(
        "Times and values, or what each step of time sums up.",
        {"t_ms": _list(TIME), "value": NUMBERS, "n": COUNTS, "min": NUMBERS, "mean": NUMBERS, "max": NUMBERS},
        ("value", "n", "min", "mean", "max"),
    ),
}
_OF_VMS: Schema = {
    "Vm": _object("A virtual machine with its last values.", _VM),
    "VmEnergy": _object(
        "What a machine cost over its last interval, or what none accounts for.",
        _VM_ENERGY,
        tuple(name for name in _VM_ENERGY if name not in ("t_ms", "sim", "sim_of")),
    ),
    "VmCollector": _object("How vmstatd fares.", _VM_COLLECTOR),
    "Vms": _object("The virtual machines of a session.", _VMS, ("rest", "collector", "why")),
    "VmStats": _object("All about a virtual machine.", _VM_STATS),
    "VmHistory": _object("A field of a virtual machine over time.", _VM_HISTORY),
}

SCHEMAS: Schema = {
    "Error": _of("object", "Why a request was not fulfilled.", properties={"error": TEXT}, required=["error"]),
    "Health": _object("That the program answers.", {"status": {"const": "ok"}, "version": TEXT}),
    "Pair": _list(TEXT, "Two stages: from, to.", minItems=2, maxItems=2),
    "LiveRow": _object(
        "A frame; ``t`` is in seconds from the first row of the answer.",
        {
            "t": NUMBER,
            "lat_ms": NUMBER,
            "power_w": MAYBE_NUMBER,
            "t_ms": TIME,
            "at": COUNT,
            "energy_j": MAYBE_NUMBER,
            "frame": IDENTITY,
            "unc_ms": MAYBE_NUMBER,
            "why": MAYBE_TEXT,
        },
        ("t_ms", "at", "energy_j", "frame", "unc_ms", "why"),
    ),
    "Live": _object(
        "The last rows; all but ``rows`` only where ``since`` was asked.",
        {
            "rows": _list(_ref("LiveRow")),
            "cursor": TEXT,
            "session": MAYBE_TEXT,
            "pair": _or_null(_ref("Pair")),
            "reset": FLAG,
            "state": _ref("State"),
            "hello": _ref("Hello"),
        },
        ("cursor", "session", "pair", "reset", "state", "hello"),
    ),
    "State": _object("The event ``state``, and how the session fares.", _STATE),
    "Hello": _object("The event ``hello``: what the stream is of.", _HELLO),
    "Frames": _object(
        "The event ``frames``: columns of equal length; ``at`` rises, and is the offset of the row.",
        {
            "pair": _ref("Pair"),
            "sim": FLAG,
            "at": COUNTS,
            "t_ms": NUMBERS,
            "lat_ms": NUMBERS,
            "power_w": MAYBE_NUMBERS,
            "energy_j": MAYBE_NUMBERS,
            "frame": _list(IDENTITY),
            "unc_ms": MAYBE_NUMBERS,
            "why": _list(MAYBE_TEXT),
        },
    ),
    "Drops": _object(
        "The event ``drops``: frames that found no partner.",
        {
            "pair": _ref("Pair"),
            "at": COUNTS,
            "t_ms": NUMBERS,
            "reason": _list(MAYBE_TEXT),
            "stage": _list(MAYBE_TEXT),
            "frame": _list(IDENTITY),
        },
    ),
    "Rewind": _object(
        "The event ``rewind``: rows at and after the offset are withdrawn, and come again.", {"at": COUNT}
    ),
    "End": _object("The event ``end``.", {"reason": _of("string", enum=["closed", "deleted", "failed"])}),
    "SessionRow": _object("A session of the list.", _SESSION_ROW, ("indexing",)),
    "Sessions": _object("A page of sessions, newest first.", {"total": COUNT, "sessions": _list(_ref("SessionRow"))}),
    "Session": _object(
        "All about a session.",
        {
            **_SESSION_ROW,
            "notes": _list(_ref("Note")),
            "host": _of("object", "What was known of the host."),
            "version": MAYBE_TEXT,
            "clock": _object(
                "How good the clock is.",
                {"synchronized": _of(["boolean", "null"]), "unc_ms": MAYBE_NUMBER, "offset_ms": MAYBE_NUMBER},
            ),
            "streams": _list(
                _object(
                    "A raw stream.",
                    {
                        "name": TEXT,
                        "size_bytes": COUNT,
                        "first_ms": MAYBE_TIME,
                        "last_ms": MAYBE_TIME,
                        "bad_lines": _of(["integer", "null"]),
                    },
                )
            ),
            "bad_lines": COUNT,
            "provisional": _of("boolean", "Whether muxd may still decide the last rows otherwise."),
            "bookmarks": _list(_ref("Bookmark")),
            "sim_of": _or_null(_list(TEXT)),
        },
        ("indexing",),
    ),
    "Latency": _object(
        "A pair in a stretch of time: its frames, or buckets of them.",
        {
            "session": TEXT,
            "pair": _or_null(_ref("Pair")),
            "from_ms": MAYBE_TIME,
            "to_ms": MAYBE_TIME,
            "frames": COUNT,
            "drops": COUNT,
            "resolution": _of("string", enum=["frames", "buckets"]),
            "columns": {"anyOf": [_object("Frames.", _FRAME_COLUMNS), _object("Buckets.", _BUCKET_COLUMNS)]},
            "drops_ms": NUMBERS,
            "gaps": _list(_list(NUMBER, minItems=2, maxItems=2)),
            "stats": _object(
                "Figures of all frames in the stretch.",
                {"n": COUNT, **dict.fromkeys(_FIGURES, MAYBE_NUMBER), "percentile_error": NUMBER},
            ),
            "histogram": _object(
                "Counts between edges, one fewer than these.", {"edges_ms": NUMBERS, "counts": COUNTS}
            ),
            "sim": FLAG,
            "provisional": FLAG,
            "indexing": SHARE,
        },
    ),
    "Signals": _object(
        "Which signals there are, and those that were asked for.",
        {
            "session": TEXT,
            "available": _list(_object("A signal.", {**_SIGNAL, "kind": MAYBE_TEXT})),
            "series": _list(
                _object(
                    "A signal in a stretch of time.",
                    {
                        **_SIGNAL,
                        "sim": FLAG,
                        "resolution": _of("string", enum=["samples", "buckets"]),
                        "columns": {
                            "anyOf": [
                                _object("Samples.", {"t_ms": NUMBERS, "value": _list({})}),
                                _object(
                                    "Buckets.",
                                    {"t_ms": NUMBERS, "n": COUNTS, "min": NUMBERS, "mean": NUMBERS, "max": NUMBERS},
                                ),
                            ]
                        },
                    },
                )
            ),
            "indexing": SHARE,
        },
    ),
    "Sources": _object(
        "How every source of a session fares.",
        {
            "session": MAYBE_TEXT,
            "now_ms": TIME,
            "sources": _list(_ref("Source")),
            "streams": _list(
                _object(
                    "A raw stream and its writer; null where that takes no lock.",
                    {
                        "name": TEXT,
                        "writer": _of(["string", "null"], enum=["live", "dead", None]),
                        "last_ms": MAYBE_TIME,
                    },
                )
            ),
        },
    ),
    "Source": _object(
        "A source, or one of its devices, and its last reading.",
        {
            "source": TEXT,
            "dev": MAYBE_TEXT,
            "stream": TEXT,
            "up": _of(["boolean", "null"], "null where it cannot be told."),
            "why": _of(["string", "null"], "Why it is not up."),
            "fix": _of(["string", "null"], "What would mend that."),
            "sim": FLAG,
            "last_ms": MAYBE_TIME,
            "age_ms": MAYBE_NUMBER,
            "rate_hz": MAYBE_NUMBER,
            "period_s": MAYBE_NUMBER,
            "stale": FLAG,
            "unc_ms": MAYBE_NUMBER,
            "values": _list(
                _object(
                    "A value; a table is a list of its first rows.",
                    {
                        "key": TEXT,
                        "value": _of(["number", "string", "boolean", "array", "object", "null"]),
                        "unit": MAYBE_TEXT,
                        "help": MAYBE_TEXT,
                    },
                )
            ),
        },
    ),
    "Note": _object("A note on a session.", _NOTE),
    "NoteBody": _object(
        "A note to add.",
        {
            "text": _of("string", minLength=1, maxLength=4096),
            "author": _of(["string", "null"], maxLength=128),
        },
        ("author",),
    ),
    "Bookmark": _object("A remark on a moment.", _BOOKMARK),
    "BookmarkBody": _object(
        "A bookmark to add; without ``t_ms`` on the present.",
        {"name": _of("string", minLength=1, maxLength=4096), "t_ms": _of(["number", "null"], minimum=0)},
        ("t_ms",),
    ),
    **_OF_VMS,
}
"""Every schema by its name in ``components``."""
