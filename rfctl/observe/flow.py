"""Findings about sinks that fall behind, and about messages that a sink has read and left lying."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rfctl.observe.finding import Finding
from rfctl.observe.rates import Rates, measure_rates
from rfctl.observe.sinks import redis_cli
from rfctl.observe.snapshot import Snapshot
from rfctl.store import SinkStatus, WorkerEntry
from rfctl.store.deliveries import CONSUMER
from rfctl.store.sink_status import count_left
from rfctl.text import counted, duration

_UNTRIED_MS = 600_000


def find_slow_sinks(snapshot: Snapshot) -> Iterator[Finding]:
    """Find sinks that had something left for a whole minute, and delivered less in it than was handed over.

    What fails, is paused or stands still is a finding of its own.
    """
    now_ms = snapshot.pending.now_ms
    rates = measure_rates(snapshot.daemons, snapshot.pending.totals, now_ms)
    if rates is None:
        return
    for status in snapshot.sinks:
        delivered = rates.of_sink(status.sink.name, "delivered")
        if delivered is not None and _could_deliver(status) and _was_behind(status, now_ms, rates):
            came = rates.counts.get("merged", 0)
            if delivered < came:
                yield _describe_slow(status, delivered, came, rates.window_ms)


def _could_deliver(status: SinkStatus) -> bool:
    return status.paused is None and status.retry_cause is None and not status.unserved_shards


def _was_behind(status: SinkStatus, now_ms: int, rates: Rates) -> bool:
    """Say whether something was left since the window of the rates began."""
    return status.oldest_ms is not None and now_ms - status.oldest_ms > rates.window_ms


def _describe_slow(status: SinkStatus, delivered: int, came: int, window_ms: int) -> Finding:
    name, left = status.sink.name, count_left(status)
    rest = "" if left is None else f", {counted(left, 'message')} left"
    fact = f"sink {name} falls behind: {delivered} delivered and {came} handed over in the last {duration(window_ms)}{rest}"
    fix = f"a faster receiver, or more at a time: sinks.{name}.concurrency"
    return Finding("sink_behind", "warning", name, fact, fix)


def find_untried_entries(entries: Sequence[WorkerEntry]) -> Iterator[Finding]:
    """Find messages that were read for a sink long ago, and were neither tried nor put off."""
    for group in dict.fromkeys(entry.group for entry in entries):
        lying = [entry for entry in entries if entry.group == group and entry.idle_ms > _UNTRIED_MS]
        if lying:
            name, oldest = group.partition(":")[2], max(lying, key=lambda entry: entry.idle_ms)
            fact = (
                f"sink {name}: {counted(len(lying), 'message')} read and not tried yet, the oldest "
                f"{duration(oldest.idle_ms)} ago by consumer {oldest.consumer}"
            )
            yield Finding("deliveries_stuck", "error", name, fact, _claim(oldest))


def _claim(entry: WorkerEntry) -> str:
    """Return how rfctl gets back what it, or somebody else in its name, has read."""
    restart = "start the daemon again that delivers to it: it begins with what is left lying"
    if entry.consumer == CONSUMER:
        return restart
    claim = redis_cli("XAUTOCLAIM", entry.stream, entry.group, CONSUMER, str(_UNTRIED_MS), "0")
    return f"end the program that reads this group beside rfctl; {claim}; then {restart}"
