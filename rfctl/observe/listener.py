"""Findings about what answers at our listener: a daemon that is not ready or hangs, or another program."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator

from rfctl.observe.examination import Examination
from rfctl.observe.facts import ListenerAnswer
from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot

_SAID_ELSEWHERE = frozenset(
    {"", "starting", "no-processor", "no-forwarder", "stalled-sink", "evicting", "redis-away"}
)
"""Reasons that pass, or that are a finding of their own."""


def find_listener_faults(snapshot: Snapshot | None, examination: Examination) -> Iterator[Finding]:
    """Find why the daemon of this host is not ready, that it hangs, or which other program has its address."""
    answer = examination.listener
    if answer is None:
        return
    if answer.owner:
        yield from _find_silence(answer, snapshot, examination)
    elif answer.reason not in _SAID_ELSEWHERE:
        why = f"{answer.reason}: {answer.problem}" if answer.problem else answer.reason
        fact = f"the daemon at {answer.listener} is not ready: {why}"
        fix = answer.next or "its log says more (readiness_lost)"
        yield Finding("daemon_unready", "error", "", fact, fix)


def _find_silence(
    answer: ListenerAnswer, snapshot: Snapshot | None, examination: Examination
) -> Iterator[Finding]:
    """Find who has the address and does not answer as a daemon does: one of ours that hangs, or a stranger."""
    if answer.pid in _list_daemons_here(snapshot, examination):
        yield _describe_hung(answer)
    elif snapshot is None or not any(daemon.is_listening for daemon in snapshot.daemons):
        fact = f"another program has the address of our listener, {answer.listener}: {answer.owner}"
        fix = "end that program, or set http.port; ss -ltnp shows who listens"
        yield Finding("port_taken", "error", "", fact, fix)


def _list_daemons_here(snapshot: Snapshot | None, examination: Examination) -> Collection[int]:
    """Return the processes of this host that are daemons, by their files and by their records."""
    host = socket.gethostname()
    alive = () if snapshot is None else snapshot.daemons
    return {
        *(neighbour.pid for neighbour in examination.neighbours if neighbour.pid),
        *(daemon.pid for daemon in alive if daemon.host == host),
    }


def _describe_hung(answer: ListenerAnswer) -> Finding:
    where = f"the daemon at {answer.listener}, {answer.owner}"
    restart = "systemctl restart rfctl: what it has accepted is in Redis"
    if answer.is_stopped:
        fact, fix = f"{where}, is stopped by a signal", f"kill -CONT {answer.pid}; or {restart}"
    else:
        fact, fix = f"{where}, takes connections and does not answer", f"its log says what it does; {restart}"
    return Finding("daemon_hung", "error", str(answer.pid), fact, fix)
