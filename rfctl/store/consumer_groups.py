"""Consumer groups of the output stream: how far each has read, and what `rfctl.worker` keeps beside for a group.

Nothing is read that gets dearer the more a group has left: whoever watches asks each second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A consumer group of one shard's output stream.

    `lag` counts the entries that it has not read (None: Redis cannot say), `pending` those read and not acknowledged. `idle_ms` is
    how long ago a consumer last asked for more; None when there is no consumer.

    The rest is what `rfctl.worker` keeps beside, nothing where the workers do not use it. `again` counts the dead letters that
    were sent to the group again and that no worker has taken, `again_pending` those taken and not acknowledged; `again_idle_ms` is
    how long ago a consumer last asked for these (None: none ever did, or there are none). `failed` counts
    the messages that have failed, and come again. `worker_keys` are the names of its keys on this shard, if some are there.
    """

    stream: str
    name: str
    lag: int | None
    pending: int
    idle_ms: int | None = None
    last_delivered_id: str = "0-0"
    again: int = 0
    again_pending: int = 0
    again_idle_ms: int | None = None
    failed: int = 0
    worker_keys: tuple[str, ...] = ()


def group_name(sink: str) -> str:
    """Return the consumer group of a sink."""
    return f"rfctl:{sink}"


async def read_consumer_groups(connection: Connection, shard: ShardKeys) -> list[ConsumerGroup]:
    """Return the consumer groups of one shard, in a few short calls. Raises RfctlError."""
    facts = await read_group_facts(connection, shard.out)
    answers = await connection.calls(
        [("XINFO", "CONSUMERS", shard.out, replies.data(group["name"])) for group in facts]
    )
    groups = [_group(shard.out, *parts) for parts in zip(facts, answers, strict=True)]
    return await _add_worker_keys(connection, shard, groups)


async def read_group_facts(connection: Connection, stream: str) -> list[replies.Facts]:
    """Return what Redis says about each consumer group of a stream; a missing stream has none."""
    if not await connection.call("EXISTS", stream):
        return []
    return [replies.facts(group) for group in replies.array(await connection.call("XINFO", "GROUPS", stream))]


def _group(stream: str, facts: replies.Facts, consumers: object) -> ConsumerGroup:
    lag = facts.get("lag")
    return ConsumerGroup(
        stream=stream,
        name=replies.text(facts["name"]),
        lag=None if lag is None else replies.integer(lag),
        pending=replies.integer(facts["pending"]),
        idle_ms=_find_least_idle(consumers),
        last_delivered_id=replies.text(facts["last-delivered-id"]),
    )


def _find_least_idle(consumers: object) -> int | None:
    idle = [replies.integer(replies.facts(consumer)["idle"]) for consumer in replies.array(consumers)]
    return min(idle, default=None)


async def _add_worker_keys(
    connection: Connection, shard: ShardKeys, groups: Sequence[ConsumerGroup]
) -> list[ConsumerGroup]:
    """Return the groups with what workers keep for each; the group of a sink has none of it."""
    commands: list[Command] = []
    names = [group.name for group in groups if not group.name.startswith(group_name(""))]
    for name in names:
        keys = shard.worker(name)
        commands += [
            ("XLEN", keys.again), ("HLEN", keys.failures), ("HLEN", keys.again_failures), ("EXISTS", *keys.all),
        ]  # fmt: skip
    if not commands:
        return list(groups)
    counts = list(map(replies.integer, await connection.calls(commands)))
    of_name = {name: counts[4 * place : 4 * place + 4] for place, name in enumerate(names)}
    whole: list[ConsumerGroup] = []
    for group in groups:
        again, failures, again_failures, keys_there = of_name.get(group.name, (0, 0, 0, 0))
        counted = replace(
            group,
            again=again,
            failed=failures + again_failures,
            worker_keys=tuple(shard.worker(group.name).all) if keys_there else (),
        )
        whole.append(await _tell_taken(connection, shard, counted) if again else counted)
    return whole


async def _tell_taken(connection: Connection, shard: ShardKeys, group: ConsumerGroup) -> ConsumerGroup:
    """Tell apart what workers have taken of the dead letters that come again. Who asked for these has asked, too."""
    stream = shard.worker(group.name).again
    for facts in await read_group_facts(connection, stream):
        if replies.text(facts["name"]) == group.name:
            name = replies.data(facts["name"])
            idle_ms = _find_least_idle(await connection.call("XINFO", "CONSUMERS", stream, name))
            times = [ms for ms in (group.idle_ms, idle_ms) if ms is not None]
            taken = min(group.again, replies.integer(facts["pending"]))
            return replace(
                group,
                again=group.again - taken,
                again_pending=taken,
                again_idle_ms=idle_ms,
                idle_ms=min(times, default=None),
            )
    return group
