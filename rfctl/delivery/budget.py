"""How many bytes of messages a sink has in this daemon at a time: what is beyond waits in Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

LIMIT_BYTES = 8_388_608
"""A message is in memory about six times while it is sent: as it was read, decoded, encoded and signed."""

SMALL_BYTES = 65_536
"""Room is reserved for a message before its size is known. Larger ones are read one after another."""


class ByteBudget:
    """The bytes in hand. The last message may exceed the limit: any message must get through alone."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._reading = asyncio.Lock()
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._listeners: list[Callable[[], None]] = []
        self.bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing should be read until something was given back."""
        return self.bytes >= self._limit_bytes

    def call_when_free(self, listener: Callable[[], None]) -> None:
        """Call `listener` each time that something is given back."""
        self._listeners.append(listener)

    def take(self, count: int) -> None:
        """Count bytes that were read."""
        self.bytes += count
        if self.is_full:
            self._is_free.clear()

    def give_back(self, count: int) -> None:
        """Count bytes that are in hand no more."""
        self.bytes -= count
        if not self.is_full:
            self._is_free.set()
        for listener in self._listeners:
            listener()

    @contextlib.asynccontextmanager
    async def reserving(self) -> AsyncIterator[None]:
        """Wait for room for a small message, and count it as taken while it is read."""
        while self.is_full:
            await self._is_free.wait()
        self.take(SMALL_BYTES)
        try:
            yield
        finally:
            self.give_back(SMALL_BYTES)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Wait until something may be read whose size is not known yet; the others wait until it is counted."""
        async with self._reading:
            await self._is_free.wait()
            yield
