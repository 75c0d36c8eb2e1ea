"""A hypervisor that is absent, refuses, dies in the middle of a call, or hangs because of one of its machines."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator

import pytest

from benchlab.daemon import Absent, Transient
from support.fake_libvirt import Libvirt, LibvirtError, Machine, recorded, ticking
from support.processes import until
from vmstatd.faults import user_name
from vmstatd.host import without_questions
from vmstatd.poller import Poll, Poller

GUEST = recorded("guest")
GONE = LibvirtError(38, "Cannot recv data: Connection reset by peer", errno.ECONNRESET)


def poller(libvirt: Libvirt, uri: str = "qemu:///system", period_s: float = 0.4, timeout_s: float = 20.0) -> Poller:
    return Poller(uri, libvirt.open, 63, ticking(), period_s, timeout_s, backoff_s=(0.01, 0.05))


def names(poll: Poll) -> list[str]:
    return [found.name for found in poll.found]


@pytest.fixture
def stuck() -> Iterator[Machine]:
    """A machine whose process hangs until ``waits`` is set."""
    machine = Machine("stuck", GUEST, vmid=3)
    machine.waits = threading.Event()
    yield machine
    machine.waits.set()


def test_all_machines_come_in_one_call_with_the_time_of_its_middle() -> None:
    libvirt = Libvirt(Machine("a", GUEST, 1), Machine("b", GUEST, 2), Machine("off", {"state.state": 5}, -1))
    poll = poller(libvirt).poll()
    assert [(found.name, found.vmid) for found in poll.found] == [("a", 1), ("b", 2), ("off", -1)]
    assert libvirt.bulk_calls == 1 and libvirt.asked == [["a", "b", "off"]]
    assert len({(found.ts_ns, found.unc_ns) for found in poll.found}) == 1


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (LibvirtError(38, "Failed to connect socket: No such file", errno.ENOENT), "systemctl start libvirtd"),
        (
            LibvirtError(38, "Failed to connect socket: Connection refused", errno.ECONNREFUSED),
            "systemctl start libvirtd",
        ),
        (
            LibvirtError(38, "Failed to connect socket: Permission denied", errno.EACCES),
            f"usermod -aG libvirt {user_name()},",
        ),
        (
            LibvirtError(45, "authentication failed: access denied by policy"),
            f"sudo usermod -aG libvirt {user_name()},",
        ),
        (LibvirtError(80, "authentication unavailable: no polkit agent"), f"sudo usermod -aG libvirt {user_name()},"),
    ],
)
def test_daemon_that_is_absent_or_refuses_says_what_mends_it(error: Exception, fix: str) -> None:
    libvirt = Libvirt()
    libvirt.refuses = error
    with pytest.raises(Absent) as caught:
        poller(libvirt).poll()
    assert str(error) in caught.value.reason and fix in caught.value.fix


def test_refusal_of_another_host_names_host_and_user() -> None:
    libvirt = Libvirt()
    libvirt.refuses = LibvirtError(45, "authentication failed")
    with pytest.raises(Absent) as caught:
        poller(libvirt, "qemu+ssh://ops@lab7/system").poll()
    assert caught.value.fix == "on lab7: sudo usermod -aG libvirt ops, then log in again"


def test_ssh_never_asks_on_a_terminal() -> None:
    assert without_questions("qemu+ssh://a/system") == "qemu+ssh://a/system?no_tty=1"
    assert without_questions("qemu+ssh://a/system?keyfile=/k") == "qemu+ssh://a/system?keyfile=/k&no_tty=1"
    assert without_questions("qemu+ssh://a/system?no_tty=0") == "qemu+ssh://a/system?no_tty=0"
    assert without_questions("qemu:///system") == "qemu:///system"


def test_connection_that_was_lost_between_two_polls_is_opened_anew_at_once() -> None:
    libvirt = Libvirt(Machine("a", GUEST))
    polling = poller(libvirt)
    polling.poll()
    opened = libvirt.open

    def mended(uri: str) -> object:
        libvirt.error = None
        return opened(uri)

    libvirt.error, polling._open = GONE, mended  # type: ignore[assignment]
    assert names(polling.poll()) == ["a"]
    assert libvirt.opened == 2


def test_daemon_that_dies_in_the_middle_of_a_call_is_transient_and_comes_back() -> None:
    libvirt = Libvirt(Machine("a", GUEST))
    polling = poller(libvirt)
    libvirt.error = GONE
    with pytest.raises(Transient, match="reset by peer"):
        polling.poll()
    libvirt.error = None
    assert names(polling.poll()) == ["a"]


def test_defect_is_no_fault_of_the_hypervisor() -> None:
    libvirt = Libvirt()
    libvirt.refuses = ValueError("a defect")
    with pytest.raises(ValueError, match="a defect"):
        poller(libvirt).poll()


def test_driver_that_tells_the_state_only_is_asked_machine_by_machine() -> None:
    libvirt = Libvirt(Machine("a", recorded("test")), Machine("off", {"state.state": 5}, -1))
    on, off = poller(libvirt).poll().found
    assert (on.stats["cpu.time"], on.stats["vcpu.current"], on.stats["balloon.rss"]) == (5_000_000_000, 2, 1 << 20)
    assert off.stats == {"state.state": 5, "vcpu.current": 2, "balloon.maximum": 8 << 20}


def test_machine_that_vanishes_between_list_and_read_is_left_out() -> None:
    vanishing = Machine("vanishing", recorded("test"))
    vanishing.info_error = LibvirtError(42, "Domain not found")
    poll = poller(Libvirt(Machine("a", recorded("test")), vanishing)).poll()
    assert names(poll) == ["a"]


@pytest.mark.parametrize("tells_partly", [True, False], ids=["as QEMU", "every call hangs"])
def test_machine_that_hangs_delays_nobody_and_is_left_out_until_it_answers(stuck: Machine, tells_partly: bool) -> None:
    waits, stuck.waits = stuck.waits, None
    libvirt = Libvirt(Machine("a", GUEST, 1), stuck, Machine("b", GUEST, 2))
    libvirt.tells_partly = tells_partly
    polling = poller(libvirt)
    assert names(polling.poll()) == ["a", "stuck", "b"]
    stuck.waits = waits
    poll = polling.poll()
    assert names(poll) == ["a", "b"]
    assert poll.stuck == {stuck.uuid: "stuck"}
    assert stuck.uuid in poll.listed  # it has not gone
    asked = len(libvirt.asked)
    for _ in range(3):
        poll = polling.poll()
        assert (names(poll), poll.stuck, poll.freed) == (["a", "b"], {}, {})
    assert all("stuck" not in some for some in libvirt.asked[asked:])
    assert waits is not None
    waits.set()
    freed: dict[str, str] = {}
    until(lambda: freed.update((poll := polling.poll()).freed) or (freed and "stuck" in names(poll)))
    assert freed == {stuck.uuid: "stuck"}


def test_machine_that_still_hangs_after_the_connection_was_lost_is_asked_alone(stuck: Machine) -> None:
    waits, stuck.waits = stuck.waits, None
    libvirt = Libvirt(Machine("a", GUEST, 1), stuck)
    libvirt.tells_partly = True
    polling = poller(libvirt)
    polling.poll()
    stuck.waits = waits
    assert polling.poll().stuck
    assert waits is not None
    libvirt.error = GONE
    waits.set()  # the call that hung ends with the connection
    until(lambda: not libvirt._jobs)
    libvirt.error, stuck.waits = None, threading.Event()
    libvirt._jobs.add(stuck.uuid)  # and the new daemon's own call hangs
    until(lambda: ["stuck"] in libvirt.asked)
    assert names(polling.poll()) == ["a"]
    stuck.waits.set()
    until(lambda: "stuck" in names(polling.poll()))


def test_slow_answer_is_waited_for_and_nobody_is_blamed() -> None:
    slow = Machine("slow", GUEST)
    libvirt = Libvirt(slow)
    polling = poller(libvirt, period_s=1.0)
    polling.poll()
    slow.waits = threading.Event()
    threading.Timer(0.6, slow.waits.set).start()
    poll = polling.poll()
    assert (names(poll), poll.stuck) == (["slow"], {})


def test_hypervisor_that_hangs_as_a_whole_is_transient_and_calls_do_not_pile_up() -> None:
    libvirt = Libvirt(Machine("a", GUEST))
    polling = poller(libvirt, period_s=0.1, timeout_s=0.3)
    libvirt.hangs = threading.Event()
    for _ in range(12):
        with pytest.raises(Transient, match=r"no answer within|have not been answered"):
            polling.poll()
    assert libvirt.opened < 12
    libvirt.hangs.set()
    libvirt.hangs = None
    until(lambda: not [call for call in polling._hanging if not call.has_ended])
    assert names(polling.poll()) == ["a"]


def test_machine_in_quarantine_that_is_undefined_is_forgotten(stuck: Machine) -> None:
    libvirt = Libvirt(Machine("a", GUEST, 1), stuck)
    polling = poller(libvirt)
    assert polling.poll().stuck == {stuck.uuid: "stuck"}
    libvirt.machines.remove(stuck)
    assert stuck.uuid not in polling.poll().listed
    assert stuck.uuid not in polling.quarantine


def test_who_hangs_and_who_answers_again_is_told_even_if_the_poll_in_between_failed(stuck: Machine) -> None:
    waits, stuck.waits = stuck.waits, None
    libvirt = Libvirt(Machine("a", GUEST, 1), stuck)
    polling = poller(libvirt)
    polling.poll()
    stuck.waits = waits
    assert polling.poll().stuck
    assert waits is not None
    waits.set()
    until(lambda: not libvirt._jobs)
    libvirt.error = GONE
    for _ in range(3):
        with pytest.raises(Transient):
            polling.poll()
    libvirt.error = None
    freed: dict[str, str] = {}
    until(lambda: freed.update(polling.poll().freed) or freed)
    assert freed == {stuck.uuid: "stuck"}
