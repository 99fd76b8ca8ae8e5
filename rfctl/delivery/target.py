"""A sink that is ready to deliver, and how it is served."""

from __future__ import annotations

from dataclasses import dataclass

from rfctl.errors import RfctlError
from rfctl.sinks.contract import Sink
from rfctl.sinks.redis import RedisSink

LEASE_MS = 3000
"""After a crash the other daemons wait so long."""
_DAY_MS = 86_400_000
"""A receiver may ask for a wait of a day."""


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

    @property
    def longest_wait_ms(self) -> int:
        """The longest wait before an attempt: that of the schedule, or what a receiver may ask for."""
        return max((_DAY_MS, *self.retry_delays_ms))


@dataclass(frozen=True, slots=True)
class Target:
    """A configured sink with its name, its type and its policy."""

    name: str
    type: str
    sink: Sink | RedisSink
    policy: RetryPolicy

    async def close(self) -> None:
        """Close the sink. Errors of it are logged at most: the target is gone anyway, and others must be closed too."""
        if isinstance(self.sink, RedisSink):
            return
        try:
            await self.sink.close()
        except RfctlError:
            return
        except Exception as crash:
            _log_crash(self.name, crash)


def _log_crash(sink: str, crash: Exception) -> None:
    import structlog  # noqa: PLC0415 - commands that only read never need it

    log = structlog.get_logger("delivery")
    log.error("sink_crashed", sink=sink, problem=f"it cannot be closed: {crash}", exc_info=crash)
