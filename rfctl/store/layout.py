"""What a Redis is, written down at the first start: its instance id, its layout, and the name of its output stream.

The id tells it from others: several rfctl may fill one queue, and their messages can have the same ids. The number
of shards stays: with another one, rfctl would not see the batches that are there. So does the output stream: what
waits for another attempt at a sink is found by its place in that stream.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.errors import OtherLayoutError
from rfctl.store import replies
from rfctl.store.keys import LAYOUT_VERSION, CommonKeys, Keyspace
from rfctl.store.migration import BEGUN, PARKING, PLACING, refuse_beside_older_daemons, take_along

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Layout:
    """How a Redis is laid out. `stream` is the name of its output stream, "" where it was not written down.

    `version` is a number, or a step on the way to it.
    """

    shards: int
    version: str
    stream: str = ""

    @property
    def is_older(self) -> bool:
        """Whether it is one that can be taken along."""
        return self.version in (BEGUN, PARKING, PLACING)


async def ensure_instance_id(connection: Connection, keys: CommonKeys) -> str:
    """Return the instance id of this Redis, 8 hex digits; the first call makes it. Raises RfctlError."""
    stored = await connection.call("GET", keys.instance_id)
    if stored is None:
        await connection.call("SET", keys.instance_id, secrets.token_hex(4), "NX")
        stored = await connection.call("GET", keys.instance_id)
    return replies.text(stored)


async def read_layout(connection: Connection, keys: CommonKeys) -> Layout | None:
    """Return how this Redis is laid out; None before the first start. Raises RfctlError."""
    stored, stream = await connection.calls([("GET", keys.layout), ("GET", keys.stream_name)], short=True)
    if stored is None:
        return None
    shards, _, version = replies.text(stored).partition("/")
    if not shards.isdigit() or not (version or BEGUN)[0].isdigit():
        raise OtherLayoutError(
            f"{keys.layout} at {connection.address.shown()} is {replies.text(stored)!r}, which is no layout of rfctl",
            set_by=connection.address.set_by,
            next="find out who writes it; or use another database, or redis.prefix",
        )
    return Layout(int(shards), version or BEGUN, replies.text(stream))


async def check_layout(connection: Connection, keyspace: Keyspace) -> bool:
    """Check that this Redis is laid out as our settings say, or not yet laid out. Raises OtherLayoutError.

    Returns whether it is laid out.
    """
    layout = await read_layout(connection, keyspace.common)
    if layout is None:
        return False
    _compare_version(connection, layout)
    _compare(connection, keyspace, layout)
    return True


async def check_claimable_layout(connection: Connection, keyspace: Keyspace) -> None:
    """Check what `claim_layout` would refuse, and write nothing. Raises what it raises."""
    layout = await read_layout(connection, keyspace.common)
    if layout is None or not layout.is_older:
        await check_layout(connection, keyspace)
        return
    _compare(connection, keyspace, layout)
    await refuse_beside_older_daemons(connection, keyspace)


async def claim_layout(connection: Connection, keyspace: Keyspace) -> None:
    """Write the layout down at the first start, and take older data along.

    Raises OtherLayoutError when there is another layout, and OlderDaemonError while an older daemon is alive.
    """
    keys = keyspace.common
    layout = await read_layout(connection, keys)
    if layout is None:  # a full Redis refuses also a SET that changes nothing
        await connection.call("SET", keys.layout, f"{keyspace.shards}/{LAYOUT_VERSION}", "NX")
    elif layout.is_older:
        _compare(connection, keyspace, layout)
        await take_along(connection, keyspace, layout.version)
        await connection.call("SET", keys.layout, f"{keyspace.shards}/{LAYOUT_VERSION}")
    await check_layout(connection, keyspace)
    if not await connection.call("EXISTS", keys.stream_name):
        await connection.call("SET", keys.stream_name, keyspace.output_stream, "NX")


def _compare_version(connection: Connection, layout: Layout) -> None:
    if layout.version == str(LAYOUT_VERSION):
        return
    step = "start `rfctl serve` of this version once: it takes the data along"
    if not layout.is_older:
        step = "use the rfctl that wrote it (`rfctl stats` of that one shows what is pending)"
    raise OtherLayoutError(
        f"Redis at {connection.address.shown()} has layout {layout.version} of rfctl's data, and this rfctl has "
        f"layout {LAYOUT_VERSION}",
        set_by=connection.address.set_by,
        next=step,
    )


def _compare(connection: Connection, keyspace: Keyspace, layout: Layout) -> None:
    where, set_by, key = connection.address.shown(), connection.address.set_by, keyspace.common.layout
    if layout.shards != keyspace.shards:
        raise OtherLayoutError(
            f"Redis at {where} is laid out for redis.shards = {layout.shards}, not {keyspace.shards}",
            set_by=connection.address.shards_set_by or set_by,
            next=f"set redis.shards to {layout.shards}; or, while nothing is pending, DEL {key} and start anew",
        )
    if layout.stream and layout.stream != keyspace.output_stream:
        raise OtherLayoutError(
            f"Redis at {where} has its merged messages in {layout.stream}, not in {keyspace.output_stream}",
            set_by=set_by,
            next=f"set output.stream to {layout.stream}; or, when every reader is done with it, "
            f"DEL {keyspace.common.stream_name} and start anew",
        )
