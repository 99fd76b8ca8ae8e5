"""The dead: merged messages that a sink did not take at any try. Kept until an operator decides, on every shard.

It trusts what lua/bury.lua wrote, and shows what somebody else wrote as far as it can be read. Each message
leaves once: it is sent again in the step that takes it away, or it is dropped. Nothing is removed unseen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from rfctl.model.delivery import delivery_id
from rfctl.store.connection import Connection
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_entry import StreamEntry

_PAGE = 200
_ABOUT = 6
"""So many fields of an entry are about its death: sink, id and tries, each with its value; the rest is the message."""


class Attempt(msgspec.Struct, frozen=True):
    """One try: when (Unix ms by the clock of Redis), and what went wrong."""

    at_ms: int = 0
    error: str = ""


_decode_tries = msgspec.json.Decoder(tuple[Attempt, ...]).decode


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One merged message that is dead for one sink; `entry_id` is its place among the dead of its shard."""

    entry_id: str
    shard: ShardKeys
    sink: str
    entry: StreamEntry
    attempts: tuple[Attempt, ...]

    @property
    def id(self) -> str:
        """The id by which an operator names it, no other shard's."""
        return delivery_id(self.entry_id, self.shard.number)

    @property
    def message_id(self) -> str:
        """The merged message's id, as receivers know it."""
        return delivery_id(self.entry.id, self.shard.number)

    @property
    def died_ms(self) -> int:
        """When it was given up, Unix ms by the clock of Redis."""
        return int(self.entry_id.partition("-")[0])

    def is_named(self, wanted: str) -> bool:
        """Say whether an operator may mean this one: by its own id or its message's, with the shard or without."""
        return wanted in (self.id, self.message_id, self.entry_id, self.entry.id)


class DeadLetters:
    """The dead of one Redis."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys]) -> None:
        self._connection = connection
        self._shards = shards

    async def count(self) -> int:
        """Return how many there are."""
        return sum(await self._connection.calls([("XLEN", shard.dead) for shard in self._shards]))

    async def newest(self, most: int = 100, sink: str = "") -> list[DeadLetter]:
        """Return the newest, oldest first; of one sink, when it is named."""
        found: list[DeadLetter] = []
        for shard in self._shards:
            found += await self._of_shard(shard, most, sink)
        return sorted(found, key=lambda one: one.died_ms)[-most:] if most else []

    async def _of_shard(self, shard: ShardKeys, most: int, sink: str) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        end = "+"
        while len(found) < most:
            page = await self._connection.call("XREVRANGE", shard.dead, end, "-", "COUNT", _PAGE)
            if not page:
                break
            found += [one for raw in page if _is_of(one := _dead(shard, *raw), sink)]
            end = f"({page[-1][0].decode()}"
        return found[:most][::-1]

    async def each(self, sink: str = "") -> AsyncIterator[DeadLetter]:
        """Yield all, shard by shard, oldest first; they may be taken away meanwhile."""
        for shard in self._shards:
            start = "-"
            while page := await self._connection.call("XRANGE", shard.dead, start, "+", "COUNT", _PAGE):
                for raw in page:
                    if _is_of(one := _dead(shard, *raw), sink):
                        yield one
                start = f"({page[-1][0].decode()}"

    async def named(self, wanted: str) -> list[DeadLetter]:
        """Return those that an id names: a dead one's own, or its message's, which may be dead for several sinks."""
        return [one async for one in self.each() if one.is_named(wanted)]

    async def retry(self, one: DeadLetter) -> bool:
        """Send it again to its sink, and take it away, in one step; False when it was there no more."""
        return await DeliveryQueue(self._connection, one.shard, one.sink).requeue(one.entry, one.entry_id)

    async def drop(self, one: DeadLetter) -> bool:
        """Delete it; says whether it was there."""
        return bool(await self._connection.call("XDEL", one.shard.dead, one.entry_id))


def _is_of(letter: DeadLetter, sink: str) -> bool:
    return not sink or letter.sink == sink


def _dead(shard: ShardKeys, entry_id: bytes, fields: list[bytes]) -> DeadLetter:
    about = {fields[i]: fields[i + 1] for i in range(0, min(_ABOUT, len(fields) - 1), 2)}

    def text(name: bytes) -> str:
        return about.get(name, b"").decode(errors="replace")

    entry = StreamEntry(text(b"id") or "0-0", fields[_ABOUT:], shard.number)
    return DeadLetter(entry_id.decode(), shard, text(b"sink"), entry, attempts_in(about.get(b"tries")))


def attempts_in(raw: bytes | None) -> tuple[Attempt, ...]:
    """Return the tries of a history as it is stored; none when there is none, or it is not ours."""
    try:
        return _decode_tries(raw or b"[]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
