"""Takes the data of layout 1 along to layout 2, at the first start of this rfctl.

On one server the names stay. With shards, every key moves to the tag that layout 2 gives its shard. Old and new tags
are both small numbers, so a key's name does not tell which of the two it has. So all keys first get tags that neither
layout has, and then the new ones. `rfctl:shards` says how far it is: `n/1`, `n/1a`, `n/1b`, at last `n/2`. Older
daemons refuse all of these. Each step can be made again, and goes on where the one before was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rfctl.errors import OlderDaemonError, OtherLayoutError
from rfctl.model.slots import shard_tags
from rfctl.store import replies
from rfctl.store.batch_heads import read_heads
from rfctl.store.daemons import Daemons
from rfctl.store.key_names import escape_literal
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.scans import scan_members

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

BEGUN, PARKING, PLACING = "1", "1a", "1b"
"""The versions in `rfctl:shards` while data of layout 1 are taken along."""
_PAGE = 500
_OLDER_IDS_LIVE_MS = 2 * 2_592_000_000
"""Twice the longest dedupe window that a setting can have: so long the sets of layout 1 may live."""
_NAMES = ("rapid-fire:", "last-msg:", "rfctl:")


async def refuse_beside_older_daemons(connection: Connection, keyspace: Keyspace) -> None:
    """Raise OlderDaemonError while a daemon of layout 1 is alive: it would go on writing to the old places."""
    alive = await Daemons(connection, keyspace.all()[0]).list_alive()
    older = [record for record in alive if record.layout < 2]
    if older:
        who = ", ".join(f"{record.host} (pid {record.pid}, version {record.version})" for record in older)
        raise OlderDaemonError(
            f"an older rfctl still runs on Redis at {connection.address.shown()}: {who}",
            set_by=connection.address.set_by,
            next="stop it: then its batches, messages and ids are taken along",
        )


async def take_along(connection: Connection, keyspace: Keyspace, step: str) -> None:
    """Bring data of layout 1 into layout 2; `step` is the version that `rfctl:shards` shows. Raises RfctlError."""
    await refuse_beside_older_daemons(connection, keyspace)
    if step == BEGUN:
        await _write_step(connection, keyspace, PARKING if keyspace.shards else PLACING)
        step = PARKING if keyspace.shards else PLACING
    if step == PARKING:
        await _move_all(connection, keyspace, PARKING, _to_parking(keyspace))
        await _write_step(connection, keyspace, PLACING)
    await _move_all(connection, keyspace, PLACING, _from_parking(keyspace))
    for shard in keyspace.all():
        await _index_phones(connection, shard)
        await _ask_older_ids(connection, shard)


async def _write_step(connection: Connection, keyspace: Keyspace, step: str) -> None:
    await connection.call("SET", keyspace.common.layout, f"{keyspace.shards}/{step}")


def _to_parking(keyspace: Keyspace) -> Mapping[str, str]:
    return {str(number): f"parked-{number}" for number in range(keyspace.shards)}


def _from_parking(keyspace: Keyspace) -> Mapping[str, str]:
    return {f"parked-{number}": tag for number, tag in enumerate(shard_tags(keyspace.shards))}


async def _move_all(
    connection: Connection, keyspace: Keyspace, step: str, new_tags: Mapping[str, str]
) -> None:
    """Give every key with one of these tags the other tag. A lease is left: it ends by itself."""
    for old, new in new_tags.items():
        for pattern in _patterns(keyspace, old):
            await _move_pattern(connection, keyspace, step, pattern, (f"{{{old}}}", f"{{{new}}}"))


def _patterns(keyspace: Keyspace, tag: str) -> Iterator[str]:
    """Yield what matches the keys of a shard of this tag: our own names, and the output stream."""
    for name in _NAMES:
        yield f"{escape_literal(keyspace.prefix + name)}{{{tag}}}:*"
    stream = keyspace.output_stream
    head, colon, rest = stream.partition(":")
    yield escape_literal(f"{head}:{{{tag}}}:{rest}" if colon else f"{stream}:{{{tag}}}")


async def _move_pattern(
    connection: Connection, keyspace: Keyspace, step: str, pattern: str, tags: tuple[str, str]
) -> None:
    """Rename what matches. A scan sees every key that is there all the time; what it renames it may see again."""
    cursor = ""
    while cursor != "0":
        reply = await connection.call("SCAN", cursor or "0", "MATCH", pattern, "COUNT", _PAGE)
        position, page = replies.array(reply)
        cursor, names = replies.text(position), replies.texts(page)
        moves = [(name, name.replace(tags[0], tags[1], 1)) for name in names if not name.endswith(":lease")]
        if moves:
            await _run_move(connection, keyspace, step, [name for move in moves for name in move])


async def _run_move(connection: Connection, keyspace: Keyspace, step: str, keys: list[str]) -> None:
    """Move keys while the layout says so: another daemon may be a step further."""
    shard = keyspace.all()[0]
    names = [keyspace.common.layout, *keys]
    moved = await connection.run("move_key", shard, names, [f"{keyspace.shards}/{step}"])
    if replies.integer(moved) == len(keys) // 2:
        return
    left = [key for key in keys[::2] if await connection.call("EXISTS", key)]
    if left:
        raise OtherLayoutError(
            f"Redis at {connection.address.shown()} has {left[0]} under its old and its new name",
            set_by=connection.address.set_by,
            next="find out which of the two is right, delete the other with redis-cli, and start again",
        )


async def _index_phones(connection: Connection, shard: ShardKeys) -> None:
    """Index the batches whose key does not follow from the phone alone: layout 1 had no such index."""
    async for page in scan_members(connection, shard.due):
        hidden = [batch_key for batch_key in page if batch_key.startswith("&")]
        heads = await read_heads(connection, shard, hidden)
        entries = [f"{head.phone}\0{batch_key}" for batch_key, head in heads.items() if head.size]
        if entries:
            await connection.call("ZADD", shard.phones, *(value for entry in entries for value in (0, entry)))


async def _ask_older_ids(connection: Connection, shard: ShardKeys) -> None:
    """Have the sets of ids of layout 1 asked until they have expired."""
    until = await connection.now_ms(shard) + _OLDER_IDS_LIVE_MS
    await connection.call("HSET", shard.ids, "older", until)
