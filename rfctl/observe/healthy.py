"""What a topic without a finding says: the facts that were looked at, so that nobody takes silence for health."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from rfctl.observe.examination import Examination
from rfctl.observe.neighbours import list_elsewhere
from rfctl.observe.ranks import Topic
from rfctl.observe.snapshot import Snapshot
from rfctl.text import counted, duration, human_bytes

_SHOWN_SOURCES = 5


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
    lateness = f"the first is {duration(late)} late" if late else "none is late"
    return f"somebody hands over, delivers and reads; {counted(pending.batches, 'batch')} pending, {lateness}"


def _redis(snapshot: Snapshot, examination: Examination) -> str:
    server, load = snapshot.server, examination.server
    aof = {True: "on", False: "off", None: "unknown"}[server.aof]
    facts = [f"{server.product} {server.version} is a master", server.eviction, f"append-only file {aof}"]
    if load is not None:
        used = "" if load.used_memory is None else human_bytes(load.used_memory)
        limit = f" of {human_bytes(load.max_memory)}" if load.max_memory else ""
        facts += [f"{used}{limit} used", f"{load.median_ms:.1f} ms to answer"]
    return ", ".join(filter(None, facts))


def _sinks(snapshot: Snapshot, examination: Examination) -> str:
    names = ", ".join(f"{status.sink.name} ({status.sink.type})" for status in snapshot.sinks)
    reached = len(examination.receivers or ())
    return (
        f"{counted(len(snapshot.sinks), 'sink')}: {names}; {counted(reached, 'receiver')} reached"
        if names
        else "no sinks are set"
    )


def _door(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    received = snapshot.pending.totals.get("messages_in", 0)
    listeners = (
        ", ".join(daemon.describe_listener() for daemon in snapshot.daemons if daemon.listener) or "nobody"
    )
    facts = [f"{counted(received, 'message')} came in so far", f"{listeners} listens"]
    return "; ".join([*facts, *_list_lately(snapshot)])


def _list_lately(snapshot: Snapshot) -> list[str]:
    """Say how many requests the busiest sources had within ten minutes; nothing where none had any."""
    accepted, rejected = Counter[str](), Counter[str]()
    for daemon in snapshot.daemons:
        for source, requests in daemon.recent_requests.items():
            accepted[source] += requests.accepted
            rejected[source] += sum(requests.rejected.values())
    names = [name for name, _ in (accepted + rejected).most_common(_SHOWN_SOURCES)]
    counts = [f"{name} {accepted[name]} accepted, {rejected[name]} rejected" for name in names]
    return [f"within 10 min: {'; '.join(counts)}"] if counts else []


def _keys(snapshot: Snapshot, examination: Examination) -> str:
    swept = snapshot.sweep.at_ms
    ago = f"was {duration(max(0, snapshot.pending.now_ms - swept))} ago" if swept else "is still to come"
    facts, stray = ["lists and index agree", f"the last sweep {ago}"], examination.stray
    if stray is not None and not stray.complete:
        facts[0] += ", as far as they were looked at: there are too many keys"
    if stray is not None and stray.unreadable:
        facts.append(f"{counted(stray.unreadable, 'list')} of others may not be read")
    return "; ".join(facts)


def _clocks(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    server = examination.server
    if server is None:
        return ""
    dated = sum(receiver.ahead_ms is not None for receiver in examination.receivers or ())
    others = f", and {counted(dated, 'receiver')}" if dated else ""
    return f"this host and Redis agree within {duration(abs(server.ahead_ms) + server.doubt_ms)}{others}"


def _host(snapshot: Snapshot, examination: Examination) -> str:  # noqa: ARG001
    host, disk = examination.host, examination.disk
    if host is None:
        return ""
    files = ", ".join(f"daemon {pid} may open {count} files" for pid, count in host.max_files.items())
    complete = "is complete" if len(host.units) == 1 else "are complete"
    unit = f"{' and '.join(host.units)} {complete}" if host.units else "no unit of systemd is installed"
    free = f"{human_bytes(disk.free)} free on the disk of Redis" if disk else ""
    return "; ".join(filter(None, (files, unit, free)))


_FACTS: Mapping[Topic, Callable[[Snapshot, Examination], str]] = {
    "address": _address,
    "daemons": _daemons,
    "work": _work,
    "redis": _redis,
    "sinks": _sinks,
    "door": _door,
    "clocks": _clocks,
    "keys": _keys,
    "host": _host,
}
