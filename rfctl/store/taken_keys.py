"""Keys of ours that hold a value of another kind than they must: another program wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.keys import ShardKeys
from rfctl.store.probe import list_key_types

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


@dataclass(frozen=True, slots=True)
class TakenKey:
    """One such key: the kind of its value, and the kind that rfctl keeps there. `is_for_watchers`: no message needs it."""

    key: str
    kind: str
    wanted: str
    is_for_watchers: bool = False


def list_all_key_types(shard: ShardKeys, sinks: Iterable[str] = ()) -> dict[str, str]:
    """Return every key of a shard, and those that no shard has, with the kind of value that each holds."""
    common = shard.common
    return {
        **list_key_types(shard, list(sinks)), shard.ids: "hash", shard.phones: "zset", shard.set_aside: "hash",
        common.server_run: "string", common.sweep_lease: "string",
        **{shard.sink(name).progress: "hash" for name in sinks}, **_list_watchers_types(shard),
    }  # fmt: skip


def _list_watchers_types(shard: ShardKeys) -> Mapping[str, str]:
    return {shard.log: "stream", shard.last_times: "hash", shard.common.sweep: "hash"}


async def find_taken_keys(
    connection: Connection, shards: Sequence[ShardKeys], sinks: Sequence[str]
) -> tuple[TakenKey, ...]:
    """Return the keys that hold a value of another kind. Raises RfctlError."""
    kinds: dict[str, str] = {}
    watchers: set[str] = set()
    for shard in shards:
        kinds |= list_all_key_types(shard, sinks)
        watchers |= set(_list_watchers_types(shard))
    answers = await connection.calls([("TYPE", key) for key in kinds])
    pairs = zip(kinds.items(), map(replies.text, answers), strict=True)
    return tuple(
        TakenKey(key, kind, wanted, key in watchers)
        for (key, wanted), kind in pairs
        if kind not in ("none", wanted)
    )
