"""Which clock the scripts and the calls beside them go by: that of Redis, and no other in this product."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rfctl.store import replies

Call = Callable[..., Awaitable[Any]]
"""Sends one command and returns its answer."""


class Clock(Protocol):
    """One clock, read in two ways that must agree."""

    @property
    def include(self) -> str | None:
        """Lua text in place of shared/clock.lua, which must give what that gives; None is that file."""

    async def now_ms(self, call: Call) -> int:
        """Return the time, Unix ms, by one command."""


class ServerClock:
    """The clock of the Redis server."""

    include: None = None

    async def now_ms(self, call: Call) -> int:
        """Return the server's time, Unix ms. Raises RfctlError."""
        seconds, micros = replies.array(await call("TIME"))
        return replies.integer(seconds) * 1000 + replies.integer(micros) // 1000
