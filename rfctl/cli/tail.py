"""`rfctl tail`: follow messages in, merged messages out, and what became of them, as they happen."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.event_line import draw_event, list_parts
from rfctl.cli.outage import Outage
from rfctl.errors import RfctlError, UsageError
from rfctl.model.message import normalize_phone
from rfctl.observe import (
    BatchHandedOver,
    DeliveryEnded,
    Event,
    HoldChanged,
    MessageDropped,
    MessageReceived,
    follow_through,
)
from rfctl.store import Store
from rfctl.timing import format_rfc3339

if TYPE_CHECKING:
    from rich.console import Console

    from rfctl.cli.relay import Relay

_REMEMBERED = 1000
"""Merged messages that matched, by which their outcomes match."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def tail(
    ctx: typer.Context,
    phone: Annotated[str | None, typer.Argument(help="Only this person.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Begin with the merged messages since then: 30s, 10m, 2h, 1d.")
    ] = None,
    grep: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN", help="Only events whose text, phone or sink matches, whatever the case (RE2)."
        ),
    ] = None,
    forward_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="POST each merged message there too, unsigned and only once."),
    ] = None,
) -> None:
    """Follow live what comes in (-->), leaves as one (<--) and is delivered (==>). Ctrl-C ends it.

    On a terminal each person has a colour, and a line that is too long is cut. It goes on when Redis was away.
    With --forward-to, a bot on your own machine gets each merged message too. The sinks still get theirs.

    Examples:  rfctl tail 79001234567 --since 10m  |  rfctl tail -o jsonl | jq .  |  rfctl tail --forward-to http://localhost:8000/bot
    """
    back_s = _parse_seconds(since) if since else None
    is_wanted = _build_filter(normalize_phone(phone) if phone else None, grep)
    run_async(_tail(invocation(ctx), is_wanted, back_s, forward_to), interrupted=0)


def _parse_seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise UsageError(f"--since {text} is no duration", next="write 30s, 10m, 2h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def _build_filter(phone: str | None, pattern: str | None) -> Callable[[Event], bool]:
    """Return what says whether an event is wanted. Raises UsageError for a pattern that RE2 does not take."""
    if pattern is None:
        return lambda event: phone is None or event.phone == phone
    from rfctl.batching.policy import PatternsMissingError, compile_pattern

    try:
        compiled = compile_pattern(f"(?is).*(?:{pattern}).*")
    except PatternsMissingError as problem:
        raise UsageError(f"--grep {pattern}: {problem}", next=problem.next) from None
    except ValueError as problem:
        raise UsageError(
            f"--grep {pattern}: {problem}", next="write it as in RE2, such as 'cancel|refund'"
        ) from None
    matched_ids: deque[str] = deque(maxlen=_REMEMBERED)

    def is_wanted(event: Event) -> bool:
        if phone is not None and event.phone != phone:
            return False
        if isinstance(event, DeliveryEnded):  # it has no text: its message had
            return event.id in matched_ids or matches(event.sink, event.phone)
        if isinstance(event, MessageDropped):
            return matches(event.rule, event.phone)
        if isinstance(event, HoldChanged):
            return matches(event.event, event.phone)
        text = event.message.text if isinstance(event, MessageReceived) else event.text
        is_match = matches(text, event.phone)
        if is_match and isinstance(event, BatchHandedOver):
            matched_ids.append(event.id)
        return is_match

    def matches(*texts: str) -> bool:
        return any(compiled.fullmatch(text.encode(errors="replace")) for text in texts)

    return is_wanted


async def _tail(
    run: Invocation, is_wanted: Callable[[Event], bool], back_s: int | None, forward_to: str | None
) -> None:
    show = _choose_printer(run)
    async with run.store() as (store, _), _relay(store, forward_to) as relay:
        async for event in _events(run, store, back_s):
            if not is_wanted(event):
                continue
            show(event)
            if relay is not None and isinstance(event, BatchHandedOver) and event.id:
                relay.take(event)


def _choose_printer(run: Invocation) -> Callable[[Event], None]:
    """Return what prints an event: as JSON, as a whole line, or on a terminal as a line that fits."""
    if run.is_json:
        return lambda event: run.out.json_line(as_json(event))
    if not sys.stdout.isatty():
        return lambda event: typer.echo(render_line(event))
    from rfctl.cli.output import open_console

    console = open_console()
    return lambda event: _print_fitted(console, event)


def _print_fitted(console: Console, event: Event) -> None:
    from rfctl.cli.fitting import cut

    line = draw_event(event)
    cut(line, console.size.width)
    console.print(line)


async def _events(run: Invocation, store: Store, back_s: int | None) -> AsyncIterator[Event]:
    subscribed = asyncio.Event()
    announcing = asyncio.create_task(_announce(run, store, subscribed))
    since_ms = None if back_s is None else await store.now_ms() - back_s * 1000
    outages: list[Outage] = []

    def note_outage(problem: RfctlError) -> None:
        outages.append(Outage(problem))
        run.out.note(outages[-1].line())

    def note_end() -> None:
        run.out.note(outages.pop().end_line())

    try:
        async for event in follow_through(store, since_ms, subscribed, note_outage, note_end):
            yield event
    finally:
        announcing.cancel()


async def _announce(run: Invocation, store: Store, subscribed: asyncio.Event) -> None:
    await subscribed.wait()
    run.out.note(f"following {store.address.shown()} (Ctrl-C ends)")


@asynccontextmanager
async def _relay(store: Store, url: str | None) -> AsyncIterator[Relay | None]:
    if url is None:
        yield None
        return
    from rfctl.cli.relay import open_relay

    async with open_relay(store, url) as relay:
        yield relay


def as_json(event: Event) -> dict[str, Any]:
    """Return an event for `-o json`."""
    shared = {"time": format_rfc3339(event.at_ms), "phone": event.phone}
    if isinstance(event, MessageReceived):
        message = event.message
        return {
            "event": "in", **shared, "size": event.size, "due_in_ms": event.due_in_ms,
            "id": message.messageId, "company": message.companyId, "text": message.text,
            "simulated": message.simulated,
        }  # fmt: skip
    if isinstance(event, DeliveryEnded):
        return {
            "event": "delivery", **shared, "id": event.id, "sink": event.sink, "outcome": event.outcome,
            "attempts": event.attempts, "took_ms": event.took_ms,
        }  # fmt: skip
    if isinstance(event, MessageDropped):
        return {"event": "message_dropped", **shared, "id": event.id, "rule": event.rule}
    if isinstance(event, HoldChanged):
        return {"event": event.event, **shared, "until": format_rfc3339(event.until_ms)}
    return {
        "event": "out" if event.id else "dropped", **shared, "id": event.id or None, "reason": event.reason, "count": event.count,
        "waited_ms": event.waited_ms, "late_ms": event.late_ms, "text": event.text,
    }  # fmt: skip


def render_line(event: Event) -> str:
    """Return an event for a person, on one line; strangers wrote parts of it, and may have named what they like."""
    return "".join(text for text, _ in list_parts(event))
