"""config.yaml: what is read, what is refused, and what becomes of its comments when the program writes it."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchlab.errors import Exit, Fault
from edgepower.collectors import get_collectors
from edgepower.device_config import DeviceConfig, Overrides, Unknown
from edgepower.document import Document
from edgepower.settings import Settings
from support.edge_exporter import READING, config_of

SEED = """\
device_type: "jetson_orin"  # Device type
interval: 1                  # Collection interval (seconds)
port: 9100                   # Prometheus metrics port
reload_port: 9101            # Management API port

# Metrics configuration (true: collect, false: don't collect)
metrics:
  jetson_power_vdd_gpu_soc_watts: true
  jetson_temp_cpu_celsius: true   # the important one
  # hot anyway
  jetson_temp_gpu_celsius: false

# what follows is not about metrics
tegrastats:
  command: /usr/bin/tegrastats
"""
HERE = Path("config.yaml")


def settings(text: str) -> Settings:
    return Document(text, HERE).settings()


def test_the_seeds_document_is_read() -> None:
    found = settings(SEED)
    assert (found.interval_s, found.port, found.reload_port) == (1, 9100, 9101)
    assert found.metrics == {
        "jetson_power_vdd_gpu_soc_watts": True,
        "jetson_temp_cpu_celsius": True,
        "jetson_temp_gpu_celsius": False,
    }
    assert found.device == {"device_type": "jetson_orin", "tegrastats": {"command": "/usr/bin/tegrastats"}}
    assert not found.discovery and not found.info_metric


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval: fast", 'config.yaml, line 1: interval: found "fast", expected a number from 0.1 up to 3600'),
        ("interval: .nan", "config.yaml, line 1: interval: found nan, expected a number"),
        ("interval: true", "config.yaml, line 1: interval: found true, expected a number"),
        ("\n\nport: 70000", "config.yaml, line 3: port: found 70000, expected an integer from 1 up to 65535"),
        ("discovery: yes", 'line 1: discovery: found "yes", expected "disabled" or "enabled"'),
        ("metrics:\n  a_watts: yes", 'line 2: metrics.a_watts: found "yes", expected true or false'),
        ("metrics: [a]", 'line 1: metrics: found ["a"], expected a line NAME: true or NAME: false for each metric'),
        ('metrics:\n  "a b": true', 'found "a b", expected a metric name'),
        ("enabled_metrics: power", 'line 1: enabled_metrics: found "power", expected a list of metric names'),
        ("enabled_metrics:\n  - a\n  - 3", "line 3: enabled_metrics[1]: found 3, expected a metric name"),
        ("reload-port: 1", "reload-port: found an unknown key, expected one that exists: did you mean reload_port?"),
        ("a: [1\nb: 2", "config.yaml, line 2: expected ',' or ']', but got ':'; expected YAML"),
        ("port: 1\nport: 2", 'config.yaml, line 2: found duplicate key "port"'),
        ("- port", 'config.yaml, line 1: found ["port"], expected key: value'),
        ("a: \x01", "config.yaml: unacceptable character"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_place_found_and_expected(text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        settings(text)
    assert message in caught.value.message and "\n" not in caught.value.message
    assert caught.value.code is Exit.CONFIG


def test_what_a_collector_refuses_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("interval: 1\ndevices:\n  - device_type: shelly\n    name: desk\n    shelly:\n      host: 3\n")
    with pytest.raises(Fault, match=r"config\.yaml, line 6: devices\[0\]: shelly\.host: ") as caught:
        DeviceConfig(path, get_collectors)
    assert caught.value.code is Exit.CONFIG
    path.write_text("interval: 1\ndevice_type: jetson_orion\n")
    with pytest.raises(Fault, match=r"line 2: device_type: found 'jetson_orion', .*did you mean jetson_orin"):
        DeviceConfig(path, get_collectors)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"#" * (1 << 20) + b"#"], ids=["not UTF-8", "too long"])
def test_a_file_that_is_no_document_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(Fault, match=r"config\.yaml: found"):
        DeviceConfig(path, lambda device: None)


def test_flags_go_before_the_file_and_are_never_written_into_it(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED, overrides=Overrides(interval=0.5, port=1234, reload_port=4321))
    assert (config.settings.interval_s, config.settings.port, config.settings.reload_port) == (0.5, 1234, 4321)
    config.discover(["new_watts"])
    assert config.path.read_text() == SEED.replace("celsius: false\n", "celsius: false\n  new_watts: false\n")
    assert config.settings.port == 1234


def test_a_change_touches_its_own_line_and_nothing_else(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    config.enable({"jetson_temp_gpu_celsius": True, "jetson_temp_cpu_celsius": False})
    wanted = SEED.replace("cpu_celsius: true ", "cpu_celsius: false").replace("gpu_celsius: false", "gpu_celsius: true")
    assert config.path.read_text().replace(" ", "") == wanted.replace(" ", "")


@pytest.mark.parametrize("end", ["", "# the end\n", "\n# the end\n", "# about x\nx: 1\n", "\n\n# about x\nx: 1\n"])
def test_a_new_metric_stands_among_the_metrics_and_comments_stay_where_they_were(end: str) -> None:
    document = Document("metrics:\n  a_watts: true  # first\n  b_watts: false\n" + end, HERE)
    document.set_metrics({"c_watts": False})
    document.set_metrics({"d_watts": True})
    assert document.text() == (
        "metrics:\n  a_watts: true  # first\n  b_watts: false\n  c_watts: false\n  d_watts: true\n" + end
    )


@pytest.mark.parametrize("dashes", ["", "  "])
def test_an_old_list_becomes_the_new_form_in_its_place_with_its_comments(dashes: str) -> None:
    old = f"""\
