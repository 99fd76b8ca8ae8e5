"""Waits for what will be true: the tests' one way to wait for another task or process."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE_S = 30.0
"""Far more than anything needs: a busy machine makes a test slower, and never red."""


async def until(condition: Callable[[], Awaitable[Any] | Any], within_s: float = PATIENCE_S) -> Any:
    """Ask again and again, and give what the first answer was that counts as true."""
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)
