"""The delivery log: when a message was delivered, to whom, and at which attempt; bounded by age and by bytes.

It is a stream on each shard, `rfctl:log`, with an entry for each outcome that ends a message's way to a sink, and for
each message that a rule dropped. It has phones, and no text. Nothing depends on it: what is missing there is only not shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from rfctl.errors import ReplyError, RfctlError, RightsMissingError
from rfctl.model.delivery import build_message_id
from rfctl.store import replies
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_pages import merge

if TYPE_CHECKING:
    from rfctl.store.connection import Connection
    from rfctl.store.dead_letters import DeadLetter

DeliveryOutcome = Literal["delivered", "dead", "missing", "dropped"]
"""`delivered`: the receiver took it. `dead`: it became a dead letter. `missing`: it had vanished from the stream.

`dropped`: an operator threw its dead letter away, or a rule the message.
"""
_BY_RULE = "rule:"
"""Begins the name in the place of a sink's where a rule dropped a message. The script `add` writes it."""
_LOOKED_A_CALL = 1_000
_MATCHES_A_CALL = 200
_UNMEASURED_BYTES = 200
"""What an entry is taken to have where Redis does not tell."""


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """One outcome. `at_ms` is Unix ms by the clock of Redis; `id` is the message's, with its shard.

    `attempts` counts all attempts, with the last one. `took_ms` is how long the last one took (None: not measured).
    `rule` is the rule that dropped a message before it was in any batch, else "". Then there is no sink, and `id` is the
    provider's.
    """

    at_ms: int
    phone: str
    sink: str
    id: str
    outcome: DeliveryOutcome
    attempts: int = 1
    took_ms: int | None = None
    rule: str = ""


