"""The installation of all services on a clean Debian: what is there then, and that doing it twice is doing it once."""

from __future__ import annotations

import re
import stat

import pytest

from production.conftest import Installation
from support.machine import SOURCE
from support.units import UNITS, Unit

pytestmark = pytest.mark.xdist_group("production")


def test_all_that_the_document_promises_is_there(installed: Installation) -> None:
    machine = installed.machine
    assert machine.path("/opt/benchlab/.venv/bin/telemetryd").exists()
    assert 'data_root = "/var/log/benchlab"\n' in machine.path("/etc/benchlab/config.toml").read_text()
    for name in ("99-benchlab.rules", "70-benchlab-uaccess.rules"):
        assert machine.path(f"/etc/udev/rules.d/{name}").exists()
    uid, gid = machine.ids("benchlab")
    status = machine.path("/var/log/benchlab").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (uid, gid, 0o2750)
    assert machine.run("benchctl", "--version").stdout.startswith("benchctl ")


def test_the_target_is_enabled_with_all_that_belongs_to_it(installed: Installation) -> None:
    wants = installed.machine.path("/etc/systemd/system/benchlab.target.wants")
    timed = {"benchlab-retention.service": "benchlab-retention.timer"}
    assert {path.name for path in wants.iterdir()} == {timed.get(path.name, path.name) for path in UNITS}
    folder = installed.machine.path("/etc/systemd/system")
    assert (folder / "multi-user.target.wants/benchlab.target").is_symlink()
    assert (folder / "pi-stat.service").is_symlink()  # the alias of benchlab-pimon


def test_it_says_what_to_do_next_and_where_the_dashboard_is(installed: Installation) -> None:
    for said in ("/etc/benchlab/config.toml", "usermod -aG benchlab", "http://127.0.0.1:3010", "benchctl doctor"):
        assert said in installed.said.partition("\nNext\n")[2]


def test_manual_pages_and_completions_are_where_each_program_looks(installed: Installation) -> None:
    machine = installed.machine
    for link in machine.path("/usr/local/bin").iterdir():
        page = machine.path(f"/usr/local/share/man/man1/{link.name}.1")
        assert page.read_text().startswith(f'.TH "{link.name.upper()}" "1"'), link.name
        assert stat.S_IMODE(page.stat().st_mode) == 0o644
    source = ". /etc/bash_completion.d/benchlab && complete -p benchctl muxd"
    assert len(machine.run("bash", "-c", source).stdout.splitlines()) == 2
    zsh = machine.path("/usr/local/share/zsh/site-functions/_benchlab").read_text()
    assert zsh.startswith("#compdef ") and " muxd" in zsh.splitlines()[0]
    assert "complete -c muxd " in machine.path("/etc/fish/conf.d/benchlab.fish").read_text()


def test_what_mends_a_machine_names_the_files_that_are_installed(installed: Installation) -> None:
    code = (
        "from benchlab.host.rapl import PERMISSION_FIX as fix; from benchctl.doctor_install import rule_checks as rules"
    )
    code += "; from pathlib import Path; print(fix, *(c.fix or c.found for c in rules(Path('/'))), sep='\\n')"
    machine = installed.machine
    machine.path("/run/udev").mkdir(exist_ok=True)
    rules = machine.path("/etc/udev/rules.d/99-benchlab.rules")
    text = rules.read_text()
    rules.write_text(f"{text}# mine\n")
    try:
        rapl, told, other = machine.run("/opt/benchlab/.venv/bin/python", "-c", code).stdout.splitlines()
    finally:
        rules.write_text(text)
    assert rapl.startswith("install /opt/benchlab/udev/optional/70-benchlab-rapl.rules ")
    assert " /opt/benchlab/udev/99-benchlab.rules /etc/udev/rules.d/ " in told
    assert other == "/etc/udev/rules.d/70-benchlab-uaccess.rules"


