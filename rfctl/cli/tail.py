"""`rfctl tail`: follow messages in and merged messages out, as they happen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.output import format_rfc3339, format_time_of_day
from rfctl.errors import UsageError
from rfctl.model.message import normalize_phone
from rfctl.observe import BatchHandedOver, Event, MessageReceived, follow_events, read_past_events
from rfctl.store import Store
from rfctl.text import duration, visible

if TYPE_CHECKING:
    from rfctl.cli.relay import Relay

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def tail(
    ctx: typer.Context,
    phone: Annotated[str | None, typer.Argument(help="Only this person.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Begin with the merged messages since then: 30s, 10m, 2h, 1d.")
    ] = None,
    forward_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="POST each merged message there too, unsigned and only once."),
    ] = None,
) -> None:
    """Follow live: --> a message came in, <-- a merged message went out. Ctrl-C ends it.

    With --forward-to, a bot on your own machine gets each merged message too. The sinks still get theirs.

    Examples:  rfctl tail 79001234567 --since 10m  |  rfctl tail -o jsonl | jq .  |  rfctl tail --forward-to http://localhost:8000/bot
    """
    back_s = _parse_seconds(since) if since else None
    run_async(
        _tail(invocation(ctx), normalize_phone(phone) if phone else None, back_s, forward_to), interrupted=0
    )


def _parse_seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise UsageError(f"--since {text} is no duration", next="write 30s, 10m, 2h or 1d")
    return int(match[1]) * _UNITS[match[2]]


async def _tail(run: Invocation, phone: str | None, back_s: int | None, forward_to: str | None) -> None:
    async with run.store() as (store, _), _relay(store, forward_to) as relay:
        async for event in _events(store, back_s):
            if phone is not None and event.phone != phone:
                continue
            if run.is_json:
                run.out.json_line(as_json(event))
            else:
                typer.echo(render_line(event))
            if relay is not None and isinstance(event, BatchHandedOver) and event.id:
                relay.take(event)


async def _events(store: Store, back_s: int | None) -> AsyncIterator[Event]:
    if back_s is not None:
        for event in await read_past_events(store, await store.now_ms() - back_s * 1000):
            yield event
    subscribed = asyncio.Event()
    announcing = asyncio.create_task(_announce(store, subscribed))
    try:
        async for event in follow_events(store, subscribed):
            yield event
    finally:
        announcing.cancel()


async def _announce(store: Store, subscribed: asyncio.Event) -> None:
    await subscribed.wait()
    typer.echo(f"rfctl: following {store.address.shown()} (Ctrl-C ends)", err=True)


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
    return {
        "event": "out", **shared, "id": event.id, "reason": event.reason, "count": event.count,
        "waited_ms": event.waited_ms, "late_ms": event.late_ms, "text": event.text,
    }  # fmt: skip


def render_line(event: Event) -> str:
    """Return an event for a person, on one line."""
    at, phone = format_time_of_day(event.at_ms), visible(event.phone)
    if isinstance(event, MessageReceived):
        due = f", due in {duration(event.due_in_ms)}" if event.due_in_ms else ""
        return f"{at} --> {phone}  {event.size} pending{due}  {visible(event.message.text)}"
    if not event.id:
        return f"{at} <-- {phone}  {event.count} dropped: nothing to say ({event.reason})"
    late = f", {duration(event.late_ms)} late" if event.late_ms else ""
    what = f"{event.count} as one ({event.reason}), waited {duration(event.waited_ms)}{late}"
    return f"{at} <-- {phone}  {what}  {visible(event.text)}"
