"""Findings about workers: groups that nobody reads, and a stream without any reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rfctl.observe.finding import Finding
from rfctl.observe.sinks import describe_left, redis_cli
from rfctl.observe.snapshot import Snapshot
from rfctl.observe.worker_groups import (
    SILENT_MS,
    WorkerGroup,
    is_full,
    is_silent,
    leaves_again,
    list_worker_groups,
)
from rfctl.store import ConsumerGroup, WorkerEntry
from rfctl.store.sink_status import count_pending
from rfctl.store.worker_entries import LOOKED_AT
from rfctl.text import counted, duration, human_bytes


def find_unread_groups(snapshot: Snapshot) -> Iterator[Finding]:
    """Find the groups of workers that ask for nothing while something is left: they block trimming too."""
    for group in list_worker_groups(snapshot):
        if group.is_silent:
            yield _about_unread(group, snapshot)


def find_full_groups(snapshot: Snapshot) -> Iterator[Finding]:
    """Find the groups whose workers live, and have so much in hand that they take nothing new."""
    for group in list_worker_groups(snapshot):
        full = [part for part in group.parts if is_full(part)]
        if group.is_full:
            held = sum(max(part.pending, part.again_pending) for part in full)
            fact = f"group {group.name}: its workers have {held:,} messages in hand, and take no new one until some are done"
            fix = (
                "most of them wait behind a message of their person that fails or takes long: the workers' log rfctl.worker "
                "names what fails, and after max_attempts it is a dead letter"
            )
            yield Finding("group_full", "warning", group.name, fact, fix)


def find_letters_left(snapshot: Snapshot) -> Iterator[Finding]:
    """Find the groups whose program asks for what is new, and never for the dead letters that were sent again to it."""
    for group in list_worker_groups(snapshot):
        if not group.leaves_again:
            continue
        parts = [part for part in group.parts if leaves_again(part)]
        streams = [key for part in parts for key in part.worker_keys if key.endswith(":again")]
        where = streams[0] if len(streams) == 1 else f"{streams[0]} and {len(streams) - 1} more"
        rest = _describe_rest(0, sum(part.again for part in parts))
        fact = f"group {group.name}: its program does not read {where}: {rest}"
        removal = "; ".join(redis_cli("DEL", stream) for stream in streams)
        fix = (
            "let it read that too, as docs/how-to/worker-node.md shows; or start a worker of rfctl.worker with this group; "
            f"or give them up, in {snapshot.server.where}: {removal}"
        )
        yield Finding("again_unread", "warning", group.name, fact, fix)


def describe_absence(groups: Sequence[ConsumerGroup]) -> str:
    """Return why nobody of a group of workers will ask soon, "" if one of them has asked. It has a part on each shard."""
    idle = [group.idle_ms for group in groups if group.idle_ms is not None]
    if not idle:
        return "it has no worker"
    return f"no worker has asked for {duration(min(idle))}" if min(idle) > SILENT_MS else ""


def _about_unread(group: WorkerGroup, snapshot: Snapshot) -> Finding:
    parts = [part for part in group.parts if is_silent(part, snapshot.pending.out_length)]
    idle = [part.idle_ms for part in parts if part.idle_ms is not None]
    how = f"no worker has asked for {duration(min(idle))}" if idle else "it has no worker"
    again = sum(part.again + part.again_pending for part in parts)
    fact = f"group {group.name}: nobody reads it, {how}: {_describe_rest(count_pending(parts), again)}"
    sinks = [status.sink.name for status in snapshot.sinks if status.sink.group == group.name]
    too = ", what was sent again too" if again else ""
    where = f", on each of {len(group.parts)} shards" if len(group.parts) > 1 else ""
    removal = f"{too}{_first(sinks)}{where}, in {snapshot.server.where}: {_build_removal(group.parts[0])}"
    fix = f"start its workers; or give them up{removal}"
    return Finding("group_unread", "warning", group.name, fact, fix)


def _describe_rest(count: int | None, again: int) -> str:
    """Say what is left in the stream, and what was sent again: that stands beside the stream."""
    letters = f"{counted(again, 'dead letter')} sent again {'waits' if again == 1 else 'wait'} for a worker"
    if not again:
        return describe_left(count, "left")
    return letters if count == 0 else f"{describe_left(count, 'left')}; {letters}"


def _build_removal(part: ConsumerGroup) -> str:
    """Return the commands that delete a group on one shard, with what its workers have kept there."""
    commands = [redis_cli("XGROUP", "DESTROY", part.stream, part.name)]
    if part.worker_keys:
        commands.append(redis_cli("DEL", *part.worker_keys))
    return "; ".join(commands)


def _first(sinks: Sequence[str]) -> str:
    """Say what comes before the group is destroyed: the group of a sink in the settings is made again within seconds."""
    if not sinks:
        return ""
    names = " and ".join(f"sinks.{name}" for name in sinks)
    return f": take {names} out of the settings of every daemon and reload, then"


def find_unread_stream(snapshot: Snapshot) -> Iterator[Finding]:
    """Find an output stream that no consumer group reads: nothing in it is ever trimmed."""
    unread = snapshot.unread
    if unread is None:
        return
    age = (
        ""
        if unread.oldest_ms is None
        else f", the oldest {duration(max(0, snapshot.pending.now_ms - unread.oldest_ms))} old"
    )
    size = "" if unread.bytes is None else f", about {human_bytes(unread.bytes)}"
    fact = f"nobody reads the output stream: {counted(unread.entries, 'merged message')}{age}{size}; it grows for ever"
    fix = 'add a sink; or, for workers of your own, [sinks.NAME] with type = "stream" and their group'
    yield Finding("stream_unread", "warning", "", fact, fix)


_STUCK_MS = 600_000
_OFTEN = 3


def find_stuck_entries(entries: Sequence[WorkerEntry]) -> Iterator[Finding]:
    """Find what workers have read and do not acknowledge, and what was delivered to them again and again."""
    for name in dict.fromkeys(entry.group for entry in entries):
        own = [entry for entry in entries if entry.group == name]
        if often := [entry for entry in own if entry.deliveries > _OFTEN]:
            worst = max(often, key=lambda entry: entry.deliveries)
            fact = (
                f"group {name}: {_count(often)} delivered more than {_OFTEN} times and not acknowledged, "
                f"{worst.id} {worst.deliveries} times"
            )
            yield Finding("entries_redelivered", "warning", name, fact, _describe_surrender(worst))
        elif stuck := [entry for entry in own if entry.idle_ms > _STUCK_MS]:
            oldest = max(stuck, key=lambda entry: entry.idle_ms)
            fact = (
                f"group {name}: {_count(stuck)} read and not acknowledged, the oldest "
                f"{duration(oldest.idle_ms)} ago by {oldest.consumer}"
            )
            yield Finding("entries_unacknowledged", "warning", name, fact, _describe_takeover(oldest))


def _count(entries: Sequence[WorkerEntry]) -> str:
    more = " or more" if len(entries) >= LOOKED_AT else ""
    return f"{counted(len(entries), 'message')}{more}"


def _describe_surrender(entry: WorkerEntry) -> str:
    """Say how an entry comes to an end. What has an order is not acknowledged by hand: it would be no dead letter."""
    if entry.has_order:
        return "see why workers fail at it: their log rfctl.worker says so; after max_attempts it is a dead letter"
    return f"see why workers fail at it; then {redis_cli('XACK', entry.stream, entry.group, entry.id)} gives it up"


def _describe_takeover(entry: WorkerEntry) -> str:
    """Say who takes an entry over. What has an order is not claimed by hand: its workers would wait for that consumer."""
    if entry.has_order:
        return (
            "start its workers, which take over what another has left; where they live, it waits for its next attempt or "
            "behind another message of its person"
        )
    claim = redis_cli("XAUTOCLAIM", entry.stream, entry.group, "CONSUMER", str(_STUCK_MS), "0")
    return f"let a living worker take over what a dead one had: {claim}"
