"""Waits that an event can end, durations as an operator writes them, and times as programs do."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def parse_duration_ms(text: str) -> int | None:
    """Return the ms of `90s`, `30m`, `2h` or `7d`; None for any other text."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNITS_MS[match[2]] if match else None


def format_rfc3339(ms: int | None) -> str | None:
    """Return Unix ms as RFC 3339 UTC with ms."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


async def sleep_or_stop(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, but no longer than until `stopping` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


async def wait_for_any(*events: asyncio.Event) -> None:
    """Wait until any of the events is set."""
    await wait_for_first(*(event.wait() for event in events))


async def wait_for_first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until the first of these ends, and until the others, which are cancelled, have ended too. Raises its error."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # what they use may be closed next
