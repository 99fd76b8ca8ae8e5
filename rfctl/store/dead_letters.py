"""Dead letters: merged messages whose last delivery attempt failed, kept on every shard until an operator decides.

lua/deliveries/dead_letter.lua writes them. Entries of another program are shown as far as they can be read.
Each letter leaves once: it is sent again in the step that removes it, or it is dropped.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from rfctl.model.delivery import build_message_id
from rfctl.store import replies
from rfctl.store.deliveries import ALL_FIELDS, DeliveryQueue
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_entry import StreamEntry, decode_fields
from rfctl.store.stream_pages import RawEntry, StreamPages, is_delivery_id, merge

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_ABOUT = 6
"""The first six items of an entry are about the failure: sink, id and tries, each with its value. The rest is the message."""
_GROUP = "group:"
"""How `sink` begins in a letter that `rfctl.worker` has written: no sink has such a name."""
_ORIGINALS = "messages"
"""The field of a message with all that it was made of: the longest, and in no list."""


class Attempt(msgspec.Struct, frozen=True):
    """One failed attempt: when (Unix ms by the clock of Redis), and what went wrong."""

    at_ms: int = 0
    error: str = ""


_decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One merged message that is dead for one sink; `entry_id` is its place among its shard's dead letters.

    A list has letters that are not `is_whole`: their message was not read, or lacks its originals.
    """

    entry_id: str
    shard: ShardKeys
    sink: str
    entry: StreamEntry
    attempts: tuple[Attempt, ...]
    is_whole: bool = True

    @property
    def id(self) -> str:
        """The id by which an operator names it, no other shard's."""
        return build_message_id(self.entry_id, self.shard.number)

    @property
    def message_id(self) -> str:
        """The merged message's id, as receivers know it."""
        return build_message_id(self.entry.id, self.shard.number)

    @property
    def group(self) -> str:
        """The group of workers for which it is dead; "" where it is dead for a sink."""
        return self.sink.removeprefix(_GROUP) if self.sink.startswith(_GROUP) else ""

    @property
    def died_ms(self) -> int:
        """When its last attempt failed, Unix ms by the clock of Redis."""
        return int(self.entry_id.partition("-")[0])

    @property
    def names(self) -> frozenset[str]:
        """What an operator may call it: its own id or its message's, with the shard or without, or its delivery's."""
        return frozenset((self.id, self.message_id, self.entry_id, self.entry.id, self.entry.delivery_id))


