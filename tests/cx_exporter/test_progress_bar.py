"""The bar appears on a terminal, for long work, and nowhere else."""

from __future__ import annotations

import io
from functools import partial

from cx_exporter.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ticking(step_s: float) -> Progress:
    """Return a progress whose clock moves on by a step each time it is asked."""
    now_s = iter(range(1_000_000))
    return Progress(Terminal(), clock=lambda: next(now_s) * step_s)


def test_long_work_on_a_terminal_shows_a_bar_and_every_item_passes() -> None:
    out = Terminal()
    now_s = iter(range(1_000_000))
    bar = Progress(out, clock=lambda: float(next(now_s)))
    assert list(bar.track(range(50_000), "reading", 50_000, lambda: 25_000)) == list(range(50_000))
    assert "reading" in out.getvalue()


def test_short_work_shows_nothing() -> None:
    out = Terminal()
    bar = Progress(out, clock=lambda: 0.0)
    assert len(list(bar.track(range(50_000), "reading", 50_000, lambda: 0))) == 50_000
    assert out.getvalue() == ""


def test_without_a_terminal_nothing_is_shown_however_long_it_takes() -> None:
    out = io.StringIO()
    now_s = iter(range(1_000_000))
    bar = Progress(out, clock=lambda: float(next(now_s)))
    assert len(list(bar.track(range(50_000), "reading", 50_000, lambda: 0))) == 50_000
    assert out.getvalue() == ""


def test_a_loop_that_is_left_early_takes_the_bar_down() -> None:
    bar = ticking(1.0)
    for n, _ in enumerate(bar.track(range(50_000), "reading", 50_000, lambda: 0)):
        if n == 20_000:
            break
    assert list(bar.track(range(5_000), "again", 5_000, lambda: 0)) == list(range(5_000))


def test_a_long_loop_says_again_and_again_that_it_goes_on_terminal_or_not() -> None:
    for out in (io.StringIO(), Terminal()):
        beats: list[None] = []
        bar = Progress(out, beat=partial(beats.append, None))
        assert list(bar.track(range(20_000), "reading", 20_000)) == list(range(20_000))
        assert len(beats) >= 4
