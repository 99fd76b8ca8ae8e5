"""A diagnosis as Nagios wants it: one line with its state, what is wrong, and figures behind a bar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rfctl.cli.doctor_view import describe
from rfctl.observe.diagnosis import Diagnosis
from rfctl.text import counted, duration, mask_urls, visible

_STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_MORE = 2
"""So many findings are named in the line; a pager has little room."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What Nagios hears: `status` is its exit status, `problems` are the facts, the worst first."""

    status: int
    problems: tuple[str, ...]
    figures: dict[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """Return the one line."""
        shown = "; ".join(self.problems[:_MORE]) or "rfctl works"
        more = len(self.problems) - _MORE
        text = shown + (f"; and {counted(more, 'finding')} more: rfctl doctor" if more > 0 else "")
        figures = " ".join(f"{name}={value}" for name, value in self.figures.items())
        return f"RFCTL {_STATES[self.status]} - {visible(mask_urls(text)).replace('|', '/')} | {figures}"

    def as_json(self) -> dict[str, Any]:
        """Return it for `-o json`."""
        return {"state": _STATES[self.status], "problems": list(self.problems), "figures": self.figures}


def judge(diagnosis: Diagnosis, warning_ms: int, critical_ms: int) -> Judgement:
    """Return what Nagios hears of a diagnosis; a batch may be late for so long."""
    late_ms = _measure_lateness(diagnosis)
    problems = [describe(line) for line in diagnosis.lines if line.state in ("fail", "warn")]
    status = {"fail": 2, "warn": 1, "ok": 0, "skip": 0}[diagnosis.state]
    if late_ms > warning_ms:
        problems.insert(0, f"a batch is {duration(late_ms)} late")
        status = max(status, 2 if late_ms > critical_ms else 1)
    return Judgement(status, tuple(problems), _list_figures(diagnosis, late_ms, warning_ms, critical_ms))


def _measure_lateness(diagnosis: Diagnosis) -> int:
    """Return by how much the batch that is due first is late, ms."""
    snapshot = diagnosis.snapshot
    if snapshot is None or snapshot.pending.next_due_ms is None:
        return 0
    return max(0, snapshot.pending.now_ms - snapshot.pending.next_due_ms)


def _list_figures(diagnosis: Diagnosis, late_ms: int, warning_ms: int, critical_ms: int) -> dict[str, str]:
    findings = {"failures": str(diagnosis.count("fail")), "warnings": str(diagnosis.count("warn"))}
    snapshot = diagnosis.snapshot
    if snapshot is None:
        return findings
    pending, limits = snapshot.pending, f"{warning_ms / 1000:g};{critical_ms / 1000:g}"
    return {
        "late": f"{late_ms / 1000:.3f}s;{limits};0",
        "batches": str(pending.batches),
        "messages": str(pending.messages),
        "dead": str(snapshot.dead),
        "quarantine": str(snapshot.quarantine),
        "daemons": str(len(snapshot.daemons)),
        "in": f"{pending.totals.get('messages_in', 0)}c",
        "out": f"{pending.totals.get('merged', 0)}c",
        **findings,
    }
