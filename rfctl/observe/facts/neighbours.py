"""Daemons that are found beside the records of our Redis: by their files, at the local listener, in other databases.

A daemon on another Redis than ours has no record where we look. So each way to find one is tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rfctl.observe.daemon_files import list_living_daemons
from rfctl.observe.facts.listener import ListenerAnswer
from rfctl.store import DaemonElsewhere, ServerInfo


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A living daemon, and which Redis it uses: `redis` is a masked URL.

    `run_id` is "" where that is not known, and `prefix` None. `settings_hash` is "" where it is not known. `pid` is that
    of a process of this host, 0 for any other.
    """

    how: Literal["file", "listener", "database"]
    name: str
    redis: str
    run_id: str
    db: int
    prefix: str | None = None
    settings_hash: str = ""
    pid: int = 0

    def uses(self, run_id: str, db: int, prefix: str) -> bool:
        """Say whether it uses this Redis, as far as that is known."""
        return (self.run_id, self.db) == (run_id, db) and self.prefix in (None, prefix)

    @property
    def place(self) -> str:
        """Where it works, for a person."""
        return f"{self.redis} with the prefix {self.prefix}" if self.prefix else self.redis


async def read_neighbours(folders: Iterable[Path]) -> tuple[Neighbour, ...]:
    """Return the daemons of this host that have left a file."""
    return tuple(
        Neighbour(
            "file",
            f"pid {daemon.pid}",
            daemon.url,
            daemon.run_id,
            daemon.db,
            daemon.prefix,
            daemon.settings_hash,
            daemon.pid,
        )
        for daemon in await asyncio.to_thread(list_living_daemons, folders)
    )


def describe_listener(answer: ListenerAnswer | None) -> tuple[Neighbour, ...]:
    """Return the daemon that answered at our listener's address, if it said which Redis it uses."""
    if answer is None or not answer.redis or answer.run_id == "?":
        return ()
    return (Neighbour("listener", f"at {answer.listener}", answer.redis, answer.run_id, answer.db),)


def describe_elsewhere(daemons: Iterable[DaemonElsewhere], server: ServerInfo) -> tuple[Neighbour, ...]:
    """Return the daemons of other databases and prefixes of this server."""
    return tuple(
        Neighbour(
            "database", f"pid {daemon.record.pid} on {daemon.record.host}", f"database {daemon.db} of the same server",
            server.run_id, daemon.db, daemon.prefix, daemon.record.settings_hash,
        )
        for daemon in daemons
    )  # fmt: skip
