"""Redis calls for batches: add, hand over, flush, discard, peek, and finding a phone's batches.

The scripts in lua/batches/ keep every promise about a batch, by the clock of Redis. This module spells out the calls
and names their answers. It decides nothing: how long to wait comes with each message.
"""

from __future__ import annotations

import struct
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from rfctl.model.closed_sets import Action, DrainReason, DueEnd, Order
from rfctl.model.message import Message
from rfctl.model.stored import Added, Batch, HandedOver, decode_item, encode_item, sum_answers
from rfctl.store import replies
from rfctl.store.batch_heads import BatchHead, read_heads
from rfctl.store.batch_keys import batch_key_of, is_hashed
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.phone_index import phone_range, split_phone_entry

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

MOST_MESSAGES, MOST_BYTES = 64, 131_072
"""What one call stores at most, or a single larger message: Redis serves nobody else meanwhile."""
_HANDED_A_CALL = 16
"""How many batches one call hands over at most: of three messages each, they hold Redis for a millisecond."""
_REJECTED = {
    -1: "its key in Redis holds another kind of value",
    -2: "the batch before it cannot be handed over, and must not be mixed with it",
}


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What every script about batches gets: the separator of texts, arrival|sent, and when a batch counts as overdue."""

    separator: str = " "
    order: Order = "arrival"
    overdue_ms: int = 10_000


_unpack_id = struct.Struct(">qI4x").unpack
"""Reads 16 bytes as a signed number of 8 and another of 4, without a call for each: every message passes here."""


class Addition(msgspec.Struct, frozen=True, gc=False):
    """One message with the decisions about it.

    `batch_key` names its batch. Its id is remembered by `dedupe_key` (16 bytes, of `digest_id`) for `dedupe_s` seconds.
    `action` is what becomes of the batch at once ("" lets it wait). `older_key` is the id's key in the sets of layout 1,
    b"" for none.
    """

    message: Message
    batch_key: str
    dedupe_key: bytes
    dedupe_s: int
    quiet_ms: int
    max_size: int
    max_wait_ms: int
    action: Action = ""
    older_key: bytes = b""

    def encode_own(self) -> bytes:
        """Return what the script `add` is told of this message alone: decisions, older key and phone."""
        numbers = f"{self.dedupe_s} {self.quiet_ms} {self.max_size} {self.max_wait_ms}"
        head = f"{numbers} {self.action} {len(self.older_key)} ".encode()
        return head + self.older_key + self.message.phone.encode(errors="surrogatepass")


class Batches:
    """The pending batches of one Redis."""

    def __init__(self, connection: Connection, keyspace: Keyspace, options: BatchOptions) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._shards = keyspace.all()
        self._options = options
        self._channel = keyspace.common.events_channel(connection.db)

    def reconfigure(self, options: BatchOptions) -> None:
        """Use other options from now on."""
        self._options = options

    def _keys_of(self, shard: ShardKeys, batch_key: str) -> list[str]:
        return [*shard.of_batches, shard.batch_prefix + batch_key, shard.last_prefix + batch_key]

    def _args(self, shard: ShardKeys) -> list[bytes | str | int]:
        options = self._options
        # Three in a word: each argument costs every call, and only what leaves needs these.
        rules = f"{options.order} {options.overdue_ms} {options.separator}"
        return [shard.batch_prefix, shard.last_prefix, self._channel, rules]

    def _home(self, batch_key: str) -> ShardKeys:
        return self._shards[self._keyspace.index_of(batch_key)]

    def add(self, additions: Sequence[Addition]) -> Coroutine[Any, Any, list[Added]]:
        """Store messages, in short calls. Returns the results in the order of the messages.

        Raises RfctlError when a call failed. Others may have stored theirs then; it is safe to send all of the
        messages again, by their ids.
        """
        if len(self._shards) == 1:  # no coroutine more than that one: every message passes here
            return self._add(self._shards[0], additions)
        return self._add_to_shards(additions)

    async def _add_to_shards(self, additions: Sequence[Addition]) -> list[Added]:
        by_shard: dict[int, list[int]] = {}
        for place, addition in enumerate(additions):
            by_shard.setdefault(self._keyspace.index_of(addition.batch_key), []).append(place)
        results: dict[int, Added] = {}
        for number, places in by_shard.items():
            answers = await self._add(self._shards[number], [additions[place] for place in places])
            results.update(zip(places, answers, strict=True))
        return [results[place] for place in range(len(additions))]

    async def _add(self, shard: ShardKeys, additions: Sequence[Addition]) -> list[Added]:
        """Store the messages of one shard, in short calls: a request may have thousands, and others wait meanwhile."""
        pages = _split(additions)
        if len(pages) == 1:
            keys, args = self._spell_add(shard, additions)
            return _read_added(additions, await self._connection.run("add", shard, keys, args))
        results: list[Added] = []
        for page in pages:
            keys, args = self._spell_add(shard, page)
            results += _read_added(page, await self._connection.run("add", shard, keys, args))
        return results

    def _spell_add(
        self, shard: ShardKeys, additions: Sequence[Addition]
    ) -> tuple[list[str], list[bytes | str | int]]:
        """Return the keys and the arguments by which the script `add` stores messages."""
        # Every message passes here: nothing is called that most do not need.
        first = additions[0]
        dedupe_s, quiet_ms = first.dedupe_s, first.quiet_ms
        max_size, max_wait_ms = first.max_size, first.max_wait_ms
        batch_prefix, last_prefix = shard.batch_prefix, shard.last_prefix
        args = [*self._args(shard), dedupe_s, quiet_ms, max_size, max_wait_ms]
        keys = [*shard.of_batches, shard.ids]
        named: set[str] = set()
        for addition in additions:
            batch_key, message = addition.batch_key, addition.message
            if batch_key not in named:
                named.add(batch_key)
                keys += (batch_prefix + batch_key, last_prefix + batch_key)
            is_apart = batch_key != message.phone and is_hashed(batch_key)
            is_usual = (
                not (is_apart or addition.action or addition.older_key)
                and addition.quiet_ms == quiet_ms
                and addition.dedupe_s == dedupe_s
                and addition.max_size == max_size
                and addition.max_wait_ms == max_wait_ms
            )
            mark, place = _unpack_id(addition.dedupe_key)
            sent_ms = message.sent_ms
            args += (
                batch_key,
                mark,
                place,
                encode_item(message, with_phone=is_apart)
                + (b',"timestamp":' if sent_ms is None else b',"timestamp":%d' % sent_ms),
                b"" if is_usual else addition.encode_own(),
            )
        return keys, args

    @property
    def shard_count(self) -> int:
        """How many shards there are, each with due times of its own."""
        return len(self._shards)

    async def hand_over(self, *, longest_ms: int, limit: int = _HANDED_A_CALL) -> HandedOver:
        """Hand over what is due, up to `limit` batches a shard; `more` says if anything due is left.

        A due time further away than `longest_ms` is clamped: the clock jumped back.
        """
        return sum_answers([await self._hand_over(shard, limit, longest_ms) for shard in self._shards])

    async def hand_over_shard(self, number: int, end: DueEnd, *, longest_ms: int) -> HandedOver:
        """Hand over what is due in one shard, up to a limit, from this end. Several calls may be on their way at once."""
        return await self._hand_over(self._shards[number], _HANDED_A_CALL, longest_ms, end=end)

    async def drain(self, reason: DrainReason, *, limit: int = _HANDED_A_CALL) -> HandedOver:
        """Hand over also what is not due yet, for this reason (shutdown, flush), up to `limit` batches a shard."""
        return sum_answers([await self._hand_over(shard, limit, 0, reason) for shard in self._shards])

    async def _hand_over(
        self,
        shard: ShardKeys,
        limit: int,
        longest_ms: int,
        drain_reason: DrainReason | None = None,
        end: DueEnd = "oldest",
    ) -> HandedOver:
        args = [*self._args(shard), limit, longest_ms, drain_reason or "", end]
        reply = replies.array(await self._connection.run("hand_over", shard, shard.of_batches, args))
        batches, messages, next_due, now, clamped, more, aside = map(replies.integer, reply[:7])
        overdue = [(replies.text(phone), replies.integer(late)) for phone, late in replies.pairs(reply[7:])]
        return HandedOver(
            batches, messages, None if next_due < 0 else next_due, now, clamped, bool(more), overdue, aside
        )

    async def flush(self, batch_key: str) -> tuple[str, int] | None:
        """Hand one batch over now. Returns the merged message's id and its count, or None when there is no batch.

        The id is "" where the messages said nothing: then they were dropped, and counted.
        """
        shard = self._home(batch_key)
        args = [*self._args(shard), batch_key, "flush"]
        reply = replies.array(
            await self._connection.run("flush", shard, self._keys_of(shard, batch_key), args)
        )
        return (replies.text(reply[0]), replies.integer(reply[1])) if reply else None

    async def discard(self, batch_key: str) -> list[bytes]:
        """Clear one batch. Returns its raw items, oldest first; empty when there was none."""
        shard = self._home(batch_key)
        args = [*self._args(shard), batch_key]
        items = await self._connection.run("discard", shard, self._keys_of(shard, batch_key), args)
        return [replies.data(item) for item in replies.array(items)]

    async def peek(self, batch_key: str) -> Batch | None:
        """Read one batch at one moment; None when there is none. It writes nothing, also after a jump of the clock."""
        shard = self._home(batch_key)
        keys = [shard.due, shard.batch_prefix + batch_key]
        due, *items = replies.array(await self._connection.run("peek", shard, keys, [batch_key]))
        if not items:
            return None
        raw, due_ms = [replies.data(item) for item in items], replies.integer(due)
        messages = [decode_item(item) for item in raw]
        phone = messages[0].phone or batch_key
        now_ms = await self._connection.now_ms(shard)
        return Batch(phone, messages, raw, None if due_ms < 0 else due_ms, now_ms)

    async def find_batches(self, phone: str, chat: str | None = None) -> list[str]:
        """Return the keys of a phone's pending batches, the oldest first; `chat` narrows, "" is the one-to-one chat.

        The key of a batch that is kept apart by account, company or chat does not follow from the phone: an index has it.
        """
        heads: dict[str, BatchHead] = {}
        for shard in self._shards:
            batch_keys = await self._find_hidden(shard, phone)
            if shard is self._home(batch_key_of(phone)):
                batch_keys.append(batch_key_of(phone))
            heads |= await read_heads(self._connection, shard, batch_keys)
        matches = [key for key, head in heads.items() if head.size and chat in (None, head.chat)]
        return sorted(matches, key=lambda key: heads[key].received_ms)

    async def _find_hidden(self, shard: ShardKeys, phone: str) -> list[str]:
        entries = await self._connection.call("ZRANGEBYLEX", shard.phones, *phone_range(phone))
        pairs = [split_phone_entry(entry) for entry in replies.texts(entries)]
        return [batch_key for owner, batch_key in pairs if owner == phone]


def _split(additions: Sequence[Addition]) -> list[list[Addition]]:
    """Return the messages in their order, as many in a list as one call stores."""
    pages: list[list[Addition]] = [[]]
    page, size = pages[0], 0
    for addition in additions:
        message = addition.message
        length = len(message.text) + len(message.metadata)
        size += length
        if page and (size > MOST_BYTES or len(page) == MOST_MESSAGES):
            pages.append(page := [])
            size = length
        page.append(addition)
    return pages if page else []


def _read_added(additions: Sequence[Addition], reply: object) -> list[Added]:
    """Return what became of each message, by the answer of the script `add`: two numbers for each."""
    flat = replies.integers(reply)
    results: list[Added] = []
    for addition, size, due_in_ms in zip(additions, flat[::2], flat[1::2], strict=True):
        if size > 0 <= due_in_ms:
            results.append(Added(addition.message.phone, True, size, due_in_ms))
        else:
            why = _REJECTED.get(due_in_ms, "")
            results.append(Added(addition.message.phone, size > 0, abs(size), max(0, due_in_ms), why))
    return results
