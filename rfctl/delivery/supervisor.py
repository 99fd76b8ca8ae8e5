"""All forwarders of one daemon: one for each sink and shard, each with sockets of its own, so none waits for another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from rfctl.delivery.forwarder import Forwarder
from rfctl.delivery.target import Target
from rfctl.errors import RfctlError
from rfctl.store import DeliveryQueue, Store
from rfctl.timing import wait_for_any

_log = structlog.get_logger("delivery")
OpenTargets = Callable[[Mapping[str, Any]], Awaitable[dict[str, Target]]]
"""Sets sinks up, by name, from what `assembly` knows of them. Raises SettingsError; then none is open."""


@dataclass(slots=True)
class _Running:
    config: Any
    target: Target
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    stores: list[Store] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Supervisor:
    """Runs the forwarders of one daemon, whose id is `daemon_id`.

    `open_targets` sets sinks up. Nothing is delivered before `usable` is set: then this Redis may be used.
    `on_end` is called with each forwarder's task when it ends.
    """

    def __init__(
        self,
        store: Store,
        daemon_id: str,
        open_targets: OpenTargets,
        *,
        usable: asyncio.Event,
        on_end: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._store = store
        self._daemon_id = daemon_id
        self._open_targets = open_targets
        self._usable = usable
        self._on_end = on_end
        self._running: dict[str, _Running] = {}

    async def reconfigure(self, sinks: Mapping[str, Any]) -> None:
        """Run exactly these sinks, by name: new and changed ones start; gone and changed ones stop first.

        The values are compared for equality and handed to `open_targets`. Raises SettingsError before anything was
        changed.
        """
        before = set(self._running)
        same = {name for name, running in self._running.items() if sinks.get(name) == running.config}
        targets = await self._open_targets(
            {name: config for name, config in sinks.items() if name not in same}
        )
        await asyncio.gather(*(self._stop(name) for name in before - same))
        for name, target in targets.items():
            self._start(name, sinks[name], target, changed=name in before)

    def _start(self, name: str, config: Any, target: Target, *, changed: bool) -> None:
        running = self._running[name] = _Running(config, target)
        for shard in self._store.shards:
            store = self._store.reopen()
            running.stores.append(store)
            queue = store.deliveries(name, shard)
            forwarder = Forwarder(queue, target.sink, target.policy, self._daemon_id)
            task = asyncio.create_task(self._run(forwarder, running.stopping, queue if changed else None))
            task.add_done_callback(self._on_end)
            running.tasks.append(task)
        _log.info("sink_started", sink=name, type=target.type)

    async def _run(
        self, forwarder: Forwarder, stopping: asyncio.Event, changed: DeliveryQueue | None
    ) -> None:
        await wait_for_any(self._usable, stopping)
        if changed is not None and self._usable.is_set():
            with contextlib.suppress(RfctlError):
                await changed.retry_now()  # what failed with the old settings need not wait with the new ones
        await forwarder.run(stopping)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        running.stopping.set()
        await asyncio.wait(running.tasks)
        await running.target.close()
        for store in running.stores:
            await store.close()

    async def stop(self) -> None:
        """Stop all of them: deliveries on their way may arrive, the rest stays in Redis."""
        await asyncio.gather(*(self._stop(name) for name in list(self._running)))
