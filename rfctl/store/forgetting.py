"""Removes all that Redis has of a person, but for entries of the output stream unless an operator wants that too.

What is on its way to a sink stays: it would be delivered half-way. Each step is safe to repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.aliases import Aliases
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.batches import Batches
from rfctl.store.consumer_groups import group_name
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.delivery_log import DeliveryLog
from rfctl.store.history import History, find_history, find_quarantined
from rfctl.store.holds import Holds
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.quarantine import Quarantine
from rfctl.store.stray_keys import StrayLists
from rfctl.store.stream_entry import split_message_id
from rfctl.store.sweep import Sweep
from rfctl.store.whereabouts import UndeliveredMessage
from rfctl.store.worker_messages import WorkerMessages

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_ROUNDS = 1_000
"""A round removes what a search finds, which has a bound."""


@dataclass(slots=True)
class Forgotten:
    """What was removed, counted by its kind, and what stays.

    `on_its_way` are messages that may be delivered at this moment. `in_stream` are the ids of merged messages in the output
    stream, oldest first. It is not `complete` if a stream was longer than what is searched.
    """

    counts: Counter[str] = field(default_factory=Counter)
    on_its_way: list[UndeliveredMessage] = field(default_factory=list)
    in_stream: list[str] = field(default_factory=list)
    complete: bool = True


class Forgetting:
    """The removal of one person from one Redis. `channels` are the names of sources whose second ids are looked up."""

    def __init__(
        self,
        connection: Connection,
        keyspace: Keyspace,
        batches: Batches,
        phone: str,
        sinks: Sequence[str],
        channels: Collection[str],
    ) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._shards = keyspace.all()
        self._batches = batches
        self._phone = phone
        self._sinks = sinks
        self._channels = channels

    async def read(self) -> History:
        """Return what there is of the person, but for pending batches. Raises RfctlError."""
        batch_keys = await self._batches.find_batches(self._phone)
        return await find_history(self._connection, self._shards, self._sinks, self._phone, batch_keys, {})

    async def forget(self, *, with_stream: bool) -> Forgotten:
        """Remove the person, entries of the output stream too if `with_stream`. Raises RfctlError.

        What reaches a later place meanwhile is found there: places are gone through from the front to the back.
        """
        done = Forgotten()
        await self._forget_pending(done)
        for _ in range(_ROUNDS):
            history = await self.read()
            before = done.counts.total()
            await self._forget_deliveries(history, done)
            await self._forget_at_workers(history, done, with_stream=with_stream)
            if with_stream:
                await self._forget_entries(history, done)
            for letter in history.person.whereabouts.dead:
                done.counts["dead letter"] += await DeadLetters(self._connection, self._shards).drop(letter)
            if done.counts.total() == before:
                break
        await self._forget_rest(done)
        done.in_stream = [message.id for message in history.handed]
        done.complete = done.complete and (history.complete or (await self.read()).complete)
        return done

    async def _forget_pending(self, done: Forgotten) -> None:
        batch_key = batch_key_of(self._phone)
        for pending_key in dict.fromkeys([*await self._batches.find_batches(self._phone), batch_key]):
            done.counts["pending message"] += len(await self._batches.discard(pending_key))
        async for stray in StrayLists(self._connection, self._keyspace).iterate():
            if stray.phone == self._phone:
                await self._connection.call("DEL", stray.key)
                done.counts["pending message"] += stray.messages
        home = self._shards[self._keyspace.index_of(batch_key)]
        untagged = f"{self._keyspace.prefix}last-msg:{batch_key}"
        await self._connection.call("DEL", home.last_prefix + batch_key, untagged)
        await self._connection.call("HDEL", home.set_aside, batch_key)
        holds = Holds(self._connection, self._shards, self._batches)
        for hold in await holds.find(self._phone):
            done.counts["hold"] += await holds.release(hold.batch_key, self._phone, "discard") is not None

    async def _forget_deliveries(self, history: History, done: Forgotten) -> None:
        done.on_its_way = []
        by_sink: dict[tuple[str, str], list[UndeliveredMessage]] = {}
        for message in history.person.whereabouts.undelivered:
            if message.state != "unread":
                by_sink.setdefault((message.sink, split_message_id(message.id)[1] or ""), []).append(message)
        for (sink, number), messages in by_sink.items():
            shard = next(shard for shard in self._shards if shard.number == number)
            answers = await self._run_forget(shard, sink, messages)
            done.counts["undelivered message"] += answers.count(1)
            done.on_its_way += [
                message for message, answer in zip(messages, answers, strict=True) if answer < 0
            ]

    async def _run_forget(
        self, shard: ShardKeys, sink: str, messages: Sequence[UndeliveredMessage]
    ) -> list[int]:
        own = shard.sink(sink)
        keys = [
            shard.out,
            own.waiting,
            own.retry,
            own.attempts,
            own.bodies,
            shard.totals,
            own.progress,
            own.lease,
        ]
        pairs = [part for item in messages for part in (item.batch_key, split_message_id(item.id)[0])]
        return replies.integers(
            await self._connection.run("forget", shard, keys, [group_name(sink), sink, *pairs])
        )

    async def _forget_at_workers(self, history: History, done: Forgotten, *, with_stream: bool) -> None:
        workers = WorkerMessages(self._connection, self._keyspace, self._phone)
        in_stream = [(message.id, message.merged.batch_key) for message in history.handed]
        cleared = await workers.forget(in_stream, with_stream=with_stream)
        done.counts["undelivered message"] += cleared.again
        done.on_its_way += cleared.in_hand
        done.complete = cleared.complete

    async def _forget_entries(self, history: History, done: Forgotten) -> None:
        """Delete entries of the output stream, but for those that are on their way: they would count as missing."""
        on_its_way = {message.id for message in done.on_its_way}
        for message in history.handed:
            if message.id not in on_its_way:
                entry_id, number = split_message_id(message.id)
                shard = next(shard for shard in self._shards if shard.number == (number or ""))
                done.counts["entry of the output stream"] += replies.integer(
                    await self._connection.call("XDEL", shard.out, entry_id)
                )

    async def _forget_rest(self, done: Forgotten) -> None:
        common = self._shards[0].common
        quarantine = Quarantine(self._connection, common)
        is_complete = False
        while not is_complete:
            heads, is_complete = await find_quarantined(self._connection, common, self._phone)
            dropped = [await quarantine.drop(head.id) for head in heads]
            done.counts["request in quarantine"] += sum(dropped)
            is_complete = is_complete or not heads
        done.counts["entry of the delivery log"] += await DeliveryLog(self._connection, self._shards).forget(
            self._phone
        )
        done.counts["second id"] += await Aliases(self._connection, common).forget(
            self._phone, self._channels
        )
        await Sweep(self._connection, self._keyspace).forget(self._phone)
