"""The words for a snapshot that every screen uses: is it working, who is alive, who waits, how each sink does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from rfctl.observe.finding import Finding
from rfctl.observe.rates import Rates
from rfctl.observe.sinks import describe_pause
from rfctl.observe.snapshot import Snapshot
from rfctl.observe.worker_groups import WorkerGroup
from rfctl.store import DaemonRecord, SinkStatus
from rfctl.text import counted, duration

State = Literal["ok", "warn", "fail", "paused", "idle"]
"""How something does. A screen shows it as a sign, with a colour beside."""


def judge(problems: Sequence[Finding]) -> tuple[State, str]:
    """Say in a word whether it is working."""
    if any(problem.severity == "error" for problem in problems):
        return "fail", "FAILING"
    return ("warn", "WORKING, with warnings") if problems else ("ok", "WORKING")


def describe_daemons(daemons: Sequence[DaemonRecord]) -> str:
    """Say how many daemons are alive, of which version, and whether they run on the same settings."""
    if not daemons:
        return "no daemon is alive"
    versions = ", ".join(sorted({daemon.version for daemon in daemons}))
    text = f"{counted(len(daemons), 'daemon')} ({versions})"
    if len(daemons) == 1:
        return text
    is_same = len({daemon.settings_hash for daemon in daemons}) == 1
    return f"{text}, {'the same' if is_same else 'other'} settings"


def describe_rates(rates: Rates | None) -> str:
    """Say what came in and went out within the last minute; "" where nobody knows it."""
    if rates is None:
        return ""
    came, went = (rates.counts.get(name, 0) for name in ("messages_in", "merged"))
    return f"in {came}, out {went} ({describe_window(rates)})"


def describe_window(rates: Rates) -> str:
    """Say which time the rates are of."""
    return f"last {rates.window_ms / 1000:.0f} s"


def describe_waiting(snapshot: Snapshot) -> str:
    """Say how much is pending, and since when."""
    pending = snapshot.pending
    held = f"{snapshot.held.count} held (rfctl held)" if snapshot.held.count else ""
    if not pending.batches:
        return held or "nobody"
    parts = [f"{counted(pending.batches, 'batch')}, {counted(pending.messages, 'message')}"]
    if pending.oldest_ms is not None:
        parts.append(f"oldest {duration(max(0, pending.now_ms - pending.oldest_ms))}")
    if pending.overdue:
        parts.append(f"{pending.overdue} overdue")
    if held:
        parts.append(held)
    return ", ".join(parts)


def name_daemons(daemons: Sequence[DaemonRecord]) -> dict[str, str]:
    """Return the name of each daemon by its id: its pid, with its host where there are several."""
    is_one_host = len({daemon.host for daemon in daemons}) <= 1
    return {
        daemon.id: str(daemon.pid) if is_one_host else f"{daemon.host} {daemon.pid}" for daemon in daemons
    }


def describe_sink(
    status: SinkStatus, now_ms: int, names: Mapping[str, str], *, daemons_are_seen: bool = True
) -> tuple[State, str]:
    """Return the state of a sink, and the words for it. Unless it `daemons_are_seen`, nobody knows who delivers."""
    if not status.sink.forwarded:
        return "idle", f"your workers read it: {status.sink.group or 'no group'}"
    oldest = "" if status.oldest_ms is None else f", oldest {duration(max(0, now_ms - status.oldest_ms))}"
    if status.paused is not None:
        return "paused", f"paused: {describe_pause(status.paused, now_ms)}"
    if status.unserved_shards:
        return ("fail", f"nobody delivers{oldest}") if daemons_are_seen else ("idle", f"unknown{oldest}")
    if status.retry_cause is not None or status.phones_waiting:
        return "warn" if status.retry_cause is None else "fail", _describe_retries(status, now_ms)
    daemons = ", ".join(names.get(daemon_id, daemon_id) for daemon_id in status.leased_by)
    return "ok", f"ok, daemon {daemons}{oldest}"


def _describe_retries(status: SinkStatus, now_ms: int) -> str:
    soonest = status.next_retry_ms
    retry = "" if soonest is None else f", next retry {_in(soonest - now_ms)}"
    waiting = f"{counted(status.phones_waiting, 'phone')} waiting{retry}"
    return waiting if status.retry_cause is None else f"fails: {status.retry_cause.error}; {waiting}"


def _in(ms: int) -> str:
    return f"in {duration(ms)}" if ms > 0 else "now"


def describe_worker(group: WorkerGroup) -> tuple[State, str]:
    """Return how a group of workers does, and the words for it: what it has, then when a worker last asked for more."""
    idle = None if group.idle_ms is None else duration(group.idle_ms)
    if group.is_full:
        presence = "full: takes no new one"
    elif group.leaves_again:
        presence = "its program does not ask for what comes again"
    elif group.is_silent:
        presence = "it has no worker" if idle is None else f"nobody asked for {idle}"
    else:
        presence = "nothing to read" if idle is None else f"asked {idle} ago"
    counts = ", ".join(_list_counts(group))
    return (
        "warn" if group.is_silent or group.is_full or group.leaves_again else "ok",
        f"{counts}; {presence}" if counts else presence,
    )


def _list_counts(group: WorkerGroup) -> Iterator[str]:
    """Say what of a group waits, is in hand, comes again or is dead; what it has none of is left out."""
    failed = f" ({group.failed} failed)" if group.failed else ""
    counts = (
        (group.waiting, "waiting"), (group.in_hand, f"in hand{failed}"), (group.again, "again"), (group.dead or 0, "dead"),
    )  # fmt: skip
    return (f"{'?' if count is None else f'{count:,}'} {word}" for count, word in counts if count != 0)
