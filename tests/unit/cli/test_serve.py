"""What `serve` says to a person before it starts: only at a terminal, and only of an embedded server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfctl.cli.serve import _greet
from rfctl.config.environment import Environment
from rfctl.config.loader import load


@pytest.mark.parametrize(
    ("url", "is_terminal", "is_greeted"),
    [("embedded", True, True), ("embedded", False, False), ("redis://127.0.0.1:6379/0", True, False)],
)
def test_greeting_is_for_people_with_an_embedded_server(
    url: str,
    is_terminal: bool,
    is_greeted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    folder = tmp_path / "it's here"
    _greet(load(Environment({"RFCTL_REDIS__URL": url, "RFCTL_REDIS__EMBEDDED_DIR": str(folder)})))
    out, err = capsys.readouterr()
    assert out == ""
    assert ("export RFCTL_REDIS__URL=$(cat " in err) == is_greeted
    assert (f"Messages are kept in {folder}," in err) == is_greeted
