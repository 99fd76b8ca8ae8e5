"""What a probe says: the links at which its message ended, those that it passed, and those that nobody tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from rfctl.model.closed_sets import Role
from rfctl.observe.examination import Examination
from rfctl.observe.facts import ProbeAnswer, ProbedLink, ProbeReport
from rfctl.observe.facts.probe import Link
from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot
from rfctl.store import DaemonRecord
from rfctl.text import duration

_ROLES: Mapping[Link, Role] = {"store": "webhook", "hand-over": "processor", "acknowledgement": "forwarder"}
_WORK: Mapping[Link, str] = {
    "store": "takes messages from the webhook", "hand-over": "hands batches over", "acknowledgement": "delivers to sinks",
}  # fmt: skip
_PASSED: Mapping[Link, str] = {
    "door": "the webhook took the message", "store": "it became a batch in Redis",
    "hand-over": "it went into the output stream", "acknowledgement": "it was read and acknowledged",
    "sink": "the receiver took it",
}  # fmt: skip
ProbeLine = tuple[Literal["ok", "skip"], str]


def find_broken_links(snapshot: Snapshot | None, examination: Examination) -> Iterator[Finding]:
    """Find daemons that took no probe, the link at which its message ended, and links that nobody serves."""
    for answer in examination.probe or ():
        if answer.report is None:
            fact = f"the daemon at {answer.listener} took no probe: {answer.problem}"
            yield Finding("probe_unanswered", "error", answer.listener, fact, answer.next)
            continue
        for link in answer.report.links:
            if link.problem:
                fact = f"{_name(link)}, pid {answer.report.pid}: the message of the probe ended here: {link.problem}"
                yield Finding("probe_failed", "error", _name(link), fact, link.next or _cure(link))
    for missing, elsewhere in _list_unserved(snapshot, examination):
        if snapshot is not None and not elsewhere:
            fact = (
                f"{missing}: the message of the probe ended before it, as no living daemon {_WORK[missing]}"
            )
            fix = f"start a daemon with daemon.role = all or {_ROLES[missing]}"
            yield Finding("probe_failed", "error", missing, fact, fix)


def list_probe_lines(snapshot: Snapshot | None, examination: Examination) -> Iterator[ProbeLine]:
    """Say of each other link that the message passed it, and how long that took; or that it was not tried, and why."""
    answers = [answer for answer in examination.probe or () if answer.report is not None]
    for answer in answers:
        for link in _list_links(answer):
            if not link.problem:
                yield _describe(
                    link, f", pid {answer.report.pid}" if answer.report and len(answers) > 1 else ""
                )
    for missing, elsewhere in _list_unserved(snapshot, examination):
        if elsewhere:
            where = ", ".join(f"pid {daemon.pid} on {daemon.host}" for daemon in elsewhere)
            yield (
                "skip",
                f"{missing}: not tried, as {where} cannot be asked here (daemon.monitor lets it answer)",
            )
        elif snapshot is None:
            yield (
                "skip",
                f"{missing}: not tried, as Redis was not reached, so nobody knows which daemon does it",
            )
    if answers and not any(link.link == "sink" for answer in answers for link in _list_links(answer)):
        yield "skip", "sinks: none was tried, as none has probe = true, or no daemon came so far"


def _list_links(answer: ProbeAnswer) -> list[ProbedLink]:
    """Return the links of a report, with the door before them: its time is what the others leave of the whole."""
    report = answer.report
    if report is None:
        return []
    if not _has_role(report, "webhook"):
        return list(report.links)
    sinks = [link.ms for link in report.links if link.link == "sink"]
    others = sum(link.ms for link in report.links if link.link != "sink") + max(sinks, default=0.0)
    return [ProbedLink("door", max(0.0, answer.ms - others)), *report.links]


def _list_unserved(
    snapshot: Snapshot | None, examination: Examination
) -> Iterator[tuple[Link, list[DaemonRecord]]]:
    """Yield each link that no report is about, with the living daemons whose work it is."""
    reports = [answer.report for answer in examination.probe or () if answer.report is not None]
    needs_forwarder = snapshot is None or any(status.sink.forwarded for status in snapshot.sinks)
    alive = () if snapshot is None else snapshot.daemons
    for link, role in _ROLES.items() if reports else ():
        is_needed = needs_forwarder or role != "forwarder"
        if is_needed and not any(_has_role(report, role) for report in reports):
            yield link, [daemon for daemon in alive if daemon.role in ("all", role)]


def _has_role(report: ProbeReport, role: Role) -> bool:
    return report.role in ("all", role)


def _describe(link: ProbedLink, whose: str) -> ProbeLine:
    if link.skipped:
        return "skip", f"{_name(link)}{whose}: not tried, as {link.skipped} (`{link.next}`)"
    took = duration(link.ms) if link.ms >= 1 else f"{link.ms:.1f} ms"
    return "ok", f"{_name(link)}{whose}: {_PASSED[link.link]}, {took}"


def _name(link: ProbedLink) -> str:
    return f"sink {link.sink}" if link.sink else link.link


def _cure(link: ProbedLink) -> str:
    return "mend its receiver or its settings" if link.sink else "the daemon's log says more"
