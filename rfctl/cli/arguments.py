"""Whose batches a command is about: a phone in any spelling, in one chat or all, or the key that `stats` shows."""

from __future__ import annotations

import re
import shlex
from typing import Annotated

import typer

from rfctl.errors import NothingFoundError
from rfctl.model.message import normalize_phone
from rfctl.store import RedisAddress, Store

_KEY = re.compile(r"[#&][0-9a-f]{32}")

Phone = Annotated[str, typer.Argument(help="The person, in any spelling, or the key that stats shows.")]
Chat = Annotated[
    str | None,
    typer.Option(
        "--chat",
        help="Only what they wrote in this group or thread; '' is the one-to-one chat.",
        show_default=False,
    ),
]


def is_key(written: str) -> bool:
    """Say whether it is a key that `stats` shows, and no phone."""
    return _KEY.fullmatch(written) is not None


def person(written: str) -> str:
    """Return whom an operator means: the phone in its one spelling, or the key."""
    return written if is_key(written) else normalize_phone(written)


async def batch_names(store: Store, who: str, chat: str | None) -> list[str]:
    """Return the names of the pending batches of a person, the oldest first; a key is the name of one."""
    return [who] if is_key(who) else await store.batches.find_batches(who, chat)


def nothing_pending(who: str, chat: str | None, where: RedisAddress) -> NothingFoundError:
    """Return the error for a person of whom nothing is pending."""
    there = f" in the chat {chat}" if chat else ""
    left = "`rfctl tail --since 10m`" if is_key(who) else f"`rfctl tail {shlex.quote(who)} --since 10m`"
    return NothingFoundError(
        f"{who} has no pending messages{there} in {where.shown()}",
        set_by=where.set_by,
        next=f"`rfctl stats` lists what is pending, {left} shows what has left",
    )
