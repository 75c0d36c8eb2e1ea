from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import sleep, time_ns
from typing import Any

import pytest

from benchlab.boards.command import Forbidden
from benchlab.daemon import Absent, Transient
from benchlab.errors import Exit, Fault
from edgepower.collectors import BaseCollector, get_collector, get_collectors
from edgepower.collectors import shelly as module
from edgepower.collectors.shelly_http import READ_PATHS, ShellyHttp
from support.edge_fixtures import load
from support.emulated_shelly import EmulatedShelly
from support.processes import until

PASSWORD = "correct horse: battery"


@pytest.fixture
def devices() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_PERIOD_S", 0.0)


def gen1(devices: ExitStack, what: str = "plug", password: str | None = None) -> EmulatedShelly:
    about = load(f"shelly/gen1_{what}_about.json") | {"auth": password is not None}
    shelly = EmulatedShelly(1, about, load(f"shelly/gen1_{what}_status.json"), password)
    return devices.enter_context(shelly.running())


def gen2(devices: ExitStack, what: str = "plug", password: str | None = None) -> EmulatedShelly:
    shelly = EmulatedShelly(
        2, load(f"shelly/gen2_{what}_about.json"), load(f"shelly/gen2_{what}_status.json"), password
    )
    return devices.enter_context(shelly.running())


def collector(devices: ExitStack, shelly: EmulatedShelly, **config: Any) -> BaseCollector:
    made = get_collector("shelly", {"shelly": {"host": shelly.host, "timeout_s": 10, **config}})
    devices.callback(made.close)
    return made


def test_gen1_plug(devices: ExitStack) -> None:
    plug = collector(devices, gen1(devices), name="desk")
    assert plug.get_metrics() == {
        "power_total_watts": 61.84,
        "energy_total_joules": 432_000.0,
        "shelly_temp_celsius": 31.4,
    }
    assert (plug.dev, plug.scopes) == ("desk", {"power_total_watts": "wall"})
    assert plug.identity == {
        "mac": "AABBCC100001",
        "model": "SHPLG-S",
        "firmware": "20230913-112003/v1.14.0-gcb84623",
        "generation": "1",
    }


