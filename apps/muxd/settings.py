"""What the aligned output depends on besides the raw files: pairs, windows, the power reference, the grid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from benchlab.config import Config
from benchlab.errors import Exit, Fault
from benchlab.session import SessionInfo

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# How far behind the newest line of its file a line may lie where the stream does not say (docs/FORMAT.md).
DEFAULT_DISORDER_NS = 200 * NS_PER_MS


class Settings(msgspec.Struct, frozen=True):
    """Everything that changes what muxd writes, and nothing that does not.

    ``window_ns`` bounds the wait for a frame's second stage, ``max_gap_ns`` the distance of two power samples
    that are still interpolated, ``grid_ns`` is the step of ``signals.jsonl`` and ``starts_ns`` the cut between
    this session and the one it continues, if it continues one.
    """

    pairs: tuple[tuple[str, str], ...]
    power_sources: tuple[tuple[str, ...], ...] = ()
    window_ns: int = 2 * NS_PER_S
    max_gap_ns: int = 2500 * NS_PER_MS
    grid_ns: int = NS_PER_S
    starts_ns: int | None = None

    def digest(self) -> str:
        """Return what tells two settings apart: the SHA-256 of their JSON."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


def check_pairs(pairs: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Return the pairs as tuples.

    Raises Fault (usage) for a pair of a stage with itself, and for a pair given twice.
    """
    checked: list[tuple[str, str]] = []
    for a, b in pairs:
        if a == b:
            raise Fault(f"--pair {a} {b}: found the same stage twice, expected two different stages", Exit.USAGE)
        if (a, b) in checked:
            raise Fault(f"--pair {a} {b}: found twice, expected each pair once", Exit.USAGE)
        checked.append((a, b))
    return tuple(checked)


def settings_of(config: Config, pairs: Sequence[Sequence[str]] | None, info: SessionInfo) -> Settings:
    """Return what a session is muxed with: the pairs of the command line, else those of the configuration."""
    configured = [(config.pipeline.stage_a, config.pipeline.stage_b), *config.pipeline.pairs]
    mux = config.mux
    return Settings(
        pairs=check_pairs(pairs or configured),
        power_sources=tuple(tuple(entry) for entry in mux.power_sources),
        window_ns=int(mux.window_s * NS_PER_S),
        max_gap_ns=mux.max_gap_ms * NS_PER_MS,
        grid_ns=int(NS_PER_S / mux.signals_hz),
        starts_ns=info.starts_ns if info.continues else None,
    )
