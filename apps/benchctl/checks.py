"""What doctor finds: one check, its verdict, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

OK = "ok"
ABSENT = "absent"
WARN = "warn"
FAIL = "fail"


class Check(msgspec.Struct):
    """One thing that was looked at.

    ``state``: ``ok``; ``absent``, not on this host, and nothing asks for it; ``warn``, it works worse than it
    might; ``fail``, what is configured cannot work. ``fix`` is a command or an instruction, where there is one.
    """

    group: str
    name: str
    state: str
    found: str
    fix: str | None = None


def lines(checks: Iterable[Check]) -> Iterator[str]:
    """Yield the checks for people, each group under its name."""
    found = list(checks)
    width = max((len(check.name) for check in found), default=0)
    for group, members in groupby(found, key=lambda check: check.group):
        yield group
        for check in members:
            yield f"  {check.state:6}  {check.name:{width}}  {check.found}"
            if check.fix and check.state != OK:
                yield f"  {'':6}  {'':{width}}  fix: {check.fix}"


def verdict(checks: Iterable[Check]) -> str:
    """Return the last line: how many of them fail."""
    failed = [check.name for check in checks if check.state == FAIL]
    return f"{len(failed)} failed: {', '.join(failed)}" if failed else "all that is configured can work"
