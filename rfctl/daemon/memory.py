"""How the C library keeps memory that is free again."""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3
_MMAP_FROM_BYTES = 131_072


def return_large_blocks() -> None:
    """Have large blocks, such as bodies, given back to the system as soon as they are free.

    glibc raises its threshold for that to the largest block ever freed. After a large body, others would lie in the
    heap, with holes between them that nothing else fits in. Other C libraries have no such call, and need none.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_FROM_BYTES)
