"""All that is wrong with the settings, each with who said it: it is told at once, and who said it decides as what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rfctl.errors import SettingsError, wrong_settings


class SettingsProblems:
    """Collects them. `lines` has one for each."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._culprits: set[str] = set()
        self._unread: set[str] = set()

    def add(self, name: str, problem: str, said_by: Sequence[str]) -> None:
        """Complain of a setting, which these have said."""
        self.lines.append(f"{name}: {problem} ({', '.join(said_by)})")
        self._culprits.update(said_by)

    def add_file(self, path: Path, problem: str) -> None:
        """Complain of a file that cannot be used at all."""
        self.lines.append(f"{path}: {problem}")
        self._culprits.add(str(path))

    def add_unread(self, path: Path, why: str) -> None:
        """Complain of a file that nobody could read."""
        self.add_file(path, f"cannot be read: {why}")
        self._unread.add(str(path))

    def error(self) -> SettingsError:
        """Return the error that tells them all."""
        step = "see `man rfctl.toml` or `rfctl config explain KEY`"
        if self._culprits == self._unread:
            step = (
                "check the path, and that this user may read it; `rfctl config path` says what is looked for"
            )
        return wrong_settings(self.lines, self._culprits, next=step)
