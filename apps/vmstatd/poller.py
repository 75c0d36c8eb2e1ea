"""Asking a hypervisor about all its machines at once, without any of them being able to hold up the others.

All machines come in one call, which leaves out what would wait for a busy one (NOWAIT). Still a call hangs if a
machine's process does not answer. Then the connection is left to the hanging call, because a server stops listening to
a client with too many of them, and on a new one the machines are asked one by one: which of them it is shows by its
not answering, or by libvirt's leaving out what only its process can tell while the first call still waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from benchlab.daemon import Absent, Transient
from vmstatd.calls import Call
from vmstatd.decode import groups_of
from vmstatd.fallback import filled, missing_groups
from vmstatd.faults import NO_DOMAIN, code_of, explain
from vmstatd.host import NOWAIT, Connection, Domain, Open, Rows
from vmstatd.quarantine import BACKOFF_S, Quarantine

MOST_HANGING = 8
"""Hanging calls, besides those that machines in quarantine have, with which nothing more is asked."""
_LEAST_PATIENCE_S = 0.2


@dataclass(frozen=True)
class Found:
    """What was told of one machine, in the middle of the call. ``vmid`` is -1 while it does not run."""

    uuid: str
    name: str
    vmid: int
    stats: Mapping[str, Any]
    ts_ns: int
    unc_ns: int


@dataclass
class Poll:
    """One look at all machines: what was found, and the uuids of all there are.

    ``stuck`` and ``freed`` are machines (name by uuid) that hang, or answer again, since the poll before.
    """

    found: list[Found]
    listed: frozenset[str]
    stuck: dict[str, str] = field(default_factory=dict)
    freed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    rows: Rows
    listed: frozenset[str]
    begin_ns: int
    end_ns: int

    def found(self) -> list[Found]:
        ts_ns, unc_ns = (self.begin_ns + self.end_ns) // 2, (self.end_ns - self.begin_ns + 1) // 2
        return [Found(d.UUIDString(), d.name(), d.ID(), stats, ts_ns, unc_ns) for d, stats in self.rows]


class Poller:
    """Polls the hypervisor behind ``uri`` for ``groups`` of statistics (virDomainStatsTypes).

    ``period_s`` is that of the polls: within half of it a machine that hangs is known, so that the others' readings
    come in time; ``timeout_s`` is how long the hypervisor as a whole is waited for. ``now_ns`` is the timeline.
    """

    def __init__(
        self,
        uri: str,
        open_connection: Open,
        groups: int,
        now_ns: Callable[[], int],
        period_s: float = 5.0,
        timeout_s: float = 10.0,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self._uri = uri
        self._open = open_connection
        self._groups = groups
        self._now_ns = now_ns
        self._timeout_s = timeout_s
        self._most_patience_s = min(timeout_s, max(_LEAST_PATIENCE_S, period_s))
        self._patience_s = self._most_patience_s / 2
        self._connection: Connection | None = None
        self._missing: int | None = None
        self._complete: dict[str, tuple[int, frozenset[str]]] = {}
        self._hanging: list[Call[Any]] = []
        self._stuck: dict[str, str] = {}
        self._freed: dict[str, str] = {}
        self.quarantine = Quarantine(self._answers, backoff_s)

    def poll(self) -> Poll:
        """Return what all machines read now. Raises Absent or Transient if the hypervisor cannot be asked.

        A connection that was lost since the last poll, as by a restart of the daemon, is opened anew at once; but a
        hypervisor that does not answer in time is left alone until the next poll.
        """
        self._freed |= self.quarantine.release()
        had_one = self._connection is not None
        try:
            poll = self._looked()
        except (Absent, Transient) as error:
            if not had_one or error.__cause__ is None:  # there was none to lose, or it is not lost but hangs
                raise
            poll = self._looked()
        self._remember(poll)
        poll.stuck, self._stuck = self._stuck, {}
        poll.freed, self._freed = self._freed, {}
        return poll

    def _looked(self) -> Poll:
        try:
            return self._look()
        except Exception as error:
            self._connection = None
            if code_of(error) is None:
                raise
            raise explain(error, self._uri) from error

    def _remember(self, poll: Poll) -> None:
        told = {found.uuid: (found.vmid, groups_of(found.stats)) for found in poll.found if found.vmid >= 0}
        before = {uuid: known for uuid, known in self._complete.items() if uuid in poll.listed}
        self._complete = {**before, **told}
        self.quarantine.keep(poll.listed)

    def _look(self) -> Poll:
        connection = self._connected()
        skip = self.quarantine.uuids()
        call = Call(lambda: self._ask_all(connection, skip))
        if call.wait(self._patience_s):
            return self._polled(call.result())
        return self._single_out(call)

    def _polled(self, answer: _Answer) -> Poll:
        found = [one for one in answer.found() if one.uuid not in self.quarantine]
        return Poll(found, answer.listed)

    def _connected(self) -> Connection:
        """Return the connection, opened if there is none."""
        if self._connection is None:
            self._hanging = [call for call in self._hanging if not call.has_ended]
            if len(self._hanging) >= MOST_HANGING:
                raise Transient(f"{self._uri}: {len(self._hanging)} calls have not been answered")
            call = Call(lambda: self._open(self._uri))
            if not call.wait(self._timeout_s):
                self._hanging.append(call)
                raise Transient(f"{self._uri}: no connection within {self._timeout_s:g} s")
            self._connection = call.result()
        return self._connection

    def _ask_all(self, connection: Connection, skip: frozenset[str]) -> _Answer:
        begin_ns = self._now_ns()
        if not skip:
            rows = connection.getAllDomainStats(self._groups, NOWAIT)
            listed = frozenset(domain.UUIDString() for domain, _ in rows)
            return self._answer(rows, listed, begin_ns)
        domains = connection.listAllDomains()
        listed = frozenset(domain.UUIDString() for domain in domains)
        good = [domain for domain in domains if domain.UUIDString() not in skip]
        rows = connection.domainListGetStats(good, self._groups, NOWAIT) if good else []
        return self._answer(rows, listed, begin_ns)

    def _ask_alone(self, connection: Connection, uuid: str) -> _Answer:
        """Ask about one machine; nothing is told of one that has gone."""
        begin_ns = self._now_ns()
        try:
            rows = connection.domainListGetStats([connection.lookupByUUIDString(uuid)], self._groups, NOWAIT)
        except Exception as error:
            if code_of(error) != NO_DOMAIN:
                raise
            rows = []
        return self._answer(rows, frozenset(), begin_ns)

    def _answer(self, rows: Rows, listed: frozenset[str], begin_ns: int) -> _Answer:
        if self._missing is None and any(domain.ID() >= 0 for domain, _ in rows):
            self._missing = missing_groups(rows, self._groups)
        return _Answer(filled(rows, self._missing or 0), listed, begin_ns, self._now_ns())

    def _single_out(self, hanging: Call[_Answer]) -> Poll:
        """Find who holds up a call, and return what the others say. Raises Transient if it is the hypervisor."""
        give_up_s = monotonic() + self._timeout_s - self._patience_s
        self._connection = None
        self._hanging.append(hanging)
        connection = self._connected()
        listing = Call(connection.listAllDomains)
        while not listing.wait(_LEAST_PATIENCE_S) and not hanging.has_ended:
            if monotonic() >= give_up_s:
                self._connection = None
                self._hanging.append(listing)
                raise Transient(f"{self._uri}: no answer within {self._timeout_s:g} s")
        if hanging.has_ended:
            return self._slow(hanging)
        poll = Poll([], frozenset(domain.UUIDString() for domain in listing.result()))
        for domain in listing.result():
            if hanging.has_ended:
                return self._slow(hanging)
            if domain.UUIDString() not in self.quarantine and monotonic() < give_up_s:
                self._ask_one(domain, poll, hanging)
        if self._stuck:
            self._hanging.remove(hanging)
        return poll

    def _slow(self, call: Call[_Answer]) -> Poll:
        """Return what came late after all; the next one may take as long."""
        self._patience_s = min(2 * self._patience_s, self._most_patience_s)
        return self._polled(call.result())

    def _ask_one(self, domain: Domain, poll: Poll, hanging: Call[_Answer]) -> None:
        connection, uuid = self._connected(), domain.UUIDString()
        call = Call(lambda: self._ask_alone(connection, uuid))
        if not call.wait(self._patience_s):
            self._connection = None
            self._confine(domain, Call(lambda: _comes_whole(call, uuid, self._is_whole)))
            return
        for found in call.result().found():
            if self._is_whole(found):
                poll.found.append(found)
            else:
                self._confine(domain, Call(lambda: _comes_whole(hanging, uuid, self._is_whole)))

    def _confine(self, domain: Domain, call: Call[bool]) -> None:
        self.quarantine.add(domain.UUIDString(), domain.name(), call)
        self._stuck[domain.UUIDString()] = domain.name()

    def _is_whole(self, found: Found) -> bool:
        """Return whether a machine tells all that it told before in this run."""
        vmid, groups = self._complete.get(found.uuid, (-1, frozenset()))
        return vmid != found.vmid or groups <= groups_of(found.stats)

    def _answers(self, uuid: str) -> bool:
        connection = self._open(self._uri)
        return all(self._is_whole(found) for found in self._ask_alone(connection, uuid).found())


def _comes_whole(call: Call[_Answer], uuid: str, is_whole: Callable[[Found], bool]) -> bool:
    """Wait for a call to end, however long; return whether it then tells all of a machine. Raises what it raises."""
    while not call.wait(3600.0):
        pass
    return all(is_whole(found) for found in call.result().found() if found.uuid == uuid)
