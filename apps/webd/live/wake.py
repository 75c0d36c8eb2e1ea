"""Waiting for a folder to change without a thread: the Watcher's descriptor in the loop of events."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchlab.log.watch import Watcher

POLL_S = 0.02


class Wake:
    """Wakes the loop when something happened in a folder, which may come and go."""

    def __init__(self, watcher: Watcher, folder: Path) -> None:
        self._watcher = watcher
        self._folder = folder
        self._happened = asyncio.Event()
        self._armed: int | None = None

    async def wait(self, timeout_s: float) -> None:
        """Return as soon as something happened since the last call, or after ``timeout_s``."""
        fd = self._watcher.fileno()
        if fd is None:
            await self._poll(timeout_s)
            return
        self._happened.clear()
        asyncio.get_running_loop().add_reader(fd, self._on_ready)
        self._armed = fd
        try:
            await asyncio.wait_for(self._happened.wait(), timeout_s)
        except asyncio.TimeoutError:
            pass
        finally:
            self._disarm()
        self._watcher.wait(0)

    def close(self) -> None:
        """Stop watching."""
        self._disarm()
        self._watcher.close()

    async def _poll(self, timeout_s: float) -> None:
        await asyncio.sleep(min(timeout_s, POLL_S))
        if timeout_s <= POLL_S and self._folder.is_dir():  # once a second: the folder may have come meanwhile
            self._watcher.close()
            self._watcher = Watcher(self._folder)

    def _on_ready(self) -> None:
        self._happened.set()
        self._disarm()

    def _disarm(self) -> None:
        if self._armed is not None:
            asyncio.get_running_loop().remove_reader(self._armed)
            self._armed = None
