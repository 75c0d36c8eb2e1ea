from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchlab import config
from benchlab.config import KEYS, TYPES, Config, Loaded, load
from benchlab.config_schema import OWN_VARIABLES
from benchlab.errors import Exit, Fault
from support.isolation import start_python
from support.tree import REPOSITORY

TEMPLATE = REPOSITORY / "configs" / "config.toml"
HOST_KEYS = {"general.data_root", "general.node_name"}

# One value of each key that is not its default, in the three forms in which it may be given.
OTHER: dict[str, list[Any]] = {
    "general.data_root": ["/a", "/b", "/c"],
    "general.sample_hz": [1.0, 2.0, 3.0],
    "general.node_name": ["a", "b", "c"],
    "general.session_rotate": ["daily", "daily", "daily"],
    "general.fsync_s": [2.0, 3.0, 4.0],
    "gpu.provider": ["nvml", "nvml", "nvml"],
    "gpu.device_index": [1, 2, 3],
    "cpu.enable_rapl": [False, False, False],
    "benchlab.device": ["/dev/a", "/dev/b", "/dev/c"],
    "benchlab.baud": [9600, 19200, 38400],
    "benchlab.calibration_interval_sec": [1.0, 2.0, 3.0],
    "benchlab.offset_ns": [1, 1000, 40_000_000],
    "pipeline.stage_a": ["a", "b", "c"],
    "pipeline.stage_b": ["a", "b", "c"],
    "pipeline.stage_socket": ["/run/a.sock", "/run/b.sock", "/run/c.sock"],
    "pipeline.pairs": [[["a", "b"]], [["b", "c"]], [["c", "d"]]],
    "cx_export.enabled": [False, False, False],
    "cx_export.watch_dir": ["/a", "/b", "/c"],
    "cx_export.application_name": ["a", "b", "c"],
    "prometheus.bind": ["a:1", "b:2", "[::1]:3"],
    "retention.days": [1, 2, 3],
    "retention.raw_keep_days": [0, 1, 2],
    "retention.min_free_gb": [2.5, 3.5, 4.5],
    "sinks.sqlite": [True, True, True],
    "sinks.influx": [True, True, True],
    "influx.influx_url": ["http://a:1", "https://b:2", "http://c"],
    "influx.influx_db": ["a", "b", "c"],
    "influx.influx_org": ["a", "b", "c"],
    "influx.api": ["v1", "v2", "v1"],
    "influx.token_file": ["/a", "/b", "/c"],
    "influx.batch_max_lines": [1, 2, 3],
    "influx.batch_max_sec": [2.0, 3.0, 4.0],
    "influx.max_queue": [2, 3, 4],
    "influx.query": [True, True, True],
    "mux.window_s": [0.5, 1.0, 1.5],
    "mux.lateness_ms": [1, 2, 3],
    "mux.max_gap_ms": [1, 2, 3],
    "mux.signals_hz": [2.0, 3.0, 4.0],
    "edgepower.config_path": ["/a", "/b", "/c"],
    "edgepower.bind": ["a", "b", "::1"],
    "edgepower.management_bind": ["a", "b", "::1"],
    "edgepower.token_file": ["/a", "/b", "/c"],
    "edgepower.server_url": ["http://a", "http://b:8080", "https://c"],
    "edgepower.server_timeout_s": [1.0, 2.0, 3.0],
    "pimon.host": ["a", "b", "::1"],
    "pimon.port": [1, 2, 3],
    "pimon.cache_seconds": [0.0, 1.0, 3.0],
    "pimon.rate_limit": [1, 2, 3],
    "pimon.debug": [True, True, True],
    "pimon.interval_s": [1.0, 2.0, 3.0],
    "pimon.top_procs": [1, 2, 3],
    "pimon.power_supply": ["none", "BAT0", "ina219@1:0x42"],
    "pimon.shunt_ohms": [0.01, 0.02, 0.05],
    "pimon.current_reversed": [True, True, True],
    "web.bind": ["a:1", "b:2", "[::1]:3"],
    "web.token_file": ["/a", "/b", "/c"],
    "web.static_dir": ["/a", "/b", "/c"],
    "web.ok_ms": [1.0, 2.0, 3.0],
    "web.slow_ms": [30.0, 40.0, 50.0],
    "vmstatd.poll_interval": [0.5, 1.0, 2.0],
    "vmstatd.libvirt_uri": ["test:///default", "qemu:///session", "qemu+ssh://host/system"],
    "vmstatd.libvirt_timeout": [1.0, 2.0, 3.0],
    "vmstatd.fields": [["cpu_pct"], ["block_*"], ["vcpus", "net_*"]],
    "vmstatd.every": [{"vcpus": 60.0}, {"net_*": 30.0}, {"blocks": 2.5, "vcpus": 10.0}],
    "mux.power_sources": [[["a:b"]], [["c:d"]], [["e:f", "g:h"]]],
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A place without any configuration."""
    return tmp_path / "home"


def load_here(
    home: Path, path: Path | None = None, env: dict[str, str] | None = None, **overrides: tuple[object, str]
) -> Loaded:
    flags = {key.replace("__", "."): value for key, value in overrides.items()}
    return load(path, {"HOME": str(home), **(env or {})}, flags, system_path=home / "etc/config.toml")


def written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def value_of(loaded: Loaded, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(loaded.config, section), name)


def in_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}" = {in_toml(v)}' for name, v in value.items()) + "}"
    return json.dumps(value)


def toml_of(values: dict[str, Any]) -> str:
    """Return a config.toml; JSON values are TOML values here."""
    lines = []
    for section in TYPES:
        keys = {key: value for key, value in values.items() if key.startswith(f"{section}.")}
        lines += [f"[{section}]", *(f"{key.partition('.')[2]} = {in_toml(v)}" for key, v in keys.items())]
    return "\n".join(lines)


def test_without_any_file_all_is_default(home: Path) -> None:
    loaded = load_here(home)
    plain = Config()
    assert msgspec.structs.replace(loaded.config, general=plain.general) == plain
    assert set(loaded.origin.values()) == {"default"}
    assert loaded.path is None
    assert loaded.config.general.node_name == os.uname().nodename


def test_defaults_are_the_documented_ones(home: Path) -> None:
    c = load_here(home).config
    assert (c.general.sample_hz, c.gpu.provider, c.gpu.device_index, c.cpu.enable_rapl) == (10, "nvml", "all", True)
    assert (c.benchlab.device, c.benchlab.baud, c.benchlab.calibration_interval_sec) == ("/dev/ttyACM0", 115200, 60)
    assert (c.pipeline.stage_a, c.pipeline.stage_b, c.pipeline.pairs) == ("ingress", "encoded", [])
    assert (c.cx_export.enabled, c.cx_export.watch_dir) == (True, "/mnt/cx-import")
    assert (c.cx_export.application_name, c.prometheus.bind) == ("Vantage:Pipeline", "0.0.0.0:9109")
    assert (c.retention.days, c.retention.raw_keep_days) == (90, 7)
    assert (c.mux.window_s, c.mux.lateness_ms, c.mux.max_gap_ms, c.mux.signals_hz) == (2, 2500, 2500, 1)


def test_template_is_the_defaults(home: Path) -> None:
    from_template = load_here(home, TEMPLATE)
    assert from_template.config == load_here(home).config
    assert {key for key, origin in from_template.origin.items() if origin == "default"} == HOST_KEYS


def test_template_mentions_every_key_under_its_section() -> None:
    found, section = set(), ""
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        name, equals, _ = line.removeprefix("# ").partition(" = ")
        if equals:
            found.add(f"{section}.{name}")
    assert found == set(KEYS)


def test_template_mentions_every_variable_with_a_name_of_its_own() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert [name for name in OWN_VARIABLES if name not in text] == []


def test_system_file_goes_before_the_users_own(home: Path) -> None:
    written(home / ".config/benchlab", "[gpu]\ndevice_index = 1")
    assert load_here(home).config.gpu.device_index == 1
    system = written(home / "etc", "[gpu]\ndevice_index = 2")
    loaded = load_here(home)
    assert (loaded.config.gpu.device_index, loaded.path) == (2, system)
    assert loaded.origin["gpu.device_index"] == f"file {system}"


def test_users_file_follows_xdg_config_home(home: Path) -> None:
    written(home / "xdg/benchlab", "[gpu]\ndevice_index = 3")
    assert load_here(home, env={"XDG_CONFIG_HOME": str(home / "xdg")}).config.gpu.device_index == 3
    assert load_here(home, env={"XDG_CONFIG_HOME": "xdg"}).config.gpu.device_index == "all"


def test_data_root_without_a_word_is_below_the_state_folder(home: Path) -> None:
    assert config.data_root(load_here(home)) == home / ".local/state/benchlab"
    loaded = load_here(home, env={"XDG_STATE_HOME": str(home / "state")})
    assert config.data_root(loaded) == home / "state/benchlab"
    assert loaded.origin["general.data_root"] == "default"


def test_data_root_of_the_installed_system_is_everybodys_default(home: Path) -> None:
    system = written(home / "etc", '[general]\ndata_root = "/srv/benchlab"\nsample_hz = 99')
    own = written(home / "own", "[gpu]\ndevice_index = 1")
    loaded = load_here(home, own)
    assert config.data_root(loaded) == Path("/srv/benchlab")
    assert loaded.origin["general.data_root"] == f"file {system}"
    assert loaded.config.general.sample_hz == 10
    assert config.data_root(load_here(home, own, {"BENCHLAB_DATA_ROOT": "/e"})) == Path("/e")


def test_broken_system_file_is_no_error_of_who_named_another(home: Path) -> None:
    written(home / "etc", "[general")
    own = written(home / "own", "[gpu]\ndevice_index = 1")
    assert load_here(home, own).config.gpu.device_index == 1


def test_data_root_with_a_tilde_and_a_relative_one_become_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home.parent)
    assert config.data_root(load_here(home, env={"BENCHLAB_DATA_ROOT": "~/d"})) == home / "d"
    assert config.data_root(load_here(home, env={"BENCHLAB_DATA_ROOT": "d"})) == home.parent / "d"


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("BENCHLAB_DATA_ROOT", "/var/log/benchlab", "general.data_root", "/var/log/benchlab"),
        ("BENCHLAB_SAMPLE_HZ", "20", "general.sample_hz", 20.0),
        ("BENCHLAB_DEVICE", "/dev/ttyACM1", "benchlab.device", "/dev/ttyACM1"),
        ("BENCHLAB_BAUD", "9600", "benchlab.baud", 9600),
        ("BENCHLAB_PROM", "127.0.0.1:9110", "prometheus.bind", "127.0.0.1:9110"),
        ("BENCHLAB_RETENTION_DAYS", "180", "retention.days", 180),
        ("BENCHLAB_RAW_KEEP_DAYS", "14", "retention.raw_keep_days", 14),
        ("CX_STAGE_A", "captured", "pipeline.stage_a", "captured"),
        ("CX_STAGE_B", "shown", "pipeline.stage_b", "shown"),
        ("BENCHLAB_STAGE_SOCKET", "/run/lab/stage.sock", "pipeline.stage_socket", "/run/lab/stage.sock"),
        ("CX_APP", "Vantage:Other", "cx_export.application_name", "Vantage:Other"),
        ("BENCHLAB_CPU_ENABLE_RAPL", "false", "cpu.enable_rapl", False),
        ("BENCHLAB_VMSTATD_EVERY", "{vcpus=60}", "vmstatd.every", {"vcpus": 60.0}),
        ("BENCHLAB_PIPELINE_PAIRS", '[["a", "b"]]', "pipeline.pairs", [["a", "b"]]),
    ],
)
def test_documented_variables_work(home: Path, name: str, text: str, key: str, value: object) -> None:
    loaded = load_here(home, env={name: text})
    assert value_of(loaded, key) == value
    assert loaded.origin[key] == f"environment {name}"


def test_empty_variable_is_not_set(home: Path) -> None:
    assert load_here(home, env={"BENCHLAB_BAUD": ""}).origin["benchlab.baud"] == "default"


def test_systematic_name_goes_before_the_short_one(home: Path) -> None:
    both = {"BENCHLAB_BENCHLAB_BAUD": "300", "BENCHLAB_BAUD": "600"}
    loaded = load_here(home, env=both)
    assert loaded.config.benchlab.baud == 300
    assert loaded.origin["benchlab.baud"] == "environment BENCHLAB_BENCHLAB_BAUD"


def test_variables_of_other_programs_are_left_alone(home: Path) -> None:
    loaded = load_here(home, env={"BENCHLAB_SESSION": "dev", "BENCHLAB_FOO": "1", "CX_FOO": "2"})
    assert set(loaded.origin.values()) == {"default"}


@settings(deadline=None)
@given(st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_flag_before_environment_before_file_before_default(
    tmp_path_factory: pytest.TempPathFactory, in_file: set[str], in_env: set[str], in_flags: set[str]
) -> None:
    home = tmp_path_factory.mktemp("home", numbered=True)
    path = written(home, toml_of({key: OTHER[key][0] for key in in_file}))
    names = {key: f"BENCHLAB_{key.replace('.', '_').upper()}" for key in in_env}
    texts = {key: v if isinstance(v := OTHER[key][1], str) else in_toml(v) for key in in_env}
    flags = {key: (OTHER[key][2], f"--{key}") for key in in_flags}
    loaded = load(path, {"HOME": str(home), **{names[k]: texts[k] for k in in_env}}, flags, system_path=home / "none")
    plain = load(None, {"HOME": str(home)}, system_path=home / "none")
    for key in KEYS:
        if key in in_flags:
            expected = (OTHER[key][2], f"flag --{key}")
        elif key in in_env:
            expected = (OTHER[key][1], f"environment {names[key]}")
        elif key in in_file:
            expected = (OTHER[key][0], f"file {path}")
        else:
            expected = (value_of(plain, key), "default")
        assert (value_of(loaded, key), loaded.origin[key]) == expected


def test_flag_that_was_not_given_changes_nothing(home: Path) -> None:
    loaded = load_here(home, env={"BENCHLAB_SAMPLE_HZ": "20"}, general__sample_hz=(None, "--hz"))
    assert loaded.config.general.sample_hz == 20


def test_digest_tells_configurations_apart(home: Path) -> None:
    assert load_here(home).digest == load_here(home).digest
    assert load_here(home).digest != load_here(home, env={"BENCHLAB_MUX_WINDOW_S": "1"}).digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[mux]\nwindw_s = 1",
            "mux.windw_s: found an unknown key, expected one that exists: did you mean mux.w",
        ),
        (
            "[mux]\nzzzzzz = 1",
            "found an unknown key, expected one that exists: configs/config.toml lists them",
        ),
        ("[generl]\nsample_hz = 1", "generl: found an unknown key, expected one that exists: did you mean general?"),
        ("sample_hz = 1", "sample_hz: found an unknown key, expected one that exists: did you mean general.sample_hz?"),
        ("general = 4", "general: found 4, expected a table [general]"),
        ('[general]\nsample_hz = "fast"', 'general.sample_hz: found "fast", expected a number above 0 up to 1000'),
        ("[general]\nsample_hz = 0", "general.sample_hz: found 0, expected a number above 0 up to 1000"),
        ("[general]\nsample_hz = true", "general.sample_hz: found true, expected a number above 0 up to 1000"),
        ("[general]\nfsync_s = nan", "general.fsync_s: found nan, expected a number from 0 up to 3600"),
        ("[general]\nfsync_s = inf", "general.fsync_s: found inf, expected a number from 0 up to 3600"),
        ('[general]\nsession_rotate = "weekly"', 'found "weekly", expected "daily" or "never"'),
        ("[general]\nnode_name = 1979-05-27", 'found "1979-05-27", expected text'),
        ('[general]\ndata_root = ""', 'general.data_root: found "", expected text that is not empty'),
        ('[gpu]\nprovider = "amd"', 'gpu.provider: found "amd", expected "nvml"'),
        ("[gpu]\ndevice_index = -1", "gpu.device_index: found -1, expected an integer from 0 up to 255"),
        ("[gpu]\ndevice_index = 1.5", "gpu.device_index: found 1.5, expected an integer from 0 up to 255"),
        ("[cpu]\nenable_rapl = 1", "cpu.enable_rapl: found 1, expected true or false"),
        ("[pipeline]\nstage_a = []", "pipeline.stage_a: found [], expected text that is not empty"),
        ('[pipeline]\npairs = ["a", "b"]', 'pipeline.pairs: found ["a","b"], expected a list of ["STAGE", "STAGE"]'),
        ('[pipeline]\npairs = [["a"]]', 'pipeline.pairs: found [["a"]], expected a list of ["STAGE", "STAGE"]'),
        ('[pipeline]\npairs = [["a", "a"]]', "pipeline.pairs: found"),
        ('[prometheus]\nbind = "9109"', 'prometheus.bind: found "9109", expected HOST:PORT'),
        ('[prometheus]\nbind = "a:70000"', 'prometheus.bind: found "a:70000", expected HOST:PORT with a port'),
        ('[mux]\npower_sources = [["p_sys"]]', "mux.power_sources: found"),
        (
            '[mux]\npower_sources = [["benchlab.usb:p_sys", "gpu.nvml:power_w"]]',
            'mux.power_sources: found [["benchlab.usb:p_sys","gpu.nvml:power_w"]], expected meters in one line that '
            "may be added up (benchlab.usb:p_sys contains gpu.nvml:power_w)",
        ),
        (
            '[mux]\npower_sources = [["gpu.nvml:power_w"], ["cpu.rapl:core_w", "cpu.rapl:package_w"]]',
            "(cpu.rapl:package_w contains cpu.rapl:core_w)",
        ),
        ('[mux]\npower_sources = [["cpu.rapl:psys_w", "gpu.nvml:power_w"]]', "cpu.rapl:psys_w contains gpu.nvml"),
        ('[mux]\npower_sources = [["a:b", "a:b"]]', "expected meters in one line that may be added up (a:b twice)"),
        ("[general\nsample_hz = 1", "line 1, column 9"),
        ("[general]\nsample_hz = 1\nsample_hz = 2\n", "line 3"),
    ],
)
def test_wrong_file_is_one_line_with_place_key_found_and_expected(home: Path, text: str, told: str) -> None:
    path = written(home, text)
    with pytest.raises(Fault) as caught:
        load_here(home, path)
    assert caught.value.message.startswith(f"{path}: ")
    assert told in caught.value.message
    assert "\n" not in caught.value.message and "expected" in caught.value.message
    assert caught.value.code is Exit.CONFIG


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("BENCHLAB_BAUD", "fast", 'environment BENCHLAB_BAUD: found "fast", expected an integer from 50 up to 4000000'),
        ("BENCHLAB_SAMPLE_HZ", "nan", 'environment BENCHLAB_SAMPLE_HZ: found "nan", expected a number'),
        ("BENCHLAB_CPU_ENABLE_RAPL", "perhaps", "expected true or false"),
        (
            "BENCHLAB_PIPELINE_PAIRS",
            "a b",
            'BENCHLAB_PIPELINE_PAIRS: found "a b", expected a list of ["STAGE", "STAGE"]',
        ),
        ("BENCHLAB_VMSTATD_FIELDS", '["cpu_pct", "vcpu"]', "expected fields of docs/VMS.md; none is called vcpu"),
        ("BENCHLAB_VMSTATD_EVERY", "{vcpus=0}", "expected a table { name = a number above 0"),
        ("BENCHLAB_VMSTATD_LIBVIRT_URI", "qemu", "expected a libvirt URI"),
        ("BENCHLAB_PIPELINE_PAIRS", "[]\nx = 1", 'expected a list of ["STAGE", "STAGE"]'),
        ("BENCHLAB_MUX_WINDW_S", "1", "BENCHLAB_MUX_WINDW_S: found an unknown key"),
        ("BENCHLAB_MUX_WINDW_S", "1", "did you mean BENCHLAB_MUX_WINDOW_S?"),
    ],
)
def test_wrong_variable_is_one_line_that_names_it(home: Path, name: str, text: str, told: str) -> None:
    with pytest.raises(Fault) as caught:
        load_here(home, env={name: text})
    assert told in caught.value.message and name in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.code is Exit.CONFIG


def test_wrong_flag_is_a_usage_error(home: Path) -> None:
    with pytest.raises(Fault, match=r"flag --hz: found -1\.0, expected a number above 0") as caught:
        load_here(home, general__sample_hz=(-1.0, "--hz"))
    assert caught.value.code is Exit.USAGE


def test_long_value_is_cut_in_the_message(home: Path) -> None:
    with pytest.raises(Fault) as caught:
        load_here(home, env={"BENCHLAB_BAUD": "9" * 100_000 + "x"})
    assert len(caught.value.message) < 200


def test_named_file_that_is_missing_is_an_error(home: Path) -> None:
    with pytest.raises(Fault, match="no such file") as caught:
        load_here(home, home / "gone.toml")
    assert caught.value.code is Exit.CONFIG


def test_folder_as_file_is_an_error(home: Path) -> None:
    home.mkdir()
    with pytest.raises(Fault, match="cannot be read") as caught:
        load_here(home, home)
    assert caught.value.code is Exit.CONFIG


def test_file_that_is_not_utf8_is_one_line_that_names_the_byte(home: Path) -> None:
    path = written(home, "")
    path.write_bytes(b"[general]\n# \xff")
    with pytest.raises(Fault, match="byte 12") as caught:
        load_here(home, path)
    assert caught.value.code is Exit.CONFIG


def test_file_we_may_not_read_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.chmod(0)
    done = start_python(LOAD_AS_NOBODY, path)
    out, err = done.communicate(timeout=60)
    assert out.startswith(f"3 {path}: cannot be read (Permission denied), expected a TOML file"), err
    assert out.count("\n") == 1


LOAD_AS_NOBODY = """
import os, sys
from pathlib import Path
from benchlab.config import load
from benchlab.errors import Fault
if os.geteuid() == 0:
    os.setuid(65534)  # root may read anything
try:
    load(Path(sys.argv[1]), {})
except Fault as fault:
    print(int(fault.code), fault.message)
"""


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_no_text_whatever_raises_anything_but_a_fault(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        load(path, {"HOME": "/nowhere"}, system_path=path.with_name("none"))
    except Fault as fault:
        assert "\n" not in fault.message
