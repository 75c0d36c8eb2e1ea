"""What glibc does with freed memory: left alone, it keeps the megabytes that a program reads now and then."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8  # malloc.h
TRIM_BYTES = 128 * 1024


def give_back() -> None:
    """Have freed memory returned to the kernel, and all threads share one heap; call it before there are threads.

    Left alone, each thread that answers gets a heap of its own, and the first large block that is freed raises the
    size from which blocks are returned, up to 32 MiB (mallopt(3)). Another C library is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)