port: 1  # mine
# chosen in spring
enabled_metrics:
{dashes}- a_watts  # first
{dashes}# keep me
{dashes}- b_watts

# plugs
devices:
{dashes}- device_type: shelly
"""
    document = Document(old, HERE)
    assert document.settings().metrics == {"a_watts": True, "b_watts": True}
    document.set_metrics({"c_watts": False})
    text = document.text()
    assert "enabled_metrics" not in text
    for kept in ("port: 1  # mine", "# chosen in spring\nmetrics:", "# first", "# keep me", f"{dashes}- device_type"):
        assert kept in text
    assert text.index("c_watts") < text.index("# plugs") < text.index("devices:")
    assert Document(text, HERE).settings().metrics == {"a_watts": True, "b_watts": True, "c_watts": False}


def test_an_old_list_beside_the_new_form_adds_to_it_and_does_not_overrule_it(tmp_path: Path) -> None:
    config = config_of(tmp_path, "enabled_metrics: [a_watts, b_watts]\nmetrics:\n  a_watts: false\n  c_watts: true\n")
    wanted = {"a_watts": False, "b_watts": True, "c_watts": True}
    assert config.metrics == wanted
    config.enable({"c_watts": True})
    assert Document(config.path.read_text(), HERE).plain() == {"metrics": wanted}


def test_new_metrics_are_disabled_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    config = config_of(tmp_path, "metrics:\n  a_watts: true\n")
    config.discover(READING)
    assert config.metrics == {"a_watts": True, **dict.fromkeys(READING, False)}
    config = config_of(tmp_path, "discovery: enabled\nmetrics:\n  a_watts: false\n")
    config.discover(READING)
    assert config.metrics == {"a_watts": False, **dict.fromkeys(READING, True)}


def test_a_device_about_which_nobody_has_chosen_shows_power_and_temperatures(tmp_path: Path) -> None:
    config = config_of(tmp_path, "device_type: jetson_orin\n")
    assert config.settings.shows("power_total_watts") and not config.settings.shows("jetson_gpu_usage_percent")
    config.discover(READING)
    assert config.metrics == {
        "power_total_watts": True,
        "power_gpu_watts": True,
        "jetson_temp_gpu_celsius": True,
        "jetson_gpu_usage_percent": False,
    }
    config.discover(["jetson_temp_tj_celsius", "jetson_emc_freq_mhz"])  # known only from a later reading on
    assert config.metrics["jetson_temp_tj_celsius"] and not config.metrics["jetson_emc_freq_mhz"]
    assert config.settings.shows("jetson_temp_cv0_celsius")


@pytest.mark.parametrize("how", ["enable", "edit", "restart", "server"])
def test_once_somebody_has_chosen_new_metrics_are_disabled(how: str, tmp_path: Path) -> None:
    config = config_of(tmp_path, "device_type: jetson_orin\n")
    config.discover(READING)
    if how == "enable":
        config.enable({"power_gpu_watts": False})
    elif how == "edit":
        config.path.write_text(config.path.read_text().replace("gpu_watts: true", "gpu_watts: false"))
        config.reload()
    elif how == "restart":
        config = DeviceConfig(config.path, lambda device: None)
    else:
        config.adopt({"metrics": {"power_gpu_watts": False}})
    config.discover(["jetson_temp_tj_celsius"])
    assert config.metrics["jetson_temp_tj_celsius"] is False


def test_without_a_file_one_is_made_with_the_first_metrics(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "config.yaml"
    config = DeviceConfig(path, lambda device: None, device_type="raspberry_pi")
    assert not path.exists()
    config.discover(["power_total_watts"])
    assert Document(path.read_text(), HERE).settings().metrics == {"power_total_watts": True}
    assert config.settings.device == {"device_type": "raspberry_pi"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_no_file_is_made_where_none_may_be(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    config = DeviceConfig(path, lambda device: None, device_type="jetson_orin", may_create=False)
    config.discover(READING)
    config.enable({"power_total_watts": False})
    config.enable({"jetson_gpu_usage_percent": True})
    wanted = {**dict.fromkeys(READING, True), "power_total_watts": False}
    assert config.metrics == wanted and not path.exists()
    config.reload()
    assert config.metrics == wanted


def test_a_file_that_was_deleted_is_written_again_with_the_next_change(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    config.path.unlink()
    config.reload()
    config.enable({"jetson_temp_gpu_celsius": True})
    assert config.path.read_text() == SEED.replace("gpu_celsius: false", "gpu_celsius: true")


def test_unknown_names_are_refused_with_the_near_ones_and_nothing_is_changed(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    with pytest.raises(Unknown) as caught:
        config.enable({"jetson_temp_gpu_celsius": True, "jetson_temp_cpu_celcius": True, "zzz": True})
    assert caught.value.names["jetson_temp_cpu_celcius"][0] == "jetson_temp_cpu_celsius"
    assert caught.value.names["zzz"] == []
    assert config.path.read_text() == SEED
    assert config.settings.metrics is not None and config.settings.metrics["jetson_temp_gpu_celsius"] is False


def test_an_error_in_the_file_leaves_what_was_in_force(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    before = config.settings
    config.path.write_text(SEED + "interval: no\n")
    for change in (config.reload, lambda: config.enable({"jetson_temp_gpu_celsius": True})):
        with pytest.raises(Fault, match="line 16"):
            change()
        assert config.settings == before
    assert config.path.read_text() == SEED + "interval: no\n"
    config.path.write_text(SEED.replace("interval: 1", "interval: 2"))
    config.reload()
    assert config.settings.interval_s == 2


def test_what_was_edited_meanwhile_is_not_lost_by_a_change(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    config.path.write_text(SEED.replace("important", "crucial").replace("port: 9100 ", "port: 9200 "))
    config.enable({"jetson_temp_gpu_celsius": True})
    text = config.path.read_text()
    assert "crucial" in text and "port: 9200" in text and "jetson_temp_gpu_celsius: true" in text


@pytest.mark.parametrize("how", ["enable", "adopt"])
def test_what_is_edited_at_the_very_moment_of_a_change_is_not_lost(how: str, tmp_path: Path) -> None:
    edits = [SEED.replace("important", "crucial"), SEED.replace("important", "decisive").replace("9101 ", "9191 ")]

    def check(device: object) -> None:
        if armed and edits:
            config.path.write_text(edits.pop(0))

    armed = False
    (tmp_path / "config.yaml").write_text(SEED)
    config = DeviceConfig(tmp_path / "config.yaml", check)
    armed = True
    if how == "enable":
        config.enable({"jetson_temp_gpu_celsius": True})
    else:
        config.adopt({"metrics": {"jetson_temp_gpu_celsius": True}})
    text = config.path.read_text()
    assert "decisive" in text and "jetson_temp_gpu_celsius: true" in text
    assert (config.settings.reload_port, config.metrics["jetson_temp_gpu_celsius"]) == (9191, True)


@pytest.mark.parametrize("begins", ["", "device_type: jetson_orin\n"])
def test_a_file_that_is_still_being_written_is_waited_for(
    begins: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, SEED)
    edited = SEED.replace("important", "crucial")
    config.path.write_text(begins)  # an editor empties the file and writes it piece by piece
    pieces = [edited]

    def go_on(seconds: float) -> None:
        if pieces:
            config.path.write_text(pieces.pop())

    monkeypatch.setattr("edgepower.device_config.sleep", go_on)
    config.enable({"jetson_temp_gpu_celsius": True})
    assert config.path.read_text() == edited.replace("jetson_temp_gpu_celsius: false", "jetson_temp_gpu_celsius: true")


def test_a_file_that_somebody_writes_all_the_time_is_left_to_them(tmp_path: Path) -> None:
    def check(device: object) -> None:
        if armed:
            config.path.write_text(SEED)

    armed = False
    config = config_of(tmp_path, SEED)
    config = DeviceConfig(config.path, check)
    armed = True
    with pytest.raises(Fault, match="written by somebody else all the time"):
        config.enable({"jetson_temp_gpu_celsius": True})
    assert config.path.read_text() == SEED and list(tmp_path.iterdir()) == [config.path]
    assert config.metrics["jetson_temp_gpu_celsius"] is False


def test_a_file_that_cannot_be_written_changes_nothing_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, SEED)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Fault, match=r"config\.yaml cannot be written \(No space left on device\)"):
        config.enable({"jetson_temp_gpu_celsius": True})
    with pytest.raises(Fault, match="cannot be written"):
        config.discover(["new_watts"])
    assert config.path.read_text() == SEED and list(tmp_path.iterdir()) == [config.path]
    assert config.metrics["jetson_temp_gpu_celsius"] is False
    assert config.metrics["new_watts"] is False  # it is known all the same


def test_a_link_and_the_mode_of_the_file_survive_a_change(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    config.path.rename(tmp_path / "real.yaml")
    config.path.symlink_to("real.yaml")
    config.path.chmod(0o604)
    config.enable({"jetson_temp_gpu_celsius": True})
    assert config.path.is_symlink()
    assert stat.S_IMODE((tmp_path / "real.yaml").stat().st_mode) == 0o604


def test_two_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    names = [f"m{n}_watts" for n in range(40)]
    config = config_of(tmp_path, "metrics:\n" + "".join(f"  {name}: false\n" for name in names))
    torn: list[str] = []
    done = threading.Event()

    def write(mine: list[str]) -> None:
        for name in mine:
            config.enable({name: True})

    def read() -> None:
        while not done.is_set():
            try:
                Document(config.path.read_text(), HERE).settings()
            except Fault as fault:
                torn.append(fault.message)

    writers = [threading.Thread(target=write, args=(names[n::4],)) for n in range(4)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert torn == []
    assert Document(config.path.read_text(), HERE).settings().metrics == dict.fromkeys(names, True)
    assert config.metrics == dict.fromkeys(names, True)


def test_a_server_is_followed_but_for_what_it_has_not_been_told(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    config.enable({"jetson_temp_gpu_celsius": True})
    config.adopt(
        {
            "device_type": "jetson_orin",
            "port": 9102,
            "reload_port": 9101,
            "ip_address": "192.0.2.7",
            "enabled_metrics": ["jetson_power_vdd_in_watts"],
            "metrics": {"jetson_temp_gpu_celsius": False, "jetson_temp_cpu_celsius": False},
            "shelly": {"enabled": True},
        }
    )
    assert config.source == "server"
    assert config.metrics == {
        "jetson_power_vdd_gpu_soc_watts": True,
        "jetson_temp_cpu_celsius": False,
        "jetson_temp_gpu_celsius": True,
        "jetson_power_vdd_in_watts": True,
    }
    text = config.path.read_text()
    assert "port: 9102 " in text and "# the important one" in text and "192.0.2.7" not in text
    assert config.settings.device["shelly"] == {"enabled": True}


def test_nonsense_of_a_server_is_refused_whole(tmp_path: Path) -> None:
    config = config_of(tmp_path, SEED)
    before = config.settings
    for central in ({"port": "x"}, {"metrics": {"a": 1}}, {"enabled_metrics": 3}, {"port": 9300, "interval": 0}):
        with pytest.raises(Fault):
            config.adopt(central)
    assert (config.settings, config.path.read_text(), config.source) == (before, SEED, "local")


NAMES = st.from_regex(r"\A[a-z_][a-z0-9_]{0,12}\Z")
CHOICES = st.dictionaries(NAMES, st.booleans(), max_size=8)


@given(CHOICES, st.lists(CHOICES, max_size=4), st.booleans())
def test_any_changes_come_out_as_they_went_in(first: dict[str, bool], then: list[dict[str, bool]], old: bool) -> None:
    listed = "".join(f"- {name}  # {name}\n" for name in first)
    lines = "".join(f"  {name}: {str(value).lower()}  # {name}\n" for name, value in first.items())
    text = f"enabled_metrics:\n{listed}" if old else f"metrics:\n{lines}"
    document = Document(f"# head\n{text}# tail\nx: 1\n" if first else "# head\nx: 1\n", HERE)
    expected = dict.fromkeys(first, True) if old else dict(first)
    for chosen in then:
        document.set_metrics(chosen)
        expected.update(chosen)
    again = Document(document.text(), HERE)
    assert (again.settings().metrics or {}) == expected
    assert again.plain()["x"] == 1
    assert [f"# {name}" in document.text() for name in ("head", *first)] == [True] * (1 + len(first))
