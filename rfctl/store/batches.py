"""Redis calls for batches: add, hand over, flush, discard, peek, and finding a phone's batches.

The scripts in lua/batches/ keep every promise about a batch, by the clock of Redis. This module spells out the calls
and names their answers. It decides nothing: how long to wait comes with each message.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rfctl.errors import BatchHeldError
from rfctl.model.closed_sets import DrainReason, DueEnd, Order
from rfctl.model.stored import Added, Batch, HandedOver, decode_item, sum_answers
from rfctl.model.traceparent import TracedBatch
from rfctl.store import replies
from rfctl.store.additions import ANSWERS_A_MESSAGE, Addition, AddSpeller, read_added, split_calls
from rfctl.store.batch_heads import BatchHead, read_heads
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.batch_measures import BatchMeasures
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.phone_index import phone_range, split_phone_entry
from rfctl.store.traced_batches import read_traced_batches

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_HANDED_A_CALL = 16
"""How many batches one call hands over at most: of three messages each, they hold Redis for a millisecond."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What every script about batches gets: the separator of texts, arrival|sent, and when a batch counts as overdue."""

    separator: str = " "
    order: Order = "arrival"
    overdue_ms: int = 10_000


def _held(batch_key: str, until_ms: int) -> BatchHeldError:
    until = datetime.fromtimestamp(until_ms / 1000, UTC).isoformat(timespec="seconds")
    return BatchHeldError(
        f"the batch of {batch_key} is held until {until}",
        next=f"`rfctl release {shlex.quote(batch_key)}` ends the hold and hands it over",
    )


def _ignore(_batch: TracedBatch) -> None: ...


