"""A sink that is ready to deliver, and how it is served."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from rfctl.errors import RfctlError
from rfctl.sinks.contract import Sink
from rfctl.sinks.redis import RedisSink

LEASE_MS = 3000
"""After a crash the other daemons wait so long."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a sink is served: the waits between attempts (ms), phones at a time, and the limits of the forwarder (ms).

    `max_sleep_ms` is its longest turn. It takes the lease for `lease_ms`, and waits `finish_ms` for the last
    deliveries when it stops.
    """

    retry_delays_ms: tuple[int, ...]
    concurrency: int = 16
    max_sleep_ms: int = 1000
    lease_ms: int = LEASE_MS
    finish_ms: int = 3000


@dataclass(frozen=True, slots=True)
class Target:
    """A configured sink with its name, its type and its policy."""

    name: str
    type: str
    sink: Sink | RedisSink
    policy: RetryPolicy

    async def close(self) -> None:
        """Close the sink. Errors of it are ignored: the target is gone anyway."""
        if not isinstance(self.sink, RedisSink):
            with contextlib.suppress(RfctlError):
                await self.sink.close()
