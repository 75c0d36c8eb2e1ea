from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retentiond.report import Report
from retentiond.trimmer import Policy, Trimmer
from support.old_sessions import NOW_NS

Trim = Callable[..., Report]


@pytest.fixture
def trim(tmp_path: Path) -> Trim:
    """Run once over ``tmp_path`` with 90 and 7 days, at the time of the old sessions."""

    def _trim(*, days: int = 90, raw: int = 7, min_free: int = 0, by_sinks: Any = None, **seams: Any) -> Report:
        policy = Policy(days, raw, min_free)
        return Trimmer(tmp_path, policy, by_sinks or (lambda session, stays: []), now_ns=lambda: NOW_NS, **seams).run()

    return _trim
