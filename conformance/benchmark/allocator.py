"""Memory that is given back and taken again on every call costs page faults, by the luck of where it lies: keep it.

glibc returns freed memory to the system where it lies at the top of its heap or was large enough to be mapped apart, and
both limits move with what the process did before. The same optimizer step on a million float32 parameters ran without a page
fault at 1.7 ms, or with 4850 of them at 6.5 ms, depending on nothing but which arrays had been made before it. A training
loop settles into the first state; so the process that measures is put there, for both sides alike.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


@functools.lru_cache(maxsize=1)
def keep_memory() -> str:
    """Let the C library keep what is freed, for the rest of the process; in words for the record, also where it cannot be."""
    if not sys.platform.startswith("linux"):
        return "as the system has it: not Linux"
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  (only glibc has it, and only glibc knows these numbers)
        done = library.mallopt(_TRIM_THRESHOLD, _NEVER) and library.mallopt(_MMAP_MAX, 0)
    except (OSError, AttributeError):
        return "as the system has it: no glibc"
    return "glibc keeps freed memory" if done else "as the system has it: mallopt refused"


def give_back() -> None:
    """Return what is free to the system once, so that a peak can be read from what is taken anew."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
