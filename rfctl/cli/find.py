"""`rfctl find PHONE`: where a person's messages are, what became of each, and what happens next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Chat, Phone, is_batch_key, nothing_pending, parse_person
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.find_view import Event, build_events, build_holds
from rfctl.cli.inspect_view import explain_due
from rfctl.cli.output import format_rfc3339
from rfctl.cli.sight import Sight, read_batches, read_holds, sight_as_json

if TYPE_CHECKING:
    from rfctl.config.settings import Settings
    from rfctl.store import History, Store

INCOMPLETE = "a stream was too long to be searched to its end: there may be more"


def find(ctx: typer.Context, phone: Phone, chat: Chat = None) -> None:
    """Tell what became of a person's messages, in the order of time, and what happens next.

    That is: quarantined, pending, handed over, delivered when and to whom, waiting behind what, paused, dead.
    With --chat or a batch key, it tells of pending messages alone.

    Examples:  rfctl find 79001234567  |  rfctl find "+7 900 123-45-67" -o json
    """
    run_async(_find(invocation(ctx), parse_person(phone), chat))


@dataclass(frozen=True, slots=True)
class Timeline:
    """What there is of a person: where it is now, and its events, oldest first. `is_complete`: all was searched."""

    seen: Sight
    events: list[Event]
    is_complete: bool


async def _find(run: Invocation, name: str, chat: str | None) -> None:
    async with run.store() as (store, configuration):
        result = await find_person(store, configuration.settings, name, chat)
    if run.is_json:
        timeline = [event.as_json() for event in result.events]
        run.out.json({**sight_as_json(result.seen), "complete": result.is_complete, "timeline": timeline})
    else:
        _print(run, result.events)
    if not result.is_complete:
        run.out.note(INCOMPLETE)


async def find_person(store: Store, settings: Settings, name: str, chat: str | None) -> Timeline:
    """Return what there is of a phone or batch key. Raises NothingFoundError for nothing, and RfctlError."""
    everywhere = chat is None and not is_batch_key(name)
    sinks = list(list_forwarded_sinks(settings))
    batches = await read_batches(store, name, chat)
    history = await store.people.find_history(sinks, name, list(batches)) if everywhere else None
    holds = await read_holds(store, name, chat, settings.batching.split_by)
    person = None if history is None else history.person
    seen = Sight(name, await store.now_ms(), batches, person, holds)
    if seen.is_empty and not holds and (history is None or history.is_empty):
        raise nothing_pending(name, chat, store.address, everywhere=everywhere)
    why = {key: explain_due(batch) for key, batch in batches.items()}
    rules = {} if history is None else _find_rules(settings, history)
    events = build_events(history, batches, why, rules, sinks, seen.now_ms)
    events += build_holds(seen.holds, seen.now_ms)
    events.sort(key=lambda event: event.at_ms)
    return Timeline(seen, events, history is None or history.complete)


def _find_rules(settings: Settings, history: History) -> dict[str, str]:
    """Return the rules that threw away what was pending before a merged message, by the id of that."""
    discarding = [message for message in history.handed if message.merged.discarded]
    if not discarding:
        return {}
    from rfctl.assembly.batching import find_discarding_rule

    return {message.id: find_discarding_rule(settings, message.merged) for message in discarding}


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
