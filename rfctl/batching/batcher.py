"""Decides for each message which batch it joins and how long that waits, then stores it.

The policy, the fields that keep batches apart and the time for which ids are remembered are known here. The store
gets numbers only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from msgspec import structs

from rfctl.batching.policy import Policy
from rfctl.model.closed_sets import DueEnd
from rfctl.model.company import format_company
from rfctl.model.message import OWN_TYPE, Message, Renaming
from rfctl.model.stored import Added, HandedOver
from rfctl.store import Addition, Store, Terms, batch_key_of, begin_digest, dedupe_key, end_digest
from rfctl.store.batch_keys import Digest, is_plain

MOST_EXTRA = 100
"""How many messages of an album, or parts of a text that was cut, a batch may have beyond its max_size."""
_quote = encode_basestring_ascii


@lru_cache(1024)
def _begin_digest(scope: tuple[str, ...]) -> Digest:
    """Begin the digest of an id in this scope, which has one name more: nearly always that is a person's phone."""
    return begin_digest("[" + "".join([f"{_quote(name)}, " for name in scope]))


def read_wall_clock_ms() -> int:
    """Return this host's time, Unix ms. The age of a message and the hours of rules go by it."""
    return time.time_ns() // 1_000_000


def _extend(terms: Terms) -> Terms:
    """Return the terms of a message behind which more of the same belongs: it does not fill its batch.

    A batch ends inside an album or a text that was cut only where that has more than MOST_EXTRA messages, or goes on for
    longer than max_wait_ms and quiet_ms.
    """
    return structs.replace(
        terms, max_size=terms.max_size + MOST_EXTRA, max_wait_ms=terms.max_wait_ms + terms.quiet_ms
    )


@dataclass(frozen=True, slots=True)
class BatchingRules:
    """How messages become batches.

    `split_by` names what keeps a phone's batches apart besides the chat: account, company, both or nothing. Message ids
    are remembered for `dedupe_s` seconds, or for the `source_dedupe_s` of their source. `logs_drops` says whether dropped
    messages are written into the delivery log. `now_ms` is the clock of the rules.
    """

    policy: Policy
    split_by: frozenset[str] = frozenset()
    dedupe_s: int = 86_400
    source_dedupe_s: Mapping[str, int] = field(default_factory=dict)
    logs_drops: bool = False
    now_ms: Callable[[], int] = read_wall_clock_ms
    _usual: dict[str, Terms] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What is decided about each message of a source, as long as there are no rules."""

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
        # As JSON the scope has no NUL, so that no other scope and id run together to the same text. It is what json.dumps
        # gives: ids that are remembered go by it.
        scope = message.id_scope or (message.channel, message.account, message.chat, message.phone)
        digest = _begin_digest(scope[:-1]).copy()
        digest.update(f"{_quote(scope[-1])}]\0{message.id}".encode("utf-8", "surrogatepass"))
        return end_digest(digest, scope[0])

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

    def build_additions(self, messages: Sequence[Message], *, with_older_key: bool = False) -> list[Addition]:
        """Return the messages with every decision about them; the older keys are asked for in data of layout 1."""
        # Every message passes here: what is the same for all is looked up once.
        usual = self._usual
        is_split, build_dedupe_key = bool(self.split_by), self.build_dedupe_key
        additions: list[Addition] = []
        for message in messages:
            phone = message.phone
            is_key = not (is_split or message.chat) and is_plain(phone)
            additions.append(
                Addition(
                    message,
                    phone if is_key else self.build_batch_key(message),
                    build_dedupe_key(message),
                    usual.get(message.channel) or self._build_terms(message)
                    if not (message.album or message.cut or message.type == OWN_TYPE)
                    else self._build_unusual_terms(message),
                    self.build_older_dedupe_key(message) if with_older_key else b"",
                )
            )
        return additions

    def _build_unusual_terms(self, message: Message) -> Terms:
        terms = self._build_terms(message)
        return _extend(terms) if message.album or message.cut else terms

    def _build_terms(self, message: Message) -> Terms:
        """Decide about a message. Without rules the same is decided about all messages of a source: that is kept."""
        decision, channel = self.policy.decide(message, self.now_ms()), message.channel
        terms = Terms(
            self.source_dedupe_s.get(channel, self.dedupe_s),
            decision.quiet_ms,
            decision.max_size,
            decision.max_wait_ms,
            decision.action,
            decision.rule,
            self.logs_drops,
        )
        if message.type != OWN_TYPE and not self.policy.rules:
            self._usual[channel] = terms
        return terms


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

    def list_split_fields(self) -> Collection[str]:
        """Return what keeps a phone's batches apart besides the chat."""
        return self._rules.split_by

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
        older = store.asks_older_ids
        return await store.batches.add(self._rules.build_additions(messages, with_older_key=older))

    async def move_aliases(self, renamings: Sequence[Renaming]) -> None:
        """Put new second ids in the place of former ones. Raises RfctlError."""
        await self._store.aliases.move(renamings)

    @property
    def shard_count(self) -> int:
        """How many shards there are to hand over from."""
        return self._store.batches.shard_count

    async def hand_over(self, shard: int = 0, end: DueEnd = "oldest") -> HandedOver:
        """Hand over what is due in a shard, a few batches from this end; `more` says if anything due is left.

        Raises RfctlError.
        """
        return await self._store.batches.hand_over_shard(shard, end, longest_ms=self.longest_wait_ms)
