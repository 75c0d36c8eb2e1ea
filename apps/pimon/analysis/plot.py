"""A discharge as a picture: SVG with the standard library alone, PNG where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from pimon.analysis.discharge import TimeToEmpty, longest_gap_s
from pimon.analysis.history import Reading

WIDTH, HEIGHT, LEFT, RIGHT, TOP = 960, 230, 64, 24, 40
MOST_POINTS = 2000
CHARGE_COLOUR, POWER_COLOUR = "#0072B2", "#CC79A7"
NO_MATPLOTLIB = "a PNG needs matplotlib (pip install matplotlib); an .svg needs nothing"

Line = list[tuple[float, float]]


class CannotPlot(Exception):
    """The picture cannot be made in this format; the message says what would do."""


def plot(path: Path, readings: Sequence[Reading], estimate: TimeToEmpty | None) -> None:
    """Write the charge and the power over the hours. Raises CannotPlot, OSError."""
    start_s = readings[0].time_s
    ahead = _ahead(readings, estimate)
    panels = [
        ("charge, %", CHARGE_COLOUR, lines(readings, lambda r: r.pct), ahead),
        ("power, W", POWER_COLOUR, lines(readings, lambda r: None if r.power_w is None else abs(r.power_w)), []),
    ]
    hours = (readings[-1].time_s - start_s) / 3600
    longest = max([hours, *(x for wedge in ahead for x, _ in wedge)]) or 1.0
    title = "simulated battery" if any(r.is_simulated for r in readings) else "battery"
    if path.suffix.lower() == ".svg":
        path.write_text(_svg(title, panels, longest), encoding="utf-8")
    elif path.suffix.lower() == ".png":
        _png(path, title, panels)
    else:
        raise CannotPlot(f"{path}: found the ending {path.suffix or '(none)'}, expected .svg or .png")


def lines(readings: Sequence[Reading], value: Callable[[Reading], float | None]) -> list[Line]:
    """Return a quantity over the hours, a line for each stretch in which it is known."""
    longest_s, start_s = longest_gap_s(readings), readings[0].time_s
    thin = max(1, len(readings) // MOST_POINTS)
    found: list[Line] = [[]]
    before_s = start_s
    for number, reading in enumerate(readings):
        at = value(reading)
        if at is None or not 0 <= reading.time_s - before_s <= longest_s:
            found.append([])
        if at is not None and (number % thin == 0 or not found[-1]):
            found[-1].append(((reading.time_s - start_s) / 3600, at))
        before_s = reading.time_s
    return [line for line in found if line]


def _ahead(readings: Sequence[Reading], estimate: TimeToEmpty | None) -> list[Line]:
    """Return the lines from now to the earliest, the likeliest and the latest end."""
    last = next((r for r in reversed(readings) if r.pct is not None), None)
    if estimate is None or last is None or last.pct is None:
        return []
    now = (last.time_s - readings[0].time_s) / 3600
    ends = (estimate.low_hours, estimate.hours, estimate.high_hours)
    return [[(now, last.pct), (now + hours, 0.0)] for hours in ends]


def _svg(title: str, panels: Sequence[tuple[str, str, list[Line], list[Line]]], longest: float) -> str:
    height = TOP + len(panels) * HEIGHT + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/><text x="{LEFT}" y="22">{escape(title)}</text>',
    ]
    for number, (label, colour, solid, dashed) in enumerate(panels):
        parts += _panel(TOP + number * HEIGHT, label, colour, solid, dashed, longest)
    return "\n".join([*parts, "</svg>\n"])


def _panel(top: float, label: str, colour: str, solid: list[Line], dashed: list[Line], longest: float) -> list[str]:
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - 60
    highest = max((y for line in solid for _, y in line), default=1.0) or 1.0

    def place(x: float, y: float) -> str:
        return f"{LEFT + x / longest * inner_w:.1f},{top + 20 + (1 - y / highest) * inner_h:.1f}"

    parts = [f'<text x="{LEFT}" y="{top + 12}" fill="{colour}">{escape(label)}</text>']
    for share in (0, 0.5, 1):
        y = top + 20 + (1 - share) * inner_h
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share * highest:.3g}</text>')
        x = LEFT + share * inner_w
        parts.append(f'<text x="{x:.1f}" y="{top + HEIGHT - 22}" text-anchor="middle">{share * longest:.3g} h</text>')
    for line, dash in [*((line, "") for line in solid), *((line, ' stroke-dasharray="5 4"') for line in dashed)]:
        points = " ".join(place(x, y) for x, y in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>')
    return parts


def _png(path: Path, title: str, panels: Sequence[tuple[str, str, list[Line], list[Line]]]) -> None:
    try:
        import matplotlib
    except ImportError as error:
        raise CannotPlot(f"{path}: {NO_MATPLOTLIB}") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(panels), 1, sharex=True, figsize=(9.6, 5.0), squeeze=False)
    for axis, (label, colour, solid, dashed) in zip(axes[:, 0], panels, strict=True):
        axis.set_ylabel(label)
        for line, style in [*((line, "-") for line in solid), *((line, "--") for line in dashed)]:
            axis.plot(*zip(*line, strict=True), style, color=colour)
    axes[0, 0].set_title(title)
    axes[-1, 0].set_xlabel("hours")
    figure.savefig(path)
