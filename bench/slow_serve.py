"""Runs `rfctl serve` with timers that are fifty times slower, for a daemon that valgrind makes as slow.

So its timers come as often beside the requests as they do in life, and counts hardly depend on how long a run takes.
asyncio's own loop alone goes by this clock: libuv would read another.
"""

from __future__ import annotations

import runpy
import sys
import time
from typing import Any

SLOWER = 50


def slow_clock_down() -> None:
    """Let the clock that never jumps run slower from now on, for this process."""
    read, start = time.monotonic, time.monotonic()

    def read_slowly() -> float:
        return start + (read() - start) / SLOWER

    time.monotonic = read_slowly


if __name__ == "__main__":
    modules: dict[str, Any] = sys.modules
    modules["uvloop"] = None
    slow_clock_down()
    sys.argv = ["rfctl", "serve"]
    runpy.run_module("rfctl", run_name="__main__", alter_sys=True)
