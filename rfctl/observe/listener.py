"""Findings about what answers at our listener: a daemon that is not ready, or another program."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot

_SAID_ELSEWHERE = frozenset(
    {"", "starting", "no-processor", "no-forwarder", "stalled-sink", "evicting", "redis-away"}
)
"""Reasons that pass, or that are a finding of their own."""


def find_listener_faults(snapshot: Snapshot | None, examination: Examination) -> Iterator[Finding]:
    """Find why the daemon of this host is not ready, or which other program has its address."""
    answer = examination.listener
    if answer is None:
        return
    is_served = snapshot is not None and any(daemon.is_listening for daemon in snapshot.daemons)
    if answer.owner and not is_served:
        fact = f"another program has the address of our listener, {answer.listener}: {answer.owner}"
        fix = "end that program, or set http.port; ss -ltnp shows who listens"
        yield Finding("port_taken", "error", "", fact, fix)
    elif answer.reason not in _SAID_ELSEWHERE:
        why = f"{answer.reason}: {answer.problem}" if answer.problem else answer.reason
        fact = f"the daemon at {answer.listener} is not ready: {why}"
        fix = answer.next or "its log says more (readiness_lost)"
        yield Finding("daemon_unready", "error", "", fact, fix)
