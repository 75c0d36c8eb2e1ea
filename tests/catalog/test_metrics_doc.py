from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def check(repository: Path) -> subprocess.CompletedProcess[str]:
    script = repository / "scripts" / "gen_metrics_doc.py"
    return subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)


def test_metrics_document_agrees_with_the_catalog() -> None:
    done = check(REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")


def test_stale_metrics_document_is_found(tmp_path: Path) -> None:
    for folder in ("libs", "scripts"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    text = (REPOSITORY / "docs" / "METRICS.md").read_text()
    (tmp_path / "docs" / "METRICS.md").write_text(text.replace("Power of the GPU", "Weight of the GPU"))
    done = check(tmp_path)
    assert done.returncode == 1
    assert "run scripts/gen_metrics_doc.py" in done.stderr
