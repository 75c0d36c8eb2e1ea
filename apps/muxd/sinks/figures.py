"""How the sinks fare, as metric families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def families(lag_s: Mapping[str, float], rejected: Iterable[tuple[str, Counter[str]]]) -> Iterator[Metric]:
    """Yield the lag of each sink, and how many records each refused for which reason."""
    lag = GaugeMetricFamily(
        "benchlab_sink_lag_seconds", "How far a sink is behind the newest row that is vouched for", labels=["sink"]
    )
    for sink, seconds in sorted(lag_s.items()):
        lag.add_metric([sink], seconds)
    yield lag
    counted = CounterMetricFamily(
        "benchlab_sink_rejected", "Records a sink refused for good", labels=["sink", "reason"]
    )
    for sink, counts in sorted(rejected):
        for reason, count in sorted(counts.items()):
            counted.add_metric([sink, reason], count)
    yield counted
