"""The question before something that cannot be taken back; where nobody can be asked, --yes must stand."""

from __future__ import annotations

import sys

import typer

from rfctl.errors import UsageError


def ask(what: str, *, yes: bool) -> None:
    """Ask whether to do `what`, unless the answer was given. Raises UsageError off a terminal, Abort for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"not asked: --all would {what}", next="add --yes")
    typer.confirm(f"{what[:1].upper()}{what[1:]}?", abort=True, err=True)
