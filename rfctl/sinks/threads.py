"""Runs calls of a blocking library on a few threads that one sink has for itself, each with a deadline.

A broker that hangs must not occupy the event loop's threads, which look up host names for everyone. A call that
outlives its deadline cannot be stopped. It ends by the socket timeouts that the sink gives the library, and delays the
end of the process no longer than that. What it still sends has the same job id as the next attempt. A call that has not
begun at its deadline, or at `close`, never begins.
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
    """The threads of one sink, used from one event loop."""

    def __init__(self, sink: str, timeout_ms: int, where: str) -> None:
        self._timeout_ms = timeout_ms
        self._where = where
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix=f"sink-{sink}")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return the result of `work`, or raise its error. Raises DeliveryError when that takes too long."""
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            fact = f"{self._where} does not answer within {self._timeout_ms} ms"
            raise DeliveryError(fact) from None

    def close(self) -> None:
        """Begin no call any more; a running call ends by its own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)
