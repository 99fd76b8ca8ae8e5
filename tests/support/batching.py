"""Batches inside a test: one store, one set of rules, and what has come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfctl.batching import Batcher, BatchingRules, Policy, Rule, Timers
from rfctl.model.closed_sets import DrainReason, Order
from rfctl.model.message import Message
from rfctl.model.stored import Added, HandedOver, Merged
from rfctl.store import BatchOptions, Keyspace, ShardKeys, Store
from rfctl.store.batches import Batches
from rfctl.store.connection import Connection


class Rig:
    """A store with a batcher on it."""

    def __init__(
        self, connection: Connection, shards: int, options: BatchOptions, rules: BatchingRules
    ) -> None:
        self.connection = connection
        self.store = Store(connection, Keyspace(shards), options)
        self.batcher = Batcher(self.store, rules)

    @property
    def batches(self) -> Batches:
        return self.store.batches

    @property
    def shards(self) -> list[ShardKeys]:
        return self.store.shards

    async def add(self, messages: Sequence[Message]) -> list[Added]:
        return await self.batcher.add(messages)

    async def hand_over(self, *, limit: int = 100) -> HandedOver:
        return await self.batches.hand_over(longest_ms=self.batcher.longest_wait_ms, limit=limit)

    async def drain(self, reason: DrainReason = "shutdown", *, limit: int = 100) -> HandedOver:
        return await self.batches.drain(reason, limit=limit)

    async def collect(self) -> list[Merged]:
        """Every merged message, over all shards."""
        return [
            merged
            for shard in self.shards
            for merged in await self.store.output.read_after(shard, "0-0", 10_000)
        ]


def make_rig(
    connection: Connection,
    shards: int = 0,
    policy_rules: Sequence[Rule] = (),
    *,
    quiet_ms: int = 5000,
    max_size: int = 10,
    max_wait_ms: int = 60_000,
    separator: str = " ",
    order: Order = "arrival",
    overdue_ms: int = 10_000,
    **rules: Any,
) -> Rig:
    policy = Policy(Timers(quiet_ms, max_size, max_wait_ms), policy_rules)
    return Rig(connection, shards, BatchOptions(separator, order, overdue_ms), BatchingRules(policy, **rules))
