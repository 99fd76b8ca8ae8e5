"""Finds living daemons in other databases of this server, and under other prefixes.

A webhook in one database and a processor in another have no key in common: each looks healthy, and nothing is handed
over. A connection of its own is used, as it changes its database. Nothing is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rfctl.errors import ReplyError, RightsMissingError
from rfctl.store import replies
from rfctl.store.daemons import ALIVE_MS, DaemonRecord
from rfctl.store.keys import CommonKeys, ShardKeys
from rfctl.store.server_info import parse_info

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_DATABASES = 64
_PAGES, _PAGE = 20, 1000
"""So many keys of a database are looked at for other prefixes, at most."""
_SUFFIX = CommonKeys().daemons
_decode = msgspec.json.Decoder(DaemonRecord).decode


@dataclass(frozen=True, slots=True)
class DaemonElsewhere:
    """A living daemon with its database and its prefix."""

    db: int
    prefix: str
    record: DaemonRecord


async def find_daemons_elsewhere(connection: Connection, prefix: str) -> list[DaemonElsewhere]:
    """Return the living daemons that are not in the connection's own database under this prefix.

    The connection must have one socket, and serve nothing else; it is closed at the end. Raises RfctlError.
    """
    daemons: list[DaemonElsewhere] = []
    try:
        for db in await _list_databases(connection):
            async for other in _find_prefixes(connection, db, prefix):
                if (db, other) != (connection.db, prefix):
                    daemons += await _read_alive(connection, db, other)
    finally:
        await connection.close()
    return daemons


async def _list_databases(connection: Connection) -> list[int]:
    info = parse_info(await connection.call("INFO", "keyspace"))
    numbers = [int(name[2:]) for name in info if name.startswith("db") and name[2:].isdigit()]
    return numbers[:_DATABASES]


async def _find_prefixes(connection: Connection, db: int, prefix: str) -> AsyncIterator[str]:
    """Yield our prefix, none, and the others under which daemons have records, as far as we may look."""
    prefixes = {prefix, ""}
    for own in sorted(prefixes):
        yield own
    cursor, pages = "0", 0
    with contextlib.suppress(RightsMissingError):
        while pages < _PAGES and (cursor != "0" or not pages):
            scan = ("SCAN", cursor, "MATCH", f"*{_SUFFIX}", "COUNT", _PAGE)
            _, reply = await connection.calls([("SELECT", db), scan])
            position, keys = replies.array(reply)
            cursor, pages = replies.text(position), pages + 1
            for key in replies.texts(keys):
                if (other := key.removesuffix(_SUFFIX)) not in prefixes:
                    prefixes.add(other)
                    yield other


async def _read_alive(connection: Connection, db: int, prefix: str) -> list[DaemonElsewhere]:
    shard = ShardKeys("", "", prefix)
    try:
        _, now, step, lines = await connection.calls(
            [("SELECT", db), ("TIME",), ("HGET", shard.clock, "step"), ("HGETALL", shard.common.daemons)]
        )
    except (RightsMissingError, ReplyError):  # keys that our user may not see, or of another kind
        return []
    seconds, micros = replies.array(now)
    now_ms = replies.integer(seconds) * 1000 + replies.integer(micros) // 1000 - int(replies.text(step) or 0)
    alive = []
    for line in replies.fields(lines).values():
        with contextlib.suppress(msgspec.DecodeError):
            record = _decode(line)
            if abs(now_ms - record.beat_ms) <= ALIVE_MS:
                alive.append(DaemonElsewhere(db, prefix, record))
    return alive
