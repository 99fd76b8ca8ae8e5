"""The one room that writes to Redis about batches: add, hand over, flush, discard; and peek.

Every promise about a batch is kept inside a script (lua/), by the clock of Redis; this room spells out the
calls and gives their answers names. It keeps nothing itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rfctl.batching.policy import Policy
from rfctl.model.message import (
    Added,
    Batch,
    HandedOver,
    Merged,
    Message,
    StoredMessage,
    decode_item,
    decode_merged,
    encode_item,
)
from rfctl.store.aliases import Aliases
from rfctl.store.connection import Connection
from rfctl.store.keys import Keyspace, ShardKeys, batch_key_of, dedupe_key, events_channel, is_hashed

_LAST_MSG_LIVES_MS = 86_400_000
_HIDDEN = "&*"
"""The names (keys.py) that cannot be told from a phone alone: each may be any account's, company's or chat's."""
_INDEX_PAGE = 1000
_FIRSTS_PAGE = 100
"""Names that one call reads from the index, and first messages: those may be long."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the scripts are told besides the messages: ms, seconds, text.

    `key` names what keeps one person's batches apart besides the chat: account, company, both or nothing.
    `source_dedupe_s` has the sources that remember ids for another time than `dedupe_s`.
    """

    policy: Policy
    separator: str = " "
    order: str = "arrival"
    dedupe_s: int = 86_400
    overdue_ms: int = 10_000
    key: frozenset[str] = frozenset()
    source_dedupe_s: Mapping[str, int] = field(default_factory=dict)

    def batch_key_of(self, message: Message) -> str:
        """Return the name of the batch that a message belongs to."""
        return batch_key_of(
            message.phone,
            chat=message.chat,
            account=message.account if "account" in self.key else "",
            company=message.company or "" if "company" in self.key else "",
        )


