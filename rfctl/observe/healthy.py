"""What a topic without a finding says: the facts that were looked at, so that nobody takes silence for health."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rfctl.observe.examination import Examination
from rfctl.observe.neighbours import list_elsewhere
from rfctl.observe.ranks import Topic
from rfctl.observe.snapshot import Snapshot
from rfctl.text import counted, duration


def describe_healthy(topic: Topic, snapshot: Snapshot | None, examination: Examination) -> str:
    """Return the facts of a topic in one line, "" if nothing of it was looked at."""
    if snapshot is None:
        return ""
    describe = _FACTS.get(topic)
    return "" if describe is None else describe(snapshot, examination)


def _address(snapshot: Snapshot, examination: Examination) -> str:
    beside = dict.fromkeys(neighbour.place for neighbour in list_elsewhere(snapshot, examination))
    others = f"; another daemon uses {', '.join(beside)}" if beside else ""
    return f"{snapshot.server.line()}, set by {snapshot.server.set_by}{others}"


def _daemons(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    versions = ", ".join(sorted({daemon.version for daemon in snapshot.daemons})) or "none"
    return (
        f"{counted(len(snapshot.daemons), 'daemon')} ({versions}), on the settings as they are in their files"
    )


def _work(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    pending = snapshot.pending
    late = 0 if pending.next_due_ms is None else max(0, pending.now_ms - pending.next_due_ms)
    return (
        f"somebody hands over, delivers and reads: {counted(pending.batches, 'batch')} pending, "
        f"the latest {duration(late)} late"
    )


def _redis(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    server = snapshot.server
    return f"{server.product} {server.version}: master, {server.eviction}, append-only file {'on' if server.aof else '?'}"


def _sinks(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    names = ", ".join(f"{status.sink.name} ({status.sink.type})" for status in snapshot.sinks)
    return f"{counted(len(snapshot.sinks), 'sink')}: {names}" if names else "no sinks are set"


def _door(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    received = snapshot.pending.totals.get("messages_in", 0)
    listeners = ", ".join(daemon.listener for daemon in snapshot.daemons if daemon.listener) or "nobody"
    return f"{counted(received, 'message')} came in so far; {listeners} listens"


def _keys(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    swept = snapshot.sweep.at_ms
    ago = f"{duration(max(0, snapshot.pending.now_ms - swept))} ago" if swept else "not yet"
    return f"lists and index agree; the last sweep was {ago}"


_FACTS: Mapping[Topic, Callable[[Snapshot, Examination], str]] = {
    "address": _address,
    "daemons": _daemons,
    "work": _work,
    "redis": _redis,
    "sinks": _sinks,
    "door": _door,
    "keys": _keys,
}
