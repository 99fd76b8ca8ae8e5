"""The groups of workers of a snapshot, each over all shards: what waits, is in hand, comes again or is dead. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rfctl.observe.snapshot import Snapshot
from rfctl.store import ConsumerGroup
from rfctl.store.sink_status import count_pending, sum_lags

SILENT_MS = 300_000
"""A worker asks for more when it is done with what it has; without a question for so long it is gone, or hangs."""

_BUSY_MS = 3_600_000
"""Workers whose handlers take long ask for nothing meanwhile, and give signs of life only where their messages are."""
MOST_IN_HAND = 10_000
"""With so many messages of one stream in hand, workers of `rfctl.worker` read no new one (`worker/lua/take.lua`)."""


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """One consumer group that workers read. `parts` are its groups on the shards.

    `waiting` counts the messages that no worker has taken (None: Redis cannot say), `in_hand` those taken and not
    acknowledged; `failed` of these have failed and come again. `again` counts dead letters that were sent again and wait for
    a worker, `dead` those that wait for an operator (None: too many to look at each). `idle_ms` is how long ago a worker asked
    for more (None: there is none). `is_silent`: nobody asks for what is left; `is_full`: workers live, and take nothing new;
    `leaves_again`: they live, and never ask for what was sent again.
    """

    name: str
    parts: tuple[ConsumerGroup, ...]
    waiting: int | None
    in_hand: int
    failed: int
    again: int
    dead: int | None
    idle_ms: int | None
    is_silent: bool
    is_full: bool
    leaves_again: bool

    @property
    def left(self) -> int | None:
        """What the group has not finished; None when Redis cannot say."""
        return None if self.waiting is None else self.waiting + self.in_hand + self.again


def list_worker_groups(snapshot: Snapshot) -> list[WorkerGroup]:
    """Return the groups that workers read, in the order of the snapshot."""
    parts: dict[str, list[ConsumerGroup]] = {}
    for group in snapshot.workers():
        parts.setdefault(group.name, []).append(group)
    return [_sum(name, of_name, snapshot) for name, of_name in parts.items()]


def _sum(name: str, parts: Sequence[ConsumerGroup], snapshot: Snapshot) -> WorkerGroup:
    entries, dead = snapshot.pending.out_length, snapshot.dead_by
    silent = any(is_silent(part, entries) for part in parts)
    in_hand = sum(part.pending + part.again_pending for part in parts)
    return WorkerGroup(
        name=name,
        parts=tuple(parts),
        waiting=sum_lags(part.lag for part in parts) if entries else 0,
        in_hand=in_hand,
        failed=min(in_hand, sum(part.failed for part in parts)),
        again=sum(part.again for part in parts),
        dead=None if dead is None else dead.get(f"group:{name}", 0),
        idle_ms=min((part.idle_ms for part in parts if part.idle_ms is not None), default=None),
        is_silent=silent,
        is_full=not silent and any(map(is_full, parts)),
        leaves_again=not silent and any(map(leaves_again, parts)),
    )


def is_silent(part: ConsumerGroup, entries: int) -> bool:
    """Say whether nobody asks for what is left. Where Redis knows no lag, a worker may just have nothing to ask for."""
    again = part.again + part.again_pending
    if part.idle_ms is None:
        return again > 0 or (count_pending([part]) != 0 and entries > 0)
    return part.idle_ms > SILENT_MS and bool(part.lag or part.pending or again)


def is_full(part: ConsumerGroup) -> bool:
    """Say whether workers of the library have as much in hand as they may, and so take nothing new."""
    return bool(part.worker_keys) and max(part.pending, part.again_pending) >= MOST_IN_HAND


def leaves_again(part: ConsumerGroup) -> bool:
    """Say whether dead letters were sent again to a program that asks for what is new, and not for these."""
    is_asked_for = part.again_idle_ms is not None and part.again_idle_ms <= _BUSY_MS
    return bool(part.worker_keys) and part.again > 0 and not is_asked_for