class DeliveryLog:
    """The delivery log of one Redis, over all shards. Every call raises RfctlError when Redis fails."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys]) -> None:
        self._connection = connection
        self._shards = shards

    async def count(self) -> int:
        """Return how many entries there are."""
        lengths = await self._connection.calls([("XLEN", shard.log) for shard in self._shards])
        return sum(map(replies.integer, lengths))

    async def iterate(
        self, *, phone: str = "", sink: str = "", since_ms: int = 0
    ) -> AsyncIterator[LoggedDelivery]:
        """Yield the outcomes since a time (Unix ms), the newest first; those of a phone, and of a sink, if named."""
        sources = [self._iterate(shard, phone, sink, since_ms) for shard in self._shards]
        async for delivery in merge(sources, lambda delivery: delivery.at_ms, descending=True):
            yield delivery

    async def _iterate(
        self, shard: ShardKeys, phone: str, sink: str, since_ms: int
    ) -> AsyncIterator[LoggedDelivery]:
        async for entry_id, flat in self._entries(shard, phone, sink, since_ms):
            yield _decode(shard, entry_id, flat)

    async def _entries(
        self, shard: ShardKeys, phone: str, sink: str = "", since_ms: int = 0
    ) -> AsyncIterator[tuple[str, list[bytes]]]:
        start, end = "+", f"{since_ms}-0" if since_ms else "-"
        while start:
            args: list[bytes | str | int] = [start, end, _LOOKED_A_CALL, phone, sink, _MATCHES_A_CALL]
            reply = await self._connection.run("read_log", shard, [shard.log], args)
            last, _, *matches = replies.array(reply)
            for entry in replies.stream_entries(matches):
                yield entry
            start = f"({replies.text(last)}" if last else ""

    async def find_last_ids(self) -> dict[ShardKeys, str]:
        """Return the id of the newest entry of each shard, `0-0` where there is none."""
        answers = await self._connection.calls(
            [("XREVRANGE", shard.log, "+", "-", "COUNT", 1) for shard in self._shards]
        )
        newest = (replies.stream_entries(answer) for answer in answers)
        return {
            shard: entries[0][0] if entries else "0-0"
            for shard, entries in zip(self._shards, newest, strict=True)
        }

    async def read_after(self, last_ids: dict[ShardKeys, str]) -> list[LoggedDelivery]:
        """Return the next outcomes behind these ids, oldest first on each shard, and move the ids on. [] at the end."""
        answers = await self._connection.calls(
            [
                ("XRANGE", shard.log, f"({last}", "+", "COUNT", _LOOKED_A_CALL)
                for shard, last in last_ids.items()
            ]
        )
        outcomes: list[LoggedDelivery] = []
        for shard, answer in zip(list(last_ids), answers, strict=True):
            entries = replies.stream_entries(answer)
            outcomes += [_decode(shard, entry_id, flat) for entry_id, flat in entries]
            if entries:
                last_ids[shard] = entries[-1][0]
        return sorted(outcomes, key=lambda outcome: outcome.at_ms)

    async def read_newest(self, last_ids: dict[ShardKeys, str], limit: int) -> list[LoggedDelivery]:
        """Return up to `limit` of the newest outcomes of each shard behind these ids, and move the ids on.

        What is passed over is not read later.
        """
        answers = await self._connection.calls(
            [("XREVRANGE", shard.log, "+", f"({last}", "COUNT", limit) for shard, last in last_ids.items()]
        )
        outcomes: list[LoggedDelivery] = []
        for shard, answer in zip(list(last_ids), answers, strict=True):
            entries = replies.stream_entries(answer)
            outcomes += [_decode(shard, entry_id, flat) for entry_id, flat in entries]
            if entries:
                last_ids[shard] = entries[0][0]
        return outcomes

    async def write(self, shard: ShardKeys, delivery: LoggedDelivery) -> None:
        """Write an outcome that no script has written, at the time of now."""
        fields = encode_delivery(delivery)
        await self._connection.call("XADD", shard.log, "*", *fields)

    async def note_dropped(self, letter: DeadLetter) -> None:
        """Write that an operator threw a whole dead letter away; nothing depends on it, so no failure is raised."""
        attempts = len(letter.attempts)
        dropped = LoggedDelivery(0, letter.entry.phone, letter.sink, letter.message_id, "dropped", attempts)
        with contextlib.suppress(RfctlError):
            await self.write(letter.shard, dropped)

    async def forget(self, phone: str) -> int:
        """Delete every entry of a phone. Returns how many there were."""
        count = 0
        for shard in self._shards:
            ids = [entry_id async for entry_id, _ in self._entries(shard, phone)]
            for start in range(0, len(ids), _MATCHES_A_CALL):
                page = ids[start : start + _MATCHES_A_CALL]
                count += replies.integer(await self._connection.call("XDEL", shard.log, *page))
        return count

    async def trim(self, *, retention_s: int, max_bytes: int) -> int:
        """Remove what is older than `retention_s`, and about what is beyond `max_bytes` over all shards.

        Returns how many entries it removed.
        """
        return sum([await self._trim(shard, retention_s, max_bytes) for shard in self._shards])

    async def _trim(self, shard: ShardKeys, retention_s: int, max_bytes: int) -> int:
        entries = max_bytes // len(self._shards) // await self._measure_entry(shard)
        total, removed = 0, 1
        while removed:
            args = [retention_s * 1000, entries]
            removed = replies.integer(await self._connection.run("trim_log", shard, [shard.log], args))
            total += removed
        return total

    async def _measure_entry(self, shard: ShardKeys) -> int:
        """Return about how many bytes an entry has in Redis."""
        length = replies.integer(await self._connection.call("XLEN", shard.log))
        try:
            size = await self._connection.call("MEMORY", "USAGE", shard.log)
        except (RightsMissingError, ReplyError):  # a hosted Redis may keep it to itself
            return _UNMEASURED_BYTES
        return max(1, replies.integer(size) // length) if length and size else _UNMEASURED_BYTES


def encode_delivery(delivery: LoggedDelivery) -> list[str | int]:
    """Return the fields of an entry, always the same ones in one order: Redis keeps their names once."""
    entry_id = "-".join(delivery.id.split("-")[:2])
    took_ms = "" if delivery.took_ms is None else delivery.took_ms
    return [
        "phone", delivery.phone, "sink", delivery.sink, "id", entry_id, "outcome", delivery.outcome,
        "attempts", delivery.attempts, "took_ms", took_ms,
    ]  # fmt: skip


def _decode(shard: ShardKeys, entry_id: str, flat: Sequence[bytes]) -> LoggedDelivery:
    fields = {name: replies.text(value) for name, value in replies.fields(list(flat)).items()}
    took_ms, attempts = fields.get("took_ms", ""), fields.get("attempts", "")
    sink, at_ms, phone = fields.get("sink", ""), int(entry_id.partition("-")[0]), fields.get("phone", "")
    if sink.startswith(_BY_RULE):
        rule = sink.removeprefix(_BY_RULE)
        return LoggedDelivery(at_ms, phone, "", fields.get("id", ""), "dropped", 0, rule=rule)
    return LoggedDelivery(
        at_ms=at_ms,
        phone=phone,
        sink=sink,
        id=build_message_id(fields.get("id", ""), shard.number),
        outcome=cast("DeliveryOutcome", fields.get("outcome", "")),
        attempts=int(attempts) if attempts.isdigit() else 1,
        took_ms=int(took_ms) if took_ms.isdigit() else None,
    )
