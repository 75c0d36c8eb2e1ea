"""Which of several figures is the memory that a machine uses."""

from __future__ import annotations

from collections.abc import Mapping

GUEST, RSS, BALLOON = "guest", "rss", "balloon"
FRESH_S = 30.0


def used_kb(values: Mapping[str, int], now_s: float, fresh_s: float = FRESH_S) -> tuple[int, str] | None:
    """Return the memory in use in KiB and where that is from; None if nothing tells.

    What the guest says comes first: all it manages less what its programs can still get, or less what is empty. It
    has to be fresh: told by its balloon within ``fresh_s`` of ``now_s`` (Unix seconds). Else the memory that the
    machine's process holds on the host, else what the balloon leaves to the guest.
    """
    if (of_guest := _guest_kb(values, now_s, fresh_s)) is not None:
        return of_guest, GUEST
    for key, source in (("rss_kb", RSS), ("balloon_kb", BALLOON)):
        if values.get(key, 0) > 0:
            return values[key], source
    return None


def _guest_kb(values: Mapping[str, int], now_s: float, fresh_s: float) -> int | None:
    told_s = values.get("last_update_s", 0)
    available_kb = values.get("guest_available_kb")
    free_kb = values.get("guest_usable_kb", values.get("guest_unused_kb"))
    if not told_s or abs(now_s - told_s) > fresh_s or available_kb is None or free_kb is None:
        return None
    return available_kb - free_kb if available_kb >= free_kb else None
