"""The one room that speaks to Redis about deliveries: what is still to be delivered to one sink, and what came of it.

A sink is a consumer group on the output stream. What was read and not acknowledged is in the group's own pending
list; what waits for another try, and all behind it, is also in `waiting` and `retry` (lua/sink.lua). So whoever
takes over finds everything in Redis.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec

from rfctl.errors import RfctlError
from rfctl.model.delivery import Delivery, RedisWrite
from rfctl.model.message import Merged, decode_merged
from rfctl.store.connection import Connection, pairs
from rfctl.store.instance_id import ensure_instance_id
from rfctl.store.keys import PAUSED, ShardKeys, batch_key_of

_CONSUMER = "forwarder"
"""One name for all daemons: only the holder of the lease reads, and it goes on where the last one stopped."""


@dataclass(frozen=True)
class StreamEntry:
    """One merged message on its way to a sink; `fields` are None when somebody has deleted it from the stream.

    `id` is the stream's, `shard` the number of its shard or "", `tries` how often it was tried before.
    """

    id: str
    fields: list[bytes] | None
    shard: str = ""
    tries: int = 0

    @cached_property
    def merged(self) -> Merged:
        """The message; one without fields is empty."""
        return decode_merged(self.id.encode(), self.fields or [])

    @cached_property
    def phone(self) -> str:
        """Who wrote it, read without all the rest, which may be nothing that we wrote."""
        fields = self.fields or []
        given = dict(zip(fields[::2], fields[1::2], strict=False)).get(b"phone", b"")
        return given.decode(errors="replace")

    @cached_property
    def name(self) -> str:
        """Whose turn it waits for: one person's messages leave one after another."""
        return batch_key_of(self.phone)

    def delivery(self, origin: str = "") -> Delivery:
        """Return what a sink is given; the id is the same at every try, and no other shard's."""
        return Delivery(delivery_id(self.id, self.shard), self.merged, self.tries + 1, origin)


def delivery_id(entry_id: str, shard: str) -> str:
    """Return the id by which the world outside knows a merged message: the stream's, with the shard behind it."""
    return f"{entry_id}-{shard}" if shard else entry_id


