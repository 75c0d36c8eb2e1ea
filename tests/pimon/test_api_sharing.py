"""Many clients at once: one sample for all of them, and nobody waits for another one's second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchlab.httpd import MAX_CONNECTIONS, Refusal
from pimon.api.readings import MAX_BLOCKED, Readings
from pimon.api.shared import Shared
from support.pimon_api import PI4, FakeSampler, get, served
from support.processes import until

CLIENTS = 50


def together(work: Callable[[], Any], count: int = CLIENTS) -> list[Any]:
    """Do the same in so many threads, and return what each got."""
    with ThreadPoolExecutor(count) as pool:
        return [each.result() for each in [pool.submit(work) for _ in range(count)]]


def test_clients_that_come_together_share_one_sample() -> None:
    sampler = FakeSampler()
    with served(sampler, cache_seconds=3600) as server:
        answers = together(lambda: get(server.port, "/stats"))
    assert {status for status, _ in answers} == {200}
    assert {found["hardware"]["usb_devices"] for _, found in answers} == {2}  # the first only sets out the shares
    assert (sampler.samples, sampler.most_at_once) == (2, 1)


def test_a_client_that_wants_no_cached_one_gets_a_sample_begun_after_it_asked() -> None:
    sampler = FakeSampler()
    shared = Shared(sampler.system)
    first = shared.get(3600.0)
    assert shared.get(3600.0) is first
    second = shared.get(0.0)
    assert second.began_s > first.began_s and second.timestamp >= first.timestamp


def test_uncached_clients_share_too_and_no_two_samples_are_taken_at_once() -> None:
    sampler = FakeSampler()
    shared = Shared(sampler.system)
    shared.get(0.0)
    before = sampler.samples
    sampler.gate.clear()
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        early = pool.submit(shared.get, 0.0)
        until(lambda: sampler.at_once)
        late = [pool.submit(shared.get, 0.0) for _ in range(CLIENTS)]
        until(lambda: len(getattr(shared._changed, "_waiters")) == CLIENTS)  # noqa: B009 - typeshed hides it
        sampler.gate.set()
        began_s = {each.result().began_s for each in late}
        assert early.result().began_s < min(began_s)
    assert len(began_s) == 1
    assert sampler.samples - before == 2
    assert sampler.most_at_once == 1


def test_samples_keep_apart_however_often_somebody_asks() -> None:
    now_s = [100.0]
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now_s[0] += seconds

    shared = Shared(lambda: now_s[0], clock=lambda: now_s[0], wait=wait)
    began_s = [shared.get(0.0).began_s]
    for _ in range(3):
        now_s[0] += 0.001
        began_s.append(shared.get(0.0).began_s)
    assert waited == pytest.approx([0.25, 0.099, 0.099, 0.099])
    now_s[0] += 3600.0
    shared.get(2.0)  # the hour since the last one is no share of anything that is now
    assert waited[4:] == pytest.approx([0.25])


def test_the_tick_of_the_recording_is_shared() -> None:
    sampler = FakeSampler()
    with served(sampler, cache_seconds=3600) as server:
        server.offer(PI4)
        assert get(server.port, "/stats")[1]["hardware"]["usb_devices"] == 3
    assert sampler.samples == 0


def test_an_error_is_told_to_all_who_wait_and_the_next_one_gets_a_sample(caplog: pytest.LogCaptureFixture) -> None:
    sampler = FakeSampler()
    sampler.error = RuntimeError("no luck")
    with served(sampler) as server:
        answers = together(lambda: get(server.port, "/stats"), 5)
        assert (
            answers
            == [
                (
                    500,
                    {
                        "error": "Internal server error",
                        "details": "the log of pimon has them; PISTAT_DEBUG shows them here",
                    },
                )
            ]
            * 5
        )
        sampler.error = None
        assert get(server.port, "/stats")[0] == 200
    assert "no luck" in caplog.text


def test_with_debug_an_error_is_told_to_the_client() -> None:
    sampler = FakeSampler()
    sampler.error = RuntimeError("no luck")
    with served(sampler, debug=True) as server:
        assert get(server.port, "/stats")[1]["details"] == "RuntimeError('no luck')"


class Waiting:
    """Readings whose clients with block=true wait until the test lets them go."""

    def __init__(self) -> None:
        self.sampler = FakeSampler()
        self.go = threading.Event()
        self.waiting = 0
        self.readings = Readings(self.sampler, 3600.0, wait=self._wait)

    def _wait(self, seconds: float) -> None:
        assert seconds == 1.0
        self.waiting += 1
        self.go.wait(60)


def test_a_client_that_blocks_delays_nobody_else() -> None:
    held = Waiting()
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(held.readings.stats, True, True)
        until(lambda: held.waiting)
        assert held.readings.stats()["cpu_usage"] == 12.5  # though the other one still waits
        assert not blocked.done()
        held.go.set()
        found = blocked.result()
    assert 0.0 <= found["cpu_usage"] <= 100.0 or found["cpu_usage"] is None


def test_block_tells_the_processor_of_its_own_second_on_every_core() -> None:
    with served(FakeSampler()) as server:
        status, found = get(server.port, "/stats?block=true&cache=false")
    assert status == 200
    cores = sum(line.startswith("cpu") for line in Path("/proc/stat").read_text().splitlines()) - 1
    assert len(found["per_cpu_usage"]) == cores
    assert all(0.0 <= share <= 100.0 for share in [found["cpu_usage"], *found["per_cpu_usage"]])


def test_of_a_machine_that_is_made_up_the_processor_is_too() -> None:
    readings = Readings(FakeSampler(is_simulated=True), 3600.0, wait=lambda seconds: None)
    assert readings.stats(is_blocking=True)["per_cpu_usage"] == [10.5, 14.2, 11.8, 13.5]


def test_more_clients_may_not_block_than_leave_room_for_others() -> None:
    assert MAX_BLOCKED <= MAX_CONNECTIONS // 2
    held = Waiting()
    with ThreadPoolExecutor(MAX_BLOCKED) as pool:
        blocked = [pool.submit(held.readings.stats, True, True) for _ in range(MAX_BLOCKED)]
        until(lambda: held.waiting == MAX_BLOCKED)
        with pytest.raises(Refusal, match="clients that wait") as refused:
            held.readings.stats(is_blocking=True)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        held.go.set()
        assert all(each.result() for each in blocked)
    assert held.readings.stats(is_blocking=True)


def test_many_processes_requests_walk_once() -> None:
    sampler = FakeSampler()
    with served(sampler, cache_seconds=3600) as server:
        together(lambda: get(server.port, "/processes"), 10)
        get(server.port, "/processes?sort=name")
    assert sampler.walks == 2
