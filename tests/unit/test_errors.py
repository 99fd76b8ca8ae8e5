"""What a person is told to type works as it is printed."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import rfctl
from rfctl.errors import build_install_line

PIP = [sys.executable, "-m", "pip", "install"]
COMMIT = {"vcs": "git", "commit_id": "0" * 40}


class Installed:
    """A distribution with this `direct_url.json`, None where pip has written none: it came from an index."""

    def __init__(self, came_from: dict[str, Any] | None) -> None:
        self._text = None if came_from is None else json.dumps(came_from)

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._text


@pytest.mark.parametrize(
    ("came_from", "words"),
    [
        ({"url": "file:///root/my%20clone", "dir_info": {}}, ["/root/my clone[top]"]),
        ({"url": "file:///root/rfctl", "dir_info": {"editable": True}}, ["-e", "/root/rfctl[top]"]),
        ({"url": "file:///tmp/rfctl-1-py3-none-any.whl", "archive_info": {}}, ["/tmp/rfctl-1-py3-none-any.whl[top]"]),
        ({"url": "https://git.example.com/rfctl", "vcs_info": COMMIT}, ["rfctl[top] @ git+https://git.example.com/rfctl"]),
        ({"url": "https://example.com/rfctl.whl", "archive_info": {}}, ["rfctl[top] @ https://example.com/rfctl.whl"]),
        (None, ["rfctl[top]"]),
    ],
)  # fmt: skip
def test_install_line_names_this_interpreter_and_where_rfctl_came_from(
    monkeypatch: pytest.MonkeyPatch, came_from: dict[str, Any] | None, words: list[str]
) -> None:
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Installed(came_from))
    assert shlex.split(build_install_line("top")) == [*PIP, *words]


def test_rfctl_that_is_not_installed_at_all_has_an_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", find)
    assert shlex.split(build_install_line("top")) == [*PIP, "rfctl[top]"]


def test_no_text_of_the_program_installs_rfctl_from_an_index() -> None:
    """It is on none: the name there may be anybody's."""
    package = Path(rfctl.__file__).parent
    sources = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    assert not [
        str(path) for path, text in sources.items() if "install 'rfctl" in text or "install rfctl" in text
    ]
