"""One sink that rfctl delivers to, ready: what `assembly` opens and the supervisor runs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from rfctl.delivery.retry_policy import RetryPolicy
from rfctl.errors import RfctlError
from rfctl.sinks.contract import Sink
from rfctl.sinks.redis import RedisSink


@dataclass(frozen=True, slots=True)
class Target:
    """A configured sink, and how fast and how patiently it is served."""

    name: str
    type: str
    sink: Sink | RedisSink
    policy: RetryPolicy

    async def close(self) -> None:
        """Let go of the sink; that this fails is no reason to stop."""
        if not isinstance(self.sink, RedisSink):
            with contextlib.suppress(RfctlError):
                await self.sink.close()
