"""Compares the lists of pending messages with the index, in short calls, and mends what is rfctl's own.

Nothing else looks at keys one by one. The sweep finds what another program did to our data: a list that was renamed, an
index that was deleted, lists of another writer that nobody hands over. What it finds lies in one small hash, so every
process can show it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from rfctl.store import replies
from rfctl.store.batch_keys import batch_key_of, is_hashed, is_plain
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.phone_index import phone_range, split_phone_entry
from rfctl.store.scans import scan_members

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 500
_MENDED_A_CALL = 50
_PAUSE_S = 0.02
_LEASE_S = 600
_SHOWN_PHONES = 5
_PUT_BACK, _TAKEN_OUT, _FOREIGN = 1, -1, -2


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the last sweep of a Redis found, and what its daemons noticed. Times are Unix ms by the clock of Redis, 0: never.

    `unclaimed` lists are in no index and not written by rfctl: `expiring` of them will vanish; `phones` are a few of
    theirs. `put_back` lists were in no index, and are now; `taken_out` entries of the index had no list.
    `missing` batches had vanished when they were due, the last of them at `missing_at_ms`.
    """

    at_ms: int = 0
    unclaimed: int = 0
    expiring: int = 0
    phones: list[str] = []
    put_back: int = 0
    taken_out: int = 0
    missing: int = 0
    missing_at_ms: int = 0


_FIELD = "report"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SweepReport).decode


