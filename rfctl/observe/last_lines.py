"""What happened last: messages that came in, batches that were handed over, and how deliveries ended.

Each look reads what is new in the output stream and in the delivery log, a few of the newest: no message does more because
somebody watches, and a flood costs no more than a trickle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rfctl.model.stored import Merged
from rfctl.observe.overview import LastKind, LastLine
from rfctl.store import LoggedDelivery, PendingBatch, ShardKeys, Store
from rfctl.text import duration, visible

_KEPT = 30
_STEPS: Mapping[LastKind, int] = {"in": 0, "out": 1}
_READ = 10
"""So many of the newest are read of each shard."""


class LastLines:
    """The newest lines of one Redis. `read` goes on where the last one ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._merged_ids: dict[ShardKeys, str] = dict.fromkeys(store.shards, "0-0")
        self._logged_ids: dict[ShardKeys, str] = dict.fromkeys(store.shards, "0-0")
        self._lines: list[LastLine] = []

    async def read(self, pending: Sequence[PendingBatch]) -> list[LastLine]:
        """Return the newest lines, the newest first, with the last message of each of these batches. Raises RfctlError."""
        news = [
            *map(_describe_merged, await self._store.output.read_newest(self._merged_ids, _READ)),
            *map(_describe_outcome, await self._store.delivery_log.read_newest(self._logged_ids, _READ)),
        ]
        self._lines = _sort([*news, *self._lines])
        return _sort([*self._lines, *map(_describe_pending, pending)])


def _sort(lines: Iterable[LastLine]) -> list[LastLine]:
    return sorted(lines, key=_rank, reverse=True)[:_KEPT]


def _rank(line: LastLine) -> tuple[int, int]:
    """Return what is greater for the newer line: within one ms a message comes, then goes out, and then its way ends."""
    return line.at_ms, _STEPS.get(line.kind, len(_STEPS))


def _describe_pending(batch: PendingBatch) -> LastLine:
    at_ms = batch.last_ms or batch.received_ms or 0
    return LastLine(at_ms, "in", f"{batch.size} {'held' if batch.is_held else 'waiting'}", batch.phone)


def _describe_merged(merged: Merged) -> LastLine:
    line = f"{merged.count}→1 {merged.reason}, waited {duration(max(0, merged.waited_ms))}"
    return LastLine(merged.handed_ms, "out", visible(line), merged.phone)


def _describe_outcome(logged: LoggedDelivery) -> LastLine:
    if logged.rule:
        return LastLine(logged.at_ms, "dropped", visible(f"dropped by rule {logged.rule}"), logged.phone)
    attempt = f", attempt {logged.attempts}" if logged.attempts > 1 else ""
    took = "" if logged.took_ms is None else f" in {duration(logged.took_ms)}"
    line = f"{logged.sink} {logged.outcome}{took}{attempt}"
    return LastLine(logged.at_ms, logged.outcome, visible(line), logged.phone)
