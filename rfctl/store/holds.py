"""The people whom somebody on our side talks to: the bot gets nothing of them until a time, or until they are released.

A hold is kept by batch key, in Redis. What a held person sends is stored as ever. When the hold ends it leaves as one
merged message, or in parts where that would be too much (lua/shared/batch.lua). Times are Unix ms by the steady clock.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from rfctl.store import replies
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.batches import Batches
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 500
USUAL_HOLD_MS = 86_400_000
"""How long a hold lasts when nobody says how long."""
LONGEST_HOLD_MS = 30 * 86_400_000
"""No hold is longer: what nobody ends is handed over some day."""
Release = Literal["hand_over", "discard"]
"""What becomes of the messages of a person who is released."""


class Hold(msgspec.Struct, frozen=True):
    """Until when a batch is held, since when, and who wants it: `operator`, `http`, `rule` or `own`.

    `size` is how many messages are pending. `phone` is "" where another version wrote the note.
    """

    batch_key: str = ""
    until_ms: int = 0
    size: int = 0
    phone: str = ""
    since_ms: int = 0
    by: str = ""
    note: str = ""


_decode = msgspec.json.Decoder(Hold).decode


@dataclass(frozen=True, slots=True)
class Released:
    """What became of one batch: the ids of its merged messages, and how many messages were handed over or discarded.

    `discarded` has those, as they were stored, oldest first: nobody else has them any more.
    """

    batch_key: str
    ids: list[str]
    count: int
    discarded: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HeldCounts:
    """How many batches are held now, since when the longest of a few (Unix ms, None: unknown), and whose that is."""

    count: int = 0
    longest_since_ms: int | None = None
    longest_phone: str = ""


class Holds:
    """The holds of one Redis. Its calls raise RfctlError."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys], batches: Batches) -> None:
        self._connection = connection
        self._shards = shards
        self._batches = batches

    async def hold(self, batch_key: str, phone: str, *, for_ms: int, by: str, note: str = "") -> Hold:
        """Hold a batch from now on for so many ms. One that is held already is held until then instead."""
        why = json.dumps({"by": by, "note": note})[1:-1]
        until_ms, size = replies.integers(
            await self._batches.run_on_batch("hold", batch_key, for_ms, phone, why)
        )
        return Hold(batch_key, until_ms, size, phone, until_ms - for_ms, by, note)

    async def release(self, batch_key: str, phone: str, how: Release = "hand_over") -> Released | None:
        """End the hold of a batch, and hand over or discard what is pending. Returns None where it was not held.

        A call that fails half-way has ended the hold: what is left is due, and the scheduler hands it over.
        """
        ids: list[str] = []
        discarded: list[bytes] = []
        count, is_more, was_held = 0, True, False
        while is_more:
            answer = await self._batches.run_on_batch("release", batch_key, how, phone)
            is_held, size, is_more = (bool(answer[0]), replies.integer(answer[2]), bool(answer[3]))
            was_held, count = was_held or is_held, count + size
            if entry_id := replies.text(answer[1]):
                ids.append(entry_id)
            discarded += map(replies.data, replies.array(answer[4]))
        return Released(batch_key, ids, count, discarded) if was_held else None

    async def name_batches(
        self, phone: str, split_by: Collection[str], *, chat: str = "", account: str = "", company: str = ""
    ) -> list[str]:
        """Return the keys of the batches of a person in a chat ("": one to one), whether they have messages or not.

        Where batches are kept apart by account or company, and that is not named, they are those that are pending: there
        may be none.
        """
        has_names = all({"account": account, "company": company}[name] for name in split_by)
        if not has_names:
            return await self._batches.find_batches(phone, chat)
        account, company = (
            (account if "account" in split_by else ""),
            (company if "company" in split_by else ""),
        )
        return [batch_key_of(phone, chat=chat, account=account, company=company)]

    async def list_held(self, limit: int = 10_000) -> list[Hold]:
        """Return what is held now, what ends first before the others, up to a number a shard."""
        holds = [hold for shard in self._shards for hold in await self._list_shard(shard, limit)]
        return sorted(holds, key=lambda hold: hold.until_ms)

    async def find(self, person: str) -> list[Hold]:
        """Return the holds of a phone, or of a batch key."""
        return [hold for hold in await self.list_held() if person in (hold.phone, hold.batch_key)]

    async def count(self) -> HeldCounts:
        """Return how many batches are held now, and which of those that end last is held longest."""
        now_ms = await self._connection.now_ms(self._shards[0])
        counts = await self._connection.calls(
            [("ZCOUNT", shard.held, f"({now_ms}", "+inf") for shard in self._shards]
        )
        total = sum(map(replies.integer, counts))
        holds = await self.list_held(limit=_PAGE) if total else []
        first = min(holds, key=lambda hold: hold.since_ms or now_ms, default=None)
        return HeldCounts(total, first.since_ms or None, first.phone) if first else HeldCounts(total)

    async def _list_shard(self, shard: ShardKeys, limit: int) -> list[Hold]:
        now_ms = await self._connection.now_ms(shard)
        holds: list[Hold] = []
        while len(holds) < limit:
            page = await self._connection.call(
                "ZRANGEBYSCORE", shard.held, f"({now_ms}", "+inf", "WITHSCORES", "LIMIT", len(holds), _PAGE
            )
            ends = replies.scores(page)
            if not ends:
                break
            holds += await self._read_page(shard, ends)
        return holds[:limit]

    async def _read_page(self, shard: ShardKeys, ends: Sequence[tuple[str, int]]) -> list[Hold]:
        notes = replies.array(
            await self._connection.call("HMGET", shard.held_notes, *[key for key, _ in ends])
        )
        sizes = await self._connection.calls([("LLEN", shard.batch_prefix + key) for key, _ in ends])
        return [
            msgspec.structs.replace(
                _parse(note), batch_key=key, until_ms=until_ms, size=replies.integer(size)
            )
            for (key, until_ms), note, size in zip(ends, notes, sizes, strict=True)
        ]


def _parse(note: object) -> Hold:
    try:
        return _decode(replies.data(note))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Hold()
