"""Dead letters: merged messages whose last delivery attempt failed, kept on every shard until an operator decides.

lua/deliveries/dead_letter.lua writes them. Entries of another program are shown as far as they can be read.
Each letter leaves once: it is sent again in the step that removes it, or it is dropped.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rfctl.model.delivery import build_message_id
from rfctl.store import replies
from rfctl.store.deliveries import ALL_FIELDS, DeliveryQueue
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_entry import StreamEntry, decode_fields

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 200
_ABOUT = 6
"""The first six items of an entry are about the failure: sink, id and tries, each with its value. The rest is the message."""


class Attempt(msgspec.Struct, frozen=True):
    """One failed attempt: when (Unix ms by the clock of Redis), and what went wrong."""

    at_ms: int = 0
    error: str = ""


_decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One merged message that is dead for one sink; `entry_id` is its place among its shard's dead letters."""

    entry_id: str
    shard: ShardKeys
    sink: str
    entry: StreamEntry
    attempts: tuple[Attempt, ...]

    @property
    def id(self) -> str:
        """The id by which an operator names it, no other shard's."""
        return build_message_id(self.entry_id, self.shard.number)

    @property
    def message_id(self) -> str:
        """The merged message's id, as receivers know it."""
        return build_message_id(self.entry.id, self.shard.number)

    @property
    def died_ms(self) -> int:
        """When its last attempt failed, Unix ms by the clock of Redis."""
        return int(self.entry_id.partition("-")[0])

    def is_named(self, name: str) -> bool:
        """Say whether an operator's id means this letter: its own id or its message's, with the shard or without."""
        return name in (self.id, self.message_id, self.entry_id, self.entry.id)


class DeadLetters:
    """The dead letters of one Redis."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys]) -> None:
        self._connection = connection
        self._shards = shards

    async def count(self) -> int:
        """Return how many there are."""
        lengths = await self._connection.calls([("XLEN", shard.dead) for shard in self._shards])
        return sum(map(replies.integer, lengths))

    async def list_newest(self, limit: int = 100, sink: str = "") -> list[DeadLetter]:
        """Return the newest letters, oldest first; only those of `sink` unless that is ""."""
        letters: list[DeadLetter] = []
        for shard in self._shards:
            letters += await self._newest_of(shard, limit, sink)
        return sorted(letters, key=lambda letter: letter.died_ms)[-limit:] if limit else []

    async def _newest_of(self, shard: ShardKeys, limit: int, sink: str) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        end = "+"
        while len(letters) < limit:
            page = await self._page("XREVRANGE", shard, end, "-")
            if not page:
                break
            letters += [letter for letter in page if _is_of(letter, sink)]
            end = f"({page[-1].entry_id}"
        return letters[:limit][::-1]

    async def _page(self, command: str, shard: ShardKeys, start: str, end: str) -> list[DeadLetter]:
        reply = await self._connection.call(command, shard.dead, start, end, "COUNT", _PAGE)
        return [_decode(shard, *entry) for entry in replies.stream_entries(reply)]

    async def read(self, shard: ShardKeys, entry_ids: Sequence[str]) -> list[DeadLetter]:
        """Return the letters of a shard that have these entry ids."""
        answers = [
            await self._connection.call("XRANGE", shard.dead, entry_id, entry_id) for entry_id in entry_ids
        ]
        return [_decode(shard, *entry) for answer in answers for entry in replies.stream_entries(answer)]

    async def iterate(self, sink: str = "") -> AsyncIterator[DeadLetter]:
        """Yield all letters, shard by shard, oldest first; the caller may remove them meanwhile."""
        for shard in self._shards:
            start = "-"
            while page := await self._page("XRANGE", shard, start, "+"):
                for letter in page:
                    if _is_of(letter, sink):
                        yield letter
                start = f"({page[-1].entry_id}"

    async def find(self, name: str) -> list[DeadLetter]:
        """Return the letters of an id: a letter's own, or its message's, which may be dead for several sinks."""
        return [letter async for letter in self.iterate() if letter.is_named(name)]

    async def retry(self, letter: DeadLetter) -> bool:
        """Send a letter to its sink again and remove it, in one step. Returns whether it was still there."""
        queue = DeliveryQueue(self._connection, letter.shard, letter.sink)
        return await queue.requeue(letter.entry, letter.entry_id)

    async def drop(self, letter: DeadLetter) -> bool:
        """Delete a letter. Returns whether it was there."""
        return bool(await self._connection.call("XDEL", letter.shard.dead, letter.entry_id))


def _is_of(letter: DeadLetter, sink: str) -> bool:
    return not sink or letter.sink == sink


def _decode(shard: ShardKeys, entry_id: str, flat: list[bytes]) -> DeadLetter:
    about = replies.fields(flat[:_ABOUT])
    entry = StreamEntry(replies.text(about.get("id")) or "0-0", _fields_of(flat), shard.number)
    return DeadLetter(
        entry_id, shard, replies.text(about.get("sink")), entry, decode_attempts(about.get("tries", b""))
    )


def _fields_of(flat: list[bytes]) -> list[bytes]:
    """Return the fields of the message; all of them are in a single one where there were too many."""
    fields = flat[_ABOUT:]
    if len(fields) == 2 and fields[0] == ALL_FIELDS.encode():
        with contextlib.suppress(ValueError, TypeError):
            return decode_fields(fields[1])
    return fields


def decode_attempts(raw: bytes) -> tuple[Attempt, ...]:
    """Return the attempts of a stored history; none for another program's."""
    try:
        return _decode_attempts(raw or b"[]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
