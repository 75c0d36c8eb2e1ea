"""TCP ports: moved together, and asked for before anything is started."""

from __future__ import annotations

import errno
import socket

from benchlab import cli
from benchlab.errors import Exit, Fault


def moved(bind: str, offset: int) -> str:
    """Return a HOST:PORT with the port moved. Raises Fault (usage) when it leaves the range of ports."""
    host, _, port = bind.rpartition(":")
    moved_port = int(port) + offset
    if not 1 <= moved_port <= 65535:
        raise Fault(f"--port-offset {offset} moves port {port} to {moved_port}, expected 1 to 65535", Exit.USAGE)
    return f"{host}:{moved_port}"


def check_port(bind: str, mend: str) -> None:
    """Raise Fault (IO), naming the owner, when nobody can listen on HOST:PORT; ``mend`` says what to do."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except socket.gaierror as error:
            raise Fault(f"{bind}: {error.strerror}, expected HOST:PORT of this machine", Exit.USAGE) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise Fault(f"cannot listen on {bind}: {error.strerror}: {mend}", Exit.IO) from error
            owner = cli.port_owner(int(port)) or "another program"
            raise Fault(f"port {port} is taken by {owner}: {mend}", Exit.IO) from error
