"""The probe: one message goes the whole way when an operator asks, and each link says what became of it.

It is on keys of its own, and its rooms are those of every message: what stops a message stops the probe. No worker gets
it, and of the sinks only those with `probe = true`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from rfctl.assembly.probe import build_probe_source
from rfctl.daemon.components import Components
from rfctl.daemon.probe_way import OWN_GROUP, STEP_S, ProbeWay
from rfctl.delivery import Target
from rfctl.errors import CanaryError, RedisUnreachableError, RfctlError
from rfctl.ingest.head import Head
from rfctl.model.closed_sets import Role
from rfctl.observe.facts.probe import PHONE, Link, ProbedLink, ProbeReport
from rfctl.store import ShardKeys, Store
from rfctl.text import duration

_LATE_MS = 10_000
_ROLES: Mapping[Link, Role] = {"store": "webhook", "hand-over": "processor", "acknowledgement": "forwarder"}
"""Whose work each link is. A daemon goes as far as its own work, and tells of that alone."""


class Prober:
    """Sends probes through one daemon, one after another. `turn_age_ms` is the age of its scheduler's last turn."""

    def __init__(self, components: Components, daemon_id: str, turn_age_ms: Callable[[], int]) -> None:
        self._components = components
        self._daemon_id = daemon_id
        self._turn_age_ms = turn_age_ms
        self._lock = asyncio.Lock()
        self._rounds = 0

    async def run(self, head: Head, body: bytes) -> ProbeReport:
        """Send the message of one request, and return what became of it. No failure of Redis or of a sink is raised."""
        async with self._lock:
            shards = self._components.store.shards
            scratch = self._open_scratch(self._daemon_id, shards[self._rounds % len(shards)])
            self._rounds += 1
            try:
                links = await self._go(ProbeWay(scratch, self._daemon_id), head, body)
            finally:
                await self._clean_up(scratch)
        role = self._components.settings.daemon.role
        return ProbeReport(self._daemon_id, os.getpid(), role, tuple(links))

    def _open_scratch(self, daemon_id: str, shard: ShardKeys) -> Store:
        return self._components.store.open_scratch(f"canary:{daemon_id}-probe", shard)

    async def _go(self, way: ProbeWay, head: Head, body: bytes) -> list[ProbedLink]:
        """Go from link to link, up to the last one that is this daemon's work."""
        steps: Sequence[tuple[Link, Callable[[], Awaitable[None]]]] = (
            ("store", lambda: self._store(way, head, body)),
            ("hand-over", lambda: self._hand_over(way)),
            ("acknowledgement", way.acknowledge),
        )
        own = [self._components.has_role(_ROLES[link]) for link, _ in steps]
        links: list[ProbedLink] = []
        for place, (link, step) in enumerate(steps):
            if not any(own[place:]):
                return links
            result = await _measure(link, step)
            if result.problem:
                return [*links, result]
            links += [result] if own[place] else []
        return links + await self._try_sinks(way)

    async def _store(self, way: ProbeWay, head: Head, body: bytes) -> None:
        if not self._components.preflight.usable.is_set():
            raise RedisUnreachableError("Redis has not answered yet", next="the daemon's log says why")
        await way.receive(build_probe_source(self._components.settings), head, body)

    async def _hand_over(self, way: ProbeWay) -> None:
        age_ms = self._turn_age_ms()
        if self._components.has_role("processor") and age_ms > _LATE_MS:
            step = "the daemon's log says why; systemctl restart rfctl"
            raise CanaryError(f"the scheduler has made no turn for {duration(age_ms)}", next=step)
        await way.hand_over()

    async def _try_sinks(self, way: ProbeWay) -> list[ProbedLink]:
        """Try every probed sink side by side, but for those that are paused."""
        probed = self._components.supervisor.list_probed()
        paused: Mapping[str, object] = {}
        if probed:
            with contextlib.suppress(RfctlError):
                paused = await self._components.store.paused_sinks.list()
        skipped = [
            ProbedLink("sink", sink=name, skipped="it is paused", next=f"rfctl resume {name}")
            for name in probed
            if name in paused
        ]
        tries = [way.try_sink(target) for name, target in probed.items() if name not in paused]
        return [*await asyncio.gather(*tries), *skipped]

    async def _clean_up(self, scratch: Store) -> None:
        """Delete the keys of a probe. What Redis does not delete now goes with the next probe, or with the daemon's record."""
        with contextlib.suppress(RfctlError, TimeoutError):
            async with asyncio.timeout(STEP_S):
                await self._delete(scratch)

    async def _delete(self, scratch: Store) -> None:
        probed: Mapping[str, Target] = self._components.supervisor.list_probed()
        for sink in (OWN_GROUP, *probed):
            await scratch.delete_scratch(sink, [PHONE])

    async def forget_dead(self, daemon_id: str) -> None:
        """Delete what a daemon that has died has left of its canary and of a probe. Raises RfctlError."""
        await self._components.canary.forget(daemon_id)
        for shard in self._components.store.shards:
            await self._delete(self._open_scratch(daemon_id, shard))


async def _measure(link: Link, step: Callable[[], Awaitable[None]]) -> ProbedLink:
    """Go one link further, and return how that ended."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(STEP_S):
            await step()
    except TimeoutError:
        within = duration(STEP_S * 1000)
        return ProbedLink(link, problem=f"Redis has not answered within {within}", next="redis-cli --latency")
    except RfctlError as problem:
        return ProbedLink(link, problem=problem.fact, next=problem.next)
    return ProbedLink(link, (time.perf_counter() - began) * 1000)
