"""Ties a process to the one that starts it: a test run that is killed leaves no server and no daemon."""

from __future__ import annotations

import shutil
from collections.abc import Sequence


def tie_to_parent(command: Sequence[str]) -> list[str]:
    """Return the command in a form that the kernel ends with its parent (Linux); elsewhere it stays as it is.

    `setpriv` asks for the signal, and becomes the command: the process id is the same.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)
