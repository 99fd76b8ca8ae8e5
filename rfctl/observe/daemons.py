"""Findings about daemons: none that does the work, or several with different settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot
from rfctl.store import DaemonRecord
from rfctl.text import counted


def find_daemon_faults(snapshot: Snapshot) -> Iterator[Finding]:
    """Find what no living daemon does. Where Redis refuses writes, that cannot be told."""
    return _unknown_daemons(snapshot) if snapshot.write_refusals else find_missing_daemons(snapshot)


def find_missing_daemons(snapshot: Snapshot) -> Iterator[Finding]:
    """Find who is missing: a processor, or who delivers for a sink."""
    if not any(daemon.is_scheduler for daemon in snapshot.daemons):
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


def find_missing_roles(alive: Sequence[DaemonRecord], sinks: Sequence[str]) -> Iterator[Finding]:
    """Find the work that none of these living daemons does: to process, and to deliver to each of these sinks."""
    if not any(daemon.is_scheduler and daemon.beat_ms - daemon.turned_ms < _STUCK_MS for daemon in alive):
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
