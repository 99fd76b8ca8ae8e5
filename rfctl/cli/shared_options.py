"""Options that several commands share. Importing them is cheap: completion does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from rfctl.errors import UsageError

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def check_ids_or_all(
    ids: list[str] | None, *, every: bool, command: str, check: Callable[[str], str]
) -> list[str]:
    """Take either ids, each in the form that `check` wants, or --all. Returns the ids, none for --all. Raises UsageError."""
    if bool(ids) == every:
        raise UsageError("name ids, or --all", next=f"rfctl {command} list shows them")
    return [check(item_id) for item_id in ids or []]
