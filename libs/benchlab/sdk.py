"""``benchlab.stage`` and ``benchlab.bookmark``: what a program calls to have its frames measured.

Lines go to the collector's datagram socket (docs/STAGES.md). A call never blocks and never fails for want of a
collector: what cannot be delivered is dropped, and the numbering of the lines tells the next collector how many.
This runs inside the programs that are measured: nothing but the standard library, and little of it.
"""

from __future__ import annotations

import atexit
import json
import operator
import os
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime_ns

from benchlab.stages import MAX_NAME, MAX_TEXT, is_name, is_text, is_trusted, sockets

PACE_NS = 2_000_000
"""Lines that follow each other within this time go into one datagram."""
RETRY_S = (0.1, 1.0)
"""How long after a try a collector is looked for again that is not there: at first, and at most."""
PACK_BYTES = 32 * 1024
MAX_WAITING = 512
"""Packed datagrams that wait for a collector that is slow, 16 MiB of lines; then the oldest are given up."""
EXIT_S = (0.25, 1.0)
"""How long the end of a program is put off to deliver what waits: while nothing is taken, and at most."""

_NAMES_KEPT = 1024
_INT64 = range(-(2**63), 2**63)


class Sender:
    """The lines of one process on their way to the collector.

    A line is sent by the call that made it, unless another one was sent less than ``PACE_NS`` ago or the
    collector's queue is full: then it waits, packed with others, for a later call or for a thread that is started
    when first needed. ``paths`` returns where to look for the collector.
    """

    def __init__(self, paths: Callable[[], Sequence[str]] = sockets) -> None:
        self._paths = paths
        self.reset()

    def reset(self) -> None:
        """Begin anew, as in a child after a fork: what waits is its parent's to send."""
        self._lock = threading.RLock()  # a signal handler may call in the middle of a call
        self._sending = threading.Lock()  # apart, so that no call waits for another one's system call
        self._flusher: threading.Thread | None = None
        self._wake = threading.Event()
        self._sock: socket.socket | None = None
        self._head = ""
        self._seq = 0
        self._handed = (0, 0)  # number and time of the last line that a collector was given
        self._open: list[str] = []
        self._open_size = 0
        self._packed: deque[tuple[int, int, bytes]] = deque()  # number and time of the last line, lines
        self._last_ns = 0
        self._sent_ns = 0
        self._is_looking = False  # for a collector, from time to time
        self._retry_s = RETRY_S[0]
        self._is_full = False
        self._is_ending = False

    def emit(self, body: str, monotonic_ns: int | None = None) -> None:
        """Send a line: ``body`` is its JSON without number, time and braces."""
        now_ns = clock_gettime_ns(CLOCK_BOOTTIME)
        when = f'"boottime_ns":{now_ns}' if monotonic_ns is None else f'"monotonic_ns":{monotonic_ns}'
        with self._lock:
            self._seq = seq = self._seq + 1
            if self._sock is None and (self._is_looking or not self._connect()):
                self._is_looking = True
                self._wake_flusher()
                return
            line = f'{{"seq":{seq},{when},{body}}}\n'
            self._open.append(line)
            self._open_size += len(line)
            self._last_ns = now_ns
            if self._open_size >= PACK_BYTES:
                self._pack()
            is_due = self._packed or self._is_ending or now_ns - self._sent_ns >= PACE_NS
        if is_due and not self._is_full and self._sending.acquire(blocking=False):
            try:
                self._push()
            finally:
                self._sending.release()
        if self._open or self._packed:
            self._wake_flusher()

    def close(self) -> None:
        """Deliver what waits, within the time of ``EXIT_S``, and tell the collector what it was never given."""
        patience_s, most_s = EXIT_S
        self._is_ending = True
        give_up_s = time.monotonic() + most_s
        if not self._sending.acquire(timeout=patience_s):
            return
        try:
            while self._push() or (self._is_full and self._has_room(min(patience_s, give_up_s - time.monotonic()))):
                if time.monotonic() >= give_up_s:
                    break
            self._tell_rest()
        finally:
            self._sending.release()

    def _connect(self) -> bool:
        """Find the collector; return whether it is there."""
        for path in self._paths():
            if (sock := _connected(path)) is None:
                continue
            with self._lock:
                self._sock = sock
                self._is_looking = self._is_full = False
                if not self._head:
                    self._begin()
            return True
        return False

    def _begin(self) -> None:
        """Take a name, and see to what is left at the end of this process."""
        name = f"{_program()}-{os.getpid()}-{os.urandom(2).hex()}"
        self._head = f'{{"sender":{json.dumps(name)},"seq":'
        atexit.register(self.close)
        if (pools := sys.modules.get("multiprocessing.util")) is not None:
            pools.Finalize(None, self.close, exitpriority=0)  # its children end without atexit

    def _mark(self, seq: int, ns: int) -> bytes:
        """Return the line that says how far the numbering has come."""
        return f'{self._head}{seq},"boottime_ns":{ns}}}\n'.encode()

    def _pack(self) -> None:
        """Close what is open; if too much waits then, give up the oldest."""
        if self._open:
            self._packed.append((self._seq, self._last_ns, "".join(self._open).encode()))
            self._open.clear()
            self._open_size = 0
            if len(self._packed) > MAX_WAITING:
                self._packed.popleft()

    def _push(self) -> bool:
        """Send one datagram, holding ``_sending``; return whether that worked."""
        with self._lock:
            if not self._packed:
                self._pack()
            if self._sock is None or not self._packed:
                return False
            last = self._packed.popleft()
            sock, head = self._sock, self._mark(*self._handed)
        try:
            sock.send(head + last[2])
        except BlockingIOError:
            with self._lock:
                self._packed.appendleft(last)
                self._is_full = True
            return False
        except OSError:
            self._lose()
            return False
        with self._lock:
            self._handed = last[:2]
            self._sent_ns = last[1]
        return True

    def _lose(self) -> None:
        """Give up on a collector that is gone, and on what was meant for it: the next one is told how much."""
        with self._lock:
            if self._sock is not None:
                self._sock.close()
            self._sock = None
            self._is_looking = True
            self._packed.clear()
            self._open.clear()
            self._open_size = 0

    def _tell_rest(self) -> None:
        """Say at the end which lines no later one will prove to be missing."""
        seq, ns = self._handed
        if not ns or self._seq == seq:
            return
        with self._lock:
            if (self._sock is None and not self._connect()) or self._sock is None:
                return
            self._has_room(EXIT_S[0])
            try:
                self._sock.send(self._mark(seq, ns) + self._mark(self._seq, self._last_ns))
            except OSError:
                pass

    def _wake_flusher(self) -> None:
        """Leave the rest to the thread, which looks for the collector too."""
        if self._wake.is_set():
            return
        self._wake.set()
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._serve, name="benchlab-stages", daemon=True)
            try:
                self._flusher.start()
            except RuntimeError:  # the program is ending, or may have no more threads: its calls do all
                self._is_ending, self._is_looking = True, False

    def _serve(self) -> None:
        """Send what calls left behind, and look for the collector, for as long as the process lives."""
        while self._wake.wait():
            self._wake.clear()
            if self._is_looking:
                self._look()
            while self._open or self._packed:
                time.sleep(PACE_NS / 1e9)
                if self._is_full and not self._has_room(RETRY_S[0]):
                    continue
                with self._sending:
                    while self._push():
                        pass

    def _look(self) -> None:
        """Look for the collector once, and wait a while if it is not there."""
        if self._connect():
            self._retry_s = RETRY_S[0]
        else:
            time.sleep(self._retry_s)
            self._retry_s = min(2 * self._retry_s, RETRY_S[1])

    def _has_room(self, timeout_s: float) -> bool:
        """Wait until the collector's queue has room, or the collector is gone; return whether to send."""
        sock = self._sock
        if sock is None or timeout_s <= 0:
            return False
        poll = select.poll()
        try:
            poll.register(sock, select.POLLOUT)
            if not poll.poll(timeout_s * 1e3):
                return False
        except (OSError, ValueError):
            pass  # closed meanwhile; sending tells
        self._is_full = False
        return True


