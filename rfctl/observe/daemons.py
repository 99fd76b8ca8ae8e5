"""Findings about daemons: none that does the work, or several with different settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot
from rfctl.store import DaemonRecord
from rfctl.text import counted, duration


def find_daemon_faults(snapshot: Snapshot) -> Iterator[Finding]:
    """Find what no living daemon does. Where Redis refuses writes, that cannot be told."""
    return _unknown_daemons(snapshot) if snapshot.write_refusals else find_missing_daemons(snapshot)


def find_missing_daemons(snapshot: Snapshot) -> Iterator[Finding]:
    """Find who is missing: a processor, or who delivers for a sink."""
    if not any(is_at_work(daemon) for daemon in snapshot.daemons):
        yield _describe_missing_processor()
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


_STUCK_MS = 15_000
"""A processor that beats and has taken no turn for so long hands nothing over."""


def is_at_work(daemon: DaemonRecord) -> bool:
    """Say whether a daemon hands over what is due: it is a processor, and its loop turns."""
    return daemon.is_scheduler and daemon.beat_ms - daemon.turned_ms < _STUCK_MS


def find_missing_roles(alive: Sequence[DaemonRecord], sinks: Sequence[str]) -> Iterator[Finding]:
    """Find the work that none of these living daemons does: to process, and to deliver to each of these sinks."""
    if not any(map(is_at_work, alive)):
        yield _describe_missing_processor()
    for name in sinks:
        if not any(daemon.is_forwarder and (name in daemon.sinks or not daemon.output) for daemon in alive):
            fact, fix = f"sink {name}: nobody delivers", "rfctl serve, in the role all or forwarder"
            yield Finding("sink_unserved", "error", name, fact, fix)


def _describe_missing_processor() -> Finding:
    fact = "no processor is alive: nobody hands over what is pending"
    return Finding("processor_missing", "error", "", fact, "rfctl serve")


def find_settings_differences(daemons: list[DaemonRecord]) -> Iterator[Finding]:
    """Find living daemons on one Redis that run on different settings."""
    for older, younger in combinations(daemons, 2):
        pair = f"{older.host} pid {older.pid} and {younger.host} pid {younger.pid}"
        if conflicts := older.find_conflicts(younger):
            text = "; ".join(conflicts).replace(" here and ", " and ").replace(" there", "")
            fix = "give all daemons the same settings, or those of one another redis.prefix"
            yield Finding(
                "settings_conflict", "warning", "", f"the daemons {pair} do not go together: {text}", fix
            )
        elif differences := older.find_differences(younger):
            fact = f"the daemons {pair} run on different settings: {'; '.join(differences)}"
            yield Finding(
                "settings_differ", "warning", "", fact, "reload or restart the one whose file is older"
            )


def find_version_differences(daemons: Sequence[DaemonRecord]) -> Iterator[Finding]:
    """Find living daemons of several versions on one Redis: an upgrade that was left half-way."""
    versions: dict[str, list[str]] = {}
    for daemon in daemons:
        versions.setdefault(daemon.version, []).append(f"{daemon.host} pid {daemon.pid}")
    if len(versions) > 1:
        parts = "; ".join(f"{version} on {', '.join(names)}" for version, names in sorted(versions.items()))
        fix = "start those of the older version again, with the newer one"
        yield Finding("versions_differ", "warning", "", f"the daemons are of several versions: {parts}", fix)


def find_overdue_batches(snapshot: Snapshot) -> Iterator[Finding]:
    """Find batches that are overdue although a processor lives: it does not keep up, or hangs."""
    overdue = snapshot.pending.overdue
    if overdue and not snapshot.write_refusals and any(map(is_at_work, snapshot.daemons)):
        due_ms = snapshot.pending.next_due_ms or snapshot.pending.now_ms
        late = duration(max(0, snapshot.pending.now_ms - due_ms))
        fact = f"{counted(overdue, 'batch')} overdue, the first by {late}, although a processor lives"
        yield Finding(
            "batches_overdue",
            "warning",
            "",
            fact,
            "its log says why; redis-cli --latency, and CPU time of both",
        )
