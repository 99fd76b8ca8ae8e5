"""The sinks that stand still, on every daemon: since when, and why."""

from __future__ import annotations

import json

import msgspec

from rfctl.store.connection import Connection, pairs
from rfctl.store.keys import PAUSED


class Pause(msgspec.Struct, frozen=True):
    """Why a sink stands still, and since when (Unix ms by the clock of Redis)."""

    why: str = ""
    at_ms: int = 0


class PausedSinks:
    """The paused sinks of one Redis."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> dict[str, Pause]:
        """Return the sinks that stand still, by name; also those that are no longer configured."""
        flat = await self._connection.call("HGETALL", PAUSED)
        return {name.decode(errors="replace"): _decode(raw) for name, raw in pairs(flat)}

    async def contains(self, sink: str) -> bool:
        """Say whether a sink is to stand still."""
        return bool(await self._connection.call("HEXISTS", PAUSED, sink))

    async def pause(self, sink: str, why: str) -> None:
        """Make a sink stand still on every daemon."""
        now = await self._connection.now_ms()
        await self._connection.call("HSET", PAUSED, sink, json.dumps({"why": why, "at_ms": now}))

    async def resume(self, sink: str) -> bool:
        """Let a sink go on. Returns whether it stood still."""
        return bool(await self._connection.call("HDEL", PAUSED, sink))


def _decode(raw: bytes) -> Pause:
    try:
        return msgspec.json.decode(raw, type=Pause)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Pause(raw.decode(errors="replace"))
