"""Findings about sinks: paused, failing, or of nobody's settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rfctl.observe.finding import Finding
from rfctl.store import OrphanedGroup, Pause, SinkStatus, group_name
from rfctl.text import counted, duration


def find_sink_faults(sink: SinkStatus, now_ms: int) -> Iterator[Finding]:
    """Find what keeps a sink from delivering."""
    name, cause = sink.sink.name, sink.retry_cause
    if sink.paused is not None:
        is_said = cause is not None and cause.error == sink.paused.why  # by the finding that it fails
        pause = describe_pause(sink.paused, now_ms, says_why=not is_said)
        yield Finding(
            "sink_paused", "warning", name, f"sink {name} is paused: {pause}", f"rfctl resume {name}"
        )
    if cause is not None:
        phones = f"{counted(sink.phones_waiting, 'phone')} wait{'s' if sink.phones_waiting == 1 else ''} for a retry"
        first, last = _ago(cause.since_ms, now_ms), _ago(cause.at_ms, now_ms)
        since = f"the first failed {first}" + (f", the last {last}" if last != first else "")
        fact = f"sink {name} fails: {cause.error}; {phones}; {since}"
        yield Finding("sink_failing", "error", name, fact, _retry_fix(sink, now_ms))


def describe_pause(pause: Pause, now_ms: int, *, says_why: bool = True) -> str:
    """Say why a sink is paused, since when and by whom, as far as that was kept."""
    ago = f"{duration(max(0, now_ms - pause.at_ms))} ago" if pause.at_ms else ""
    by = f"by {pause.by}" if pause.by else ""
    why = pause.why if says_why else ""
    return "; ".join(filter(None, (why, " ".join(filter(None, (ago, by))))))


def _retry_fix(sink: SinkStatus, now_ms: int) -> str:
    name = sink.sink.name
    if sink.paused is not None or sink.next_retry_ms is None:
        return f"rfctl resume {name} retries now"
    in_ms = sink.next_retry_ms - now_ms
    when = f"in {duration(in_ms)}" if in_ms > 0 else "now"
    return f"next retry {when}; rfctl resume {name} retries now, rfctl pause {name} stops the retries"


def _ago(at_ms: int, now_ms: int) -> str:
    return f"{duration(max(0, now_ms - at_ms))} ago"


def describe_orphan(orphan: OrphanedGroup, redis: str) -> Finding:
    """Describe a consumer group whose sink is in no settings here."""
    if orphan.served:
        fact = f"sink {orphan.sink} is not in these settings, but a daemon with other settings delivers to it"
        fix = "rfctl stats --config FILE, with the daemon's file"
        return Finding("sink_foreign", "warning", orphan.sink, fact, fix)
    group = group_name(orphan.sink)
    left = describe_left(orphan.pending, "delivered by nobody")
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
            redis_cli("XGROUP", "DESTROY", shard.out, group_name(orphan.sink)),
            redis_cli("DEL", *keys.all),
            redis_cli("HDEL", shard.common.paused, orphan.sink),
        ]
    )


def describe_left(count: int | None, what: str) -> str:
    """Say how many messages are left (None: Redis cannot say), and that they stay."""
    trimming = "and the stream is not trimmed behind them"
    if count is None:
        return f"messages are {what}, {trimming}"
    return f"{counted(count, 'message')} {'is' if count == 1 else 'are'} {what}, {trimming}"


def redis_cli(*words: str) -> str:
    """Return a command for a shell."""
    return shlex.join(["redis-cli", *words])
