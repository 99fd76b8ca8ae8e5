"""Which way simulated messages go."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfctl.cli.simulate import _default_via
from rfctl.config.environment import Environment
from rfctl.config.loader import load


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("", "webhook"),
        ('[sources.generic]\nsecrets = ["a"]\n', "webhook"),
        ('[sources.generic]\nsecrets = ["a"]\nauth = "token"\n', "redis"),
        ('[sources.generic]\nmap = { phone = "p", text = "t" }\n', "redis"),
        ('[sources.tg]\ntype = "telegram"\n', "redis"),
    ],
)
def test_simulation_goes_by_the_webhook_where_it_can_sign(tmp_path: Path, text: str, via: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    assert _default_via(load(Environment({"HOME": str(tmp_path)}), file=file)) == via
