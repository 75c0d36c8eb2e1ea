"""Programs in a mount namespace of their own, programs that wait for a word, and boots of another host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.tree import program_env


def in_namespace(setup: str, code: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Run shell commands, then Python code, as root of a private mount namespace."""
    script = f'{setup}\nexec "$0" -c "$@"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-ec", script, sys.executable, code, *map(str, args)],
        env=program_env(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def start_python(code: str, *args: object) -> subprocess.Popen[str]:
    """Start Python code that talks through its stdin and stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        env=program_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def booted(folder: Path, boot_id: str) -> Path:
    """Return a root below ``folder`` whose kernel says that it is the boot of this id."""
    path = folder / f"boot-{boot_id}" / "proc/sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(boot_id + "\n")
    return folder / f"boot-{boot_id}"
