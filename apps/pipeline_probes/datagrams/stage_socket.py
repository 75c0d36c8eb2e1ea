"""The datagram socket to which programs send their stages. The protocol is in docs/STAGES.md."""

from __future__ import annotations

import os
import select
import socket
import stat
import struct
from pathlib import Path
from time import time_ns
from typing import NamedTuple

from benchlab.errors import Exit, Fault
from benchlab.files import FileLock, share
from benchlab.stages import MAX_DATAGRAM, MAX_PATH

MODE = 0o660
LOCK_WAIT_S = 2.0
RECEIVE_BYTES = 4 * 1024 * 1024

# Source: asm-generic/socket.h. Python has no name for it. The kernel stamps a datagram when it is sent.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_UCRED = struct.Struct("@iII")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) + socket.CMSG_SPACE(_UCRED.size)


class Datagram(NamedTuple):
    """What came: its bytes, when it was sent by the wall clock, by which process, and whether it was cut off."""

    data: bytes
    wall_ns: int
    pid: int
    cut: bool


class StageSocket:
    """The one listener on ``path``, from its creation on.

    What a collector that was killed left there is replaced. Raises Fault (IO) naming the one that listens there
    already, or what else is in the way.
    """

    def __init__(self, path: str, wait_s: float = LOCK_WAIT_S) -> None:
        self.path = path
        _check(path)
        self._lock = _lock(path)
        self._lock.acquire(wait_s)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            _make_way(path)
            self._listen()
        except BaseException:
            self._sock.close()
            self._lock.release()
            raise
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)
        self._buffer = bytearray(MAX_DATAGRAM + 1)

    def wait(self, timeout_ms: int) -> bool:
        """Wait until something is there to be received; return whether it is."""
        return bool(self._poll.poll(timeout_ms))

    def receive(self) -> Datagram | None:
        """Return the next datagram, None if none waits."""
        try:
            size, ancillary, _, _ = self._sock.recvmsg_into([self._buffer], _ANCILLARY_BYTES)
        except BlockingIOError:
            return None
        wall_ns, pid = time_ns(), 0
        for _, kind, data in ancillary:
            if kind == _SO_TIMESTAMPNS:
                seconds, rest_ns = _TIMESPEC.unpack(data)
                wall_ns = seconds * 10**9 + rest_ns
            elif kind == socket.SCM_CREDENTIALS:
                pid = _UCRED.unpack(data)[0]
        return Datagram(bytes(self._buffer[: min(size, MAX_DATAGRAM)]), wall_ns, pid, size > MAX_DATAGRAM)

    def shut(self) -> None:
        """Take nothing more in: senders are refused from now on, and what has come can still be received."""
        self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Let go of the path."""
        Path(self.path).unlink(missing_ok=True)
        self._sock.close()
        self._lock.release()

    def _listen(self) -> None:
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            self._sock.bind(self.path)
            Path(self.path).chmod(MODE)  # the umask must not decide who sends
        except OSError as error:
            raise Fault(f"{self.path} cannot be listened on: {error.strerror}", Exit.IO) from error
        share(Path(self.path))


def listener_of(path: str) -> int | None:
    """Return the pid of the collector that listens on a path, None if none does."""
    return _lock(path).holder


def _lock(path: str) -> FileLock:
    return FileLock(Path(f"{path}.lock"), f"pipeline_probes, which listens on {path}")


def _check(path: str) -> None:
    """Refuse a path on which nobody could listen. Raises Fault."""
    if not path or (size := len(os.fsencode(path))) > MAX_PATH:
        found = f"a path of {size} bytes: {path}" if path else "no folder for it"
        raise Fault(f"stage socket: found {found}, expected at most {MAX_PATH} bytes (--listen PATH)", Exit.USAGE)
    folder = Path(path).parent
    if not folder.is_dir():
        raise Fault(f"stage socket: found no folder {folder}, expected one: make it, or use --listen PATH")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Fault(
            f"stage socket: {folder} may not be written by user {os.geteuid()}: change its owner or group, "
            "or use --listen PATH"
        )


def _make_way(path: str) -> None:
    """Remove a socket that nobody listens on any more. Raises Fault if it is something else."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Fault(f"{path}: found a file that is no socket, expected nothing or a socket (--listen PATH)")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
        except OSError as error:
            raise Fault(f"{path} cannot be listened on: {error.strerror}") from error
    raise Fault(f"{path}: found another program that listens there, expected nobody: stop it, or use --listen PATH")
