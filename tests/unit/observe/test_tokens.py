"""A token that may be guessed is named wherever somebody looks, and is shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfctl.assembly.doctor import build_shell
from rfctl.assembly.notices import list_notices
from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.model.token import MIN_TOKEN_CHARS
from rfctl.observe.examination import Examination
from rfctl.observe.health import findings

NAMES = ("http.admin_token", "http.metrics_token")


def load_credential(tmp_path: Path, name: str, token: str) -> Configuration:
    """Return settings whose token is in a file, as systemd gives it."""
    (tmp_path / name).write_text(token + "\n")
    return load(Environment({"CREDENTIALS_DIRECTORY": str(tmp_path), "HOME": str(tmp_path)}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("token", ["z", "z" * (MIN_TOKEN_CHARS - 1)])
def test_short_token_is_noted_and_found_and_never_shown(tmp_path: Path, name: str, token: str) -> None:
    configuration = load_credential(tmp_path, name, token)
    [notice] = list_notices(configuration.settings)
    [finding] = findings(None, Examination(shell=build_shell(configuration)))
    assert (finding.code, finding.severity, finding.subject) == ("token_short", "warning", name)
    assert finding.set_by == f"credential {name}"
    for words in (notice, finding.line()):
        assert words.startswith(f"{name} has fewer than 16 characters")
        assert "openssl rand -hex 24" in words
        assert "z" not in words


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("token", ["", "z" * MIN_TOKEN_CHARS])
def test_long_token_and_none_at_all_are_no_notice(tmp_path: Path, name: str, token: str) -> None:
    configuration = load_credential(tmp_path, name, token)
    assert list_notices(configuration.settings) == []
    assert findings(None, Examination(shell=build_shell(configuration))) == []
