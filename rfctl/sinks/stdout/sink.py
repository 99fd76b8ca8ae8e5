"""Delivers merged messages to standard output, one line of JSON each.

The lines of deliveries that run side by side never mix. A message is delivered when its line has left our buffer. A
slow reader slows the deliveries down: that is what a pipe is for.
"""

from __future__ import annotations

import asyncio
import sys

from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.payload import encode_line
from rfctl.sinks.stdout.config import StdoutConfig


class Stdout:
    """Standard output, whichever it is at the time of a delivery."""

    def __init__(self, name: str, config: StdoutConfig) -> None:  # noqa: ARG002 - every sink is built from the two
        self._config = config
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Do nothing: standard output is there."""

    async def deliver(self, delivery: Delivery) -> None:
        """Return when the line is written. Raises DeliveryError, one that pauses when nobody can read any more."""
        line = encode_line(delivery, self._config.shape, raw=self._config.raw)
        async with self._turn:
            try:
                await asyncio.to_thread(_write, line)  # a full pipe must not hold up the loop
            except (BrokenPipeError, ValueError):
                raise DeliveryError("standard output is closed", pause=True) from None
            except OSError as problem:
                raise DeliveryError(f"standard output takes nothing: {problem.strerror}") from None

    async def close(self) -> None:
        """Leave standard output open: it is not ours."""


def _write(line: bytes) -> None:
    if sys.stdout is None:  # as in a process that was started without one
        raise BrokenPipeError
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
