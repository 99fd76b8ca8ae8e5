"""The screens of stats: the findings in the order of the list, each with who set it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rfctl.cli import stats_view
from rfctl.cli.stats_view import draw, draw_in_brief, draw_to_fit
from rfctl.observe import Finding
from tests.unit.observe.test_health import look

PROBLEMS = [
    Finding("dead_letters", "warning", "", "the first fact", "the first fix", "flag --redis"),
    Finding("sink_failing", "error", "crm", "the second fact", "the second fix"),
]
"""No order of the list itself: `findings` alone decides about that."""


def render(drawing: object) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(drawing)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("form", ["whole", "in brief", "to fit"])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_findings_stand_in_the_order_of_the_list_with_who_set_them(
    monkeypatch: pytest.MonkeyPatch, form: str, is_terminal: bool
) -> None:
    monkeypatch.setattr(stats_view, "findings", lambda _: PROBLEMS)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    drawings = {
        "whole": lambda: draw(look()),
        "in brief": lambda: draw_in_brief(look(), 80, 40),
        "to fit": lambda: draw_to_fit(look(), 80, 40),
    }
    text = render(drawings[form]())
    words = ["the first fact", "set by flag --redis", "the first fix", "the second fact", "the second fix"]
    assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)
    assert text.count("set by flag") == 1