def _program() -> str:
    """Return what this program was started as."""
    first = (getattr(sys, "argv", None) or [""])[0]
    name = "".join(filter(str.isprintable, Path(first).name))
    return name[: MAX_NAME // 2] if name not in ("", "-c", "-m") else "python"


def _connected(path: str) -> socket.socket | None:
    """Return a socket to the collector that listens there, None if none does or it is not ours to talk to."""
    sock = None
    try:
        if not is_trusted(path):
            return None
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.connect(path)
        return sock
    except OSError:
        if sock is not None:
            sock.close()
    return None


_sender = Sender()
os.register_at_fork(after_in_child=_sender.reset)
_stages: dict[str, str] = {}
_flows: dict[str, str] = {}


def stage(
    name: str,
    frame: int | str | None = None,
    pts_ns: int | None = None,
    flow: str | None = None,
    monotonic_ns: int | None = None,
) -> None:
    """Record that a frame has reached a stage, now or at ``monotonic_ns`` (CLOCK_MONOTONIC, ``time.monotonic_ns()``).

    ``frame`` (or else ``pts_ns``, its presentation time) says which frame, ``flow`` which of several flows of
    frames. Raises TypeError or ValueError, with nothing recorded, for what cannot be: names have 1 to 128 printable
    characters, numbers 64 bits. Never blocks; that nobody listens is no error.
    """
    body = _stages.get(name) if name.__class__ is str else None
    if body is None:
        body = _field("stage", name, _stages)
    if frame is not None:
        body = f'{body},"frame":{_identity(frame)}'
    if pts_ns is not None:
        body = f'{body},"pts_ns":{_integer("pts_ns", pts_ns)}'
    if flow is not None:
        body = f"{body},{_flows.get(flow) or _field('flow', flow, _flows)}"
    _sender.emit(body, None if monotonic_ns is None else _integer("monotonic_ns", monotonic_ns))


def bookmark(text: str) -> None:
    """Record a remark on this moment, of 1 to 1024 characters. Raises TypeError, ValueError; never blocks."""
    if not isinstance(text, str):
        raise TypeError(f"bookmark: found {text!r}, expected text")
    if not is_text(text):
        raise ValueError(f"bookmark: found {text[:40]!r} of {len(text)} characters, expected 1 to {MAX_TEXT}")
    _sender.emit(f'"bookmark":{_quoted(text)}')


def _field(key: str, name: object, kept: dict[str, str]) -> str:
    """Return a name as a field of a line; the first few are kept, for a program repeats them."""
    field = f'"{key}":{_name(key, name)}'
    if len(kept) < _NAMES_KEPT:
        kept[str(name)] = field
    return field


def _name(key: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{key}: found {name!r}, expected text")
    if not is_name(name):
        raise ValueError(f"{key}: found {name[: MAX_NAME + 1]!r}, expected 1 to {MAX_NAME} printable characters")
    return _quoted(name)


def _identity(frame: object) -> int | str:
    return _name("frame", frame) if isinstance(frame, str) else _integer("frame", frame)


def _integer(key: str, number: object) -> int:
    """Return a whole number, of whatever type (NumPy's, for example)."""
    if isinstance(number, bool):
        raise TypeError(f"{key}: found {number}, expected a whole number")
    try:
        whole = operator.index(number)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{key}: found {number!r}, expected a whole number") from None
    if whole not in _INT64:
        raise ValueError(f"{key}: found {whole}, expected a number of 64 bits")
    return whole


def _quoted(text: str) -> str:
    """Return text as JSON. Raises ValueError for what is not Unicode (a lone surrogate)."""
    text.encode()
    return json.dumps(text, ensure_ascii=False)
