"""Which event loop the daemon runs on: uvloop's where that is installed, else asyncio's own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def find_loop_factory() -> LoopFactory | None:
    """Return what makes uvloop's loop, or None for that of asyncio."""
    try:
        import uvloop  # noqa: PLC0415 - some platforms have none
    except ImportError:
        return None
    factory: LoopFactory = uvloop.new_event_loop
    return factory


def name_event_loop(loop: asyncio.AbstractEventLoop) -> str:
    """Return the name of the loop's library, with a version where it is not Python's own: `uvloop 0.22.1`, `asyncio`."""
    library = type(loop).__module__.partition(".")[0]
    if library != "uvloop":
        return "asyncio"
    return f"{library} {sys.modules[library].__version__}"  # its files may be another version's by now
