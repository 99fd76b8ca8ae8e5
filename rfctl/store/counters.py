"""Counters that are gathered here and added to the totals in Redis every other second.

A process that is killed loses the counts of its last seconds. They only say how much of something there is (delivery
statuses, our own echoes), and of some when it was last; nothing is decided by them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection


class Counters:
    """Counts since the last write, for the totals and the last times of one shard.

    `clock` counts seconds.
    """

    def __init__(
        self,
        connection: Connection,
        shard: ShardKeys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._shard = shard
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._marked_at: dict[str, float] = {}

    def add(self, counts: Mapping[str, int]) -> None:
        """Count in memory; `write` stores it."""
        self._counts.update(counts)

    def mark(self, name: str) -> None:
        """Count something, and remember that it was now."""
        self._counts[name] += 1
        self._marked_at[name] = self._clock()

    async def write(self) -> None:
        """Add the counts to the totals, and write the last times. Raises RfctlError; then the next call writes them."""
        counts, self._counts = self._counts, Counter()
        marked_at, self._marked_at = self._marked_at, {}
        if not counts:
            return
        try:
            commands: list[Command] = [
                ("HINCRBY", self._shard.totals, name, by) for name, by in counts.items()
            ]
            if marked_at:
                commands.append(await self._build_times(marked_at))
            await self._connection.calls(commands)
        except BaseException:
            self._counts.update(counts)
            self._marked_at = {**marked_at, **self._marked_at}
            raise

    async def _build_times(self, marked_at: Mapping[str, float]) -> Command:
        """Return the command that writes these times, by the clock of Redis."""
        now_ms, now_s = await self._connection.now_ms(self._shard), self._clock()
        times = {name: now_ms - int((now_s - at_s) * 1000) for name, at_s in marked_at.items()}
        return ("HSET", self._shard.last_times, *(part for pair in times.items() for part in pair))

    async def read_last_times(self) -> dict[str, int]:
        """Return when each marked thing was last, Unix ms by the clock of Redis."""
        return replies.counts(await self._connection.call("HGETALL", self._shard.last_times))
