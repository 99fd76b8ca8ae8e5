"""`config show` says what http.page comes to: auto depends on who can reach the listener."""

from __future__ import annotations

import pytest

from rfctl.cli.config_view import _say_in_force
from rfctl.config.settings import Settings


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ({}, " (on)"),
        ({"host": "0.0.0.0"}, " (off)"),
        ({"host": "0.0.0.0", "admin_token": "x"}, " (on)"),
        ({"page": "read-only"}, ""),
    ],
)
def test_auto_stands_beside_what_it_comes_to(http: dict[str, str], words: str) -> None:
    settings = Settings.model_validate({"http": http})
    assert _say_in_force(settings, "http.page") == words
    assert _say_in_force(settings, "http.host") == ""
