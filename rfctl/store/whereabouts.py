"""Finds every place where something of a phone is, for an operator.

Pending batches, the output stream (unread or unacknowledged, for each sink), what waits for a retry or was sent again,
and dead letters. The quarantine cannot be searched: what is in it was not understood. The cost is bounded: streams are
searched inside Redis, a few ms a call, and only up to `SEARCHED` entries of each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from rfctl.model.delivery import build_message_id
from rfctl.store import replies
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.consumer_groups import group_name, read_group_facts
from rfctl.store.dead_letters import Attempt, DeadLetter, DeadLetters, decode_attempts
from rfctl.store.keys import ShardKeys
from rfctl.store.paused_sinks import Pause
from rfctl.store.stream_entry import StreamEntry, build_waiting_member, decode_fields, parse_waiting_member

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

SEARCHED = 20_000
"""Entries of each stream of a shard that are looked at, at most."""
MOST_MATCHES = 200
"""Matches of each stream of a shard, at most."""
_MEMBERS = 1_000
State = Literal["unread", "unacknowledged", "waiting"]
"""Unread: in the output stream. Unacknowledged: read, and on its way. Waiting: for a retry, or behind one."""


@dataclass(frozen=True, slots=True)
class UndeliveredMessage:
    """One merged message that a sink has not finished. `id` is its message id, with the shard.

    `attempts` counts the failed ones, `last` is the last of them. `next_retry_ms` (steady Unix ms) is when its batch key is
    tried again, None unless it waits. `paused` is why the sink is paused.
    """

    sink: str
    id: str
    batch_key: str
    state: State
    attempts: int = 0
    last: Attempt | None = None
    next_retry_ms: int | None = None
    paused: Pause | None = None


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Every place where something of a phone is; each list is oldest first.

    `batch_keys` are its pending batches. It is not `complete` if a stream was longer than what is searched.
    """

    phone: str
    batch_keys: tuple[str, ...] = ()
    undelivered: tuple[UndeliveredMessage, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Matches:
    """The ids of a phone's entries in one stream, and whether the whole stream was searched."""

    ids: tuple[str, ...]
    complete: bool


async def find_whereabouts(
    connection: Connection,
    shards: Sequence[ShardKeys],
    sinks: Sequence[str],
    phone: str,
    batch_keys: Sequence[str],
    paused: Mapping[str, Pause],
) -> Whereabouts:
    """Return where everything of a phone is; `batch_keys` are its pending batches. Raises RfctlError."""
    whereabouts = Whereabouts(phone, tuple(batch_keys))
    for shard in shards:
        search = _Search(connection, shard, sinks, phone, [batch_key_of(phone), *batch_keys])
        undelivered, is_complete = await search.find_undelivered()
        dead = await find_matches(connection, shard, shard.dead, phone, "-")
        letters = await DeadLetters(connection, [shard]).read(shard, dead.ids)
        whereabouts = replace(
            whereabouts,
            undelivered=(*whereabouts.undelivered, *undelivered),
            dead=(*whereabouts.dead, *letters),
            complete=whereabouts.complete and is_complete and dead.complete,
        )
    marked = (replace(message, paused=paused.get(message.sink)) for message in whereabouts.undelivered)
    return replace(whereabouts, undelivered=tuple(marked))


async def find_matches(
    connection: Connection, shard: ShardKeys, stream: str, phone: str, start: str
) -> Matches:
    """Return the entries of a phone in a stream, from an id on. Raises RfctlError."""
    ids: list[str] = []
    searched = 0
    while searched < SEARCHED and len(ids) < MOST_MATCHES:
        args = (phone, start, SEARCHED - searched)
        seen, last, *matches = replies.array(await connection.run("find_phone", shard, [stream], args))
        ids += map(replies.text, matches)
        searched += replies.integer(seen)
        if not last:
            return Matches(tuple(ids), complete=True)
        start = f"({replies.text(last)}"
    return Matches(tuple(ids[:MOST_MATCHES]), complete=False)


@dataclass(frozen=True, slots=True)
class _Reader:
    """How far a sink's group has read: the last entry that it got, and the oldest unacknowledged one ("": none)."""

    last: str
    oldest: str

    @property
    def start(self) -> str:
        return self.oldest or f"({self.last}"


@dataclass(slots=True)
class _Search:
    """The search for one phone's undelivered messages on one shard."""

    connection: Connection
    shard: ShardKeys
    sinks: Sequence[str]
    phone: str
    batch_keys: list[str]

    async def find_undelivered(self) -> tuple[list[UndeliveredMessage], bool]:
        """Return the messages, oldest first, and whether everything was searched."""
        readers = await self._read_readers()
        start = min((reader.start for reader in readers.values()), key=_sort_key, default="-")
        matches = await find_matches(self.connection, self.shard, self.shard.out, self.phone, start)
        keys = {entry_id: await self._read_batch_key(entry_id) for entry_id in matches.ids}
        messages = [
            message
            for sink, reader in readers.items()
            for message in await self._list_unfinished(sink, reader, keys)
        ]
        resent = [message for sink in self.sinks for message in await self._list_waiting(sink, keys)]
        present = {(message.sink, message.id) for message in messages}
        messages += [message for message in resent if (message.sink, message.id) not in present]
        return sorted(messages, key=lambda message: (_sort_key(message.id), message.sink)), matches.complete

    async def _read_readers(self) -> dict[str, _Reader]:
        facts = await read_group_facts(self.connection, self.shard.out)
        groups = {replies.text(group["name"]): group for group in facts}
        readers: dict[str, _Reader] = {}
        for sink in self.sinks:
            if group := groups.get(group_name(sink)):
                oldest = ""
                if replies.integer(group["pending"]):
                    pending = await self.connection.call("XPENDING", self.shard.out, group_name(sink))
                    oldest = replies.text(pending[1])
                readers[sink] = _Reader(replies.text(group["last-delivered-id"]), oldest)
            else:
                readers[sink] = _Reader("0-0", "")
        return readers

    async def _read_batch_key(self, entry_id: str) -> str:
        reply = await self.connection.call("XRANGE", self.shard.out, entry_id, entry_id)
        entries = replies.stream_entries(reply)
        return StreamEntry(entry_id, entries[0][1]).batch_key if entries else batch_key_of(self.phone)

    async def _list_unfinished(
        self, sink: str, reader: _Reader, keys: Mapping[str, str]
    ) -> list[UndeliveredMessage]:
        messages = []
        for entry_id, batch_key in keys.items():
            if _sort_key(entry_id) > _sort_key(reader.last):
                messages.append(UndeliveredMessage(sink, self._name(entry_id), batch_key, "unread"))
            elif await self._is_unacknowledged(sink, entry_id):
                messages.append(await self._describe(sink, entry_id, batch_key))
        return messages

    async def _is_unacknowledged(self, sink: str, entry_id: str) -> bool:
        command = ("XPENDING", self.shard.out, group_name(sink), entry_id, entry_id, 1)
        return bool(await self.connection.call(*command))

    async def _describe(self, sink: str, entry_id: str, batch_key: str) -> UndeliveredMessage:
        keys = self.shard.sink(sink)
        waits, retry, history = await self.connection.calls(
            [
                ("ZSCORE", keys.waiting, build_waiting_member(batch_key, entry_id)),
                ("ZSCORE", keys.retry, batch_key),
                ("HGET", keys.attempts, entry_id),
            ]
        )
        attempts = decode_attempts(replies.data(history))
        return UndeliveredMessage(
            sink, self._name(entry_id), batch_key, "unacknowledged" if waits is None else "waiting",
            len(attempts), attempts[-1] if attempts else None,
            None if waits is None or retry is None else replies.score(retry),
        )  # fmt: skip

    async def _list_waiting(self, sink: str, keys: Mapping[str, str]) -> list[UndeliveredMessage]:
        """Return what waits under the phone's batch keys, also what was sent again and is in the stream no more."""
        waiting = self.shard.sink(sink).waiting
        members = []
        for batch_key in dict.fromkeys([*self.batch_keys, *keys.values()]):
            span = (f"[{batch_key}\0", f"({batch_key}\1", "LIMIT", 0, MOST_MATCHES)
            members += replies.texts(await self.connection.call("ZRANGEBYLEX", waiting, *span))
        hashed = replies.texts(
            await self.connection.call("ZRANGEBYLEX", waiting, "[&", "('", "LIMIT", 0, _MEMBERS)
        )
        members += [member async for member in self._of_the_phone(sink, hashed)]
        return [
            await self._describe(sink, parse_waiting_member(member), member.partition("\0")[0])
            for member in dict.fromkeys(members)
        ]

    async def _of_the_phone(self, sink: str, members: Iterable[str]) -> AsyncIterator[str]:
        """Yield the members that were sent again and are the phone's: behind `&` only the message tells it."""
        for member in members:
            body = await self.connection.call(
                "HGET", self.shard.sink(sink).bodies, parse_waiting_member(member)
            )
            if body and StreamEntry("0-0", decode_fields(replies.data(body))).phone == self.phone:
                yield member

    def _name(self, entry_id: str) -> str:
        return build_message_id(entry_id, self.shard.number)


def _sort_key(entry_id: str) -> tuple[int, int, int]:
    """Return what an id of a stream sorts by; `-` is before all, and `(` stands behind its id."""
    ms, _, seq = entry_id.lstrip("(").partition("-")
    return int(ms or 0), int(seq.partition("-")[0] or 0), int(entry_id.startswith("("))
