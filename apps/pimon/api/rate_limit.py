"""The rate limit: so many requests a minute of one address, and no more."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic

from benchlab.httpd import Refusal, Request

WINDOW_S = 60.0
MAX_CLIENTS = 1024
"""So many addresses are remembered; beyond, the one that was silent for longest is forgotten."""


class RateLimit:
    """Refuses (429) what an address asks above ``limit`` requests in any minute; a limit of 0 refuses nothing.

    A refused request does not count. Memory is bounded by ``limit`` times MAX_CLIENTS times of requests.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, request: Request) -> None:
        """Raise Refusal if the client has asked too often."""
        if not self._limit:
            return
        wait_s = self._wait_s(request.client)
        if wait_s > 0:
            message = f"Maximum {self._limit} requests per {WINDOW_S:g} seconds"
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise Refusal(429, "Rate limit exceeded", {"message": message}, headers)

    def _wait_s(self, client: str) -> float:
        """Return how long the client has to wait; 0: not at all, and the request is counted."""
        with self._lock:
            now_s = self._clock()
            asked = self._asked.setdefault(client, deque(maxlen=self._limit))
            self._asked.move_to_end(client)
            if len(self._asked) > MAX_CLIENTS:
                self._asked.popitem(last=False)
            if len(asked) == self._limit and now_s - asked[0] < WINDOW_S:
                return WINDOW_S - (now_s - asked[0])
            asked.append(now_s)
            return 0.0
