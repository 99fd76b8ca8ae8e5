"""Credentials: files that each hold the value of the setting that they are named after."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from rfctl.config.settings import Settings

_ALIKE = 0.88


def list_readable_files(folder: Path) -> list[Path]:
    """Return the files of a folder that this user may read, in order of their names; none without the folder."""
    try:
        return sorted(path for path in folder.iterdir() if os.access(path, os.R_OK) and path.is_file())
    except OSError:
        return []


def is_shaped_like_a_setting(name: str) -> bool:
    """Say whether a credential is meant for us: other files may lie beside ours."""
    section, dot, setting = name.partition(".")
    return bool(dot and setting) and section in Settings.model_fields


def find_mistyped(name: str, settings: Iterable[str]) -> str:
    """Return the setting that a credential all but has the name of, else "": it is another program's."""
    return next(iter(difflib.get_close_matches(name, list(settings), n=1, cutoff=_ALIKE)), "")