def test_nothing_of_the_checkout_is_needed(installed: Installation) -> None:
    machine = installed.machine
    found = machine.run("/opt/benchlab/.venv/bin/python", "-c", "import benchlab, muxd; print(muxd.__file__)").stdout
    assert found.startswith("/opt/benchlab/.venv/lib/")
    scripts = [path.read_bytes() for path in machine.path("/opt/benchlab/.venv/bin").iterdir() if path.is_file()]
    assert not [text for text in scripts if b"/src" in text or b".venv.new" in text]


def test_systemd_accepts_the_units_as_they_are_installed(installed: Installation) -> None:
    units = [f"/etc/systemd/system/{path.name}" for path in UNITS]
    done = installed.machine.run("systemd-analyze", "verify", *units, check=False)
    told = [line for line in done.stderr.splitlines() if "benchlab" in line]
    assert (done.returncode, told) == (0, [])


def test_every_command_is_there(installed: Installation) -> None:
    for path in UNITS:
        assert installed.machine.path(Unit(path).command[0]).exists(), path.name


def test_installing_twice_is_doing_it_once(installed: Installation) -> None:
    machine = installed.machine
    first = machine.manifest()
    said = machine.install("--components", "all").stderr
    second = machine.manifest()
    assert not [name for name in first | second if first.get(name) != second.get(name)]
    assert "is up to date" in said and not re.search(r"wrote|installing", said)


def test_a_dry_run_says_what_it_would_do_and_does_nothing(installed: Installation) -> None:
    machine = installed.machine
    first = machine.manifest()
    said = machine.install("--components", "web", "--prefix", "/opt/other", "--dry-run").stderr
    said += machine.script("uninstall.sh", "--dry-run").stderr
    assert machine.manifest() == first
    assert "would install the programs into /opt/other/.venv" in said
    assert "would run: rm -f -- /etc/systemd/system/benchlab-mux.service" in said
    assert "would remove the user benchlab" in said and "/var/log/benchlab is kept" in said


def test_a_service_of_a_checkout_is_not_overrun(installed: Installation) -> None:
    machine = installed.machine
    old = machine.path("/etc/systemd/system/edge-metrics-exporter.service")
    old.write_text("[Service]\nExecStart=/srv/checkout/.venv/bin/edgepower\n")
    try:
        done = machine.install("--components", "edgepower", check=False)
    finally:
        old.unlink()
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert "edge-metrics-exporter.service" in line and "uninstall.sh --components edge" in line


def test_udev_itself_reads_the_rules(installed: Installation) -> None:
    done = installed.machine.run("udevadm", "test", "/sys/class/mem/null", check=False)
    about = [line for line in (done.stdout + done.stderr).splitlines() if "benchlab" in line]
    assert [line.rpartition("/")[2] for line in about] == ["70-benchlab-uaccess.rules", "99-benchlab.rules"]


def test_below_a_folder_everything_is_there_and_this_system_is_left_alone(installed: Installation) -> None:
    """As for an image: with another prefix, and a dashboard that was built."""
    machine = installed.machine
    before = machine.manifest()
    built = machine.path(f"{SOURCE}/web/out/index.html")
    built.parent.mkdir(parents=True)
    built.write_text("the dashboard")
    machine.install("--root", "/image", "--prefix", "/srv/lab", "--components", "mux,web")
    image = machine.path("/image")
    assert (image / "srv/lab/web/index.html").read_text() == "the dashboard"
    assert (image / "srv/lab/.venv/bin/muxd").read_text().startswith("#!/srv/lab/.venv/bin/python")
    unit = Unit(image / "etc/systemd/system/benchlab-web.service")
    assert unit.command == ["/srv/lab/.venv/bin/webd"]
    assert (image / "etc/systemd/system/benchlab.target.wants/benchlab-mux.service").is_symlink()
    assert (image / "etc/sysusers.d/benchlab.conf").exists() and not (image / "etc/passwd").exists()
    machine.script("uninstall.sh", "--root", "/image")
    assert [path for path in image.rglob("*") if not path.is_dir()] == []
    machine.run("rm", "-r", "/image", f"{SOURCE}/web/out")
    assert machine.manifest() == before
