"""Reads one GPU in one session of NVML: what at each sample, what once a second, and what the GPU is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from time import monotonic_ns
from typing import Any

from benchlab.daemon import Reading, Transient
from benchlab.daemon.schedule import NS
from benchlab.event import Scalar, Value
from telemetryd.nvml.interview import Interview
from telemetryd.nvml.metrics import (
    ABOUT,
    EACH_SAMPLE,
    EACH_SECOND,
    EACH_SECOND_SLOWLY,
    ENERGY,
    FIELDS,
    FIELDS_EACH_SECOND,
    LIMITS,
    POWER_INSTANT,
    Answer,
    Question,
    averages_power,
    power_usage,
    total_energy,
)
from telemetryd.nvml.session import Session

AVERAGED_MS = 1000.0


class Reader:
    """``identity`` and ``window_ms`` (over which ``power_w`` is averaged, if it is) are known after the first read."""

    def __init__(self, session: Session, gpu: Any, now_ns: Callable[[], int]) -> None:
        self.session = session
        self.identity: dict[str, Scalar] = {}
        self.window_ms: float | None = None
        self._gpu = gpu
        self._now_ns = now_ns
        self._interview = Interview(session.nvml, gpu)
        self._held: dict[Question | None, Answer] = {}
        self._second_due_ns = 0
        self._slow_due_ns = 0
        self._slow = cycle(EACH_SECOND_SLOWLY)

    def read(self) -> Reading:
        """Return one reading. Raises NVMLError, or Transient if the GPU answers nothing at all."""
        self._ask_slow_questions()
        begin_ns = self._now_ns()
        kv = self._sample()
        end_ns = self._now_ns()
        if not kv:
            raise Transient(f"the GPU answers nothing: {self._interview.why}")
        if not self.identity:
            self._introduce()
        for answer in self._held.values():
            kv.update(answer)
        # the slow questions came first: this is when the rest was true, and power above all
        return Reading(kv, ts_ns=(begin_ns + end_ns) // 2, unc_ns=(end_ns - begin_ns + 1) // 2)

    def _sample(self) -> dict[str, Value]:
        interview = self._interview
        kv: dict[str, Value] = {**interview.fields(FIELDS)}
        if not interview.knows(POWER_INSTANT):
            kv.update(interview.ask(power_usage))
        if not interview.knows(ENERGY):
            kv.update(interview.ask(total_energy))
        for alternatives in EACH_SAMPLE:
            kv.update(interview.first_of(alternatives))
        return kv

    def _ask_slow_questions(self) -> None:
        """Ask what is asked once a second, of the calls that block only one at a time."""
        now_ns = monotonic_ns()
        if now_ns >= self._second_due_ns:
            self._second_due_ns = now_ns + NS
            self._held[None] = self._interview.fields(FIELDS_EACH_SECOND)
            self._held.update((question, self._interview.ask(question)) for question in EACH_SECOND)
        if now_ns >= self._slow_due_ns:
            self._slow_due_ns = now_ns + NS // len(EACH_SECOND_SLOWLY)
            question = next(self._slow)
            self._held[question] = self._interview.ask(question)

    def _introduce(self) -> None:
        """Learn what the GPU is, and what its power is a reading of."""
        interview = self._interview
        is_instant = interview.knows(POWER_INSTANT)
        if not is_instant and interview.ask(averages_power).get("averaged"):
            self.window_ms = AVERAGED_MS
        about = {key: value for question in ABOUT for key, value in interview.ask(question).items()}
        self.identity = {
            **about,
            "driver": self.session.driver,
            **interview.fields(LIMITS),
            "power_from": "NVML_FI_DEV_POWER_INSTANT" if is_instant else "nvmlDeviceGetPowerUsage",
        }
