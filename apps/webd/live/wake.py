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

    async def wait(self, timeout_s: float) -> None:
        """Return as soon as something happened since the last call, or after ``timeout_s``."""
        fd = self._watcher.fileno()
        if fd is None:
            await self._poll(timeout_s)
            return
        loop = asyncio.get_running_loop()
        happened: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not happened.done():
                happened.set_result(None)

        loop.add_reader(fd, resolve)
        timer = loop.call_later(timeout_s, resolve)
        try:
            await happened
        finally:
            timer.cancel()
            loop.remove_reader(fd)
        self._watcher.wait(0)

    def close(self) -> None:
        """Stop watching."""
        self._watcher.close()

    async def _poll(self, timeout_s: float) -> None:
        await asyncio.sleep(min(timeout_s, POLL_S))
        if timeout_s <= POLL_S and self._folder.is_dir():  # once a second: the folder may have come meanwhile
            self._watcher.close()
            self._watcher = Watcher(self._folder)
