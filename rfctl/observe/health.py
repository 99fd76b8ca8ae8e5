"""What of a look an operator should see to: one line each, the fact first and then what to do."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rfctl.observe.snapshot import Snapshot
from rfctl.store.deliveries import group_name
from rfctl.store.keys import PAUSED
from rfctl.store.output_stream import ConsumerGroup
from rfctl.store.sink_status import OrphanedGroup, SinkStatus, left_of
from rfctl.text import counted, duration

_SILENT_MS = 300_000
"""A worker asks for more when it is done with what it has; one that has not for so long is gone, or hangs."""


def refused(look: Snapshot) -> list[str]:
    """Return why Redis refuses writes: the cause of whatever else there is to see to."""
    return [f"Redis refuses writes: {one.why} ({one.next})" for one in look.write_refusals]


def warned(look: Snapshot) -> list[str]:
    """Return what else there is."""
    lines = _unseen(look) if look.write_refusals else _missing(look)
    for one in look.sinks:
        lines += [*_paused(one), *_failing(one, look.pending.now_ms)]
    lines += [_stray(one, look.server.where) for one in look.orphaned]
    lines += _unread(look)
    if look.dead:
        lines.append(f"dead: {counted(look.dead, 'message')} that a sink did not take (rfctl dead list)")
    if look.quarantine:
        lines.append(
            f"quarantine: {counted(look.quarantine, 'request')} not understood (rfctl quarantine list)"
        )
    return lines


def _missing(look: Snapshot) -> list[str]:
    lines = []
    if not any(one.processes for one in look.daemons):
        lines.append("no processor is alive: nobody hands over what is pending (rfctl serve)")
    for one in look.sinks:
        if one.unserved:
            where = "" if not one.holders else f" on {counted(one.unserved, 'shard')}"
            name = one.sink.name
            lines.append(f"sink {name}: nobody delivers{where} (rfctl serve, in the role all or forwarder)")
    return lines


def _unseen(look: Snapshot) -> list[str]:
    if any(one.processes for one in look.daemons) and not any(one.unserved for one in look.sinks):
        return []
    return ["who is alive cannot be told: a daemon and a sink's holder show it by writing into Redis"]


def _paused(one: SinkStatus) -> list[str]:
    if one.paused is None:
        return []
    return [f"sink {one.sink.name} is paused: {one.paused.why} (rfctl resume {one.sink.name})"]


def _failing(one: SinkStatus, now_ms: int) -> list[str]:
    if one.retry_cause is None:
        return []
    name, cause = one.sink.name, one.retry_cause
    who = f"{counted(one.held, 'phone')} wait{'s' if one.held == 1 else ''} for another try"
    since = f"the first failed {_ago(cause.since_ms, now_ms)}, the last {_ago(cause.at_ms, now_ms)}"
    return [f"sink {name} fails: {who}; {since}: {cause.error} ({_what_to_do(one, now_ms)})"]


def _what_to_do(one: SinkStatus, now_ms: int) -> str:
    name = one.sink.name
    if one.paused is not None or one.next_try_ms is None:
        return f"rfctl resume {name} tries again"
    in_ms = one.next_try_ms - now_ms
    when = f"in {duration(in_ms)}" if in_ms > 0 else "now"
    return f"next try {when}; rfctl resume {name} tries at once, rfctl pause {name} stops the tries"


def _ago(at_ms: int, now_ms: int) -> str:
    return f"{duration(max(0, now_ms - at_ms))} ago"


def _stray(one: OrphanedGroup, redis: str) -> str:
    if one.served:
        return (
            f"sink {one.sink} is not in these settings, and a daemon delivers to it: it has other settings "
            "(rfctl stats --config FILE, with the daemon's)"
        )
    group = group_name(one.sink)
    fact = f"group {group} is of no sink in the settings: {_left(one.left, 'delivered by nobody')}"
    return f"{fact} (add [sinks.{one.sink}] again; or give them up, in {redis}: {_way_out(one)})"


def _way_out(one: OrphanedGroup) -> str:
    """Return how all that Redis keeps for a sink goes; what is dead of it stays, and is listed as such."""
    shard = one.shards[0]
    keys = shard.sink(one.sink)
    where = f"on each of {len(one.shards)} shards, as here on {shard.number}: " if len(one.shards) > 1 else ""
    return where + "; ".join(
        [
            _redis_cli("XGROUP", "DESTROY", shard.out, group_name(one.sink)),
            _redis_cli("DEL", keys.waiting, keys.retry, keys.attempts, keys.bodies, keys.lease),
            _redis_cli("HDEL", PAUSED, one.sink),
        ]
    )


def _unread(look: Snapshot) -> list[str]:
    """Return the groups of workers that ask for nothing while there is something: they keep the stream too."""
    silent: dict[str, list[ConsumerGroup]] = {}
    for group in look.workers():
        if _is_silent(group, look.pending.out_length):
            silent.setdefault(group.name, []).append(group)
    return [_silent(name, groups, look.server.where) for name, groups in silent.items()]


def _is_silent(group: ConsumerGroup, entries: int) -> bool:
    """Say whether nobody asks for what is left. Where Redis knows no lag, a worker may just have nothing to ask for."""
    if group.idle_ms is None:
        return left_of([group]) != 0 and entries > 0
    return group.idle_ms > _SILENT_MS and bool(group.lag or group.pending)


def _silent(name: str, groups: Sequence[ConsumerGroup], redis: str) -> str:
    known = [group.idle_ms for group in groups if group.idle_ms is not None]
    how = f"no worker has asked for {duration(min(known))}" if known else "it has no worker"
    where = f", on each of {len(groups)} shards" if len(groups) > 1 else ""
    way_out = _redis_cli("XGROUP", "DESTROY", groups[0].stream, name)
    left = _left(left_of(groups), "left")
    return f"group {name}: nobody reads it, {how}: {left} (start its workers; or give them up{where}, in {redis}: {way_out})"


def _left(count: int | None, what: str) -> str:
    kept = "and the stream is not trimmed behind them"
    if count is None:
        return f"messages are {what}, {kept}"
    return f"{counted(count, 'message')} {'is' if count == 1 else 'are'} {what}, {kept}"


def _redis_cli(*words: str) -> str:
    return shlex.join(["redis-cli", *words])