def test_gen2_plug_with_its_password(devices: ExitStack, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    shelly = gen2(devices, password=PASSWORD)
    plug = collector(devices, shelly, password_file=str(secret))
    wanted = {
        "power_total_watts": 61.9,
        "power_voltage_volts": 231.4,
        "power_current_amps": 0.271,
        "energy_total_joules": 433_800.0,
        "shelly_temp_celsius": 33.1,
    }
    assert plug.get_metrics() == wanted
    assert plug.get_metrics() == wanted
    # who it is, the challenge, and then one request a reading: the nonce is used again
    assert shelly.asked == ["/shelly", *["/rpc/Shelly.GetStatus"] * 3]
    assert shelly.rejected == 0


def test_stamp_is_the_middle_of_the_exchange(devices: ExitStack) -> None:
    shelly = gen2(devices)
    plug = collector(devices, shelly)
    plug.get_metrics()
    shelly.delay_s = 0.1
    begin_ns = time_ns()
    plug.get_metrics()
    end_ns = time_ns()
    assert plug.stamp is not None and plug.stamp.rtt_ns is not None and plug.stamp.unc_ns is not None
    assert 100_000_000 <= plug.stamp.rtt_ns <= end_ns - begin_ns
    assert begin_ns + plug.stamp.unc_ns <= plug.stamp.ts_ns <= end_ns - plug.stamp.unc_ns + 1


def test_asked_too_often_it_repeats_itself_stamp_and_all(devices: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_PERIOD_S", 3600.0)
    shelly = gen2(devices)
    plug = collector(devices, shelly)
    first, stamp = plug.get_metrics(), plug.stamp
    shelly.status["switch:0"]["apower"] = 7.0
    assert (plug.get_metrics(), plug.stamp) == (first, stamp)
    assert len(shelly.asked) == 2


def test_gen1_with_its_password_from_the_environment(devices: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELLY_SECRET", PASSWORD)
    shelly = gen1(devices, password=PASSWORD)
    plug = collector(devices, shelly, password_env="SHELLY_SECRET")
    assert plug.get_metrics()["power_total_watts"] == 61.84
    assert shelly.rejected == 0


def test_nonce_that_has_expired_is_asked_for_anew(devices: ExitStack) -> None:
    shelly = gen2(devices, password=PASSWORD)
    shelly.nonce_lasts = 2
    plug = collector(devices, shelly, password=PASSWORD)
    for _ in range(7):
        assert plug.get_metrics()["power_total_watts"] == 61.9


@pytest.mark.parametrize("make", [gen1, gen2])
def test_wrong_password_is_tried_once_and_not_again(devices: ExitStack, make: Any) -> None:
    shelly = make(devices, password=PASSWORD)
    plug = collector(devices, shelly, password="wrong horse")
    for _ in range(5):
        with pytest.raises(Absent, match="refuses the password") as caught:
            plug.get_metrics()
        assert "shelly.password_file" in caught.value.fix
        assert "wrong horse" not in str(caught.value) + caught.value.fix
    assert shelly.rejected == 1


def test_missing_password_says_how_to_give_one(devices: ExitStack) -> None:
    shelly = gen2(devices, password=PASSWORD)
    plug = collector(devices, shelly)
    for _ in range(3):
        with pytest.raises(Absent, match="wants a password") as caught:
            plug.get_metrics()
        assert "shelly.password_file" in caught.value.fix
    assert len(shelly.asked) == 2


@pytest.mark.parametrize(
    "offer",
    [
        'Basic realm="shelly"',
        'Digest qop="auth", realm="x", nonce="1", algorithm=MD5',
        'Digest realm="x", nonce="1"',
        'Digest qop="auth", algorithm=SHA-256',
        "Digest ,,=",
        "",
    ],
)
def test_gen2_never_gets_the_password_in_a_weaker_way(devices: ExitStack, offer: str) -> None:
    shelly = gen2(devices, password=PASSWORD)
    shelly.offers = offer
    plug = collector(devices, shelly, password=PASSWORD)
    with pytest.raises(Absent, match="asks for"):
        plug.get_metrics()
    assert shelly.rejected == 0


def test_password_file_that_is_not_there_is_named(devices: ExitStack) -> None:
    plug = collector(devices, gen2(devices, password=PASSWORD), password_file="/nowhere/secret")
    with pytest.raises(Absent, match="/nowhere/secret: No such file"):
        plug.get_metrics()


def test_relay_without_a_meter_is_absent(devices: ExitStack) -> None:
    plug = collector(devices, gen1(devices, "relay"))
    with pytest.raises(Absent, match=r"SHSW-1 at .* measures no power: .*typed in"):
        plug.get_metrics()


def test_energy_goes_on_when_the_device_begins_anew(devices: ExitStack) -> None:
    shelly = gen1(devices)
    plug = collector(devices, shelly)
    energies = []
    for total in (7200, 7260, 3, 10):
        shelly.status["meters"][0]["total"] = total
        energies.append(plug.get_metrics()["energy_total_joules"])
    assert energies == [432_000.0, 435_600.0, 435_780.0, 436_200.0]


def test_strip_adds_up_its_loads_and_takes_off_what_was_fed_back(devices: ExitStack) -> None:
    plug = collector(devices, gen2(devices, "strip"))
    found = plug.get_metrics()
    assert found["power_total_watts"] == 60.75
    assert (found["shelly_channel0_power_watts"], found["shelly_channel1_power_watts"]) == (40.5, 20.25)
    assert found["energy_total_joules"] == (10.0 - 0.5 + 2.0) * 3600
    assert found["energy_returned_joules"] == 0.5 * 3600
    assert "power_voltage_volts" not in found


def test_energy_that_is_not_known_hides_nothing_else(devices: ExitStack) -> None:
    shelly = gen2(devices, "strip")
    shelly.status["switch:0"]["ret_aenergy"] = {"total": "much"}
    found = collector(devices, shelly).get_metrics()
    assert found["power_total_watts"] == 60.75
    assert not {"energy_total_joules", "energy_returned_joules"} & found.keys()


def test_part_that_is_not_known_leaves_the_sum_unknown(devices: ExitStack) -> None:
    shelly = gen2(devices, "strip")
    shelly.status["switch:1"]["apower"] = None
    plug = collector(devices, shelly)
    assert "power_total_watts" not in plug.get_metrics()
    assert plug.absent["power_total_watts"] == "switch:1: found None as apower, expected a number"


def test_clamps_are_not_added_up_but_one_may_be_chosen(devices: ExitStack) -> None:
    shelly = gen1(devices, "em")
    both = collector(devices, shelly)
    assert set(both.get_metrics()) == {"shelly_channel0_power_watts", "shelly_channel1_power_watts"}
    assert "shelly.channel" in both.absent["power_total_watts"]
    one = collector(devices, shelly, channel=0).get_metrics()
    assert (one["power_total_watts"], one["energy_total_joules"]) == (-512.5, 1200.5 * 3600)
    assert one["shelly_power_factor_ratio"] == -0.85


def test_channel_that_is_not_there(devices: ExitStack) -> None:
    plug = collector(devices, gen2(devices), channel=3)
    with pytest.raises(Absent, match="has no channel 3"):
        plug.get_metrics()


def test_another_device_at_the_address_is_noticed_and_begins_its_own_count(devices: ExitStack) -> None:
    shelly = gen2(devices)
    plug = collector(devices, shelly)
    plug.get_metrics()
    shelly.about = load("shelly/gen2_strip_about.json")
    shelly.status = load("shelly/gen2_strip_status.json")
    with pytest.raises(Transient, match="found the Shelly AABBCC200002, expected AABBCC200001"):
        plug.get_metrics()
    assert plug.get_metrics()["energy_total_joules"] == 11.5 * 3600
    assert plug.identity["model"] == "SPSW-104PE16EU"


def test_one_connection_is_kept_and_opened_anew_when_the_device_drops_it(devices: ExitStack) -> None:
    shelly = gen2(devices)
    plug = collector(devices, shelly)
    for _ in range(3):
        plug.get_metrics()
    assert shelly.connections == 1
    shelly.drop_connections()
    assert plug.get_metrics()["power_total_watts"] == 61.9
    assert shelly.connections == 2


def test_plug_that_is_off_is_waited_for(devices: ExitStack) -> None:
    with EmulatedShelly(2, {}, {}).running() as shelly:
        plug = collector(devices, shelly)
    with pytest.raises(Transient, match="refused"):
        plug.get_metrics()


def test_slow_plug_is_not_waited_for_longer_than_agreed(devices: ExitStack) -> None:
    shelly = gen2(devices)
    plug = collector(devices, shelly, timeout_s=0.2)
    plug.get_metrics()
    shelly.delay_s = 5.0
    with pytest.raises(Transient, match=r"no answer within 0\.2 s"):
        plug.get_metrics()
    shelly.delay_s = 0.0
    sleep(0.01)
    assert plug.get_metrics()["power_total_watts"] == 61.9


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, b'{"code":-103}'), "HTTP 500"),
        ((404, b'{"code":404,"message":"No handler for Shelly.GetStatus"}'), "No handler"),
        ((200, b"<html>"), "no JSON"),
        ((200, b"\xff"), "no JSON"),
        ((200, b"[1]"), "expected an object"),
        ((200, b" " * (1 << 19)), "more than 256 KiB"),
    ],
)
def test_answer_that_is_none(devices: ExitStack, answer: tuple[int, bytes], said: str) -> None:
    shelly = gen2(devices)
    shelly.answer = answer
    plug = collector(devices, shelly)
    with pytest.raises(Transient, match=said):
        plug.get_metrics()
    shelly.answer = None
    assert plug.get_metrics()["power_total_watts"] == 61.9


