"""What a terminal gets of a diagnosis: it is folded beside its states, but never through a command that is to be pasted."""

from __future__ import annotations

import sys

import pytest

from rfctl.cli.doctor_view import draw
from rfctl.cli.output import Output
from rfctl.observe.diagnosis import Diagnosis, DiagnosisLine
from rfctl.observe.examination import Examination

COMMAND = "pip install '/srv/my bots/rfctl of a long name in a folder of a long name[bullmq]'"


def test_terminal_gets_folded_lines_but_a_command_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    long = "of a long name " * 9
    lines = [
        DiagnosisLine("fail", "redis", long),
        DiagnosisLine(
            "fail",
            "sinks",
            f"bullmq cannot be used: `{COMMAND}`",
            fix="install what is missing",
            code="settings_unusable",
        ),
        DiagnosisLine("warn", "host", long),
    ]
    Output().draw(draw(Diagnosis(lines, None, Examination())))
    shown = capsys.readouterr().out.splitlines()
    [whole] = [line for line in shown if COMMAND in line]
    assert whole.strip() == f"`{COMMAND}`"
    assert all(len(line) <= 80 for line in shown if line != whole)
    assert [line[:12] for line in shown if line[:1] != " "][:3] == [
        "FAIL  redis:",
        "FAIL  sinks:",
        "warn  host: ",
    ]
