"""gpu.nvml: one GPU, known by its UUID whatever its index becomes."""

from __future__ import annotations

from collections.abc import Callable

from benchlab.daemon import Reading, Transient
from benchlab.event import Scalar
from telemetryd.nvml.codes import absence
from telemetryd.nvml.reader import Reader
from telemetryd.nvml.session import Nvml, Session
from telemetryd.nvml.xid import Errors


class GpuSource:
    """One GPU, in a thread of its own: one that hangs delays no other.

    ``errors`` is kept by whoever listens to them.
    """

    name = "gpu.nvml"

    def __init__(self, nvml: Nvml, uuid: str, now_ns: Callable[[], int]) -> None:
        self.dev = uuid
        self.errors = Errors()
        self._nvml = nvml
        self._now_ns = now_ns
        self._reader: Reader | None = None

    @property
    def identity(self) -> dict[str, Scalar]:
        """What the GPU is, and where its power is read from."""
        return self._reader.identity if self._reader else {}

    @property
    def window_ms(self) -> float | None:
        """Over how long its power is averaged, if it is."""
        return self._reader.window_ms if self._reader else None

    def sample(self) -> list[Reading]:
        """Return one reading. Raises Absent if the GPU or NVML is gone, Transient if it does not answer."""
        with self._nvml.calls() as session:
            if self._reader is None or self._reader.session is not session:
                self._reader = Reader(session, self._handle(session), self._now_ns)
            try:
                reading = self._reader.read()
            except Transient:
                self._nvml.doubt(session)
                raise
        reading.dev = self.dev
        reading.kv.update(self.errors.values())
        return [reading]

    def _handle(self, session: Session) -> object:
        """Return the handle, which is good for this session. Raises Absent, and has NVML begun anew."""
        try:
            handle: object = session.nvml.nvmlDeviceGetHandleByUUID(self.dev)
            return handle
        except session.nvml.NVMLError as error:
            self._nvml.doubt(session)
            raise absence(error.value, str(error)) from error
