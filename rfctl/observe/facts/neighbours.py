"""Daemons that are found beside the records of our Redis: by their files, at the local listener, in other databases.

A daemon on another Redis than ours has no record where we look. So each way to find one is tried.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from rfctl.observe.daemon_files import list_living_daemons

_ASKED_S = 1.0
_ANSWER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A living daemon, and which Redis it uses: `redis` is a masked URL.

    `run_id` is "" where that is not known, and `prefix` None. `settings_hash` is "" where it is not known.
    """

    how: Literal["file", "listener", "database"]
    name: str
    redis: str
    run_id: str
    db: int
    prefix: str | None = None
    settings_hash: str = ""

    def uses(self, run_id: str, db: int, prefix: str) -> bool:
        """Say whether it uses this Redis, as far as that is known."""
        return (self.run_id, self.db) == (run_id, db) and self.prefix in (None, prefix)

    @property
    def place(self) -> str:
        """Where it works, for a person."""
        return f"{self.redis} with the prefix {self.prefix}" if self.prefix else self.redis


async def read_neighbours(folders: Iterable[Path], listener: str) -> tuple[Neighbour, ...]:
    """Return the daemons of this host, by their files and by what answers at the `listener` (unix:/path or host:port)."""
    files = [
        Neighbour("file", f"pid {daemon.pid}", daemon.url, daemon.run_id, daemon.db, daemon.prefix)
        for daemon in list_living_daemons(folders)
    ]
    return (*files, *await _ask_listener(listener))


async def _ask_listener(listener: str) -> Sequence[Neighbour]:
    """Return the daemon that answers there. Nobody there, or another program, is none."""
    facts: dict[str, Any] = {}
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.MsgspecError):
        async with asyncio.timeout(_ASKED_S):
            facts = msgspec.json.decode(await ask_http(listener, "/readyz"), type=dict[str, Any])
    run_id = facts.get("run_id")
    if not isinstance(run_id, str) or not run_id:
        return ()
    name = f"the listener on {listener}"
    return [Neighbour("listener", name, str(facts.get("redis", "?")), run_id, int(facts.get("db", 0)))]


async def ask_http(listener: str, path: str) -> bytes:
    """Return the body of one GET at a listener, unix:/path or host:port. Raises OSError."""
    if listener.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(listener.removeprefix("unix:"))
    else:
        host, _, port = listener.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read(_ANSWER_BYTES)
        while more := await reader.read(_ANSWER_BYTES):
            answer += more
            if len(answer) > _ANSWER_BYTES:
                break
        return answer.partition(b"\r\n\r\n")[2]
    finally:
        writer.close()
