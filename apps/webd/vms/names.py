"""Which virtual machine is meant: by uuid, by name, or by the number that the hypervisor gave it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from benchlab.event import Event
from webd.errors import Refusal

_SHOWN = 20
_OFF = ("stopped", "shutdown", "crashed")


def uuid_of(asked: str, vms: Mapping[str, Event]) -> str:
    """Return the uuid of the VM that is asked for.

    Raises Refusal: 404 if there is none, 400 if several bear the name or number, with their uuids.
    """
    if asked in vms:
        return asked
    named = {uuid for uuid, event in vms.items() if event.kv.get("name") == asked}
    found = named | numbered(asked, vms)
    if len(found) == 1:
        return found.pop()
    if found:
        listed = sorted(found)
        message = f"found {len(listed)} VMs that {asked[:80]!r} names, expected a uuid: {', '.join(listed[:_SHOWN])}"
        raise Refusal(400, message, {"uuids": listed})
    known = ", ".join(sorted(str(event.kv.get("name", uuid)) for uuid, event in vms.items())[:_SHOWN]) or "none yet"
    raise Refusal(404, f"found no VM {asked[:80]!r}, expected a uuid, a name or a number of one of: {known}")


def numbered(asked: str, vms: Mapping[str, Event]) -> set[str]:
    """Return the VMs of a number: those that run, else those that had it when they did last; 0 is that of none."""
    if not (asked.isascii() and asked.isdigit()):
        return set()
    mine = {uuid: event for uuid, event in vms.items() if event.kv.get("vmid") == int(asked)}
    on = {uuid for uuid, event in mine.items() if event.kv.get("state") not in _OFF}
    return on or (set(mine) if int(asked) else set())


def is_uuid(text: str) -> bool:
    """Tell whether a text is a uuid as libvirt writes it."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