class Sweep:
    """The sweeps of one Redis. `pause_s` is the rest after each call, so that Redis has time for others."""

    def __init__(self, connection: Connection, keyspace: Keyspace, pause_s: float = _PAUSE_S) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._keys = keyspace.common
        self._shards = keyspace.all()
        self._pause_s = pause_s

    async def read_report(self) -> SweepReport:
        """Return the report of the last sweep, empty before the first. Raises RfctlError."""
        stored = await self._connection.call("HGET", self._keys.sweep, _FIELD)
        try:
            return SweepReport() if stored is None else _decode(replies.data(stored))
        except msgspec.DecodeError:
            return SweepReport()  # a later version's

    async def record(self, **changes: int) -> None:
        """Write some fields of the report. Raises RfctlError."""
        await self._write(msgspec.structs.replace(await self.read_report(), **changes))

    async def forget(self, phone: str) -> None:
        """Take a phone out of the report, and out of the index of phones what has no list. Raises RfctlError."""
        report, batch_key = await self.read_report(), batch_key_of(phone)
        phones = [key for key in report.phones if not key.endswith(batch_key)]
        if phones != report.phones:
            await self._write(msgspec.structs.replace(report, phones=phones))
        for shard in self._shards:
            entries = await self._connection.call("ZRANGEBYLEX", shard.phones, *phone_range(phone))
            owners = map(split_phone_entry, replies.texts(entries))
            await self._mend(shard, [(batch_key, phone) for owner, batch_key in owners if owner == phone])

    async def _write(self, report: SweepReport) -> None:
        await self._connection.call("HSET", self._keys.sweep, _FIELD, _encode(report))

    async def count_missing(self) -> int:
        """Return how many batches had vanished when they were due, over all time."""
        answers = await self._connection.calls(
            [("HGET", shard.totals, "batches_missing") for shard in self._shards], short=True
        )
        return sum(int(replies.text(answer)) for answer in answers if answer is not None)

    async def run(self, daemon_id: str) -> SweepReport | None:
        """Sweep once, unless another daemon does so now; returns the report. Raises RfctlError."""
        command = ("SET", self._keys.sweep_lease, daemon_id, "NX", "EX", _LEASE_S)
        if await self._connection.call(*command) is None:
            return None
        try:
            return await self._sweep()
        finally:
            await self._connection.call("DEL", self._keys.sweep_lease)

    async def _sweep(self) -> SweepReport:
        done: Counter[str] = Counter()
        phones: list[str] = []
        async for shard, batch_keys, foreign in self._pages_of_lists():
            mended = await self._mend(shard, [(batch_key, "") for batch_key in batch_keys]) if shard else []
            done["put_back"] += sum(state == _PUT_BACK for _, state, _ in mended)
            others = [(key, lives_ms) for key, state, lives_ms in mended if state == _FOREIGN]
            others += [(key, await self._lives_ms(key)) for key in foreign]
            done["unclaimed"] += len(others)
            done["expiring"] += sum(lives_ms >= 0 for _, lives_ms in others)
            phones += [key for key, _ in others][: _SHOWN_PHONES - len(phones)]
        for shard in self._shards:
            done["taken_out"] += await self._check_index(shard)
            await self._check_phones(shard)
        now = await self._connection.now_ms(self._shards[0])
        report = msgspec.structs.replace(await self.read_report(), at_ms=now, phones=phones, **_fields(done))
        await self._write(report)
        return report

    async def _pages_of_lists(self) -> AsyncIterator[tuple[ShardKeys | None, list[str], list[str]]]:
        """Yield lists that are in no index: a shard with batch keys, or no shard with whole keys of others."""
        cursor = "0"
        while True:
            pattern = f"{self._keyspace.prefix}rapid-fire:*"
            reply = await self._connection.call(
                "SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE, "TYPE", "list"
            )
            position, page = replies.array(reply)
            foreign = []
            by_shard: dict[int, list[str]] = {}
            for key in replies.texts(page):
                place, batch_key = self._place(key)
                if place is None:
                    foreign.append(key)
                else:
                    by_shard.setdefault(place, []).append(batch_key)
            if foreign:
                yield None, [], foreign
            for place, batch_keys in by_shard.items():
                shard = self._shards[place]
                if lost := await self._not_indexed(shard, batch_keys):
                    yield shard, lost, []
            cursor = replies.text(position)
            if cursor == "0":
                return
            await asyncio.sleep(self._pause_s)

    def _place(self, key: str) -> tuple[int | None, str]:
        """Return the place of the shard that a list belongs to, None for no list of ours, and its batch key."""
        for place, shard in enumerate(self._shards):
            batch_key = key.removeprefix(shard.batch_prefix)
            is_ours = batch_key != key and (is_plain(batch_key) or is_hashed(batch_key))
            if is_ours and self._keyspace.index_of(batch_key) == place:
                return place, batch_key
        return None, key

    async def _not_indexed(self, shard: ShardKeys, batch_keys: list[str]) -> list[str]:
        scores = replies.array(await self._connection.call("ZMSCORE", shard.due, *batch_keys))
        return [batch_key for batch_key, score in zip(batch_keys, scores, strict=True) if score is None]

    async def _lives_ms(self, key: str) -> int:
        return replies.integer(await self._connection.call("PTTL", key))

    async def _mend(self, shard: ShardKeys, batches: Sequence[tuple[str, str]]) -> list[tuple[str, int, int]]:
        """Let the script compare batches (batch key, phone); returns each batch key with its state and time to live."""
        results = []
        for start in range(0, len(batches), _MENDED_A_CALL):
            page = batches[start : start + _MENDED_A_CALL]
            keys = [shard.due, shard.phones, *(shard.batch_prefix + batch_key for batch_key, _ in page)]
            args = [value for batch in page for value in batch]
            flat = replies.integers(await self._connection.run("mend", shard, keys, args))
            results += [
                (batch_key, flat[place * 2], flat[place * 2 + 1]) for place, (batch_key, _) in enumerate(page)
            ]
            await asyncio.sleep(self._pause_s)
        return results

    async def _check_index(self, shard: ShardKeys) -> int:
        """Take out of the index what has no list; returns how many entries."""
        taken_out, hidden = 0, 0
        async for page in scan_members(self._connection, shard.due):
            hidden += sum(batch_key.startswith("&") for batch_key in page)
            taken_out += await self._take_out(shard, [(batch_key, "") for batch_key in page])
            await asyncio.sleep(self._pause_s)
        if hidden != replies.integer(await self._connection.call("ZCARD", shard.phones)):
            async for page in scan_members(self._connection, shard.due):
                await self._mend(shard, [(batch_key, "") for batch_key in page if batch_key.startswith("&")])
        return taken_out

    async def _check_phones(self, shard: ShardKeys) -> None:
        """Take out of the index of phones what has no list."""
        async for page in scan_members(self._connection, shard.phones):
            entries = [split_phone_entry(entry) for entry in page]
            await self._take_out(shard, [(batch_key, phone) for phone, batch_key in entries])
            await asyncio.sleep(self._pause_s)

    async def _take_out(self, shard: ShardKeys, batches: list[tuple[str, str]]) -> int:
        keys = [shard.batch_prefix + batch_key for batch_key, _ in batches]
        if not keys or replies.integer(await self._connection.call("EXISTS", *keys)) == len(keys):
            return 0  # nearly always: so a sweep of a million batches costs those that leave meanwhile little
        answers = await self._connection.calls([("EXISTS", key) for key in keys])
        lost = [batch for batch, exists in zip(batches, answers, strict=True) if not exists]
        return sum(state == _TAKEN_OUT for _, state, _ in await self._mend(shard, lost))


def _fields(done: Counter[str]) -> dict[str, int]:
    return {name: done[name] for name in ("unclaimed", "expiring", "put_back", "taken_out")}
