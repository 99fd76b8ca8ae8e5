"""Findings: what an operator should look at, each a fact with a fix."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from rfctl.observe.batches import find_batch_problems
from rfctl.observe.finding import Code, Finding, Severity
from rfctl.observe.snapshot import Snapshot
from rfctl.store import ConsumerGroup, OrphanedGroup, SinkStatus, group_name
from rfctl.store.sink_status import count_pending
from rfctl.text import counted, duration

_SILENT_MS = 300_000
"""A worker asks for more when it is done with what it has; without a question for so long it is gone, or hangs."""

__all__ = ["Code", "Finding", "Severity", "findings"]


def findings(snapshot: Snapshot) -> list[Finding]:
    """Return every finding; a refusal of writes comes first, as the cause of the rest."""
    return [
        *_refusals(snapshot),
        *(_unknown_daemons(snapshot) if snapshot.write_refusals else _missing_daemons(snapshot)),
        *(finding for sink in snapshot.sinks for finding in _about_sink(sink, snapshot.pending.now_ms)),
        *(_about_orphan(group, snapshot.server.where) for group in snapshot.orphaned),
        *_unread_groups(snapshot),
        *find_batch_problems(snapshot),
        *_for_the_operator(snapshot),
    ]


def _refusals(snapshot: Snapshot) -> Iterator[Finding]:
    for refusal in snapshot.write_refusals:
        yield Finding("writes_refused", "error", "", f"Redis refuses writes: {refusal.why}", refusal.next)


def _missing_daemons(snapshot: Snapshot) -> Iterator[Finding]:
    if not any(daemon.is_scheduler for daemon in snapshot.daemons):
        fact = "no processor is alive: nobody hands over what is pending"
        yield Finding("processor_missing", "error", "", fact, "rfctl serve")
    for sink in snapshot.sinks:
        if sink.unserved_shards:
            name = sink.sink.name
            where = "" if not sink.leased_by else f" on {counted(sink.unserved_shards, 'shard')}"
            fact = f"sink {name}: nobody delivers{where}"
            yield Finding("sink_unserved", "error", name, fact, "rfctl serve, in the role all or forwarder")


def _unknown_daemons(snapshot: Snapshot) -> Iterator[Finding]:
    is_complete = any(daemon.is_scheduler for daemon in snapshot.daemons)
    if not is_complete or any(sink.unserved_shards for sink in snapshot.sinks):
        fact = "rfctl cannot tell which daemons are alive: a daemon shows it by writing into Redis"
        yield Finding("daemons_unknown", "warning", "", fact, "let Redis take writes again first")


def _about_sink(sink: SinkStatus, now_ms: int) -> Iterator[Finding]:
    name = sink.sink.name
    if sink.paused is not None:
        fact = f"sink {name} is paused: {sink.paused.why}"
        yield Finding("sink_paused", "warning", name, fact, f"rfctl resume {name}")
    if sink.retry_cause is not None:
        cause = sink.retry_cause
        phones = f"{counted(sink.phones_waiting, 'phone')} wait{'s' if sink.phones_waiting == 1 else ''} for a retry"
        since = f"the first failed {_ago(cause.since_ms, now_ms)}, the last {_ago(cause.at_ms, now_ms)}"
        fact = f"sink {name} fails: {phones}; {since}: {cause.error}"
        yield Finding("sink_failing", "error", name, fact, _retry_fix(sink, now_ms))


def _retry_fix(sink: SinkStatus, now_ms: int) -> str:
    name = sink.sink.name
    if sink.paused is not None or sink.next_retry_ms is None:
        return f"rfctl resume {name} retries now"
    in_ms = sink.next_retry_ms - now_ms
    when = f"in {duration(in_ms)}" if in_ms > 0 else "now"
    return f"next retry {when}; rfctl resume {name} retries now, rfctl pause {name} stops the retries"


def _ago(at_ms: int, now_ms: int) -> str:
    return f"{duration(max(0, now_ms - at_ms))} ago"


def _about_orphan(orphan: OrphanedGroup, redis: str) -> Finding:
    if orphan.served:
        fact = f"sink {orphan.sink} is not in these settings, but a daemon with other settings delivers to it"
        fix = "rfctl stats --config FILE, with the daemon's file"
        return Finding("sink_foreign", "warning", orphan.sink, fact, fix)
    group = group_name(orphan.sink)
    left = _left(orphan.pending, "delivered by nobody")
    fact = f"group {group} belongs to no sink in the settings: {left}"
    fix = f"add [sinks.{orphan.sink}] again; or give them up, in {redis}: {_removal(orphan)}"
    return Finding("group_orphaned", "warning", group, fact, fix)


def _removal(orphan: OrphanedGroup) -> str:
    """Return the commands that delete what Redis keeps for a sink; its dead letters stay, and are listed as such."""
    shard = orphan.shards[0]
    keys = shard.sink(orphan.sink)
    where = (
        f"on each of {len(orphan.shards)} shards, as here on {shard.number}: "
        if len(orphan.shards) > 1
        else ""
    )
    return where + "; ".join(
        [
            _redis_cli("XGROUP", "DESTROY", shard.out, group_name(orphan.sink)),
            _redis_cli("DEL", keys.waiting, keys.retry, keys.attempts, keys.bodies, keys.lease),
            _redis_cli("HDEL", shard.common.paused, orphan.sink),
        ]
    )


def _unread_groups(snapshot: Snapshot) -> Iterator[Finding]:
    """Find the groups of workers that ask for nothing while something is left: they block trimming too."""
    silent: dict[str, list[ConsumerGroup]] = {}
    for group in snapshot.workers():
        if _is_silent(group, snapshot.pending.out_length):
            silent.setdefault(group.name, []).append(group)
    for name, groups in silent.items():
        yield _about_unread(name, groups, snapshot.server.where)


def _is_silent(group: ConsumerGroup, entries: int) -> bool:
    """Say whether nobody asks for what is left. Where Redis knows no lag, a worker may just have nothing to ask for."""
    if group.idle_ms is None:
        return count_pending([group]) != 0 and entries > 0
    return group.idle_ms > _SILENT_MS and bool(group.lag or group.pending)


def _about_unread(name: str, groups: Sequence[ConsumerGroup], redis: str) -> Finding:
    idle = [group.idle_ms for group in groups if group.idle_ms is not None]
    how = f"no worker has asked for {duration(min(idle))}" if idle else "it has no worker"
    fact = f"group {name}: nobody reads it, {how}: {_left(count_pending(groups), 'left')}"
    where = f", on each of {len(groups)} shards" if len(groups) > 1 else ""
    command = _redis_cli("XGROUP", "DESTROY", groups[0].stream, name)
    fix = f"start its workers; or give them up{where}, in {redis}: {command}"
    return Finding("group_unread", "warning", name, fact, fix)


def _for_the_operator(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.dead:
        fact = f"dead: {counted(snapshot.dead, 'message')} that a sink did not take"
        yield Finding("dead_letters", "warning", "", fact, "rfctl dead list")
    if snapshot.quarantine:
        fact = f"quarantine: {counted(snapshot.quarantine, 'request')} that rfctl could not parse"
        yield Finding("quarantined_requests", "warning", "", fact, "rfctl quarantine list")


def _left(count: int | None, what: str) -> str:
    trimming = "and the stream is not trimmed behind them"
    if count is None:
        return f"messages are {what}, {trimming}"
    return f"{counted(count, 'message')} {'is' if count == 1 else 'are'} {what}, {trimming}"


def _redis_cli(*words: str) -> str:
    return shlex.join(["redis-cli", *words])
