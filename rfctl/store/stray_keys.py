"""Finds keys that nobody hands over or uses: what another writer, a rename, a restore or a removed sink has left.

It only reads. It goes through the names of all keys, in short calls and up to a bound: so it is for an operator who
asks, not for a daemon. A list is stray if the index of its own name does not have it; another rfctl's list is not.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from rfctl.errors import RightsMissingError
from rfctl.store import replies
from rfctl.store.batch_keys import is_batch_key, is_hashed
from rfctl.store.consumer_groups import group_name, read_group_facts
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.scans import scan_members

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

SCANNED_KEYS = 1_000_000
"""Names of keys that are gone through, at most."""
MOST_LISTS = 1_000
"""Stray lists that are described, at most."""
_PAGE = 1_000
_LOOKED_A_CALL = 50
_FACTS = 6
_LIST = re.compile(r"(.*?)rapid-fire:(\{\d+\}:)?(.+)", re.DOTALL)
_SINK = re.compile(r"rfctl:(?:\{\d+\}:)?sink:(.+):(?:waiting|retry|tries|bodies|lease|progress)", re.DOTALL)
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
class StraySink:
    """A sink that no settings and no daemon have: its keys, and whether its consumer group is still there."""

    name: str
    keys: tuple[str, ...] = ()
    has_group: bool = False


@dataclass(frozen=True, slots=True)
class StrayKeys:
    """All that nobody hands over or uses. `entries` are batch keys in the index that have no list.

    It is not `complete` if there were more keys than are gone through.
    """

    lists: tuple[StrayList, ...] = ()
    entries: tuple[str, ...] = ()
    sinks: tuple[StraySink, ...] = ()
    complete: bool = True


async def find_stray_keys(
    connection: Connection, keyspace: Keyspace, sinks: Collection[str], *, limit: int = SCANNED_KEYS
) -> StrayKeys:
    """Return the stray keys of one Redis. `sinks` are those of the settings and of the living daemons.

    It goes through the names of `limit` keys. Raises RfctlError.
    """
    search = StrayLists(connection, keyspace, limit=limit)
    lists = [stray async for stray in search.iterate()]
    sink_keys = _SinkKeys(connection, keyspace, sinks, limit)
    strays = await sink_keys.find()
    entries = await _find_entries(connection, keyspace, limit)
    is_complete = search.is_complete and sink_keys.is_complete
    return StrayKeys(tuple(lists), tuple(entries), tuple(strays), is_complete)


class StrayLists:
    """The search for lists that nobody hands over; `is_complete` is false once it ended at a bound."""

    def __init__(self, connection: Connection, keyspace: Keyspace, *, limit: int = SCANNED_KEYS) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._shards = keyspace.all()
        self._limit = limit
        self.is_complete = True

    async def iterate(self) -> AsyncIterator[StrayList]:
        """Yield the stray lists of this moment, up to `MOST_LISTS`. The caller may change them. Raises RfctlError."""
        count = 0
        names = _Names(self._connection, self._limit)
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
        except RightsMissingError:
            return []  # another program's, which we may not read
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


@dataclass(slots=True)
class _Names:
    """The names of all keys of a database; `is_complete` is false while there are more than were gone through."""

    connection: Connection
    limit: int
    is_complete: bool = False
    _passed: int = 0

    async def iterate(self, pattern: str, *more: str) -> AsyncIterator[list[str]]:
        """Yield the names that match, page by page. A name may come twice."""
        cursor = "0"
        while self._passed < self.limit:
            reply = await self.connection.call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE, *more)
            position, page = replies.array(reply)
            self._passed += _PAGE
            cursor = replies.text(position)
            yield replies.texts(page)
            if cursor == "0":
                self.is_complete = True
                return


@dataclass(slots=True)
class _SinkKeys:
    """The search for keys and groups of sinks that are not among these."""

    connection: Connection
    keyspace: Keyspace
    sinks: Collection[str]
    limit: int
    is_complete: bool = True
    _keys: dict[str, set[str]] = field(default_factory=dict)

    async def find(self) -> list[StraySink]:
        """Return the sinks of nobody, by name."""
        prefix = self.keyspace.prefix
        names = _Names(self.connection, self.limit)
        async for page in names.iterate(f"{_escape(prefix)}rfctl:*sink:*"):
            for key in page:
                match = _SINK.fullmatch(key.removeprefix(prefix))
                if match and match[1] not in self.sinks:
                    self._keys.setdefault(match[1], set()).add(key)
        self.is_complete = names.is_complete
        groups = await self._read_groups()
        return [
            StraySink(name, tuple(sorted(self._keys.get(name, ()))), name in groups)
            for name in sorted({*self._keys, *groups})
        ]

    async def _read_groups(self) -> set[str]:
        """Return the sinks, not among ours, that still have a consumer group of rfctl's."""
        prefix = group_name("")
        facts = [await read_group_facts(self.connection, shard.out) for shard in self.keyspace.all()]
        names = {replies.text(group["name"]) for groups in facts for group in groups}
        return {
            name.removeprefix(prefix)
            for name in names
            if name.startswith(prefix) and name.removeprefix(prefix) not in self.sinks
        }


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


def _escape(text: str) -> str:
    """Return a literal text as a pattern of SCAN."""
    return re.sub(r"([\[\]?*\\])", r"\\\1", text)
