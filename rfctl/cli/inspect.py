"""`rfctl inspect PHONE`: what is pending of a person, message by message, and what waits for a sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from rfctl.assembly.sinks import forwarded_sinks
from rfctl.cli.arguments import Chat, Phone, batch_names, is_key, nothing_pending, person
from rfctl.cli.context import invocation, run_async
from rfctl.model.stored import Batch
from rfctl.store import Pause, PendingDelivery
from rfctl.store.keys import batch_key_of, is_hashed
from rfctl.text import duration

_NEVER = "~"
"""Sorts behind every time."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of one person: the pending batches by their keys, and what waits for sinks, some of them paused."""

    who: str
    now_ms: int
    batches: Mapping[str, Batch]
    deliveries: Sequence[PendingDelivery]
    paused: Mapping[str, Pause]


def inspect(ctx: typer.Context, phone: Phone, chat: Chat = None) -> None:
    """Show all that is pending of a person: the messages in order, when they are due and why then.

    Without --chat, also what has left and waits for a sink that fails.

    Examples:  rfctl inspect 79001234567  |  rfctl inspect "+7 900 123-45-67" -o json
    """
    run_async(_inspect(ctx, person(phone), chat))


async def _inspect(ctx: typer.Context, who: str, chat: str | None) -> None:
    run = invocation(ctx)
    async with run.store() as (store, configuration):
        looked = {name: await store.batches.peek(name) for name in await batch_names(store, who, chat)}
        pending = {name: batch for name, batch in looked.items() if batch is not None}
        waits: list[PendingDelivery] = []
        if chat is None and not is_key(who):
            sinks = list(forwarded_sinks(configuration.settings))
            waits = await store.pending_deliveries(sinks, batch_key_of(who))
        if not pending and not waits:
            raise nothing_pending(who, chat, store.address)
        found = _Found(who, await store.now_ms(), pending, waits, await store.paused_sinks.list())
        if run.json:
            run.emit(_as_json(found))
        else:
            _show(found)


def _why(batch: Batch) -> str:
    if batch.due_ms is None:
        return "it is in no index: the next message puts it there"
    last = batch.messages[-1]
    if last.receivedAt + last.waitMs <= batch.due_ms:
        return f"{duration(last.waitMs)} of silence after the last message"
    return f"the first message will have waited {duration(batch.due_ms - batch.messages[0].receivedAt)}"


def _as_json(found: _Found) -> dict[str, Any]:
    """Return the batches one by one, and before them what all have together, due as the soonest of them."""
    batches = [_batch_data(key, batch) for key, batch in found.batches.items()]
    soonest = min(batches, key=lambda one: one["due"] or _NEVER, default={})
    return {
        "phone": next((batch.phone for batch in found.batches.values()), found.who),
        "size": sum(one["size"] for one in batches),
        "due": soonest.get("due"),
        "due_in_ms": soonest.get("due_in_ms"),
        "why": soonest.get("why"),
        "messages": [raw for one in batches for raw in one["messages"]],
        "batches": batches,
        "deliveries": [_delivery_data(one, found) for one in found.deliveries],
    }


def _batch_data(key: str, batch: Batch) -> dict[str, Any]:
    import msgspec

    from rfctl.cli.output import rfc3339

    first = batch.messages[0]
    return {
        "key": key,
        "source": first.channel,
        "account": first.account,
        "company": first.companyId,
        "chat": first.chat,
        "size": len(batch.messages),
        "due": rfc3339(batch.due_ms),
        "due_in_ms": None if batch.due_ms is None else batch.due_ms - batch.now_ms,
        "why": _why(batch),
        "messages": [msgspec.Raw(raw) for raw in batch.raw],
    }


def _delivery_data(one: PendingDelivery, found: _Found) -> dict[str, Any]:
    from rfctl.cli.output import rfc3339

    in_ms = None if one.next_try_ms is None else max(0, one.next_try_ms - found.now_ms)
    return {
        "sink": one.sink,
        "messages": one.messages,
        "id": one.id,
        "tries": one.attempts,
        "last_error": None if one.last is None else one.last.error,
        "last_error_at": None if one.last is None else rfc3339(one.last.at_ms),
        "next_try": rfc3339(one.next_try_ms),
        "next_try_in_ms": in_ms,
        "paused": one.sink in found.paused,
    }


def _show(found: _Found) -> None:
    for key, batch in found.batches.items():
        _show_batch(key, batch)
    if found.deliveries:
        _show_deliveries(found)


def _show_batch(key: str, batch: Batch) -> None:
    from rfctl.cli import output as render

    due = "not in the index" if batch.due_ms is None else f"in {duration(batch.due_ms - batch.now_ms)}"
    out = render.console()
    first = batch.messages[0]
    where = [("source", first.channel), ("account", first.account), ("chat", first.chat)]
    where.append(("key", key if is_hashed(key) else ""))
    known = [(label, value) for label, value in where if value]
    out.print(render.facts([("phone", batch.phone), *known, ("due", f"{due}: {_why(batch)}")]))
    rows = [
        (render.clock(one.receivedAt), str(one.companyId or "-"), one.type, one.messageId, one.text)
        for one in batch.messages
    ]
    out.print(render.table(("received", "company", "type", "id", "message"), rows))


def _show_deliveries(found: _Found) -> None:
    from rfctl.cli import output as render

    rows = [
        (
            one.sink,
            str(one.messages),
            one.id,
            str(one.attempts),
            _next_try(one, found),
            "-" if one.last is None else f"{render.rfc3339(one.last.at_ms)} {one.last.error}",
        )
        for one in found.deliveries
    ]
    headings = ("waits for", "messages", "first", "tries", "next try", "last error")
    render.console().print(render.table(headings, rows, right=frozenset({1, 3})))


def _next_try(one: PendingDelivery, found: _Found) -> str:
    if one.sink in found.paused:
        return f"paused: {found.paused[one.sink].why}"
    if one.next_try_ms is None or one.next_try_ms <= found.now_ms:
        return "now"
    return f"in {duration(one.next_try_ms - found.now_ms)}"
