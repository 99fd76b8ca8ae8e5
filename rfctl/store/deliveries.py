"""The delivery queue of one sink on one shard: what is still to be delivered, and what became of it.

A sink is a consumer group on the output stream. Entries that were read and not acknowledged are in the group's own
pending list. A message that waits for another attempt, and all behind it, is also in `waiting` and `retry`
(lua/shared/delivery.lua). So the daemon that has the lease next finds everything in Redis.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rfctl.errors import RfctlError
from rfctl.model.delivery import MAX_VALUES, RedisWrite
from rfctl.store import replies
from rfctl.store.attempts import UNTIMED, LastAttempt, count_attempts
from rfctl.store.consumer_groups import group_name
from rfctl.store.keys import ShardKeys
from rfctl.store.layout import ensure_instance_id
from rfctl.store.output_stream import ensure_groups
from rfctl.store.paused_sinks import PausedSinks, SinkPausedError
from rfctl.store.shared_calls import SharedCalls
from rfctl.store.stream_entry import StreamEntry, decode_fields, encode_fields
from rfctl.store.timed_calls import call_at_now

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

CONSUMER = "forwarder"
"""All daemons read under this name: only the one with the lease reads, and goes on where the last one stopped."""
_PAGE_BYTES = 1_048_576
"""A read ends with the entry by which it has so many bytes: one entry may be as large as a thousand others."""
_UNBOUNDED = 2**53
_PAUSED = 2
"""What read_leased returns in place of 1 or 0 when the sink is paused."""
_MAX_ERROR_CHARS = 2_000
_MAX_SHARED, _MAX_SHARED_BYTES = 32, 262_144
"""So many messages, and about so many bytes, share a call: Redis does it in about a millisecond."""
ALL_FIELDS = "rfctl:fields"
"""The only field of a dead letter whose message has more fields than a script can pass on: all of them, as JSON."""


class DeliveryQueue:
    """What one shard's output stream still has for one sink. Every call raises RfctlError when Redis fails.

    `writes_log` is asked at each outcome whether the delivery log gets it.
    """

    def __init__(
        self,
        connection: Connection,
        shard: ShardKeys,
        sink: str,
        writes_log: Callable[[], bool] = lambda: True,
    ) -> None:
        self._connection = connection
        self._writes_log = writes_log
        self._shard = shard
        self._keys = shard.sink(sink)
        self.sink = sink
        self.group = group_name(sink)
        self._name = secrets.token_hex(6)
        self._acknowledgements = SharedCalls(self._acknowledge_all, max_items=_MAX_SHARED)
        self._writes = SharedCalls(
            self._write_all, max_items=_MAX_SHARED, max_bytes=_MAX_SHARED_BYTES, measure=_measure
        )
        self.instance_id = ""
        """The instance id of this Redis; `open` reads it."""

    @property
    def block_ms(self) -> int:
        """How long a read may wait: well within the time that an answer may take."""
        return max(1, min(1000, self._connection.address.timeout_ms // 2))

    async def _run(self, verb: str, *args: bytes | str | int, more_keys: Sequence[str] = ()) -> object:
        sink, shard = self._keys, self._shard
        keys = [shard.out, sink.waiting, sink.retry, sink.attempts, sink.bodies, shard.totals, sink.progress]
        keys += more_keys
        reply: object = await self._connection.run(verb, shard, keys, [self.group, self.sink, *args])
        return reply

    async def _run_logged(self, verb: str, *args: bytes | str | int, more_keys: Sequence[str] = ()) -> object:
        log = "1" if self._writes_log() else ""
        return await self._run(verb, log, *args, more_keys=[self._shard.log, *more_keys])

    async def open(self, longest_wait_ms: int | None = None) -> None:
        """Make the group if it is missing; it begins with the oldest entry that is kept.

        No retry stays further away than `longest_wait_ms`: it was written at another time.
        """
        self.instance_id = await ensure_instance_id(self._connection, self._shard.common)
        await ensure_groups(self._connection, self._shard, [self.group])
        if longest_wait_ms is not None:
            while await self._connection.run(
                "clamp_retries", self._shard, [self._keys.retry], [longest_wait_ms]
            ):
                pass

    async def lease(self, daemon_id: str, ms: int) -> bool:
        """Take or renew the right to deliver, for so many ms; 0 gives it back. Returns whether it is ours."""
        keys = [self._keys.lease, self._keys.progress]
        return bool(await self._connection.run("lease", self._shard, keys, [daemon_id, ms]))

    async def is_paused(self) -> bool:
        """Say whether the sink is paused."""
        return await PausedSinks(self._connection, self._shard).contains(self.sink)

    async def pause(self, why: str, number: int) -> None:
        """Pause the sink on every daemon. `number` counts the requests of this queue, from 1: each pauses once."""
        pauses = PausedSinks(self._connection, self._shard)
        await pauses.pause(self.sink, why, by="its receiver", asked_by=self._name, number=number)

    async def read_new(self, limit: int, block_ms: int, daemon_id: str) -> list[StreamEntry] | None:
        """Read new messages, waiting up to `block_ms` for the first: up to `limit`, and about a megabyte.

        Returns None when `daemon_id` no longer has the lease. Raises SinkPausedError, and GroupMissingError when
        somebody deleted the group: `open` makes it again.
        """
        entries, last = await self._read(">", limit, daemon_id)
        if entries is None or entries:
            return entries
        wait = max(1, min(block_ms, self.block_ms))
        bell = ("XREAD", "COUNT", 1, "BLOCK", wait, "STREAMS", self._shard.out, last)
        if not await self._connection.call(*bell):
            return []
        entries, _ = await self._read(">", limit, daemon_id)
        return entries

    async def read_unacknowledged(self, after: str, limit: int, daemon_id: str) -> list[StreamEntry] | None:
        """Read again, behind the id `after`, what was read and not acknowledged. Returns and raises as `read_new`."""
        entries, _ = await self._read(after, limit, daemon_id)
        return entries

    async def _read(self, where: str, limit: int, daemon_id: str) -> tuple[list[StreamEntry] | None, str]:
        reply = await self._connection.run(
            "read_leased",
            self._shard,
            [self._shard.out, self._keys.lease, self._shard.common.paused],
            [self.group, CONSUMER, daemon_id, limit, where, _PAGE_BYTES, self.sink],
        )
        ours, last, *rest = replies.array(reply)
        if ours == _PAUSED:
            raise SinkPausedError(self.sink)
        entries = [StreamEntry(*replies.stream_entry(entry), self._shard.number) for entry in rest]
        return (entries if ours else None), replies.text(last)

    async def defer(self, entries: Sequence[StreamEntry]) -> list[bool]:
        """Put the entries of waiting phones behind what waits. Returns for each entry whether it waits now."""
        if not entries:
            return []
        args = [part for entry in entries for part in (entry.batch_key, entry.id)]
        return [bool(waits) for waits in replies.array(await self._run("defer", *args))]

    async def schedule_retry(
        self,
        batch_key: str,
        ids: Sequence[str],
        *,
        wait_ms: int,
        error: str = "",
        attempts: int = 0,
        fixed: bool = False,
    ) -> None:
        """Let a phone wait: its first id is tried again in `wait_ms`, the others go behind it.

        `error` is what went wrong; `attempts` counts the attempts before it, so that the same call twice counts one.
        A `fixed` wait is not shortened when the receiver is back.
        """
        cause = _encode_error(error) if error else ""
        await self._run("schedule_retry", batch_key, wait_ms, cause, attempts, "fixed" if fixed else "", *ids)

    async def acknowledge(self, batch_key: str, entry_id: str, last: LastAttempt = UNTIMED) -> str:
        """Acknowledge a delivered message. Returns the id of the next message that waits for this phone, or "".

        Those that are acknowledged at the same moment share a call. The delivery log gets the `last` attempt.
        """
        return await self._acknowledgements.make((batch_key, entry_id, *last.as_args()))

    async def _acknowledge_all(self, messages: Sequence[Sequence[str | int]]) -> list[str]:
        args = [part for message in messages for part in message]
        return replies.texts(await self._run_logged("acknowledge", "delivered", *args))

    async def acknowledge_missing(self, batch_key: str, entry: StreamEntry) -> str:
        """Acknowledge a message that somebody deleted from the output stream. Returns as `acknowledge`."""
        args = ("missing", batch_key, entry.id, *LastAttempt("", entry.attempts).as_args())
        return replies.texts(await self._run_logged("acknowledge", *args))[0]

    async def write_and_acknowledge(self, entry: StreamEntry, write: RedisWrite) -> str:
        """Deliver into this Redis and acknowledge, in one step. Returns as `acknowledge`.

        Those that are written at the same moment share a call; what Redis refuses concerns its own message alone.
        """
        return await self._writes.make((entry, write))

    async def _write_all(self, writes: Sequence[tuple[StreamEntry, RedisWrite]]) -> list[str | RfctlError]:
        keys = list(dict.fromkeys(self._shard.destination(write.key) for _, write in writes))
        args: list[bytes | str | int] = []
        for entry, write in writes:
            place = keys.index(self._shard.destination(write.key)) + 1
            phone, attempts, _ = LastAttempt.at(entry).as_args()
            args += [entry.batch_key, entry.id, phone, attempts]
            args += [write.kind, place, len(write.values), *write.values]
        reply = replies.texts(await self._run_logged("write_and_acknowledge", *args, more_keys=keys))
        return [
            self._explain(problem) if problem else following
            for problem, following in zip(reply[::2], reply[1::2], strict=True)
        ]

    def _explain(self, problem: str) -> RfctlError:
        from rfctl.store.reply_errors import explain_answer  # noqa: PLC0415 - it imports redis-py

        return explain_answer(problem, self._connection.address)

    async def dead_letter(self, entry: StreamEntry, error: str, took_ms: int | None = None) -> str:
        """Make a message a dead letter, after an attempt that took so long. Returns as `acknowledge`."""
        fields: Sequence[bytes | str] = entry.fields or []
        if len(fields) > MAX_VALUES:
            fields = [ALL_FIELDS, encode_fields(entry.fields or [])]
        last = LastAttempt.at(entry, took_ms).as_args()
        args: list[bytes | str | int] = [entry.batch_key, entry.id, *last, _encode_error(error), *fields]
        return replies.text(await self._run_logged("dead_letter", *args, more_keys=[self._shard.dead]))

    async def find_due(self, limit: int) -> tuple[list[str], int | None]:
        """Return up to `limit` phones whose retry is due, and in how many ms the next one is due (None: no other)."""
        soonest_first = ("ZRANGE", self._keys.retry, 0, limit, "WITHSCORES")
        now, [reply] = await call_at_now(self._connection, self._shard, [soonest_first])
        retries = replies.scores(reply)
        due = [phone for phone, at_ms in retries if at_ms <= now]
        if len(due) > limit:  # the first one that is not due lies behind what was read
            later = ("ZRANGEBYSCORE", self._keys.retry, f"({now}", "+inf", "WITHSCORES", "LIMIT", 0, 1)
            retries = replies.scores(await self._connection.call(*later))
        waits_ms = [at_ms - now for _, at_ms in retries if at_ms > now]
        return due[:limit], waits_ms[0] if waits_ms else None

    async def find_first_due(self, batch_key: str) -> str:
        """Return the id of the first message that waits for this phone; "" when none waits or its retry is not due.

        The caller asks because `find_due` named the phone. Meanwhile the retry may have failed and wait again.
        """
        return replies.text(await self._run("first_due", batch_key))

    async def fetch(self, entry_id: str, batch_key: str = "") -> StreamEntry:
        """Read a message that waits under a batch key, with the number of attempts so far."""
        _, entry = await self._fetch(entry_id, batch_key, _UNBOUNDED)
        return entry

    async def fetch_within(self, room_bytes: int, entry_id: str, batch_key: str = "") -> StreamEntry | None:
        """Read a message as `fetch` does; None if it is larger than `room_bytes`."""
        fits, entry = await self._fetch(entry_id, batch_key, room_bytes)
        return entry if fits else None

    async def _fetch(self, entry_id: str, batch_key: str, room_bytes: int) -> tuple[bool, StreamEntry]:
        keys = [self._shard.out, self._keys.attempts, self._keys.bodies]
        reply = await self._connection.run("fetch", self._shard, keys, [entry_id, room_bytes])
        fits, attempts, body, flat = replies.array(reply)
        fields = decode_fields(replies.data(body)) if body else None
        if flat is not None:
            fields = [replies.data(item) for item in replies.array(flat)]
        entry = StreamEntry(entry_id, fields, self._shard.number, count_attempts(attempts), batch_key)
        return bool(fits), entry

    async def retry_now(self, *, fixed_too: bool = True) -> int:
        """Make every later retry due now; fixed waits only if `fixed_too`. Returns how many phones."""
        total, score, passed, seen = 0, "", 0, 1
        while seen:
            reply = await self._run("retry_now", "all" if fixed_too else "", score, passed)
            due, last_score, *counts = replies.array(reply)
            total, score = total + replies.integer(due), replies.text(last_score)
            passed, seen = map(replies.integer, counts)
        return total

    async def requeue(self, entry: StreamEntry, dead_entry: str = "") -> bool:
        """Send a message again, before all others of its phone, due now; its dead letter is removed in the same step.

        Returns False when `dead_entry` is no longer there.
        """
        args = (entry.batch_key, entry.id, encode_fields(entry.fields or []), dead_entry)
        return bool(await self._run("requeue", *args, more_keys=[self._shard.dead]))


def parse_lease(value: object, now_ms: int) -> str:
    """Return the daemon that has a lease at this time (steady Unix ms), or ""."""
    daemon_id, _, until_ms = replies.text(value).rpartition(" ")
    return daemon_id if until_ms.isdigit() and int(until_ms) > now_ms else ""


def _measure(item: tuple[StreamEntry, RedisWrite]) -> int:
    return sum(map(len, item[1].values))


def _encode_error(error: str) -> str:
    return json.dumps(error[:_MAX_ERROR_CHARS])