class Batches:
    """The batches of one Redis, by one set of rules; `rules` may be replaced at any time."""

    def __init__(self, connection: Connection, keyspace: Keyspace, rules: Rules) -> None:
        self._connection = connection
        self._aliases = Aliases(connection)
        self._keyspace = keyspace
        self._shards = keyspace.all()
        self.rules = rules
        self.channel = events_channel(connection.db)

    @property
    def shards(self) -> list[ShardKeys]:
        """Return the keys of every shard."""
        return self._shards

    def _keys(self, shard: ShardKeys) -> list[str]:
        return [shard.due, shard.out, shard.totals]

    def _args(self, shard: ShardKeys) -> list[bytes | str | int]:
        rules = self.rules
        return [
            shard.batch_prefix, shard.last_prefix, rules.separator, rules.order, rules.overdue_ms, self.channel,
        ]  # fmt: skip

    def _home(self, name: str) -> ShardKeys:
        return self._shards[self._keyspace.index_of(name)]

    async def add(self, messages: Sequence[Message]) -> list[Added]:
        """Store messages, one script call a shard; the results stand in the order of the messages.

        Raises RfctlError when a call failed: then some shards may have stored theirs, and sending all of them
        again is safe, by their ids.
        """
        messages = await self._aliases.by_phone(messages)
        by_shard: dict[int, list[int]] = {}
        for place, message in enumerate(messages):
            by_shard.setdefault(self._keyspace.index_of(self.rules.batch_key_of(message)), []).append(place)
        results: dict[int, Added] = {}
        for number, places in by_shard.items():
            answers = await self._add(self._shards[number], [messages[place] for place in places])
            results.update(zip(places, answers, strict=True))
        return [results[place] for place in range(len(messages))]

    async def _add(self, shard: ShardKeys, messages: list[Message]) -> list[Added]:
        args = [*self._args(shard), shard.seen_prefix, _LAST_MSG_LIVES_MS]
        for message in messages:
            args += self._about(message)
        flat = await self._connection.run("add", self._keys(shard), args)
        return [_added(message, *flat[i * 3 : i * 3 + 3]) for i, message in enumerate(messages)]

    def _about(self, message: Message) -> list[bytes | str | int]:
        rules, decision = self.rules, self.rules.policy.decide(message)
        name = rules.batch_key_of(message)
        return [
            name,
            dedupe_key(name, message.channel, message.account, message.company or "", message.id),
            rules.source_dedupe_s.get(message.channel, rules.dedupe_s),
            decision.quiet_ms,
            decision.max_size,
            decision.max_wait_ms,
            decision.action,
            encode_item(message, with_phone=is_hashed(name)),
            "" if message.sent_ms is None else message.sent_ms,
        ]

    async def hand_over(self, *, limit: int = 100, drain_reason: str = "") -> HandedOver:
        """Hand over what is due, up to `limit` batches a shard; `more` says if some is left.

        `drain_reason` is a reason (shutdown, flush) for which what is not due yet leaves too.
        """
        answers = [await self._hand_over(shard, limit, drain_reason) for shard in self._shards]
        dues = [answer.next_due_ms for answer in answers if answer.next_due_ms is not None]
        return HandedOver(
            batches=sum(answer.batches for answer in answers),
            messages=sum(answer.messages for answer in answers),
            next_due_ms=min(dues, default=None),
            now_ms=max(answer.now_ms for answer in answers),
            clamped=sum(answer.clamped for answer in answers),
            more=any(answer.more for answer in answers),
            overdue=[one for answer in answers for one in answer.overdue],
        )

    async def _hand_over(self, shard: ShardKeys, limit: int, drain_reason: str) -> HandedOver:
        longest = self.rules.policy.longest_ms
        args = [*self._args(shard), limit, longest, drain_reason]
        batches, messages, next_due, now, clamped, more, *overdue = await self._connection.run(
            "hand_over", self._keys(shard), args
        )
        late = [(_text(overdue[i]), int(overdue[i + 1])) for i in range(0, len(overdue), 2)]
        return HandedOver(
            batches, messages, None if next_due < 0 else next_due, now, clamped, bool(more), late
        )

    async def flush(self, name: str) -> tuple[str, int] | None:
        """Hand one batch over now, by its name. Returns the merged message's id and its count, or None."""
        shard = self._home(name)
        answer = await self._connection.run("flush", self._keys(shard), [*self._args(shard), name, "flush"])
        return (_text(answer[0]), int(answer[1])) if answer else None

    async def discard(self, name: str) -> list[bytes]:
        """Clear one batch, by its name, and return its raw items, oldest first; empty when there was none."""
        shard = self._home(name)
        return list(await self._connection.run("discard", self._keys(shard), [*self._args(shard), name]))

    async def discard_all(self) -> int:
        """Clear what is pending now, batch by batch; returns how many batches."""
        count = 0
        for shard in self._shards:
            for name in await self._connection.call("ZRANGE", shard.due, 0, -1):
                count += bool(await self.discard(name.decode()))
        return count

    async def peek(self, name: str) -> Batch | None:
        """Read one batch at one moment, by its name; None when there is none."""
        shard = self._home(name)
        now, due, *items = await self._connection.run("peek", [shard.due, shard.batch_prefix + name], [name])
        if not items:
            return None
        messages = [decode_item(item) for item in items]
        return Batch(messages[0].phone or name, messages, items, None if due < 0 else due, now)

    async def find_batches(self, phone: str, chat: str | None = None) -> list[str]:
        """Return the names of a phone's pending batches, the oldest first; `chat` narrows, "" is the one-to-one chat.

        What an account, company or chat keeps apart is known by its first message: the whole index is looked
        through for it, page by page.
        """
        plain = batch_key_of(phone)
        firsts = await self._firsts(self._home(plain), [plain])
        for shard in self._shards:
            async for names in self._hidden(shard):
                page = await self._firsts(shard, names)
                firsts |= {name: first for name, first in page.items() if first.phone == phone}
        mine = [name for name, first in firsts.items() if chat is None or first.chat == chat]
        return sorted(mine, key=lambda name: firsts[name].receivedAt)

    async def _hidden(self, shard: ShardKeys) -> AsyncIterator[list[str]]:
        """Yield what is in the index all the while, by cursor: a place there may be another's at the next page."""
        cursor = "0"
        while True:
            answer = await self._connection.call(
                "ZSCAN", shard.due, cursor, "MATCH", _HIDDEN, "COUNT", _INDEX_PAGE
            )
            cursor, names = _text(answer[0]), [_text(name) for name in answer[1][::2]]
            for start in range(0, len(names), _FIRSTS_PAGE):
                yield names[start : start + _FIRSTS_PAGE]
            if cursor == "0":
                return

    async def _firsts(self, shard: ShardKeys, names: list[str]) -> dict[str, StoredMessage]:
        raw = await self._connection.calls([("LINDEX", shard.batch_prefix + name, 0) for name in names])
        return {name: decode_item(first) for name, first in zip(names, raw, strict=True) if first is not None}

    @property
    def connection(self) -> Connection:
        """Return the connection that the batches are on."""
        return self._connection

    async def merged_since(self, stream: str, after: str, most: int = 1000) -> list[Merged]:
        """Return merged messages behind the entry id `after`, oldest first."""
        entries = await self._connection.call("XRANGE", stream, f"({after}", "+", "COUNT", most)
        return [decode_merged(entry_id, fields) for entry_id, fields in entries]

    async def last_id(self, stream: str) -> str:
        """Return the id of the newest merged message, or `0-0`."""
        newest = await self._connection.call("XREVRANGE", stream, "+", "-", "COUNT", 1)
        return _text(newest[0][0]) if newest else "0-0"


def _added(message: Message, state: int, size: int, due_in_ms: int) -> Added:
    refused = "its key in Redis holds another kind of value" if state < 0 else ""
    return Added(message.phone, state == 1, size, due_in_ms, refused)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