class Batches:
    """The pending batches of one Redis."""

    def __init__(self, connection: Connection, keyspace: Keyspace, options: BatchOptions) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._shards = keyspace.all()
        self._options = options
        self._channel = keyspace.common.events_channel(connection.db)
        self.on_traced: Callable[[TracedBatch], None] = _ignore
        """Called with each batch that a call of `add` or `hand_over` has handed over, and that has a trace."""
        self._spellers: dict[int, AddSpeller] = {}
        """What spells the calls of `add`, by the number of the shard, made when it is first needed."""
        self.measures = BatchMeasures()
        """What its calls have handed over so far."""

    def reconfigure(self, options: BatchOptions) -> None:
        """Use other options from now on."""
        self._options = options
        self._spellers.clear()

    def _keys_of(self, shard: ShardKeys, batch_key: str) -> list[str]:
        return [*shard.of_batches, shard.batch_prefix + batch_key, shard.last_prefix + batch_key]

    def _args(self, shard: ShardKeys) -> list[bytes | str | int]:
        options = self._options
        # Three in a word: each argument costs every call, and only what leaves needs these.
        rules = f"{options.order} {options.overdue_ms} {options.separator}"
        return [shard.batch_prefix, shard.last_prefix, self._channel, rules]

    def home_of(self, batch_key: str) -> ShardKeys:
        """Return the keys of the shard that has a batch."""
        return self._shards[self._keyspace.index_of(batch_key)]

    def add(self, additions: Sequence[Addition]) -> Coroutine[Any, Any, list[Added]]:
        """Store messages, in short calls. Returns the results in the order of the messages.

        Raises RfctlError when a call failed. Others may have stored theirs then; it is safe to send all of the
        messages again, by their ids.
        """
        if len(self._shards) == 1:  # no coroutine more than that one: every message passes here
            return self._add(0, additions)
        return self._add_to_shards(additions)

    async def _add_to_shards(self, additions: Sequence[Addition]) -> list[Added]:
        by_shard: dict[int, list[int]] = {}
        for place, addition in enumerate(additions):
            by_shard.setdefault(self._keyspace.index_of(addition.batch_key), []).append(place)
        results: dict[int, Added] = {}
        for number, places in by_shard.items():
            answers = await self._add(number, [additions[place] for place in places])
            results.update(zip(places, answers, strict=True))
        return [results[place] for place in range(len(additions))]

    async def _add(self, number: int, additions: Sequence[Addition]) -> list[Added]:
        """Store the messages of one shard, in short calls: a request may have thousands, and others wait meanwhile."""
        run, shard = self._connection.run, self._shards[number]
        speller = self._spellers.get(number)
        if speller is None:
            speller = self._spellers[number] = AddSpeller(shard, self._args(shard))
        pages = split_calls(additions)
        if len(pages) == 1:
            return self._read_added(additions, await run("add", shard, *speller.spell(additions)))
        results: list[Added] = []
        for page in pages:
            results += self._read_added(page, await run("add", shard, *speller.spell(page)))
        return results

    def _read_added(self, additions: Sequence[Addition], reply: object) -> list[Added]:
        answers, size = replies.array(reply), ANSWERS_A_MESSAGE * len(additions)
        if len(answers) > size:  # batches have left at once
            self._note_left(*answers[size:])
            del answers[size:]
        return read_added(additions, answers)

    def _note_left(self, measures: object, traced: object = None) -> None:
        """Count the batches that a call has handed over, and report those that have a trace."""
        self.measures.add(replies.integers(measures))
        for batch in read_traced_batches(traced):
            self.on_traced(batch)

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
        *numbers, phone, measures, traced = reply
        batches, messages, next_due, now, clamped, more, aside, overdue, late = replies.integers(numbers)
        self._note_left(measures, traced)
        due = None if next_due < 0 else next_due
        latest = (replies.text(phone), late)
        return HandedOver(batches, messages, due, now, clamped, bool(more), overdue, latest, aside)

    async def flush(self, batch_key: str) -> tuple[str, int] | None:
        """Hand one batch over now. Returns the merged message's id and its count, or None when there is no batch.

        The id is "" where the messages said nothing: then they were dropped, and counted. Raises BatchHeldError for a
        batch that is held.
        """
        reply = await self.run_on_batch("flush", batch_key, "flush")
        if not reply:
            return None
        count = replies.integer(reply[1])
        if count < 0:
            raise _held(batch_key, -count)
        return replies.text(reply[0]), count

    async def discard(self, batch_key: str) -> list[bytes]:
        """Clear one batch. Returns its raw items, oldest first; empty when there was none."""
        return [replies.data(item) for item in await self.run_on_batch("discard", batch_key)]

    async def run_on_batch(self, verb: str, batch_key: str, *args: str | int) -> list[object]:
        """Run a script about one batch, and return its answer."""
        shard = self.home_of(batch_key)
        words = [*self._args(shard), batch_key, *args]
        return replies.array(await self._connection.run(verb, shard, self._keys_of(shard, batch_key), words))

    async def peek(self, batch_key: str) -> Batch | None:
        """Read one batch at one moment; None when there is none. It writes nothing, also after a jump of the clock."""
        shard = self.home_of(batch_key)
        keys = [shard.due, shard.batch_prefix + batch_key, shard.held]
        due, held_until, *items = replies.array(await self._connection.run("peek", shard, keys, [batch_key]))
        if not items:
            return None
        raw, due_ms = [replies.data(item) for item in items], replies.integer(due)
        messages = [decode_item(item) for item in raw]
        phone = messages[0].phone or batch_key
        now_ms = await self._connection.now_ms(shard)
        until_ms = replies.integer(held_until)
        return Batch(
            phone,
            messages,
            raw,
            None if due_ms < 0 else due_ms,
            now_ms,
            until_ms if until_ms > now_ms else None,
        )

    async def find_batches(self, phone: str, chat: str | None = None) -> list[str]:
        """Return the keys of a phone's pending batches, the oldest first; `chat` narrows, "" is the one-to-one chat.

        The key of a batch that is kept apart by account, company or chat does not follow from the phone: an index has it.
        """
        heads: dict[str, BatchHead] = {}
        for shard in self._shards:
            batch_keys = await self._find_hidden(shard, phone)
            if shard is self.home_of(batch_key_of(phone)):
                batch_keys.append(batch_key_of(phone))
            heads |= await read_heads(self._connection, shard, batch_keys)
        matches = [key for key, head in heads.items() if head.size and chat in (None, head.chat)]
        return sorted(matches, key=lambda key: heads[key].received_ms)

    async def _find_hidden(self, shard: ShardKeys, phone: str) -> list[str]:
        entries = await self._connection.call("ZRANGEBYLEX", shard.phones, *phone_range(phone))
        pairs = [split_phone_entry(entry) for entry in replies.texts(entries)]
        return [batch_key for owner, batch_key in pairs if owner == phone]
