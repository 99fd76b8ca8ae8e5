"""Finds keys of sinks that no settings and no daemon have, and of groups of workers whose consumer group is gone."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.consumer_groups import group_name, read_group_facts
from rfctl.store.key_names import KeyNames, escape_literal
from rfctl.store.keys import Keyspace
from rfctl.store.worker_keys import list_groups

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection

_OF_OWNERS = "rfctl:*[sw][io][nr]k*:*"
"""The keys of sinks and of workers, in one pass over all names."""
_SINK = re.compile(r"rfctl:(?:\{\d+\}:)?sink:(.+):(?:waiting|retry|tries|bodies|lease|progress)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StraySink:
    """A sink that no settings and no daemon have: its keys, and whether its consumer group is still there."""

    name: str
    keys: tuple[str, ...] = ()
    has_group: bool = False


@dataclass(frozen=True, slots=True)
class StrayGroup:
    """A group of workers that left keys behind, and whose consumer group is on no shard of the output stream.

    `again` counts the dead letters that were sent to it again and wait in its keys, `remembered` the ids of messages that it
    has handled.
    """

    name: str
    keys: tuple[str, ...]
    again: int
    remembered: int


@dataclass(slots=True)
class StrayOwners:
    """The search for sinks and groups of workers that are not among these. `is_complete` is false once it ended at a bound."""

    connection: Connection
    keyspace: Keyspace
    sinks: Collection[str]
    groups: Collection[str]
    limit: int
    is_complete: bool = True
    _sink_keys: dict[str, set[str]] = field(default_factory=dict)
    _group_keys: dict[str, set[str]] = field(default_factory=dict)

    async def find(self) -> tuple[list[StraySink], list[StrayGroup]]:
        """Return the sinks and the groups of nobody, by name. Raises RfctlError."""
        await self._gather()
        names = (
            await self._read_group_names()
        )  # after the keys: a worker makes its group before it keeps anything
        sink_groups = {name.removeprefix(group_name("")) for name in names if name.startswith(group_name(""))}
        sink_groups.difference_update(self.sinks)
        sinks = [
            StraySink(name, tuple(sorted(self._sink_keys.get(name, ()))), name in sink_groups)
            for name in sorted({*self._sink_keys, *sink_groups})
        ]
        strays = sorted(self._group_keys.keys() - names - set(self.groups))
        return sinks, [await self._describe(name) for name in strays]

    async def _gather(self) -> None:
        prefix = self.keyspace.prefix
        names = KeyNames(self.connection, self.limit)
        async for page in names.iterate(f"{escape_literal(prefix)}{_OF_OWNERS}"):
            for name, keys in list_groups(page, prefix).items():
                self._group_keys.setdefault(name, set()).update(keys)
            for key in page:
                match = _SINK.fullmatch(key.removeprefix(prefix))
                if match and match[1] not in self.sinks:
                    self._sink_keys.setdefault(match[1], set()).add(key)
        self.is_complete = names.is_complete

    async def _read_group_names(self) -> set[str]:
        facts = [await read_group_facts(self.connection, shard.out) for shard in self.keyspace.all()]
        return {replies.text(group["name"]) for groups in facts for group in groups}

    async def _describe(self, name: str) -> StrayGroup:
        commands: list[Command] = []
        for shard in self.keyspace.all():
            keys = shard.worker(name)
            commands += [("XLEN", keys.again), ("ZCARD", keys.done)]
        counts = list(map(replies.integer, await self.connection.calls(commands)))
        return StrayGroup(name, tuple(sorted(self._group_keys[name])), sum(counts[::2]), sum(counts[1::2]))
