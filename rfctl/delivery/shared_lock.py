"""A lock that many hold together, or a single holder alone; whoever waits first comes first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class SharedLock:
    """Holders by `together` and holders by `alone` exclude each other."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._count = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @contextlib.asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Hold it beside others of this kind; wait for whoever has it alone, or waits for that."""
        async with self._turn:
            self._count += 1
            self._is_empty.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._is_empty.set()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold it with nobody else."""
        async with self._turn:
            await self._is_empty.wait()
            yield