def test_collector_may_be_closed_while_it_waits_for_its_plug(devices: ExitStack) -> None:
    shelly = gen2(devices)
    plug = collector(devices, shelly)
    plug.get_metrics()
    shelly.delay_s = 8.0
    raised: list[Exception] = []

    def ask() -> None:
        try:
            plug.get_metrics()
        except Exception as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: len(shelly.asked) == 3)
    plug.close()
    asking.join(5.0)
    assert [type(error) for error in raised] == [Transient]
    with pytest.raises(Transient, match="closed"):
        plug.get_metrics()


def test_hanging_up_is_transient(devices: ExitStack) -> None:
    shelly = gen2(devices)
    shelly.hangs_up = True
    with pytest.raises(Transient):
        collector(devices, shelly).get_metrics()


@pytest.mark.parametrize("about", [{}, [], "hello", {"mac": 5}])
def test_something_else_at_the_address(devices: ExitStack, about: Any) -> None:
    shelly = gen2(devices)
    shelly.about = about
    with pytest.raises(Absent, match="not as a Shelly"):
        collector(devices, shelly).get_metrics()


@pytest.mark.parametrize("path", ["/relay/0?turn=off", "/rpc/Switch.Set?id=0&on=false", "/reboot", "/status?x"])
def test_nothing_but_reading_can_be_asked_of_a_plug(devices: ExitStack, path: str) -> None:
    shelly = gen2(devices)
    http = ShellyHttp(shelly.host, lambda: None, time_ns)
    with pytest.raises(Forbidden):
        http.get(path)
    assert shelly.asked == []
    assert frozenset({"/shelly", "/status", "/rpc/Shelly.GetStatus"}) == READ_PATHS


def test_many_plugs_are_many_collectors(devices: ExitStack) -> None:
    hosts = [gen1(devices).host, gen2(devices).host]
    config = {"device_type": "shelly", "shelly": {"plugs": [{"host": hosts[0], "name": "desk"}, {"host": hosts[1]}]}}
    made = get_collectors(config)
    for each in made:
        devices.callback(each.close)
    assert [each.dev for each in made] == ["desk", hosts[1]]
    assert [each.get_metrics()["power_total_watts"] for each in made] == [61.84, 61.9]
    with pytest.raises(Fault, match="found 2 devices, expected one"):
        get_collector("shelly", config)


@pytest.mark.parametrize(
    ("shelly", "said"),
    [
        ({}, r"shelly: .*missing required field `host`"),
        ({"host": "http://plug/"}, r"found host 'http://plug/', expected an address"),
        ({"host": "plug", "chanel": 1}, r"unknown field `chanel`"),
        ({"host": "plug", "channel": -1}, r"shelly\.channel: expected `int` >= 0"),
        ({"host": "plug", "timeout_s": 99}, r"shelly\.timeout_s: "),
        ({"plugs": [{"host": "a"}, {"host": 5}]}, r"shelly\.plugs\[1\]\.host: expected `str`, got `int`"),
        ({"host": "plug", "password": "p", "password_env": "P"}, "found several"),
        ({"plugs": [{"host": "a"}, {"host": "a"}]}, "found shelly a twice"),
        ("plug", "shelly: "),
    ],
)
def test_wrong_configuration_names_the_key(shelly: Any, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        get_collectors({"device_type": "shelly", "shelly": shelly})
    assert caught.value.code == Exit.CONFIG
