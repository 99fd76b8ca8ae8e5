"""Where the files of a process are, also where its user has no home."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfctl.config.environment import Environment


def test_a_user_without_a_home_has_its_files_below_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", find_none)
    assert Environment({}).user_file == Path("/.config/rfctl/config.toml")
    assert Environment({}).state_dir == Path("/.local/state/rfctl")
    assert Environment({"HOME": "/home/me"}).user_file == Path("/home/me/.config/rfctl/config.toml")
