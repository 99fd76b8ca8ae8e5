"""Finds keys that nobody hands over or uses: what another writer, a rename, a restore or a removed sink has left.

It only reads. It goes through the names of all keys, in short calls and up to a bound: so it is for an operator who
asks, not for a daemon. A list is stray if the index of its own name does not have it; another rfctl's list is not.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from rfctl.errors import RightsMissingError
from rfctl.store import replies
from rfctl.store.batch_keys import is_batch_key, is_hashed
from rfctl.store.key_names import SCANNED_KEYS, KeyNames
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.scans import scan_members
from rfctl.store.stray_owners import StrayGroup, StrayOwners, StraySink

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

MOST_LISTS = 1_000
"""Stray lists that are described, at most."""
_LOOKED_A_CALL = 50
_FACTS = 6
_LIST = re.compile(r"(.*?)rapid-fire:(\{\d+\}:)?(.+)", re.DOTALL)
_CANARY = re.compile(r"rfctl:canary:[^:]*:rapid-fire:")

Writer = Literal["rfctl", "other", "unknown"]
"""Who wrote a list. `other`: another program, and its messages have a text. `unknown`: no form that rfctl reads."""


@dataclass(frozen=True, slots=True)
class StrayList:
    """One list of messages that nobody hands over. Times are Unix ms.

    `batch_key` is the batch that it can become, "" if its name tells none. `home` is the key of that batch: the list's own
    `key`, unless it was renamed. `lives_ms` is None for a list that does not expire. `oldest_ms` is 0 where no message
    tells it. `phone` is "" where neither its messages nor its name tell it.
    """

    key: str
    batch_key: str
    home: str
    messages: int
    lives_ms: int | None
    oldest_ms: int
    writer: Writer
    phone: str


@dataclass(frozen=True, slots=True)
class StrayKeys:
    """All that nobody hands over or uses. `entries` are batch keys in the index that have no list.

    It is not `complete` if there were more keys than are gone through. `unreadable` counts lists that rfctl's user may not read:
    other programs' as a rule.
    """

    lists: tuple[StrayList, ...] = ()
    entries: tuple[str, ...] = ()
    sinks: tuple[StraySink, ...] = ()
    groups: tuple[StrayGroup, ...] = ()
    complete: bool = True
    unreadable: int = 0


async def find_stray_keys(
    connection: Connection,
    keyspace: Keyspace,
    sinks: Collection[str],
    *,
    groups: Collection[str] = (),
    limit: int = SCANNED_KEYS,
) -> StrayKeys:
    """Return the stray keys of one Redis. `sinks` are those of the settings and of the living daemons, `groups` those of workers.

    It goes through the names of `limit` keys. Raises RfctlError.
    """
    search = StrayLists(connection, keyspace, limit=limit)
    lists = [stray async for stray in search.iterate()]
    owners = StrayOwners(connection, keyspace, sinks, groups, limit)
    stray_sinks, stray_groups = await owners.find()
    entries = await _find_entries(connection, keyspace, limit)
    is_complete = search.is_complete and owners.is_complete
    return StrayKeys(
        tuple(lists), tuple(entries), tuple(stray_sinks), tuple(stray_groups), is_complete, search.unreadable
    )


class StrayLists:
    """The search for lists that nobody hands over; `is_complete` is false once it ended at a bound.

    `unreadable` counts the lists that our user may not read.
    """

    def __init__(self, connection: Connection, keyspace: Keyspace, *, limit: int = SCANNED_KEYS) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._shards = keyspace.all()
        self._limit = limit
        self.is_complete = True
        self.unreadable = 0

    async def iterate(self) -> AsyncIterator[StrayList]:
        """Yield the stray lists of this moment, up to `MOST_LISTS`. The caller may change them. Raises RfctlError."""
        count = 0
        names = KeyNames(self._connection, self._limit)
        seen: set[str] = set()
        async for page in names.iterate("*", "TYPE", "list"):
            keys = [key for key in page if key not in seen and not _CANARY.search(key)]
            seen.update(keys)
            for stray in await self.look(keys):
                if count == MOST_LISTS:
                    self.is_complete = False
                    return
                count += 1
                yield stray
        self.is_complete = names.is_complete

    async def look(self, keys: Sequence[str]) -> list[StrayList]:
        """Return those of these lists that are stray now, as they are now. Raises RfctlError."""
        by_index: dict[str, list[_Name]] = {}
        for name in (self._parse(key) for key in keys):
            by_index.setdefault(name.index, []).append(name)
        strays = []
        for index, names in by_index.items():
            for start in range(0, len(names), _LOOKED_A_CALL):
                strays += await self._look(index, names[start : start + _LOOKED_A_CALL])
        return strays

    def _parse(self, key: str) -> _Name:
        match = _LIST.fullmatch(key)
        if match is None:
            return _Name(key, "", "", self._shards[0].due)
        prefix, tag, batch_key = match[1], match[2] or "", match[3]
        index = ShardKeys(tag, "", prefix).due
        if not is_batch_key(batch_key):
            return _Name(key, "", "", index)
        return _Name(key, batch_key, self._home(batch_key), index)

    def _home(self, batch_key: str) -> str:
        return self._shards[self._keyspace.index_of(batch_key)].batch_prefix + batch_key

    async def _look(self, index: str, names: Sequence[_Name]) -> list[StrayList]:
        shard = ShardKeys("", "")  # the script reads no clock, so any shard will do
        keys, batch_keys = [index, *(name.key for name in names)], [name.batch_key for name in names]
        try:
            flat = replies.array(await self._connection.run("look", shard, keys, batch_keys))
        except RightsMissingError:  # Redis does not say which of them: another program's, as a rule
            if len(names) == 1:
                self.unreadable += 1
                return []
            middle = len(names) // 2
            return await self._look(index, names[:middle]) + await self._look(index, names[middle:])
        parts = [flat[start : start + _FACTS] for start in range(0, len(flat), _FACTS)]
        strays = (self._describe(name, facts) for name, facts in zip(names, parts, strict=True))
        return [stray for stray in strays if stray is not None]

    def _describe(self, name: _Name, facts: Sequence[object]) -> StrayList | None:
        """Return a list that is stray, None for any other: what has another name must have the form of messages."""
        size, lives_ms, due = map(replies.integer, facts[:3])
        writer = cast("Writer", replies.text(facts[3]))
        is_named = bool(name.batch_key)
        if size <= 0 or (is_named and due >= 0) or (writer == "unknown" and not name.home):
            return None
        phone = replies.text(facts[5]) or ("" if is_hashed(name.batch_key) else name.batch_key)
        return StrayList(
            key=name.key,
            batch_key=name.batch_key,
            home=name.home,
            messages=size,
            lives_ms=None if lives_ms < 0 else lives_ms,
            oldest_ms=replies.integer(facts[4]),
            writer=writer,
            phone=phone,
        )


@dataclass(frozen=True, slots=True)
class _Name:
    """What the name of a list says: its batch key and that batch's key ("" for none), and the index that would have it."""

    key: str
    batch_key: str
    home: str
    index: str


async def _find_entries(connection: Connection, keyspace: Keyspace, limit: int) -> list[str]:
    """Return the batch keys in the index that have no list. Each is looked at twice, the second time at one moment."""
    entries: list[str] = []
    for shard in keyspace.all():
        passed = 0
        async for page in scan_members(connection, shard.due):
            answers = await connection.calls([("EXISTS", shard.batch_prefix + key) for key in page])
            lost = [key for key, is_there in zip(page, answers, strict=True) if not is_there]
            entries += [key for key in dict.fromkeys(lost) if await _has_no_list(connection, shard, key)]
            passed += len(page)
            if passed >= limit or len(entries) >= MOST_LISTS:
                break
    return entries


async def _has_no_list(connection: Connection, shard: ShardKeys, batch_key: str) -> bool:
    keys = [shard.due, shard.batch_prefix + batch_key, shard.held]
    due, _, *items = replies.array(await connection.run("peek", shard, keys, [batch_key]))
    return replies.integer(due) >= 0 and not items
