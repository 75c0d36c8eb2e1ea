"""A simulated BENCHLAB in a simulated computer: eleven rails, temperatures and fans that follow one load."""

from __future__ import annotations

from dataclasses import dataclass

from benchlab.catalog import RAIL_SUMS
from benchlab.catalog.board import SOURCE
from benchlab.event import Value
from benchlab.sim import SEED, SYSTEM_FULL_W, SYSTEM_IDLE_W, Chance, LoadModel, LogNormal

ROUND_TRIP_MS = LogNormal(median=1.5, p99=4.0)
"""From a request to the last byte of its answer over USB."""
NOISE = 0.003
"""Standard deviation of a current, relative."""


@dataclass(frozen=True)
class Rail:
    """One input of the board: open-circuit voltage, shares of the power, resistance of its cable."""

    name: str
    volts: float
    idle_share: float
    load_share: float
    ohms: float


RAILS = (
    Rail("eps1", 12.08, 0.22, 0.12, 0.010),
    Rail("eps2", 12.08, 0.08, 0.04, 0.010),
    Rail("atx3v", 3.32, 0.06, 0.01, 0.004),
    Rail("atx5v", 5.04, 0.12, 0.02, 0.004),
    Rail("atx5vsb", 5.06, 0.04, 0.00, 0.020),
    Rail("atx12v", 12.06, 0.26, 0.13, 0.008),
    Rail("pcie1", 12.07, 0.03, 0.05, 0.012),
    Rail("pcie2", 12.07, 0.03, 0.05, 0.012),
    Rail("pcie3", 12.07, 0.00, 0.00, 0.012),
    Rail("hpwr1", 12.07, 0.16, 0.58, 0.004),
    Rail("hpwr2", 12.07, 0.00, 0.00, 0.004),
)
"""``idle_share`` of the idle power plus ``load_share`` of what comes on top; each column adds up to 1."""


@dataclass(frozen=True)
class Warmth:
    """What load warms or turns up: ``rest`` + ``rise`` x load, with a time constant of ``tau_s`` seconds."""

    key: str
    rest: float
    rise: float
    tau_s: float
    digits: int = 1


WARMTHS = (
    Warmth("temp_c", 36.0, 12.0, 60.0),
    Warmth("chip_c", 44.0, 12.0, 40.0),
    Warmth("ts1_c", 38.0, 24.0, 25.0),
    Warmth("ts2_c", 35.0, 18.0, 45.0),
    Warmth("humidity_pct", 36.0, -8.0, 60.0),
    Warmth("fan1_pct", 30.0, 50.0, 15.0, 0),
    Warmth("fan1_rpm", 620.0, 980.0, 15.0, 0),
    Warmth("fan2_pct", 25.0, 40.0, 25.0, 0),
    Warmth("fan2_rpm", 480.0, 720.0, 25.0, 0),
)


@dataclass(frozen=True)
class PowerRange:
    """What the simulated computer draws without load and under full load, in watts.

    Raises ValueError unless 0 <= idle <= full <= 3000.
    """

    idle_w: float = SYSTEM_IDLE_W
    full_w: float = SYSTEM_FULL_W

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0.0 <= self.idle_w <= self.full_w <= 3000.0:
            raise ValueError(
                f"expected 0 <= idle <= full <= 3000 W, found idle {self.idle_w:g} and full {self.full_w:g}"
            )


class BoardModel:
    """What the board measures: a pure function of (seed, time), so a restart leaves no trace in the signals."""

    def __init__(self, load: LoadModel, power: PowerRange, seed: int = SEED) -> None:
        self._model = load
        self._range = power
        self._chance = Chance(seed, SOURCE)

    def measure(self, ts_ns: int) -> dict[str, Value]:
        """Return all that the board shows at a time, by catalog key."""
        return {**self._power(ts_ns), **self._climate(ts_ns), "vdd_v": 3.301, "vref_v": 3.0}

    def _power(self, ts_ns: int) -> dict[str, Value]:
        rails: dict[str, Value] = {}
        milliwatts: dict[str, int] = {}
        idle_w = self._range.idle_w
        extra_w = self._model.power_w(ts_ns, idle_w, self._range.full_w) - idle_w
        for number, rail in enumerate(RAILS):
            true_w = idle_w * rail.idle_share + extra_w * rail.load_share
            mv = round(1e3 * (rail.volts - rail.ohms * true_w / rail.volts))
            ma = round(1e6 * true_w / mv * (1.0 + NOISE * self._chance.normal(ts_ns, number)))
            milliwatts[rail.name] = mw = round(mv * ma / 1000)
            rails |= {f"{rail.name}_v": mv / 1000, f"{rail.name}_a": ma / 1000, f"{rail.name}_w": mw / 1000}
        cpu_w, gpu_w, mb_w, p_sys = (
            sum(milliwatts[name] for name in RAIL_SUMS[part]) / 1000 for part in ("cpu", "gpu", "mb", "sys")
        )
        v_sys = rails["atx12v_v"]
        assert isinstance(v_sys, float)
        whole: dict[str, Value] = {"v_sys": v_sys, "i_sys": round(p_sys / v_sys, 4), "p_sys": p_sys}
        return {**whole, "cpu_w": cpu_w, "gpu_w": gpu_w, "mb_w": mb_w, **rails}

    def _climate(self, ts_ns: int) -> dict[str, Value]:
        return {
            warmth.key: round(warmth.rest + warmth.rise * self._model.heat(ts_ns, warmth.tau_s), warmth.digits)
            for warmth in WARMTHS
        }
