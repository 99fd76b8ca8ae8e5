"""Calls of a blocking library, on a few threads of one sink's own, each with a deadline.

Own threads: a broker that hangs must not take the event loop's, which look up host names for everyone.
A call that outlives its deadline cannot be stopped. It ends by the socket timeouts that the sink gives the
library, holds up the end of the process no longer than that, and what it still sends carries the same job
id as the next try. A call that has not begun at its deadline, or at `close`, never begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rfctl.sinks.contract import DeliveryError

MAX_THREADS = 8

Result = TypeVar("Result")


class Threads:
    """The threads of one sink; from one event loop."""

    def __init__(self, sink: str, timeout_ms: int, where: str) -> None:
        self._timeout_ms = timeout_ms
        self._where = where
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix=f"sink-{sink}")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, or raises; raises DeliveryError when that takes too long."""
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            fact = f"{self._where} does not answer within {self._timeout_ms} ms"
            raise DeliveryError(fact) from None

    def close(self) -> None:
        """Begin nothing any more; what runs is left to its own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)