class DeliveryQueue:
    """What is to be delivered to one sink, from one shard's output stream."""

    def __init__(self, connection: Connection, shard: ShardKeys, sink: str) -> None:
        self._connection = connection
        self._shard = shard
        self._keys = shard.sink(sink)
        self.sink = sink
        self.group = group_name(sink)
        self.origin = ""
        """Which Redis this is; known once it is open."""

    @property
    def block_ms(self) -> int:
        """How long a read may wait: well within the time that an answer may take."""
        return max(1, min(1000, self._connection.address.timeout_ms // 2))

    async def _run(self, verb: str, *args: bytes | str | int, also: str = "") -> Any:
        keys = self._keys
        named = [self._shard.out, keys.waiting, keys.retry, keys.tries, keys.bodies, self._shard.totals]
        return await self._connection.run(
            verb, [*named, *([also] if also else [])], [self.group, self.sink, *args]
        )

    async def open(self) -> None:
        """Make the group, at the beginning of what is kept; one that is there stays as it is."""
        self.origin = await ensure_instance_id(self._connection)
        await make_group(self._connection, self._shard.out, self.group)

    async def lease(self, daemon_id: str, ms: int) -> bool:
        """Take or keep the right to deliver, for so long (ms; 0 gives it back); says whether it is ours."""
        return bool(await self._connection.run("lease", [self._keys.lease], [daemon_id, ms]))

    async def paused(self) -> bool:
        """Say whether the sink is to stand still."""
        return bool(await self._connection.call("HEXISTS", PAUSED, self.sink))

    async def pause(self, why: str) -> None:
        """Tell every daemon to stand still."""
        now = await self._connection.now_ms()
        await self._connection.call("HSET", PAUSED, self.sink, json.dumps({"why": why, "at_ms": now}))

    async def unread(self, most: int, block_ms: int, daemon_id: str) -> list[StreamEntry] | None:
        """Read new messages, waiting up to `block_ms` for the first; None when the lease is no more that of `daemon_id`."""
        entries, last = await self._read(">", most, daemon_id)
        if entries is None or entries:
            return entries
        wait = max(1, min(block_ms, self.block_ms))
        bell = ("XREAD", "COUNT", 1, "BLOCK", wait, "STREAMS", self._shard.out, last)
        if not await self._connection.call(*bell):
            return []
        entries, _ = await self._read(">", most, daemon_id)
        return entries

    async def unacknowledged(self, after: str, most: int, daemon_id: str) -> list[StreamEntry] | None:
        """Read again what was read before and not acknowledged, behind the id `after`; None as `unread`."""
        entries, _ = await self._read(after, most, daemon_id)
        return entries

    async def _read(self, where: str, most: int, daemon_id: str) -> tuple[list[StreamEntry] | None, str]:
        try:
            ours, last, *entries = await self._connection.run(
                "read_leased",
                [self._shard.out, self._keys.lease],
                [self.group, _CONSUMER, daemon_id, most, where],
            )
        except RfctlError as problem:
            if "NOGROUP" not in problem.fact:
                raise
            await self.open()  # somebody has deleted the group, or everything: begin with what is kept
            return [], "0-0"
        found = [StreamEntry(entry_id.decode(), fields, self._shard.number) for entry_id, fields in entries]
        return (found if ours else None), _text(last)

    async def defer(self, entries: Sequence[StreamEntry]) -> list[bool]:
        """Put those of held phones behind what waits; says of each whether it waits now."""
        if not entries:
            return []
        args = [part for entry in entries for part in (entry.name, entry.id)]
        return [bool(one) for one in await self._run("defer", *args)]

    async def schedule_retry(
        self,
        name: str,
        ids: Sequence[str],
        *,
        wait_ms: int,
        error: str = "",
        tries: int = 0,
        fixed: bool = False,
    ) -> None:
        """Hold a phone: try the first id again in `wait_ms`, the others behind it.

        `error` is what went wrong, at the try after so many; the same call twice counts one try. A wait that is
        `fixed` is not shortened when the receiver seems to be back.
        """
        told = json.dumps(error) if error else ""
        await self._run("schedule_retry", name, wait_ms, told, tries, "kept" if fixed else "", *ids)

    async def acknowledge(self, name: str, entry_id: str) -> str:
        """Acknowledge what was delivered. Returns the id of the next one that waits for this phone, or ""."""
        return _text(await self._run("acknowledge", name, entry_id))

    async def write_and_acknowledge(self, entry: StreamEntry, write_and_acknowledge: RedisWrite) -> str:
        """Deliver into this Redis and acknowledge, in one step. Returns as `acknowledge` does."""
        key = self._shard.destination(write_and_acknowledge.key)
        return _text(
            await self._run(
                "write_and_acknowledge",
                entry.name,
                entry.id,
                write_and_acknowledge.kind,
                *write_and_acknowledge.values,
                also=key,
            )
        )

    async def dead_letter(self, entry: StreamEntry, error: str) -> str:
        """Put it to the dead ones. Returns as `acknowledge` does."""
        fields = entry.fields or []
        return _text(
            await self._run(
                "dead_letter", entry.name, entry.id, json.dumps(error), *fields, also=self._shard.dead
            )
        )

    async def due(self, most: int) -> tuple[list[str], int | None]:
        """Return the phones whose next try is due, and in how many ms the one after them is (None: none is held)."""
        now = await self._connection.now_ms()
        due, later = await self._connection.calls(
            [
                ("ZRANGEBYSCORE", self._keys.retry, "-inf", now, "LIMIT", 0, most),
                ("ZRANGEBYSCORE", self._keys.retry, f"({now}", "+inf", "WITHSCORES", "LIMIT", 0, 1),
            ]
        )
        return [name.decode() for name in due], int(float(later[1])) - now if later else None

    async def first_due(self, name: str) -> str:
        """Return the id of the first message that waits for this phone, or "" when none does or its try is not due.

        Whoever asks was told that it is due; meanwhile it may have been tried, and be held for later.
        """
        span = (f"[{name}\0", f"({name}\1", "LIMIT", 0, 1)
        now = await self._connection.now_ms()
        found, due_ms = await self._connection.calls(
            [("ZRANGEBYLEX", self._keys.waiting, *span), ("ZSCORE", self._keys.retry, name)]
        )
        is_due = due_ms is not None and float(due_ms) <= now
        return plain_id(found[0].decode().rpartition("\0")[2]) if found and is_due else ""

    async def fetch(self, entry_id: str) -> StreamEntry:
        """Read one message that waits, with the number of its tries."""
        body, entries, tries = await self._connection.calls(
            [
                ("HGET", self._keys.bodies, entry_id),
                ("XRANGE", self._shard.out, entry_id, entry_id),
                ("HGET", self._keys.tries, entry_id),
            ]
        )
        fields = _fields(body) if body else entries[0][1] if entries else None
        count = len(msgspec.json.decode(tries)) if tries else 0
        return replace(StreamEntry(entry_id, fields, self._shard.number), tries=count)

    async def retry_now(self, *, fixed_too: bool = True) -> int:
        """Make due what waits for a later try, but for the waits that are kept unless `fixed_too`. Returns how many phones."""
        count = passed = 0
        while True:
            pulled, left = await self._run("retry_now", "all" if fixed_too else "", passed)
            if not pulled and not left:
                return count
            count, passed = count + int(pulled), passed + int(left)

    async def requeue(self, entry: StreamEntry, dead_entry: str = "") -> bool:
        """Send a message again, first of its phone and due now; it leaves the dead ones in the same step.

        False when `dead_entry` is there no more.
        """
        fields = [field.decode() for field in entry.fields or []]
        return bool(
            await self._run(
                "requeue", entry.name, entry.id, json.dumps(fields), dead_entry, also=self._shard.dead
            )
        )


def group_name(sink: str) -> str:
    """Return the consumer group of a sink."""
    return f"rfctl:{sink}"


async def make_group(connection: Connection, stream: str, group: str) -> None:
    """Make a consumer group at the beginning of what is kept; one that is there stays as it is."""
    if await _has_group(connection, stream, group):  # a full Redis refuses to make also what is there
        return
    try:
        await connection.call("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")
    except RfctlError as problem:
        if "BUSYGROUP" not in problem.fact:
            raise


async def _has_group(connection: Connection, stream: str, group: str) -> bool:
    if not await connection.call("EXISTS", stream):
        return False
    groups = await connection.call("XINFO", "GROUPS", stream)
    return any(dict(pairs(facts))[b"name"] == group.encode() for facts in groups)


def plain_id(padded: str) -> str:
    """Return an entry id without the zeros by which it sorts."""
    ms, _, seq = padded.partition("-")
    return f"{int(ms)}-{int(seq)}"


def _fields(body: bytes) -> list[bytes]:
    return [field.encode() for field in msgspec.json.decode(body, type=list[str])]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
