"""Decides for each message which batch it joins and how long that waits, then stores it.

The policy, the fields that keep batches apart and the time for which ids are remembered are known here. The store
gets numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii

from rfctl.batching.policy import Policy
from rfctl.model.closed_sets import DueEnd
from rfctl.model.company import format_company
from rfctl.model.message import Message
from rfctl.model.stored import Added, HandedOver
from rfctl.store import Addition, Store, batch_key_of, dedupe_key, digest_id
from rfctl.store.batch_keys import is_plain

_quote, _join = encode_basestring_ascii, ", ".join


@dataclass(frozen=True, slots=True)
class BatchingRules:
    """How messages become batches.

    `split_by` names what keeps a phone's batches apart besides the chat: account, company, both or nothing. Message ids
    are remembered for `dedupe_s` seconds, or for the `source_dedupe_s` of their source.
    """

    policy: Policy
    split_by: frozenset[str] = frozenset()
    dedupe_s: int = 86_400
    source_dedupe_s: Mapping[str, int] = field(default_factory=dict)

    def build_batch_key(self, message: Message) -> str:
        """Return the key of the batch that a message belongs to."""
        return batch_key_of(
            message.phone,
            chat=message.chat,
            account=message.account if "account" in self.split_by else "",
            company=format_company(message.company) if "company" in self.split_by else "",
        )

    def build_dedupe_key(self, message: Message) -> bytes:
        """Return the 16 bytes by which a message's id is remembered. No setting of batching is in them.

        A message without a scope of its own has its source, account, chat and phone for one.
        """
        scope = message.id_scope or (message.channel, message.account, message.chat, message.phone)
        # As JSON it has no NUL, so that no other scope and id run together to the same text. What json.dumps gives, for
        # a fifth of its cost: ids that are remembered go by it.
        return digest_id(f"[{_join(map(_quote, scope))}]\0{message.id}")

    def build_older_dedupe_key(self, message: Message) -> bytes:
        """Return the 16 bytes by which layout 1 remembered a message's id.

        Only for ids that were stored under layout 1: an upgrade looks for these too, and then no message comes twice.
        """
        return dedupe_key(
            self.build_batch_key(message),
            message.channel,
            message.account,
            format_company(message.company),
            message.older_id or message.id,
        )

    def build_addition(self, message: Message, *, with_older_key: bool = False) -> Addition:
        """Return the message with every decision about it; the older key is asked for in data of layout 1."""
        policy, phone = self.policy, message.phone
        decision = policy.decide(message) if policy.rules else policy.general
        # Every message passes here: of most, the phone is the key.
        is_usual = not (message.chat or self.split_by) and is_plain(phone)
        return Addition(
            message,
            phone if is_usual else self.build_batch_key(message),
            self.build_dedupe_key(message),
            self.source_dedupe_s.get(message.channel, self.dedupe_s),
            decision.quiet_ms,
            decision.max_size,
            decision.max_wait_ms,
            decision.action,
            self.build_older_dedupe_key(message) if with_older_key else b"",
        )


class Batcher:
    """Stores messages and hands batches over, by one set of rules."""

    def __init__(self, store: Store, rules: BatchingRules) -> None:
        self._store = store
        self._rules = rules

    @property
    def longest_wait_ms(self) -> int:
        """The longest time after which a batch is due, under any rule."""
        return self._rules.policy.longest_ms

    @property
    def shortest_wait_ms(self) -> int:
        """The shortest time after which a batch is due, under any rule."""
        return self._rules.policy.shortest_ms

    def reconfigure(self, rules: BatchingRules) -> None:
        """Decide by other rules from now on; pending batches keep their due times."""
        self._rules = rules

    async def add(self, messages: Sequence[Message]) -> list[Added]:
        """Store messages. Returns what became of each, in their order. Raises RfctlError, as `Batches.add`."""
        store = self._store
        for message in messages:
            if message.alias:
                messages = await store.aliases.learn_and_resolve(messages)
                break
        build, older = self._rules.build_addition, store.asks_older_ids
        return await store.batches.add([build(message, with_older_key=older) for message in messages])

    @property
    def shard_count(self) -> int:
        """How many shards there are to hand over from."""
        return self._store.batches.shard_count

    async def hand_over(self, shard: int = 0, end: DueEnd = "oldest") -> HandedOver:
        """Hand over what is due in a shard, a few batches from this end; `more` says if anything due is left.

        Raises RfctlError.
        """
        return await self._store.batches.hand_over_shard(shard, end, longest_ms=self.longest_wait_ms)
