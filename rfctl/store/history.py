"""All that is known of a person: what became of each message, and what is still to come.

It looks at the quarantine, the output stream with its readers, each sink, dead letters and the delivery log. Streams are
searched within bounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rfctl.model.delivery import build_message_id
from rfctl.model.message import normalize_phone
from rfctl.model.stored import Merged
from rfctl.store import replies
from rfctl.store.consumer_groups import group_name, read_group_facts
from rfctl.store.delivery_log import DeliveryLog, LoggedDelivery
from rfctl.store.keys import CommonKeys, ShardKeys
from rfctl.store.paused_sinks import Pause
from rfctl.store.person import Person, find_person
from rfctl.store.quarantine import Quarantine, QuarantinedHead
from rfctl.store.stream_entry import StreamEntry, parse_entry_id
from rfctl.store.stream_pages import StreamPages
from rfctl.store.whereabouts import MOST_MATCHES, SEARCHED

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_NUMBER = re.compile(rb"\+?\d[\d ().-]{4,30}\d")

ReaderState = Literal["unread", "acknowledged"]


@dataclass(frozen=True, slots=True)
class ReaderOfEntry:
    """How far a consumer group is with one entry. `sink` is "" for a group of workers; `acknowledged`: it was read."""

    group: str
    sink: str
    state: ReaderState


@dataclass(frozen=True, slots=True)
class HandedMessage:
    """A merged message that is still in the output stream, and its readers. `id` is its message id, with the shard."""

    id: str
    merged: Merged
    readers: tuple[ReaderOfEntry, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a person, but for the messages in pending batches. Each list is oldest first.

    It is not `complete` if a stream was longer than what is searched.
    """

    person: Person
    handed: tuple[HandedMessage, ...]
    logged: tuple[LoggedDelivery, ...]
    quarantined: tuple[QuarantinedHead, ...]
    complete: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the person."""
        return self.person.is_nowhere and not (self.handed or self.logged or self.quarantined)


async def find_history(
    connection: Connection,
    shards: Sequence[ShardKeys],
    sinks: Sequence[str],
    phone: str,
    batch_keys: Sequence[str],
    paused: Mapping[str, Pause],
) -> History:
    """Return what is known of a phone; `batch_keys` are its pending batches. Raises RfctlError.

    It reads from the front to the back, so that what moves on meanwhile is seen in one place at least.
    """
    quarantined, has_all = await find_quarantined(connection, shards[0].common, phone)
    handed: list[HandedMessage] = []
    is_complete = has_all
    for shard in shards:
        messages, is_whole = await _find_handed(connection, shard, phone)
        handed += messages
        is_complete = is_complete and is_whole
    person = await find_person(connection, shards, sinks, phone, batch_keys, paused)
    log = DeliveryLog(connection, shards)
    logged = [delivery async for delivery in log.iterate(phone=phone)]
    return History(
        person,
        tuple(sorted(handed, key=lambda message: message.merged.handed_ms)),
        tuple(reversed(logged)),
        tuple(quarantined),
        is_complete and person.complete,
    )


async def _find_handed(
    connection: Connection, shard: ShardKeys, phone: str
) -> tuple[list[HandedMessage], bool]:
    ids, is_complete = await _find_newest(connection, shard, phone)
    groups = await read_group_facts(connection, shard.out) if ids else []
    answers = await connection.calls([("XRANGE", shard.out, entry_id, entry_id) for entry_id in ids])
    entries = [entry for answer in answers for entry in replies.stream_entries(answer)]
    return [
        HandedMessage(
            build_message_id(entry_id, shard.number),
            StreamEntry(entry_id, flat, shard.number).merged,
            tuple(_read_reader(group, entry_id) for group in groups),
        )
        for entry_id, flat in entries
    ], is_complete


async def _find_newest(connection: Connection, shard: ShardKeys, phone: str) -> tuple[list[str], bool]:
    """Return the ids of a phone's newest entries of the output stream, and whether there can be no other."""
    ids: list[str] = []
    start, searched = "+", 0
    while start and searched < SEARCHED and len(ids) < MOST_MATCHES:
        args = (phone, start, SEARCHED - searched)
        seen, last, *matches = replies.array(await connection.run("find_newest", shard, [shard.out], args))
        ids += map(replies.text, matches)
        searched += replies.integer(seen)
        start = f"({replies.text(last)}" if last else ""
    return ids[:MOST_MATCHES][::-1], not start and len(ids) <= MOST_MATCHES


def _read_reader(facts: replies.Facts, entry_id: str) -> ReaderOfEntry:
    name, prefix = replies.text(facts["name"]), group_name("")
    is_read = parse_entry_id(entry_id) <= parse_entry_id(replies.text(facts["last-delivered-id"]))
    sink = name.removeprefix(prefix) if name.startswith(prefix) else ""
    return ReaderOfEntry(name, sink, "acknowledged" if is_read else "unread")


async def find_quarantined(
    connection: Connection, keys: CommonKeys, phone: str
) -> tuple[list[QuarantinedHead], bool]:
    """Return the requests in quarantine that name a phone, oldest first, and whether all were searched.

    What is there was not understood: a phone counts as named where its digits stand, in any spelling.
    """
    heads: list[QuarantinedHead] = []
    searched = 0
    async for entry_id, _ in StreamPages(connection, keys.quarantine, items=2).newest_first():
        if searched == SEARCHED or len(heads) == MOST_MATCHES:
            return heads[::-1], False
        searched += 1
        request = await Quarantine(connection, keys).get(entry_id)
        if request is not None and names_phone(request.body, phone):
            heads.append(request.head)
    return heads[::-1], True


def names_phone(body: bytes, phone: str) -> bool:
    """Say whether a body names a phone, as it is or with spaces, dots, dashes and parentheses in it."""
    literal = re.escape(phone.encode(errors="surrogatepass"))
    if re.search(rb"(?<![0-9A-Za-z])" + literal + rb"(?![0-9A-Za-z])", body):
        return True
    numbers = (number.decode() for number in _NUMBER.findall(body))
    return any(normalize_phone(number) == phone for number in numbers)
