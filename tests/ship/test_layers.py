"""docs/ARCHITECTURE.md tells the truth about the tree, and the tree keeps to its rules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from benchlab.daemon import Absent, Reading

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "ARCHITECTURE.md").read_text()
MODULES = sorted(p.relative_to(REPOSITORY) for top in ("apps", "libs") for p in (REPOSITORY / top).rglob("*.py"))
APPS = sorted(path for path in (REPOSITORY / "apps").iterdir() if (path / "__init__.py").exists())


def may_import() -> dict[str, set[str]]:
    """Return what each room of the page's first table may import."""
    rows = re.findall(r"^\| `((?:apps|libs)/\w+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", allowed)) for room, allowed in rows}


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level names that a module imports, also within its functions."""
    for node in ast.walk(ast.parse((REPOSITORY / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module).split(".")[0]


STANDARD = sys.stdlib_module_names | {"tomllib"}  # from 3.11 on; tomli stands in for it before


def beyond_standard(names: Iterable[str]) -> set[str]:
    return {name for name in names if name not in STANDARD}


def test_every_room_is_in_the_table() -> None:
    assert set(may_import()) == {"/".join(path.parts[:2]) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_keep_to_the_table(path: Path) -> None:
    room = "/".join(path.parts[:2])
    itself = path.parts[1]
    assert beyond_standard(imported(path)) <= may_import()[room] | {itself}


def test_no_library_may_import_an_app() -> None:
    assert not may_import()["libs/benchlab"] & {path.name for path in APPS}
    assert all(not allowed & {path.name for path in APPS} for allowed in may_import().values())


def test_table_of_files_is_of_this_tree() -> None:
    table = [sys.executable, str(REPOSITORY / "scripts" / "layer_table.py"), "--check"]
    done = subprocess.run(table, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("app", APPS, ids=lambda path: str(path.name))
def test_no_module_of_an_app_hides_another_one_when_run_as_a_script(app: Path) -> None:
    taken = sys.stdlib_module_names | set(packages_distributions()) | {path.name for path in APPS} | {"benchlab"}
    foreseen = {"serial", "libvirt", "pynvml", "gi", "smbus2", "uvicorn", "starlette", "httpx", "pyarrow"}
    here = {path.stem for path in app.iterdir()} - {"__init__", "__main__", "__pycache__"}
    assert here & (taken | foreseen) == set()


@pytest.mark.parametrize(
    "module",
    [
        "telemetryd",
        "benchlabd",
        "pipeline_probes",
        "pipeline_probes.r5c_capture",
        "muxd",
        "retentiond",
        "cx_exporter",
        "edgepower",
        "pimon",
        "pimon.agent",
        "vmstatd",
    ],
)
def test_daemon_loads_nothing_that_only_people_need(module: str) -> None:
    module = module if "." in module else f"{module}.main"
    heavy = "{'rich', 'asyncio', 'psutil', 'pygments', 'gi'} & set(sys.modules)"
    code = f"import sys, {module}; sys.exit(str({heavy}) if {heavy} else 0)"
    env = {"PYTHONPATH": f"{REPOSITORY / 'apps'}:{REPOSITORY / 'libs'}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("app", APPS, ids=lambda path: str(path.name))
def test_app_runs_as_a_script_and_as_a_module(app: Path) -> None:
    mains = [app / "main.py", *app.glob("*_capture.py")]
    scripts = [path for path in mains if path.exists()]
    assert scripts, f"{app} has no main.py"
    for script in scripts:
        assert script.read_text().endswith('if __name__ == "__main__":\n    raise SystemExit(main())\n')


def test_example_of_a_source_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"^ +```python\n(.*?)^ +```", PAGE, re.MULTILINE | re.DOTALL)
    names = {"Path": Path, "Iterable": Iterable, "Reading": Reading, "Absent": Absent}
    exec("from __future__ import annotations\n" + re.sub(r"^   ", "", example, flags=re.MULTILINE), names)
    lid = names["Lid"](tmp_path)
    with pytest.raises(Absent):
        list(lid.sample())
    state = tmp_path / "proc/acpi/button/lid/LID0/state"
    state.parent.mkdir(parents=True)
    state.write_text("state:      open\n")
    assert [reading.kv for reading in lid.sample()] == [{"open": True}]
