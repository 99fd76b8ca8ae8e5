"""How memory is kept: by the C library, and by Python's garbage collector."""

from __future__ import annotations

import contextlib
import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_MMAP_FROM_BYTES = 131_072


def return_large_blocks() -> None:
    """Have large blocks, such as bodies, given back to the system as soon as they are free.

    glibc raises its threshold for that to the largest block ever freed. After a large body, others would lie in the
    heap, with holes between them that nothing else fits in. Other C libraries have no such call, and need none.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_FROM_BYTES)


def exempt_from_collection() -> None:
    """Exempt all that is there now from the search for garbage: a daemon that is ready keeps it to its end.

    Each full search would look at it again, and no message is taken in meanwhile.
    """
    gc.collect()
    gc.freeze()
