"""Where everything of a person is: with the sinks, among the dead, and before the groups of workers.

A group of workers is none of rfctl's: nothing waits for a retry there. It has not read a message, or has not
acknowledged it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rfctl.model.delivery import build_message_id
from rfctl.store import replies
from rfctl.store.consumer_groups import group_name, read_group_facts
from rfctl.store.keys import ShardKeys
from rfctl.store.paused_sinks import Pause
from rfctl.store.whereabouts import SEARCHED, Whereabouts, find_whereabouts

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


@dataclass(frozen=True, slots=True)
class UnreadMessage:
    """One merged message that a group of workers has not finished. `id` is its message id, with the shard.

    `is_again`: it was a dead letter, and the group gets it again from a stream of its own.
    """

    group: str
    id: str
    state: Literal["unread", "unacknowledged"]
    is_again: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Where everything of a person is, but for the messages in pending batches; each list is oldest first.

    It is not `complete` if a stream was longer than what is searched.
    """

    whereabouts: Whereabouts
    unread: tuple[UnreadMessage, ...]
    complete: bool

    @property
    def is_nowhere(self) -> bool:
        """Whether nothing of the person is anywhere."""
        here = self.whereabouts
        return not (here.batch_keys or here.undelivered or here.dead or self.unread)


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of workers and a stream: its last delivered entry there, and its oldest unacknowledged one or ""."""

    stream: str
    name: str
    last: str
    oldest: str


async def find_person(
    connection: Connection,
    shards: Sequence[ShardKeys],
    sinks: Sequence[str],
    phone: str,
    batch_keys: Sequence[str],
    paused: Mapping[str, Pause],
) -> Person:
    """Return where everything of a phone is; `batch_keys` are its pending batches. Raises RfctlError.

    A sink that is in no settings any more counts too, as long as its group is there.
    """
    facts = {shard: await read_group_facts(connection, shard.out) for shard in shards}
    names = [replies.text(group["name"]) for groups in facts.values() for group in groups]
    prefix = group_name("")
    orphans = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    all_sinks = list(dict.fromkeys([*sinks, *orphans]))
    whereabouts = await find_whereabouts(connection, shards, all_sinks, phone, batch_keys, paused)
    unread: list[UnreadMessage] = []
    is_complete = whereabouts.complete
    for shard, groups in facts.items():
        workers = [
            await _read_group(connection, shard.out, group)
            for group in groups
            if not replies.text(group["name"]).startswith(prefix)
        ]
        own = [
            await _read_own_group(connection, shard.worker(group.name).again, group.name) for group in workers
        ]
        for readers in filter(None, [workers, *([group] for group in own)]):
            messages, is_whole = await _find_unread(connection, shard, readers, phone)
            unread += messages
            is_complete = is_complete and is_whole
    return Person(whereabouts, tuple(unread), is_complete)


async def _read_own_group(connection: Connection, stream: str, name: str) -> _Group:
    """Return how far a group is with the dead letters that it gets again; before its workers start, it is nowhere."""
    for facts in await read_group_facts(connection, stream):
        if replies.text(facts["name"]) == name:
            return await _read_group(connection, stream, facts)
    return _Group(stream, name, "0-0", "")


async def _read_group(connection: Connection, stream: str, facts: replies.Facts) -> _Group:
    name, oldest = replies.text(facts["name"]), ""
    if replies.integer(facts["pending"]):
        oldest = replies.text(
            replies.array(await connection.call("XPENDING", stream, replies.data(facts["name"])))[1]
        )
    return _Group(stream, name, replies.text(facts["last-delivered-id"]), oldest)


async def _find_unread(
    connection: Connection, shard: ShardKeys, groups: Sequence[_Group], phone: str
) -> tuple[list[UnreadMessage], bool]:
    """Return the messages of a phone that these groups of one stream have not finished, and whether that is all."""
    stream = groups[0].stream
    start = min((group.oldest or group.last for group in groups), key=_sort_key)
    ids: list[str] = []
    searched, position = 0, start
    while position and searched < SEARCHED:
        args = (phone, position, SEARCHED - searched)
        count, last, *matches = replies.array(await connection.run("find_phone", shard, [stream], args))
        ids += map(replies.text, matches)
        searched += replies.integer(count)
        position = f"({replies.text(last)}" if last else ""
    messages = [
        UnreadMessage(group.name, build_message_id(entry_id, shard.number), state, stream != shard.out)
        for entry_id in ids
        for group in groups
        if (state := await _state_of(connection, group, entry_id)) is not None
    ]
    return messages, not position


async def _state_of(
    connection: Connection, group: _Group, entry_id: str
) -> Literal["unread", "unacknowledged"] | None:
    if _sort_key(entry_id) > _sort_key(group.last):
        return "unread"
    if not group.oldest:
        return None
    reply = await connection.call("XPENDING", group.stream, group.name, entry_id, entry_id, 1)
    return "unacknowledged" if reply else None


def _sort_key(entry_id: str) -> tuple[int, int]:
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq or 0)
