"""Whose batch a command is about: a phone in any spelling, in a chat or not, or the key that `stats` shows."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from rfctl.keys import name_of
from rfctl.message import tidy_phone

_KEY = re.compile(r"[#&][0-9a-f]{32}")

Phone = Annotated[str, typer.Argument(help="The person, in any spelling, or the key that stats shows.")]
Chat = Annotated[str, typer.Option("--chat", help="The group or thread that they wrote in.")]


def batch_name(written: str, chat: str) -> str:
    """Return the name of the batch that an operator means."""
    if _KEY.fullmatch(written):
        return written
    return name_of(tidy_phone(written), chat=chat)