class DeadLetters:
    """The dead letters of one Redis."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys]) -> None:
        self._connection = connection
        self._shards = shards

    async def count(self) -> int:
        """Return how many there are."""
        lengths = await self._connection.calls([("XLEN", shard.dead) for shard in self._shards])
        return sum(map(replies.integer, lengths))

    async def count_by_sink(self) -> dict[str, int]:
        """Return how many there are of each sink. It goes through all of them, without their messages."""
        counts: Counter[str] = Counter()
        for shard in self._shards:
            async for _, flat in StreamPages(self._connection, shard.dead, items=_ABOUT).of_now():
                counts[replies.text(replies.fields(flat).get("sink"))] += 1
        return dict(counts)

    async def list_newest(self, limit: int = 100, sink: str = "") -> list[DeadLetter]:
        """Return the newest letters without their originals, oldest first; only those of `sink` unless that is ""."""
        letters: list[DeadLetter] = []
        newest = merge([self._newest_of(shard) for shard in self._shards], _died_ms, descending=True)
        async for letter in newest:
            if len(letters) == limit:
                break
            if _is_of(letter, sink):
                letters.append(letter)
        return letters[::-1]

    async def _newest_of(self, shard: ShardKeys) -> AsyncIterator[DeadLetter]:
        async for entry in StreamPages(self._connection, shard.dead, measured=_ORIGINALS).newest_first():
            yield _decode(shard, *_without_originals(entry), is_whole=False)

    async def read(self, shard: ShardKeys, entry_ids: Sequence[str]) -> list[DeadLetter]:
        """Return the letters of a shard that have these entry ids."""
        answers = [
            await self._connection.call("XRANGE", shard.dead, entry_id, entry_id) for entry_id in entry_ids
        ]
        return [_decode(shard, *entry) for answer in answers for entry in replies.stream_entries(answer)]

    async def iterate(self, sink: str = "", *, with_delivery_ids: bool = False) -> AsyncIterator[DeadLetter]:
        """Yield the letters of this moment without their messages, shard by shard, oldest first.

        The caller may remove them meanwhile. A letter that is sent again and dies again does not come twice. To know
        the ids of deliveries, all but the originals are read.
        """
        for shard in self._shards:
            pages = (
                StreamPages(self._connection, shard.dead, measured=_ORIGINALS)
                if with_delivery_ids
                else StreamPages(self._connection, shard.dead, items=_ABOUT)
            )
            async for entry in pages.of_now():
                letter = _decode(shard, *_without_originals(entry), is_whole=False)
                if _is_of(letter, sink):
                    yield letter

    async def find_all(self, names: Collection[str]) -> dict[str, list[DeadLetter]]:
        """Return for each id the letters that it names, in one pass: a message may be dead for several sinks.

        An id is a letter's own, its message's or its delivery's. The letters come without their originals.
        """
        matches: dict[str, list[DeadLetter]] = {name: [] for name in names}
        async for letter in self.iterate(with_delivery_ids=any(map(is_delivery_id, names))):
            for name in letter.names & matches.keys():
                matches[name].append(letter)
        return matches

    async def find(self, name: str) -> list[DeadLetter]:
        """Return the letters of an id, without their originals; see `find_all`."""
        return (await self.find_all([name]))[name]

    async def read_whole(self, letter: DeadLetter) -> DeadLetter | None:
        """Return a letter with its whole message, None when it is no longer there."""
        return next(iter(await self.read(letter.shard, [letter.entry_id])), None)

    async def retry(self, letter: DeadLetter) -> bool:
        """Send a letter to its sink, or its group of workers, again and remove it, in one step. Returns whether it was still there."""
        whole = letter if letter.is_whole else await self.read_whole(letter)
        if whole is None:
            return False
        if whole.group:
            keys = [whole.shard.dead, whole.shard.worker(whole.group).again]
            reply = await self._connection.run("give_back", whole.shard, keys, [whole.entry_id])
            return bool(replies.integer(reply))
        queue = DeliveryQueue(self._connection, whole.shard, whole.sink)
        return await queue.requeue(whole.entry, whole.entry_id)

    async def drop(self, letter: DeadLetter) -> bool:
        """Delete a letter. Returns whether it was there."""
        return bool(await self._connection.call("XDEL", letter.shard.dead, letter.entry_id))


def _is_of(letter: DeadLetter, sink: str) -> bool:
    return not sink or letter.sink == sink


def _died_ms(letter: DeadLetter) -> int:
    return letter.died_ms


def _without_originals(entry: RawEntry) -> RawEntry:
    """Drop the field that the script has replaced by its length."""
    entry_id, flat = entry
    about, message = flat[:_ABOUT], flat[_ABOUT:]
    rest = [pair for pair in zip(message[::2], message[1::2], strict=False) if pair[0] != _ORIGINALS.encode()]
    return entry_id, [*about, *chain.from_iterable(rest)]


def _decode(shard: ShardKeys, entry_id: str, flat: list[bytes], *, is_whole: bool = True) -> DeadLetter:
    about = replies.fields(flat[:_ABOUT])
    entry = StreamEntry(replies.text(about.get("id")) or "0-0", _fields_of(flat), shard.number)
    attempts = decode_attempts(about.get("tries", b""))
    return DeadLetter(entry_id, shard, replies.text(about.get("sink")), entry, attempts, is_whole)


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
