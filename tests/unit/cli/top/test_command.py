"""What `rfctl top` needs before its screen opens, and what it says where that is missing."""

from __future__ import annotations

import sys

import pytest

from rfctl.cli.context import Invocation
from rfctl.cli.top.command import check_screen
from rfctl.errors import UsageError, write_install_line


class Terminal:
    def isatty(self) -> bool:
        return True


def test_json_is_another_command() -> None:
    with pytest.raises(UsageError, match="has no JSON") as raised:
        check_screen(Invocation(output="json"))
    assert raised.value.next == "rfctl stats --watch -o json"


def test_pipe_is_no_screen() -> None:
    with pytest.raises(UsageError, match="needs a terminal"):
        check_screen(Invocation())


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, Terminal())
    check_screen(Invocation())
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(UsageError, match="library textual, which is not installed") as raised:
        check_screen(Invocation())
    assert raised.value.next == write_install_line("top")
