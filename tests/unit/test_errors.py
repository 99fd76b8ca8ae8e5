"""What an error says of this installation: the command that adds an extra is right where rfctl came from a folder, too."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Any

import pytest

from rfctl.errors import write_install_line


class Installed:
    """A distribution that came from somewhere."""

    def __init__(self, origin: str | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.origin


@pytest.mark.parametrize(
    ("origin", "what"),
    [
        (None, "rfctl"),
        ('{"url": "file:///srv/my%20rfctl", "dir_info": {}}', "/srv/my rfctl"),
        ('{"url": "file:///srv/rfctl", "dir_info": {"editable": true}}', "/srv/rfctl"),
        ('{"url": "file:///srv/rfctl-0.2.0-py3-none-any.whl", "archive_info": {}}', "rfctl"),
    ],
    ids=["index", "folder", "editable", "wheel"],
)
def test_extra_is_installed_from_where_rfctl_came(
    monkeypatch: pytest.MonkeyPatch, origin: str | None, what: str
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _name: Installed(origin))
    assert write_install_line("top") == f"{sys.prefix}/bin/pip install '{what}[top]'"


def test_what_was_never_installed_has_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(_name: str) -> Any:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "distribution", find_none)
    assert write_install_line("top").endswith("pip install 'rfctl[top]'")
