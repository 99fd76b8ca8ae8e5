"""The diagnosis: every finding as a line, and one line for each topic where nothing is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding
from rfctl.observe.health import findings
from rfctl.observe.healthy import describe_healthy
from rfctl.observe.probe import list_probe_lines
from rfctl.observe.ranks import TOPICS, Topic, find_topic
from rfctl.observe.snapshot import Snapshot

State = Literal["fail", "warn", "ok", "skip"]
"""What a line says: it is broken, it needs a look, it is right, it was not looked at."""


@dataclass(frozen=True, slots=True)
class DiagnosisLine:
    """One line of a diagnosis: the fact, who set it, and the cure. `code` and `subject` are those of a finding, or ""."""

    state: State
    topic: Topic
    fact: str
    set_by: str = ""
    fix: str = ""
    code: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All lines, failures first. `snapshot` is None where Redis was not reached."""

    lines: Sequence[DiagnosisLine]
    snapshot: Snapshot | None
    examination: Examination

    def count(self, state: State) -> int:
        """Return how many lines say this."""
        return sum(line.state == state for line in self.lines)

    @property
    def state(self) -> State:
        """The worst of the lines."""
        return next(state for state in ("fail", "warn", "ok") if state == "ok" or self.count(state))


def diagnose(snapshot: Snapshot | None, examination: Examination) -> Diagnosis:
    """Return the findings by rank, then a line for each topic without any."""
    wrong = findings(snapshot, examination)
    topics = {find_topic(finding) for finding in wrong} | {part.topic for part in examination.unfinished}
    lines = [_describe(finding, examination) for finding in wrong]
    looked_at = [topic for topic in TOPICS if topic != "probe" and topic not in topics]
    rest = [_describe_topic(topic, snapshot, examination) for topic in looked_at]
    rest += [DiagnosisLine(state, "probe", fact) for state, fact in list_probe_lines(snapshot, examination)]
    ok, skipped = ([line for line in rest if line.state == state] for state in ("ok", "skip"))
    return Diagnosis([*lines, *ok, *skipped], snapshot, examination)


def _describe(finding: Finding, examination: Examination) -> DiagnosisLine:
    topic = find_topic(finding)
    if finding.code == "check_unfinished":
        topic = next(part.topic for part in examination.unfinished if part.what == finding.subject)
    state: State = "fail" if finding.severity == "error" else "warn"
    return DiagnosisLine(
        state, topic, finding.fact, finding.set_by, finding.fix, finding.code, finding.subject
    )


def _describe_topic(topic: Topic, snapshot: Snapshot | None, examination: Examination) -> DiagnosisLine:
    fact = describe_healthy(topic, snapshot, examination)
    if fact:
        return DiagnosisLine("ok", topic, fact)
    why = "a key of rfctl is another program's" if examination.taken_keys else "Redis was not reached"
    return DiagnosisLine("skip", topic, f"not looked at, as {why}")
