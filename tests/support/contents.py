"""All that a Redis has, key by key, as bytes: what a test searches for traces of a person."""

from __future__ import annotations

from typing import Any

from rfctl.store.connection import Connection

_READS: dict[bytes, tuple[str, ...]] = {
    b"string": ("GET",),
    b"list": ("LRANGE", "0", "-1"),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    b"hash": ("HGETALL",),
    b"stream": ("XRANGE", "-", "+"),
}


async def read_everything(connection: Connection) -> dict[str, bytes]:
    """Return each key with all that is in it, the pending lists of a stream's groups too."""
    contents = {}
    for key in await connection.call("KEYS", "*"):
        kind = await connection.call("TYPE", key)
        if kind == b"none":
            continue  # its time was over after its name was read
        command, *args = _READS[kind]
        value = repr(await connection.call(command, key, *args)).encode()
        if kind == b"stream":
            value += repr(await connection.call("XINFO", "STREAM", key, "FULL")).encode()
        contents[key.decode()] = value
    return contents


async def find_traces(connection: Connection, *words: str) -> set[str]:
    """Return the keys that have any of these words, in their names or in their values."""
    needles: list[Any] = [
        form for word in words for form in (word.encode(), repr(word.encode())[2:-1].encode())
    ]
    contents = await read_everything(connection)
    return {
        key for key, value in contents.items() if any(needle in key.encode() + value for needle in needles)
    }
