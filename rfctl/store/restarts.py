"""Starts of the Redis server, an append-only file that a crash has torn, and a Redis that somebody emptied.

Redis cuts off half a command at the end of its file, and leaves the transaction before it open. What is written then
stands inside that transaction. The next start after that replays half a script, or loses what followed. A rewrite of the file
in between mends it. So the run id is kept in Redis itself: also a daemon that starts later sees that Redis has started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.errors import ReplyError, RightsMissingError
from rfctl.store import replies
from rfctl.store.keys import LAYOUT_VERSION, CommonKeys, Keyspace
from rfctl.store.layout import check_layout, claim_layout, ensure_instance_id
from rfctl.store.server_info import ServerInfo

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


@dataclass(frozen=True, slots=True)
class ServerRestart:
    """Redis has started since a daemon looked last. `problem` is why its file could not be rewritten, or ""."""

    run_id: str
    is_rewritten: bool
    problem: str = ""


async def read_server_run(connection: Connection, keys: CommonKeys) -> str:
    """Return the run id of the server when a daemon last looked, "" before the first time. Raises RfctlError."""
    return replies.text(await connection.call("GET", keys.server_run))


async def notice_restart(
    connection: Connection, keys: CommonKeys, server: ServerInfo
) -> ServerRestart | None:
    """Rewrite the append-only file if Redis has started since, and write its run id down. Raises RfctlError.

    Returns None if it has not. Where the rewrite failed the run id stays, and the next call tries again.
    """
    if server.run_id == "?":
        return None
    stored = await read_server_run(connection, keys)
    if stored == server.run_id:
        return None
    problem = await _rewrite(connection) if stored and server.replays_torn_aof else ""
    if not problem:
        await connection.call("SET", keys.server_run, server.run_id)
    if not stored:
        return None
    return ServerRestart(server.run_id, server.replays_torn_aof and not problem, problem)


async def _rewrite(connection: Connection) -> str:
    try:
        await connection.call("BGREWRITEAOF")
    except RightsMissingError as problem:
        return problem.fact
    except ReplyError as problem:
        return "" if "already in progress" in problem.fact else problem.fact
    return ""


async def notice_emptying(connection: Connection, keyspace: Keyspace) -> bool:
    """Lay this Redis out again if nothing says how it is laid out, as after FLUSHALL. Raises RfctlError.

    Returns whether it was so and this call was the first to write; that is counted in the totals.
    """
    keys = keyspace.common
    if await check_layout(connection, keyspace):
        return False
    is_first = bool(await connection.call("SET", keys.layout, f"{keyspace.shards}/{LAYOUT_VERSION}", "NX"))
    await claim_layout(connection, keyspace)
    await ensure_instance_id(connection, keys)
    if is_first:
        await connection.call("HINCRBY", keyspace.all()[0].totals, "emptied", 1)
    return is_first
