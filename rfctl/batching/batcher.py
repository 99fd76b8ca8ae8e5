"""Decides for each message which batch it joins and how long that waits, then stores it.

The store knows numbers only; the policy, the fields that keep batches apart and the time that ids are remembered are
known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rfctl.batching.policy import Policy
from rfctl.model.message import Message
from rfctl.model.stored import Added, HandedOver
from rfctl.store import Addition, Store, batch_key_of, dedupe_key


@dataclass(frozen=True, slots=True)
class BatchingRules:
    """How batches are made: ms, seconds.

    `split_by` names what keeps one person's batches apart besides the chat: account, company, both or nothing.
    `source_dedupe_s` has the sources that remember ids for another time than `dedupe_s`.
    """

    policy: Policy
    split_by: frozenset[str] = frozenset()
    dedupe_s: int = 86_400
    source_dedupe_s: Mapping[str, int] = field(default_factory=dict)

    def batch_key(self, message: Message) -> str:
        """Return the key of the batch that a message belongs to."""
        return batch_key_of(
            message.phone,
            chat=message.chat,
            account=message.account if "account" in self.split_by else "",
            company=message.company or "" if "company" in self.split_by else "",
        )

    def addition(self, message: Message) -> Addition:
        """Return the message with all that is decided about it."""
        decision = self.policy.decide(message)
        batch_key = self.batch_key(message)
        return Addition(
            message,
            batch_key,
            dedupe_key(batch_key, message.channel, message.account, message.company or "", message.id),
            self.source_dedupe_s.get(message.channel, self.dedupe_s),
            decision.quiet_ms,
            decision.max_size,
            decision.max_wait_ms,
            decision.action,
        )


class Batcher:
    """Stores messages by one set of rules; `rules` may be replaced at any time."""

    def __init__(self, store: Store, rules: BatchingRules) -> None:
        self._store = store
        self.rules = rules

    async def add(self, messages: Sequence[Message]) -> list[Added]:
        """Store messages. Returns what became of each, in their order. Raises RfctlError, as `Batches.add`."""
        resolved = await self._store.aliases.learn_and_resolve(messages)
        return await self._store.batches.add([self.rules.addition(message) for message in resolved])

    async def hand_over(self, *, limit: int = 100) -> HandedOver:
        """Hand over what is due, up to `limit` batches a shard; `more` says if some is left."""
        return await self._store.batches.hand_over(longest_ms=self.rules.policy.longest_ms, limit=limit)
