"""A terminal gets no command of a cure in two lines: a shell takes each pasted line for one."""

from __future__ import annotations

import ast
import io
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from rich.text import Text

import rfctl
from rfctl.cli import stats_view
from rfctl.cli.doctor_view import draw as draw_diagnosis
from rfctl.cli.folding import fold
from rfctl.cli.output import Output, print_error
from rfctl.cli.stats_view import draw as draw_stats
from rfctl.errors import RfctlError
from rfctl.model.installation import build_extra_command
from rfctl.observe import Finding
from rfctl.observe.diagnosis import Diagnosis, DiagnosisLine
from rfctl.observe.examination import Examination
from tests.unit.observe.test_health import look

SOURCES = Path(rfctl.__file__).parent
PROGRAMS = r"rfctl|redis-cli|systemctl|kill|chmod|ss|echo|export|unset|sudo|timedatectl|apt|uv|pip|CONFIG SET|ACL SETUSER|DEL"
COMMAND = re.compile(rf"(?<![\w./:`@-])(?:{PROGRAMS})(?: (?:'[^']*'|[^\s(]\S*?(?=[,;:)]*(?:\s|$))))+")
"""How a command begins; a test may know that. It ends where the clause does, or where a parenthesis begins."""
QUOTED = "'/srv/my bots, (all); a: b'"


def list_cures() -> list[str]:
    """Return each line in the sources that names a command, with a path of a nasty name for what is put in quotes."""
    docstrings = ("Return ", "Say ", "Yield ")
    cures = [
        spell(node) for path in SOURCES.rglob("*.py") for node in list_texts(ast.parse(path.read_text()))
    ]
    return sorted(
        {cure for cure in cures if "\n" not in cure and len(cure) < 300 and not cure.startswith(docstrings)}
    )


def list_texts(tree: ast.AST) -> list[ast.expr]:
    """Return each text that is one: no part of a longer one, and no documentation."""
    inner = {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)
    }
    inner -= {id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
    inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.Constant))
    return [node for node in texts if id(node) not in inner and COMMAND.search(spell(node))]


def spell(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(spell(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        source = ast.unparse(node.value)
        return QUOTED if "quote(" in source else build_extra_command("top") if "build_" in source else "NAME"
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def find_commands(cure: str) -> list[str]:
    return [*COMMAND.findall(cure), *re.findall("`[^`]+`", cure)]


def test_the_sources_have_such_cures() -> None:
    assert len(list_cures()) > 60


@pytest.mark.parametrize("width", [20, 54, 74])
@pytest.mark.parametrize("cure", list_cures())
def test_no_command_of_a_cure_is_broken(cure: str, width: int) -> None:
    lines = [line.plain for line in fold(Text(cure), width, 0)]
    assert " ".join(lines).split() == cure.split()
    for command in find_commands(cure):
        assert any(command in line for line in lines), (command, lines)
    for line, behind in pairwise(lines):
        assert line.endswith((",", ";", ":", "·")) or behind.startswith("("), lines


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("view", ["doctor", "stats", "refusal and note"])
def test_what_is_shown_on_a_terminal_has_each_command_whole(
    monkeypatch: pytest.MonkeyPatch, view: str, width: int
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream)
    cures = list_cures()
    problems = [Finding("dead_letters", "warning", "", "a fact of some words " * 9, cure) for cure in cures]
    if view == "doctor":
        lines = [DiagnosisLine("warn", "redis", each.fact, "flag --redis", each.fix) for each in problems]
        Output().draw(draw_diagnosis(Diagnosis(lines, None, Examination())))
    elif view == "stats":
        monkeypatch.setattr(stats_view, "findings", lambda _: problems)
        Output().draw(draw_stats(look()))
    else:
        for each in problems:
            print_error(RfctlError(each.fact, next=each.fix))
            Output().note(f"what helps: {each.fix}")
    shown = stream.getvalue().splitlines()
    commands = {command for cure in cures for command in find_commands(cure)}
    assert [command for command in commands if not any(command in line for line in shown)] == []
    facts = [line for line in shown if "a fact of" in line]
    assert len(facts) >= len(cures)
    assert max(map(len, facts)) <= width


@pytest.mark.parametrize(
    ("cure", "lines"),
    [
        (
            "rfctl export unit > /etc/systemd/system/rfctl.service; systemctl daemon-reload; systemctl restart rfctl",
            ["rfctl export unit > /etc/systemd/system/rfctl.service;", "systemctl daemon-reload;", "systemctl restart rfctl"],
        ),
        ("delete it: redis-cli DEL 'a, b; c: d (e)' x, then go on", ["delete it:", "redis-cli DEL 'a, b; c: d (e)' x,", "then go on"]),
        ("see the daemon's log; kill -HUP 12 (it reads all, too)", ["see the daemon's log;", "kill -HUP 12", "(it reads all, too)"]),
        ("`a: b, c` says it, as does d", ["`a: b, c` says it,", "as does d"]),
        ("set http.port=1:2,3 alike", ["set http.port=1:2,3 alike"]),
    ],
)  # fmt: skip
def test_a_cure_is_folded_behind_its_clauses(cure: str, lines: list[str]) -> None:
    assert [line.plain for line in fold(Text(cure), 24, 0)] == lines


def test_other_words_are_folded_anywhere_but_in_backquotes() -> None:
    text = "an address " + "x" * 25 + " then `rfctl stats`, 好好好好好好"
    assert [line.plain for line in fold(Text(text), 12)] == [
        "an address", "x" * 12, "x" * 12, "x then", "`rfctl stats`,", "好好好好好好",
    ]  # fmt: skip


def test_a_cure_may_follow_other_words() -> None:
    fact, cure = "it is not there, and more · ", "rfctl stats says which of them"
    assert [line.plain for line in fold(Text(fact + cure), 12, len(fact))] == [
        "it is not",
        "there, and",
        "more ·",
        cure,
    ]


@pytest.mark.parametrize("cure_at", [None, 0])
def test_lines_of_their_own_stay(cure_at: int | None) -> None:
    assert [line.plain for line in fold(Text("a\n\nsay so"), 12, cure_at)] == ["a", "", "say so"]
    assert [line.plain for line in fold(Text(""), 12, cure_at)] == [""]
