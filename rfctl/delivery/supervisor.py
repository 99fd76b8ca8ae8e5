"""All forwarders of one daemon: one for each sink and shard, each with sockets of its own, so none waits for another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from rfctl.assembly.sinks import open_targets
from rfctl.delivery.forwarder import Forwarder
from rfctl.delivery.target import Target
from rfctl.errors import RfctlError
from rfctl.sinks.config import SinkConfig
from rfctl.store.connection import Connection, RedisAddress
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.keys import ShardKeys
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("forwarder")


@dataclass(slots=True)
class _Running:
    settings: SinkConfig
    exit: Target
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    connections: list[Connection] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Supervisor:
    """Runs what the settings name. `daemon_id` tells this daemon from all others.

    Nothing is delivered before `passed` says that this Redis may be used; `failed` is told of one that ended.
    """

    def __init__(
        self,
        address: RedisAddress,
        shards: Sequence[ShardKeys],
        daemon_id: str,
        *,
        passed: Callable[[], bool],
        failed: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._address = address
        self._shards = shards
        self._daemon_id = daemon_id
        self._passed = passed
        self._failed = failed
        self._running: dict[str, _Running] = {}

    async def serve(self, sinks: Mapping[str, SinkConfig], redis_url: str) -> None:
        """Run exactly these sinks: what is new or changed starts, what is gone or changed stops first.

        Raises SettingsError before anything was changed.
        """
        before = set(self._running)
        same = {name for name, one in self._running.items() if sinks.get(name) == one.settings}
        made = await open_targets({name: one for name, one in sinks.items() if name not in same}, redis_url)
        await asyncio.gather(*(self._stop(name) for name in before - same))
        for name, one in made.items():
            self._start(name, sinks[name], one, mended=name in before)

    def _start(self, name: str, settings: SinkConfig, made: Target, *, mended: bool) -> None:
        running = self._running[name] = _Running(settings, made)
        for shard in self._shards:
            connection = Connection.open(self._address)
            running.connections.append(connection)
            deliveries = DeliveryQueue(connection, shard, name)
            forwarder = Forwarder(deliveries, made.sink, made.policy, self._daemon_id)
            task = asyncio.create_task(self._run(forwarder, running.stopping, deliveries if mended else None))
            task.add_done_callback(self._failed)
            running.tasks.append(task)
        _log.info("sink", sink=name, type=settings.type)

    async def _run(
        self, forwarder: Forwarder, stopping: asyncio.Event, mended: DeliveryQueue | None = None
    ) -> None:
        while not self._passed() and not stopping.is_set():
            await sleep_or_stop(stopping, 0.1)
        if mended is not None:
            with contextlib.suppress(RfctlError):
                await mended.retry_now()  # what failed with the old settings need not wait with the new ones
        await forwarder.run(stopping)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        running.stopping.set()
        await asyncio.wait(running.tasks)
        await running.exit.close()
        for connection in running.connections:
            await connection.close()

    async def stop(self) -> None:
        """Stop all of them: what is on its way may arrive, the rest stays in Redis."""
        await asyncio.gather(*(self._stop(name) for name in list(self._running)))
