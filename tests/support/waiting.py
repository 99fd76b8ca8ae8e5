"""Waits for what will be true: the tests' one way to wait for another task, thread or process."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

PATIENCE_S = 45.0
"""Far more than anything needs: a busy machine makes a test slower, and never red."""
_PAUSE_S = 0.02


async def until(
    condition: Callable[[], Awaitable[Any] | Any], within_s: float = PATIENCE_S, *, pause_s: float = _PAUSE_S
) -> Any:
    """Ask again and again, and return the first answer that counts as true. Raises AssertionError in the end."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                answer = condition()
                if inspect.isawaitable(answer):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(pause_s)
    except TimeoutError:
        raise AssertionError(f"not true within {within_s:.0f} s: {_describe(condition)}") from None


async def come_to_an_end(
    *work: asyncio.Task[Any] | Coroutine[Any, Any, Any], within_s: float = PATIENCE_S
) -> None:
    """Wait until all work has ended, and raise what it raised. What has no end is cancelled: AssertionError."""
    tasks = [asyncio.ensure_future(item) for item in work]
    endless = (await asyncio.wait(tasks, timeout=within_s))[1] if tasks else set()
    for task in endless:
        task.cancel()
    await asyncio.gather(*endless, return_exceptions=True)
    assert not endless, f"no end within {within_s:.0f} s: {sorted(map(repr, endless))}"
    await asyncio.gather(*tasks)


def wait_until(
    condition: Callable[[], Any], within_s: float = PATIENCE_S, *, pause_s: float = _PAUSE_S
) -> Any:
    """Do the same where no event loop runs."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not true within {within_s:.0f} s: {_describe(condition)}"
        time.sleep(pause_s)
    return answer


def _describe(condition: Callable[[], Any]) -> str:
    """Return the condition's name, and its line in the test."""
    code = getattr(condition, "__code__", None)
    place = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    return getattr(condition, "__qualname__", repr(condition)) + place
