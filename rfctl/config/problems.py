"""Collects every settings error with its origin, so that all are reported together; the origin decides the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rfctl.errors import SettingsError, wrong_settings


class SettingsProblems:
    """The problems of one load; `lines` has one line for each."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._culprits: set[str] = set()
        self._unread: set[str] = set()

    def add(self, name: str, problem: str, places: Sequence[str]) -> None:
        """Add a problem of a setting, which was set at these places."""
        self.lines.append(f"{name}: {problem} ({', '.join(places)})")
        self._culprits.update(places)

    def add_file(self, path: Path, problem: str) -> None:
        """Add a file that cannot be used at all."""
        self.lines.append(f"{path}: {problem}")
        self._culprits.add(str(path))

    def add_unread(self, path: Path, why: str) -> None:
        """Add a file that cannot be read."""
        self.add_file(path, f"cannot be read: {why}")
        self._unread.add(str(path))

    def error(self) -> SettingsError:
        """Return one error with all of them."""
        step = "see `man rfctl.toml` or `rfctl config explain KEY`"
        if self._culprits == self._unread:
            step = (
                "check the path, and that this user may read it; `rfctl config path` says what is looked for"
            )
        return wrong_settings(self.lines, self._culprits, next=step)
