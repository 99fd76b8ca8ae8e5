"""What groups of workers keep of one person: their place in the order, failures, and dead letters that come again.

`rfctl.worker` writes it. A group that is gone may have left it behind: so the names of keys tell which groups there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.model.delivery import build_message_id
from rfctl.store import replies
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.stream_entry import StreamEntry, build_waiting_member, parse_entry_id, parse_waiting_member
from rfctl.store.whereabouts import UndeliveredMessage, find_matches
from rfctl.store.worker_keys import list_groups, pattern_of_groups

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 1_000
_FORGOTTEN_A_CALL = 100
IN_HAND_MS = 60_000
"""So long after the last sign of life a worker may still be at a message; it gives one every 15 s, or more often."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was forgotten at the groups of workers. `again` counts messages that a group would have had again.

    `in_hand` are those that a worker may be at, at this moment. It is not `complete` if a stream was too long.
    """

    again: int
    in_hand: tuple[UndeliveredMessage, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """One stream that a group of workers reads, and what it keeps of it. `is_own`: no other group reads that stream."""

    shard: ShardKeys
    group: str
    stream: str
    order: str
    failures: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class _Message:
    """A message in a place, by its batch key and the id of its entry."""

    batch_key: str
    id: str

    @property
    def words(self) -> tuple[str, str, str]:
        return self.batch_key, build_waiting_member(self.batch_key, self.id), self.id


async def find_groups(connection: Connection, keyspace: Keyspace) -> dict[str, set[str]]:
    """Return the keys of each group of workers, by its name. It goes through the names of all keys. Raises RfctlError."""
    pattern = pattern_of_groups(keyspace.prefix)
    names: set[str] = set()
    cursor, is_begun = "0", False
    while cursor != "0" or not is_begun:
        reply = await connection.call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
        position, page = replies.array(reply)
        cursor, is_begun = replies.text(position), True
        names.update(replies.texts(page))
    return list_groups(names, keyspace.prefix)


class WorkerMessages:
    """The messages of one phone at the groups of workers. Every call raises RfctlError when Redis fails."""

    def __init__(self, connection: Connection, keyspace: Keyspace, phone: str) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._phone = phone

    async def forget(self, in_stream: Sequence[tuple[str, str]], *, with_stream: bool) -> Cleared:
        """Forget the phone in each group. `in_stream` are message ids and batch keys that the output stream has.

        What stays in the output stream keeps its place in the group, unless `with_stream`: then that goes too, and the
        caller deletes the entries. No message that a worker may have in hand is forgotten.
        """
        again, in_hand, is_complete = 0, [], True
        for place in await self._list_places():
            messages, is_whole = await self._find(place, in_stream)
            is_complete = is_complete and is_whole
            if not (place.is_own or with_stream):
                staying = {message_id for message_id, _ in in_stream}
                messages = [
                    item for item in messages if build_message_id(item.id, place.shard.number) not in staying
                ]
            for item, answer in zip(messages, await self._run_forget(place, messages), strict=True):
                again += answer == 1 and place.is_own
                if answer < 0:
                    in_hand.append(_describe(place, item))
        return Cleared(again, tuple(in_hand), is_complete)

    async def _list_places(self) -> list[_Place]:
        groups = await find_groups(self._connection, self._keyspace)
        return [
            place for shard in self._keyspace.all() for group in groups for place in _places_of(shard, group)
        ]

    async def _find(self, place: _Place, in_stream: Sequence[tuple[str, str]]) -> tuple[list[_Message], bool]:
        """Return what is in a place, newest first: by the phone of an entry, and by its own batch key in the order.

        Whoever is first in the order may be in hand. So the first one is looked at last, while it is still the first.
        """
        is_complete = True
        if place.is_own:
            matches = await find_matches(self._connection, place.shard, place.stream, self._phone, "-")
            messages = [
                _Message(await self._read_batch_key(place, entry_id), entry_id) for entry_id in matches.ids
            ]
            is_complete = matches.complete
        else:
            end = f"-{place.shard.number}" if place.shard.number else ""
            messages = [
                _Message(batch_key, message_id.removesuffix(end))
                for message_id, batch_key in in_stream
                if build_message_id(message_id.removesuffix(end), place.shard.number) == message_id
            ]
        own = batch_key_of(self._phone)
        span = (f"[{own}\0", f"({own}\1")
        members = replies.texts(await self._connection.call("ZRANGEBYLEX", place.order, *span))
        messages += [_Message(own, parse_waiting_member(member)) for member in members]
        return sorted(set(messages), key=lambda item: parse_entry_id(item.id), reverse=True), is_complete

    async def _read_batch_key(self, place: _Place, entry_id: str) -> str:
        reply = await self._connection.call("XRANGE", place.stream, entry_id, entry_id)
        entries = replies.stream_entries(reply)
        return StreamEntry(entry_id, entries[0][1]).batch_key if entries else batch_key_of(self._phone)

    async def _run_forget(self, place: _Place, messages: Sequence[_Message]) -> list[int]:
        answers: list[int] = []
        keys = [place.stream, place.order, place.failures]
        for start in range(0, len(messages), _FORGOTTEN_A_CALL):
            words = [word for item in messages[start : start + _FORGOTTEN_A_CALL] for word in item.words]
            args = [place.group, "1" if place.is_own else "", IN_HAND_MS, *words]
            answers += replies.integers(
                await self._connection.run("forget_at_workers", place.shard, keys, args)
            )
        return answers


def _places_of(shard: ShardKeys, group: str) -> Iterator[_Place]:
    keys = shard.worker(group)
    yield _Place(shard, group, shard.out, keys.order, keys.failures, is_own=False)
    yield _Place(shard, group, keys.again, keys.again_order, keys.again_failures, is_own=True)


def _describe(place: _Place, item: _Message) -> UndeliveredMessage:
    message_id = build_message_id(item.id, place.shard.number)
    return UndeliveredMessage(f"group:{place.group}", message_id, item.batch_key, "unacknowledged")
