"""All forwarders of a daemon: one for each sink and shard. Each has sockets of its own, so none waits for another."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from rfctl.delivery.attempt import Attempt, attempt_delivery
from rfctl.delivery.attempt_counts import AttemptCounts
from rfctl.delivery.budget import ByteBudget
from rfctl.delivery.forwarder import Forwarder
from rfctl.delivery.target import Target
from rfctl.delivery.traced_attempt import attempt_traced
from rfctl.store import Store
from rfctl.timing import wait_for_any

if TYPE_CHECKING:
    from rfctl.observe.tracing import Tracing
    from rfctl.sinks.config import SinkConfig

_log = structlog.get_logger("delivery")
OpenTargets = Callable[[Mapping[str, "SinkConfig"]], Awaitable[dict[str, Target]]]
"""Opens the sinks of these configurations, by name. Raises SettingsError; then none is open."""


@dataclass(slots=True)
class _Running:
    config: SinkConfig
    target: Target
    budget: ByteBudget = field(default_factory=ByteBudget)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    stores: list[Store] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    forwarders: list[Forwarder] = field(default_factory=list)


class Supervisor:
    """Runs the forwarders of the daemon `daemon_id`.

    Nothing is delivered before `usable` is set: then this Redis may be used. `on_end` is called with the task of each
    forwarder that ends. `writes_log` is asked at each outcome whether the delivery log gets it. `tracing` writes a span
    of each attempt, where that is on.
    """

    def __init__(
        self,
        store: Store,
        daemon_id: str,
        open_targets: OpenTargets,
        *,
        usable: asyncio.Event,
        on_end: Callable[[asyncio.Task[None]], None],
        writes_log: Callable[[], bool] = lambda: True,
        tracing: Tracing | None = None,
    ) -> None:
        self._store = store
        self._tracing = tracing
        self._daemon_id = daemon_id
        self._open_targets = open_targets
        self._usable = usable
        self._on_end = on_end
        self._writes_log = writes_log
        self._running: dict[str, _Running] = {}
        self.attempts: defaultdict[str, AttemptCounts] = defaultdict(AttemptCounts)
        """What the attempts of each sink came to since the start of this process."""

    def measure_bytes(self) -> dict[str, int]:
        """Return how many bytes of messages each running sink has in memory."""
        return {name: running.budget.bytes for name, running in self._running.items()}

    def measure_age_s(self) -> float:
        """Return how long ago the forwarder that is behind all others took its last turn, s; 0 without any."""
        running = self._running.values()
        return max(
            (forwarder.measure_age_s() for each in running for forwarder in each.forwarders), default=0.0
        )

    def list_probed(self) -> dict[str, Target]:
        """Return the running sinks that a probe may try, by name."""
        return {name: running.target for name, running in self._running.items() if running.config.probe}

    async def reconfigure(self, sinks: Mapping[str, SinkConfig]) -> None:
        """Run exactly these sinks, by name. Removed and changed sinks stop, then new and changed sinks start.

        The configurations are compared for equality, and handed to `open_targets`. Raises SettingsError; then nothing
        is changed.
        """
        before = set(self._running)
        unchanged = {name for name, running in self._running.items() if sinks.get(name) == running.config}
        targets = await self._open_targets(
            {name: config for name, config in sinks.items() if name not in unchanged}
        )
        await asyncio.gather(*(self._stop(name) for name in before - unchanged))
        for name, target in targets.items():
            self._start(name, sinks[name], target, retry_now=name in before)

    def _start(self, name: str, config: SinkConfig, target: Target, *, retry_now: bool) -> None:
        running = self._running[name] = _Running(config, target)
        attempts, attempt = self.attempts[name], self._build_attempt(name)
        for shard in self._store.shards:
            store = self._store.reopen()
            running.stores.append(store)
            deliveries = store.deliveries(name, shard, self._writes_log)
            forwarder = Forwarder(
                deliveries, target.sink, target.policy, self._daemon_id, running.budget, attempts,
                retry_at_start=retry_now, attempt=attempt,
            )  # fmt: skip
            task = asyncio.create_task(self._run(forwarder, running.stopping))
            task.add_done_callback(self._on_end)
            running.tasks.append(task)
            running.forwarders.append(forwarder)
        _log.info("sink_started", sink=name, type=target.type)

    def _build_attempt(self, sink: str) -> Attempt:
        return attempt_delivery if self._tracing is None else partial(attempt_traced, self._tracing, sink)

    async def _run(self, forwarder: Forwarder, stopping: asyncio.Event) -> None:
        await wait_for_any(self._usable, stopping)
        await forwarder.run(stopping)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        running.stopping.set()
        await asyncio.wait(running.tasks)
        await running.target.close()
        for store in running.stores:
            await store.close()

    async def stop(self) -> None:
        """Stop all forwarders: deliveries on their way may arrive, the rest stays in Redis."""
        await asyncio.gather(*(self._stop(name) for name in list(self._running)))
