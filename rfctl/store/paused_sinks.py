"""The sinks that are paused on every daemon: since when, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from rfctl.errors import RfctlError
from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


class Pause(msgspec.Struct, frozen=True):
    """Why a sink is paused, since when (Unix ms by the clock of Redis), and who paused it ("": that was not kept)."""

    why: str = ""
    at_ms: int = 0
    by: str = ""


class SinkPausedError(RfctlError):
    """The sink is paused, so nothing is read for it."""

    def __init__(self, sink: str) -> None:
        super().__init__(f"sink {sink} is paused", next=f"rfctl resume {sink}")


class PausedSinks:
    """The paused sinks of one Redis. Times are those of a shard's clock."""

    def __init__(self, connection: Connection, shard: ShardKeys) -> None:
        self._connection = connection
        self._shard = shard
        self._keys = shard.common

    async def list(self) -> dict[str, Pause]:
        """Return the pauses by sink; also those of sinks that are no longer configured."""
        pauses = replies.fields(await self._connection.call("HGETALL", self._keys.paused))
        return {sink: _decode(raw) for sink, raw in pauses.items()}

    async def contains(self, sink: str) -> bool:
        """Say whether a sink is paused."""
        [is_paused] = await self._connection.calls([("HEXISTS", self._keys.paused, sink)], short=True)
        return bool(is_paused)

    async def pause(self, sink: str, why: str, *, by: str = "", asked_by: str = "", number: int = 0) -> None:
        """Pause a sink on every daemon. `by` is who wants it, for a person to read.

        Who may have to ask again, as an answer was lost, names himself and counts his requests from 1. A request that
        came before changes nothing: an operator may have resumed the sink in between.
        """
        now = await self._connection.now_ms(self._shard)
        pause = json.dumps({"why": why, "at_ms": now, "by": by})
        keys = [self._keys.paused, self._shard.sink(sink).progress]
        await self._connection.run("pause", self._shard, keys, [sink, pause, asked_by, number])

    async def resume(self, sink: str) -> bool:
        """Let a sink go on. Returns whether it was paused."""
        return bool(await self._connection.call("HDEL", self._keys.paused, sink))


def _decode(raw: bytes) -> Pause:
    try:
        return msgspec.json.decode(raw, type=Pause)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Pause(replies.text(raw))
