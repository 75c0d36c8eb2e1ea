"""benchctl doctor: what this host can measure, what it cannot and why, and what mends it."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from benchctl.audit import STAMP_FRAME
from benchctl.checks import ABSENT, FAIL, OK, WARN, Check, lines, verdict
from benchctl.children import COLLECTORS, program
from benchctl.doctor_host import HOST, clock_check, port_check, python_check, storage_checks
from benchctl.doctor_install import install_checks
from benchctl.doctor_readers import reader_checks
from benchctl.doctor_sources import GROUP, ask, source_checks
from benchctl.session_status import FIGURES_BYTES, mux_pid, session_status
from benchctl.table import print_json
from benchlab import cli, clock, config
from benchlab.config import Config, Loaded
from benchlab.errors import Exit, Fault
from benchlab.event import Aligned, Event
from benchlab.log.file_end import last_rows
from benchlab.query.aligned import LATENCY_FILE
from benchlab.session import CURRENT, Session
from benchlab.session_find import find
from benchlab.session_folder import HOST as SESSION_HOST
from benchlab.session_folder import using

EXAMPLES = """\
  benchctl doctor
  benchctl doctor --json | jq '.checks[] | select(.state != "ok")'
exit codes: 0 all that is configured can work, 1 something cannot"""

DEADLINE_S = 15.0
ORDER_BYTES = FIGURES_BYTES // 16

# A source is asked for where one of these keys says something else than its default.
ASKED_FOR_BY = {
    "gpu.nvml": "gpu.device_index",
    "benchlab.usb": "benchlab.device",
    "benchlabd": "benchlab.device",
}
POWER = "mux.power_sources"

# What a collector speaks of only where something hints at it.
UNHEARD = {
    "pmd.usb": "plug it in, or name its port: benchlabd --device PORT",
    "edge.*": "name the board in edgepower's config.yaml (docs/EDGE.md)",
    "pi.*": "pimon --once says why",
    "vm.libvirt": "vmstatd --once says why",
}


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    text = "Show what this host can measure, what it cannot and why, and what mends it."
    p = cli.parser("benchctl doctor", text, EXAMPLES)
    p.add_argument("--json", action="store_true", help="print JSON (docs/FORMAT.md)")
    p.add_argument(
        "--timeout",
        type=float,
        default=DEADLINE_S,
        metavar="SECONDS",
        help=f"how long the collectors are waited for (default: {DEADLINE_S:g})",
    )
    return p


def run(args: argparse.Namespace, operands: Sequence[str]) -> int:
    """Print every check; exit 1 if one fails."""
    checks = list(examine(args, os.environ))
    failed = any(check.state == FAIL for check in checks)
    if args.json:
        print_json({"ok": not failed, "checks": checks})
    else:
        print("\n".join(lines(checks)))
        print(verdict(checks))
    return Exit.FINDING if failed else Exit.OK


def examine(
    args: argparse.Namespace, env: Mapping[str, str], commands: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Check]:
    """Yield all checks. A configuration with an error is a finding; the rest then goes by the defaults.

    ``commands`` are the collectors' command lines. Raises Fault (USAGE) for a wrong flag.
    """
    loaded, env, check = configuration(args, env)
    data_root = config.data_root(loaded)
    session, problem = _session(data_root, args.session or env.get("BENCHLAB_SESSION") or CURRENT)
    yield check
    yield python_check()
    yield clock_check(clock.is_synchronised())
    yield port_check(loaded.config.prometheus.bind, mux_pid(session) if session else None)
    yield from storage_checks(data_root, loaded.config.retention.min_free_gb * 1e9)
    chosen = ["--config", str(loaded.path or os.devnull)]
    real = {name: program(name, "--once", "--json", *chosen) for name in COLLECTORS}
    recorded = recorded_sources(session) if session else {}
    found = list(collector_checks(real if commands is None else commands, args.timeout, env, loaded, recorded))
    yield from found
    if commands is None:
        yield from unheard_checks({check.name for check in found})
    yield from install_checks()
    yield from reader_checks(loaded.config)
    if problem:
        yield problem
    if session and (advice := order_check(session)):
        yield advice


def configuration(args: argparse.Namespace, env: Mapping[str, str]) -> tuple[Loaded, Mapping[str, str], Check]:
    """Return the configuration, the environment that gives it, and the verdict on it. Raises Fault (USAGE)."""
    try:
        loaded = cli.context(args, env=env).loaded
        return loaded, env, Check(HOST, "configuration", OK, str(loaded.path or "defaults: there is no file"))
    except Fault as fault:
        if fault.code is not Exit.CONFIG:
            raise
        check = Check(HOST, "configuration", FAIL, fault.message, "correct it; the checks below go by the defaults")
    kept = {name: value for name, value in env.items() if not _is_setting(name) or name == "BENCHLAB_DATA_ROOT"}
    overrides = {"general.data_root": (args.data_root, "--data-root")}
    return config.load(Path(os.devnull), kept, overrides), kept, check


def _is_setting(name: str) -> bool:
    """Return whether a variable sets a key, or was meant to."""
    systematic = tuple(f"BENCHLAB_{section.upper()}_" for section in config.TYPES)
    return name in config.variables() or name.startswith(systematic)


def collector_checks(
    commands: Mapping[str, Sequence[str]],
    deadline_s: float,
    env: Mapping[str, str],
    loaded: Loaded,
    recorded: Mapping[str, str],
) -> Iterator[Check]:
    """Yield the verdict on each source of each collector, then on what they give together.

    ``recorded`` are sources that a running collector reads now, and into which stream: it may be that nobody
    else can.
    """
    try:
        answers = ask(commands, deadline_s, env)
    except (Fault, OSError) as error:
        yield Check(GROUP, "collectors", FAIL, f"cannot be run: {error}")
        return
    readings: list[Event] = []
    found: list[tuple[str, Check]] = []
    for answer in answers:
        checks, events = source_checks(answer, deadline_s)
        readings += events
        found += [(answer.collector, check) for check in checks]
    askers = Counter(name for _, name in {(collector, check.name) for collector, check in found})
    for collector, check in found:
        if askers[check.name] > 1:  # one stream with that source does not tell whose it is
            yield msgspec.structs.replace(check, found=f"{collector}: {check.found}")
        else:
            yield _judged(check, loaded, recorded)
    yield power_check(loaded, readings, recorded)


def unheard_checks(heard: Collection[str]) -> Iterator[Check]:
    """Yield the sources of which no collector said anything: it found nothing that makes it look for them."""
    for pattern, fix in UNHEARD.items():
        if not any(fnmatchcase(name, pattern) for name in heard):
            yield Check(GROUP, pattern, ABSENT, "nothing of the kind was found", fix)


def recorded_sources(session: Session) -> dict[str, str]:
    """Return the devices that are being recorded at this moment, simulated ones left out, by stream."""
    try:
        streams = session_status(session).streams
    except (Fault, OSError):
        return {}
    running = [stream for stream in streams if stream.state == "recording"]
    return {
        s.source: stream.stream for stream in running for s in stream.sources if s.state == "up" and not s.simulated
    }


def _judged(check: Check, loaded: Loaded, recorded: Mapping[str, str]) -> Check:
    """Return the check, failed if its source is absent though the configuration asks for it."""
    if check.state != ABSENT:
        return check
    if check.name in recorded:
        return Check(GROUP, check.name, OK, f"being recorded into raw/{recorded[check.name]}.jsonl")
    key = ASKED_FOR_BY.get(check.name)
    if key is None or not _is_changed(loaded, key):
        return check
    found = f"{check.found}; {key} asks for it ({loaded.origin[key]})"
    return msgspec.structs.replace(check, state=FAIL, found=found)


def _is_changed(loaded: Loaded, key: str) -> bool:
    return bool(_value(loaded.config, key) != _value(Config(), key))


def _value(settings: Config, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def power_check(loaded: Loaded, readings: Iterable[Event], recorded: Collection[str] = ()) -> Check:
    """Return whether frames get their power: from the first reference all of whose meters are there."""
    there = {f"{event.source}:{key}" for event in readings for key in event.kv}

    def is_there(member: str) -> bool:
        source = member.partition(":")[0]
        return any(fnmatchcase(k, member) for k in there) or any(fnmatchcase(name, source) for name in recorded)

    cuts = loaded.config.mux.power_sources
    for cut in cuts:
        if all(map(is_there, cut)):
            return Check(GROUP, "power of frames", OK, f"from {' + '.join(cut)}")
    wanted = " or ".join("+".join(cut) for cut in cuts)
    found = f"not known: none of [mux].power_sources is measured here ({wanted})"
    state = FAIL if _is_changed(loaded, POWER) else WARN
    return Check(GROUP, "power of frames", state, found, "mend one of the sources above that measure power")


def order_check(session: Session) -> Check | None:
    """Return the advice to stamp ``frame`` if the session's last pairs were made by order."""
    rows = last_rows(session.dir / "aligned" / LATENCY_FILE, Aligned, ORDER_BYTES)
    if not any(row.kv.get("match") == "order" for row in rows):
        return None
    return Check("session", "pairing", WARN, f"frames of {session.name} are paired by order", STAMP_FRAME)


def _session(data_root: Path, name: str) -> tuple[Session | None, Check | None]:
    """Return the session that is looked at, None if there is none; what is wrong with it if it cannot be read."""
    try:
        with using(data_root):
            return find(data_root, name, SESSION_HOST), None
    except Fault as fault:
        return None, Check("session", name, WARN, fault.message)
