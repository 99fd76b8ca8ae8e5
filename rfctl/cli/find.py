"""`rfctl find PHONE`: where a person's messages are, what became of each, and what happens next."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Phone, is_batch_key, nothing_pending, parse_person
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.find_view import Event, build_events
from rfctl.cli.inspect_view import explain_due
from rfctl.cli.output import format_rfc3339
from rfctl.errors import UsageError


def find(ctx: typer.Context, phone: Phone) -> None:
    """Tell what became of a person's messages, in the order of time, and what happens next.

    That is: quarantined, pending, handed over, delivered when and to whom, waiting behind what, paused, dead.

    Examples:  rfctl find 79001234567  |  rfctl find "+7 900 123-45-67" -o json
    """
    person = parse_person(phone)
    if is_batch_key(person):
        raise UsageError(f"{person} is a batch key, not a phone", next=f"rfctl inspect '{person}'")
    run_async(_find(invocation(ctx), person))


async def _find(run: Invocation, phone: str) -> None:
    async with run.store() as (store, configuration):
        sinks = list(list_forwarded_sinks(configuration.settings))
        batch_keys = await store.batches.find_batches(phone)
        peeked = {key: await store.batches.peek(key) for key in batch_keys}
        batches = {key: batch for key, batch in peeked.items() if batch is not None}
        history = await store.people.find_history(sinks, phone, list(batches))
        now_ms = await store.now_ms()
        if history.is_empty and not batches:
            raise nothing_pending(phone, None, store.address, everywhere=True)
    why = {key: explain_due(batch) for key, batch in batches.items()}
    events = build_events(history, batches, why, sinks, now_ms)
    if run.is_json:
        timeline = [event.as_json() for event in events]
        run.out.json({"phone": phone, "timeline": timeline, "complete": history.complete})
    else:
        _print(run, events)
    if not history.complete:
        run.out.note("a stream was too long to be searched to its end: there may be more")


def _print(run: Invocation, events: Sequence[Event]) -> None:
    """Print each event on a line, and its outcomes below it; a terminal folds them beside the local time."""
    is_terminal = sys.stdout.isatty()
    format_time = _format_time if is_terminal else format_rfc3339
    rows: list[tuple[str, str]] = []
    for event in events:
        rows.append((format_time(event.at_ms) or "", event.line))
        rows += [("", f"· {outcome.reader}: {outcome.line(format_time)}") for outcome in event.outcomes]
    if is_terminal:
        run.out.facts(rows)
        return
    for at, line in rows:
        run.out.text(f"{at}  {line}" if at else f"    {line.removeprefix('· ')}")


def _format_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%m-%d %H:%M:%S")
