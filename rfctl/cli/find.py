"""`rfctl find PHONE`: where a person's messages are, what became of each, and what happens next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Chat, Phone, nothing_pending
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.observe.person import Event, Trail, follow_trail, is_batch_key, parse_person
from rfctl.timing import format_rfc3339

if TYPE_CHECKING:
    from rfctl.config.settings import Settings
    from rfctl.model.stored import Merged
    from rfctl.store import Store

INCOMPLETE = "a stream was too long to be searched to its end: there may be more"


def find(ctx: typer.Context, phone: Phone, chat: Chat = None) -> None:
    """Tell what became of a person's messages, in the order of time, and what happens next.

    That is: quarantined, pending, handed over, delivered when and to whom, waiting behind what, paused, dead.
    With --chat or a batch key, it tells of pending messages alone.

    Examples:  rfctl find 79001234567  |  rfctl find "+7 900 123-45-67" -o json
    """
    run_async(_find(invocation(ctx), parse_person(phone), chat))


async def _find(run: Invocation, name: str, chat: str | None) -> None:
    async with run.store() as (store, configuration):
        trail = await find_person(store, configuration.settings, name, chat)
    if run.is_json:
        run.out.json(trail.as_json())
    else:
        _print(run, trail.events)
    if not trail.is_complete:
        run.out.note(INCOMPLETE)


async def find_person(store: Store, settings: Settings, name: str, chat: str | None) -> Trail:
    """Return what there is of a phone or batch key. Raises NothingFoundError for nothing, and RfctlError."""
    trail = await follow_trail(
        store, name, chat, sinks=list(list_forwarded_sinks(settings)), split_by=settings.batching.split_by,
        find_rule=partial(_find_rule, settings),
    )  # fmt: skip
    if trail.is_empty:
        everywhere = chat is None and not is_batch_key(name)
        raise nothing_pending(name, chat, store.address, everywhere=everywhere)
    return trail


def _find_rule(settings: Settings, merged: Merged) -> str:
    from rfctl.assembly.batching import find_discarding_rule

    return find_discarding_rule(settings, merged)


def _print(run: Invocation, events: Sequence[Event]) -> None:
    """Print each event on a line, and its outcomes below it; a terminal folds them beside the local time."""
    if sys.stdout.isatty():
        run.out.facts(list_rows(events, format_local_time))
        return
    for at, line in list_rows(events, format_rfc3339):
        run.out.text(f"{at}  {line}" if at else f"    {line.removeprefix('· ')}")


def list_rows(events: Sequence[Event], format_time: Callable[[int], str | None]) -> list[tuple[str, str]]:
    """Return a line for each event, with its time beside, and its outcomes below it without one."""
    rows: list[tuple[str, str]] = []
    for event in events:
        rows.append((format_time(event.at_ms) or "", event.line))
        rows += [("", f"· {outcome.reader}: {outcome.line(format_time)}") for outcome in event.outcomes]
    return rows


def format_local_time(ms: int) -> str:
    """Return a time of this host for a person."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%m-%d %H:%M:%S")
