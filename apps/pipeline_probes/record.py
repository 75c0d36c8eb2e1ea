"""What is recorded, and how: a planned pipeline, the stages that programs send, or both into one stream."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchlab.cli import Context
from benchlab.clock import SessionClock
from benchlab.daemon import Source
from benchlab.recording import Collector, collect
from pipeline_probes.datagrams.listening import DISORDER_MS as LISTENING_DISORDER_MS
from pipeline_probes.datagrams.listening import ONCE_S, Listening
from pipeline_probes.gst.pipeline_source import POLL_S
from pipeline_probes.gst.running import Running
from pipeline_probes.plan import Plan

log = logging.getLogger(__name__)


def record(
    prog: str, stream: str, plan: Plan | None, args: argparse.Namespace, ctx: Context, *, listens: bool = False
) -> int:
    """Run the collector as its command line says and return the exit code. Raises Fault."""
    with ExitStack() as stack:
        running = Running(plan, args.once, args.root) if plan is not None else None
        listening = stack.enter_context(Listening(ctx, args.once)) if listens else None

        def sources(clock: SessionClock, starts_ns: int) -> Sequence[Source]:
            found = [running.source(clock)] if running is not None else []
            return [*found, listening.source(clock, starts_ns)] if listening is not None else found

        disorder_ms = max(running.disorder_ms if running else 0, LISTENING_DISORDER_MS if listening else 0)
        collector = Collector(prog, stream, disorder_ms, once_rate_s=ONCE_S if listening else 0.0)
        try:
            code = collect(collector, args, ctx, POLL_S, sources)
        except BaseException:
            if running is not None:
                running.close()
            raise
    if running is not None and not running.close():
        log.warning("the pipeline does not let go of its device and is left behind")
        sys.stdout.flush()
        os._exit(code)  # its threads would keep the interpreter from ending
    return code
