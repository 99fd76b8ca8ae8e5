"""Waits that an event can end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def sleep_or_stop(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, but no longer than until `stopping` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


async def wait_for_any(*events: asyncio.Event) -> None:
    """Wait until any of the events is set."""
    await wait_for_first(*(event.wait() for event in events))


async def wait_for_first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until the first of these ends, and cancel the others. Raises the error of the first one."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
