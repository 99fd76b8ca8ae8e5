"""How the daemons have laid Redis out, as far as a worker must know: the streams that its group reads.

It may change below a worker: somebody empties Redis or restores another one, and a daemon begins it anew. The worker
follows, and reads what it had before to the end, as far as that is still there.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis.asyncio
from redis import exceptions as rx

from rfctl.errors import OtherLayoutError
from rfctl.worker.options import WorkerOptions
from rfctl.worker.patience import Patience
from rfctl.worker.stream_keys import StreamKeys, name_streams

_notes = logging.getLogger("rfctl.worker")
LAYOUT = "2"
"""The version of rfctl's data that this library reads."""
_LOOK_AGAIN_S = 10.0
_PAUSE_S = 0.5


@dataclass(slots=True)
class Place:
    """How far a worker is in one stream: its looks at what is in hand, and the last entry that the group has read."""

    keys: StreamKeys
    cursor: bytes = b"-"
    unordered: bytes = b"-"
    last_id: str = "0-0"


class Places:
    """The streams that a worker reads, as the daemons have laid Redis out; `clock` counts seconds."""

    def __init__(
        self, options: WorkerOptions, patience: Patience, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options, self._patience, self._clock = options, patience, clock
        self._looked_at = -math.inf
        self._one_look = asyncio.Lock()
        self._is_absence_noted = False
        self.all: list[Place] = []
        """What there is to read: the streams of today, and older ones until they are read to the end."""

    async def look_again(self, client: redis.asyncio.Redis) -> None:
        """Follow the daemons; asks Redis every few seconds at most. Raises what `look` raises."""
        if self._clock() - self._looked_at >= (_LOOK_AGAIN_S if self.all else _PAUSE_S):
            await self.look(client)

    async def look(self, client: redis.asyncio.Redis) -> list[StreamKeys]:
        """Return the streams into which daemons write; none while no daemon has begun this Redis. Says what has changed.

        The group is made where it is missing: it begins with the oldest entry. Raises RfctlError and redis-py's errors.
        """
        async with self._one_look:
            streams = await self._patience.repeat(lambda: self._read_streams(client))
            self._looked_at = self._clock()
            older = [place for place in self.all if place.keys not in streams]
            if streams:
                await self._follow(client, streams)
                await self._leave_what_is_done(client, older)
            elif not self.all:
                self._note_absence()
            return streams

    async def ensure_groups(self, client: redis.asyncio.Redis, streams: Sequence[StreamKeys]) -> None:
        """Make the group in streams where it is missing."""
        for keys in streams:
            await self._patience.repeat(partial(self._ensure_group, client, keys.stream))

    def go_on_behind(self, place: Place) -> None:
        """Let the other streams have their turn before this one."""
        if place in self.all:
            self.all.remove(place)
            self.all.append(place)

    def drop(self, keys: StreamKeys) -> None:
        """Read a stream no more: it is gone, and is not to come back."""
        if any(place.keys == keys for place in self.all):
            self.all = [place for place in self.all if place.keys != keys]
            if not self.all:
                self._note_absence()

    async def _follow(self, client: redis.asyncio.Redis, streams: list[StreamKeys]) -> None:
        before = [place.keys for place in self.all]
        fresh = [keys for keys in streams if keys not in before]
        if not fresh:
            return
        await self.ensure_groups(client, fresh)
        older = [keys for keys in before if keys not in streams]
        if older:
            form = "rfctl serve writes to %s by now: group %s reads that, and what is left in %s"
            _notes.warning(form, _name(streams), self._options.group, _name(older))
        elif self._is_absence_noted:
            form = "rfctl serve has begun Redis at %s: group %s reads %s"
            _notes.warning(form, self._patience.where, self._options.group, _name(streams))
        self._is_absence_noted = False
        self.all = [*self.all, *map(Place, fresh)]

    async def _leave_what_is_done(self, client: redis.asyncio.Redis, older: Sequence[Place]) -> None:
        done = [
            place.keys
            for place in older
            if await self._patience.repeat(partial(self._is_done, client, place.keys))
        ]
        if done:
            _notes.warning(
                "group %s has nothing left in %s: it reads that no more", self._options.group, _name(done)
            )
        self.all = [place for place in self.all if place.keys not in done]

    def _note_absence(self) -> None:
        if not self._is_absence_noted:
            form = "no rfctl serve has begun Redis at %s yet (prefix %r), or it was emptied since; waiting"
            _notes.warning(form, self._patience.where, self._options.prefix)
        self._is_absence_noted = True

    async def _read_streams(self, client: redis.asyncio.Redis) -> list[StreamKeys]:
        prefix = self._options.prefix
        layout = await _read_text(client, f"{prefix}rfctl:shards")
        if not layout:
            return []
        shards, _, version = layout.partition("/")
        if not shards.isdigit() or version != LAYOUT:
            raise OtherLayoutError(
                f"Redis at {self._patience.where} has layout {layout!r} of rfctl's data; this worker "
                f"reads layout {LAYOUT}",
                next="start `rfctl serve` of the worker's version once, or install that of the daemon",
            )
        output = await self._read_output(client) or await self._read_output_late(client)
        return name_streams(output, int(shards), prefix, self._options.group)

    async def _read_output(self, client: redis.asyncio.Redis) -> str:
        return await _read_text(client, f"{self._options.prefix}rfctl:stream")

    async def _read_output_late(self, client: redis.asyncio.Redis) -> str:
        """Read it once more: a daemon writes it a moment after the number of shards. Older ones wrote none."""
        await asyncio.sleep(_PAUSE_S)
        return await self._read_output(client) or f"{self._options.prefix}rfctl:out"

    async def _is_done(self, client: redis.asyncio.Redis, keys: StreamKeys) -> bool:
        """Say whether the group has acknowledged all of a stream, or either of them is gone."""
        try:
            groups: list[dict[str, Any]] = await client.xinfo_groups(keys.stream)
        except rx.ResponseError as problem:
            if "no such key" not in str(problem):
                raise
            return True
        ours = next((group for group in groups if group["name"] == self._options.group.encode()), None)
        if ours is None:
            return True
        behind = f"({ours['last-delivered-id'].decode()}"
        return not ours["pending"] and not await client.xrange(keys.stream, min=behind, count=1)

    async def _ensure_group(self, client: redis.asyncio.Redis, stream: str) -> None:
        try:
            await client.xgroup_create(stream, self._options.group, id="0", mkstream=True)
        except rx.ResponseError as problem:
            if "BUSYGROUP" not in str(problem):
                raise


async def _read_text(client: redis.asyncio.Redis, key: str) -> str:
    value: str | bytes | None = await client.get(key)
    return value.decode() if isinstance(value, bytes) else value or ""


def _name(streams: Sequence[StreamKeys]) -> str:
    """Return the name of the first stream, and how many there are besides. What was sent again goes without saying."""
    names = [keys.stream for keys in streams if not keys.is_own] or [keys.stream for keys in streams]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
