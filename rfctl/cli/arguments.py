"""Arguments that several commands share: a phone or batch key, a message id, a sink, and the question before --all."""

from __future__ import annotations

import difflib
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError, UsageError
from rfctl.observe.person.sight import is_batch_key
from rfctl.store import RedisAddress
from rfctl.store.stream_entry import is_message_id
from rfctl.store.stream_pages import is_delivery_id

_PHONE_HELP = "The person, in any spelling, or the batch key that stats shows."

Phone = Annotated[str, typer.Argument(help=_PHONE_HELP)]
PhoneOrAll = Annotated[str | None, typer.Argument(help=_PHONE_HELP)]
Chat = Annotated[
    str | None,
    typer.Option(
        "--chat",
        help="Only what they wrote in this group or thread; '' is the one-to-one chat.",
        show_default=False,
    ),
]
AllBatches = Annotated[bool, typer.Option("--all", help="Every pending batch.")]


def check_phone_or_all(phone: str | None, *, every: bool, command: str) -> None:
    """Take either a phone or --all. Raises UsageError."""
    if (phone is None) == (not every):
        raise UsageError("name one phone, or --all", next=f"rfctl {command} 79001234567")


def nothing_pending(
    person: str, chat: str | None, address: RedisAddress, *, everywhere: bool = False
) -> NothingFoundError:
    """Return the error for a person without pending messages, or without any message where `everywhere` was searched."""
    where = f" in the chat {chat}" if chat else ""
    what = "no pending messages" + (", and none undelivered or dead" if everywhere else "")
    tail = (
        "`rfctl tail --since 10m`"
        if is_batch_key(person)
        else f"`rfctl tail {shlex.quote(person)} --since 10m`"
    )
    return NothingFoundError(
        f"{person} has {what}{where} in {address.shown()}",
        set_by=address.set_by,
        next=f"`rfctl stats` lists what is pending, {tail} shows what was handed over",
    )


def check_id(text: str) -> str:
    """Take only what has the form of a stream id, with a shard or without. Raises UsageError."""
    if not is_message_id(text):
        raise UsageError(f"{text} is no id", next="ids look like 1758000000000-0")
    return text


def check_message_id(text: str) -> str:
    """Take an id as `check_id`, or the one by which receivers know a message. Raises UsageError."""
    return text if is_delivery_id(text) else check_id(text)


def check_is_unique(text: str, message_ids: Sequence[str]) -> None:
    """Refuse an id of several messages, which only shards can bring about. Raises UsageError."""
    if len(set(message_ids)) > 1:
        raise UsageError(
            f"{text} means several messages", next=f"write one of {', '.join(sorted(set(message_ids)))}"
        )


def check_forwarded(settings: Settings, name: str) -> None:
    """Take only a sink that rfctl delivers to. Raises NothingFoundError with near names, or UsageError."""
    sinks = list_forwarded_sinks(settings)
    if name in sinks:
        return
    if name in settings.sinks:
        raise UsageError(
            f"sink {name} is the output stream, which your workers read themselves",
            next="stop or start them; this is for sinks that rfctl delivers to",
        )
    raise unknown_sink(name, sinks)


def unknown_sink(name: str, sinks: Iterable[str]) -> NothingFoundError:
    """Return the error for a sink that does not exist, with near names."""
    names = sorted(sinks)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        step = f"did you mean {' or '.join(near)}?"
    elif names:
        step = f"there is {', '.join(names)}"
    else:
        step = (
            "no sink is configured that rfctl delivers to: [sinks.NAME] in the settings, see `man rfctl.toml`"
        )
    return NothingFoundError(f"there is no sink {name}", next=step)


def ask(what: str, *, yes: bool) -> None:
    """Ask whether to do `what`, unless --yes says so. Raises UsageError off a terminal, Abort for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"not asked: this would {what}", next="add --yes")
    typer.confirm(f"{what[:1].upper()}{what[1:]}?", abort=True, err=True)
