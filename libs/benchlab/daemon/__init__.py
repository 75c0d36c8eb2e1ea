"""The life every collector shares: its sources, their schedule, the log, and the service manager."""

from benchlab.daemon.loop import Daemon
from benchlab.daemon.once import once
from benchlab.daemon.source import Absent, Ended, Reading, Source, Transient

__all__ = ["Absent", "Daemon", "Ended", "Reading", "Source", "Transient", "once"]
