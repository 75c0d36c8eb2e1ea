"""What every program's command line shares: options, logging on stderr, exit codes."""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn, Protocol

from benchlab import __version__, config
from benchlab.config import Config, Loaded
from benchlab.errors import Exit, Fault

LEVELS = ("debug", "info", "warning", "error")
_TCP_LISTEN = "0A"


class Main(Protocol):
    """A program: takes its arguments, by default those of the process, and returns its exit code."""

    def __call__(self, argv: list[str] | None = None) -> int:
        """Run it."""
        ...


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, as with anything else."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"{self.prog}: {message} (see --help)\n")


class _Describe(argparse.Action):
    """Prints what the command line may say, as JSON for ``benchctl completions`` and ``benchctl man``."""

    def __call__(self, p: argparse.ArgumentParser, *_: object) -> NoReturn:
        import msgspec

        from benchlab.cli_describe import describe

        print(msgspec.json.encode(describe(p)).decode())
        p.exit(Exit.OK)


def parser(prog: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all programs have; a usage error is one line, and exits 2."""
    p = _Parser(
        prog=prog,
        description=description,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--version", action="version", version=f"{prog} {__version__}")
    p.add_argument("--describe", action=_Describe, nargs=0, help=argparse.SUPPRESS)
    p.add_argument("--config", type=Path, metavar="FILE", help=f"configuration (default: {config.SYSTEM_PATH})")
    p.add_argument("--data-root", metavar="DIR", help="folder that holds sessions/ (BENCHLAB_DATA_ROOT)")
    p.add_argument("--session", metavar="NAME", help="session (BENCHLAB_SESSION; default: current)")
    p.add_argument("--log-level", choices=LEVELS, default="info", help="what is told on stderr (default: info)")
    p.add_argument("--log-format", choices=("text", "json"), default="text", help="how (default: text)")
    return p


def collector_options(p: argparse.ArgumentParser) -> None:
    """Add the options that all collectors have."""
    p.add_argument("--stream", metavar="NAME", help="write raw/NAME.jsonl instead of this program's own file")
    p.add_argument("--once", action="store_true", help="sample each source once, print, exit (4: none is there)")
    p.add_argument("--json", action="store_true", help="with --once: print the events as they would be written")
    p.add_argument("--source", action="append", metavar="NAME", help="take only this source (repeatable)")
    p.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="prefix for /sys and /proc")
    p.add_argument("--simulate", action="store_true", help="make up the device; its data is marked so")


@dataclass(frozen=True)
class Context:
    """What a program knows of its surroundings once its command line is read."""

    loaded: Loaded
    config: Config
    data_root: Path
    session_name: str


def context(
    args: argparse.Namespace,
    overrides: Mapping[str, tuple[object, str]] | None = None,
    env: Mapping[str, str] = os.environ,
) -> Context:
    """Set up logging and return the configuration with the command line applied.

    ``overrides`` maps ``section.key`` to (value, flag) for the program's own flags. Raises Fault.
    """
    setup_logging(args.log_level, args.log_format)
    flags = {"general.data_root": (args.data_root, "--data-root"), **(overrides or {})}
    loaded = config.load(args.config, env, flags)
    session_name = args.session or env.get("BENCHLAB_SESSION") or "current"
    return Context(loaded, loaded.config, config.data_root(loaded), session_name)


class _JsonLines(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def setup_logging(level: str, log_format: str) -> None:
    """Send the log to stderr, as text or as one JSON object a line; what was set up before is replaced."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if log_format == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a closed stderr must not stop a daemon


def run(main: Main) -> Main:
    """Decorate a ``main``: a Fault becomes one line on stderr and its exit code, an interruption 130.

    A reader of stdout that goes away (``| head``) is no error.
    """

    @functools.wraps(main)
    def wrapped(argv: list[str] | None = None) -> int:
        try:
            code = main(argv)
            sys.stdout.flush()
        except Fault as fault:
            return _fail(main, fault.message, fault.code)
        except KeyboardInterrupt:
            return Exit.INTERRUPTED
        except BrokenPipeError:
            _drop_stdout()
            return Exit.OK
        except OSError as error:
            return _fail(main, _os_error(error), Exit.IO)
        return code

    return wrapped


def _fail(main: Main, message: str, code: Exit) -> int:
    prog = _program(main)
    logging.getLogger(prog).debug("ended by", exc_info=True)
    if any(isinstance(handler.formatter, _JsonLines) for handler in logging.getLogger().handlers):
        logging.getLogger(prog).error(message)
    else:
        print(f"{prog}: {message}", file=sys.stderr)
    return int(code)


def _program(main: Main) -> str:
    """Return the program's name: ``muxd`` for muxd.main, ``r5c_capture`` for pipeline_probes.r5c_capture."""
    if main.__module__ != "__main__":
        parts = main.__module__.split(".")
    else:
        parts = [*Path(sys.argv[0]).absolute().parent.parts, Path(sys.argv[0]).stem]
    named = [part for part in parts if part not in ("main", "__main__")]
    return named[-1] if named else "benchlab"


def _os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _drop_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not fail on the closed pipe."""
    try:
        target = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, target)
    os.close(null)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_owner(port: int, root: Path = Path("/")) -> str | None:
    """Return who listens on a TCP port, as ``prometheus (pid 123)``; None if nobody does or we may not know.

    Source: proc_net(5), /proc/net/tcp.
    """
    sockets = {f"socket:[{inode}]" for inode in _listeners(root / "proc/net", port)}
    return next(holders(sockets, root), None) if sockets else None


def holders(targets: Set[str], root: Path = Path("/")) -> Iterator[str]:
    """Yield the processes that have one of these files open, as ``name (pid 123)``, as far as we may know.

    ``targets`` are as /proc/PID/fd shows them: paths without links, ``socket:[inode]``.
    """
    for process in (root / "proc").glob("[0-9]*"):
        if _has_open(process / "fd", targets):
            yield f"{_name_of(process)} (pid {process.name})"


def _listeners(net: Path, port: int) -> list[str]:
    """Return the inodes of the sockets that listen on a port."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            rows = (net / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for columns in map(str.split, rows):
            if columns[3] == _TCP_LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                found.append(columns[9])
    return found


def _has_open(fds: Path, targets: Set[str]) -> bool:
    try:
        return any(_target(fd) in targets for fd in fds.iterdir())
    except OSError:  # not ours to look into, or gone meanwhile
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
