"""Keys apart from all others, on which the very scripts that carry messages can be tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.keys import Keyspace, ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


@dataclass(frozen=True, slots=True)
class _ScratchShard(ShardKeys):
    """A shard whose clock is that of a real shard: a jump of the server's clock is one jump."""

    real_clock: str = ""

    @property
    def clock(self) -> str:
        """The real shard's clock."""
        return self.real_clock


@dataclass(frozen=True, slots=True)
class ScratchKeyspace(Keyspace):
    """The scratch keys of one shard: a keyspace of a single shard, in the slot of the real one."""

    shard: ShardKeys | None = None

    @classmethod
    def beside(cls, shard: ShardKeys, name: str) -> ScratchKeyspace:
        """Return the keys for a name, beside those of a shard."""
        prefix = f"{shard.prefix}rfctl:{name}:"
        scratch = _ScratchShard(shard.tag, f"{prefix}out", prefix, shard.number, shard.clock)
        return cls(0, scratch.stream, prefix, scratch)

    def all(self) -> list[ShardKeys]:
        """Return the one shard."""
        assert self.shard is not None  # noqa: S101 - `beside` makes it
        return [self.shard]


async def delete_scratch_keys(
    connection: Connection, shard: ShardKeys, sink: str, batch_keys: Sequence[str]
) -> None:
    """Delete every key that stays behind when something on a scratch shard was broken off. Raises RfctlError."""
    keys = [key for owner in (shard, shard.common, shard.sink(sink)) for key in _list_keys(owner, batch_keys)]
    keys += await _find_parts_of_ids(connection, shard.ids)
    await connection.calls([("DEL", key) for key in keys if key != shard.clock])  # that one is a real shard's


async def _find_parts_of_ids(connection: Connection, ids: str) -> list[str]:
    """Return the sets of ids that the hash of segments names (lua/shared/ids.lua)."""
    windows = replies.fields(await connection.call("HGETALL", ids))
    segments = [
        (window, *segment.split(":")[:4])
        for window, line in windows.items()
        if window.isdigit()  # the others are no segments
        for segment in replies.text(line).split(";")
        if segment.count(":") >= 3
    ]
    return [
        f"{ids}:{window}:{number}:{part}"
        for window, number, _, parts, _ in segments
        for part in range(int(parts))
    ]


def _list_keys(owner: object, batch_keys: Sequence[str]) -> Iterator[str]:
    """Yield each key that an object of keys names: what ends in a colon has a key for each batch."""
    for name in dir(type(owner)):
        if name.startswith("_") or not isinstance(getattr(type(owner), name), property | cached_property):
            continue
        key = getattr(owner, name)
        if isinstance(key, str) and key.endswith(":"):
            yield from (key + batch_key for batch_key in batch_keys)
        elif isinstance(key, str):
            yield key
