from __future__ import annotations

from pathlib import Path

import pytest

from support.recorded_host import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A recorded machine whose files may be damaged."""
    return Machine(tmp_path / "root")
