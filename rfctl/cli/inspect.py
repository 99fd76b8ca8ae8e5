"""`rfctl inspect PHONE`: what is pending for a person, message by message, and what waits for a sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Chat, Phone, find_batch_keys, is_batch_key, nothing_pending, parse_person
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.output import format_rfc3339, format_time_of_day
from rfctl.model.company import format_company
from rfctl.model.stored import Batch, as_strict_json
from rfctl.store import Pause, PendingDelivery, Store, batch_key_of, is_hashed
from rfctl.text import duration

_NEVER = "~"
"""Sorts behind every time."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A person's pending batches by their keys, and what waits for sinks, some of them paused."""

    person: str
    now_ms: int
    batches: Mapping[str, Batch]
    deliveries: Sequence[PendingDelivery]
    paused: Mapping[str, Pause]


def inspect(ctx: typer.Context, phone: Phone, chat: Chat = None) -> None:
    """Show all that is pending for a person: the messages in order, when they are due, and why then.

    Without --chat, also show messages that wait for a failing sink.

    Examples:  rfctl inspect 79001234567  |  rfctl inspect "+7 900 123-45-67" -o json
    """
    run_async(_inspect(invocation(ctx), parse_person(phone), chat))


async def _inspect(run: Invocation, person: str, chat: str | None) -> None:
    async with run.store() as (store, configuration):
        with_sinks = chat is None and not is_batch_key(person)
        sinks = list(list_forwarded_sinks(configuration.settings)) if with_sinks else []
        pending = await _read_pending(store, person, chat, sinks)
        if not pending.batches and not pending.deliveries:
            raise nothing_pending(person, chat, store.address)
    if run.is_json:
        run.out.json(_as_json(pending))
        return
    for key, batch in pending.batches.items():
        _print_batch(run, key, batch)
    if pending.deliveries:
        _print_deliveries(run, pending)


async def _read_pending(store: Store, person: str, chat: str | None, sinks: Sequence[str]) -> _Pending:
    batches = {key: await store.batches.peek(key) for key in await find_batch_keys(store, person, chat)}
    deliveries = await store.pending_deliveries(sinks, batch_key_of(person)) if sinks else []
    return _Pending(
        person,
        await store.now_ms(),
        {key: batch for key, batch in batches.items() if batch is not None},
        deliveries,
        await store.paused_sinks.list(),
    )


def _why(batch: Batch) -> str:
    if batch.due_ms is None:
        return "it is in no index: the next message puts it there"
    last = batch.messages[-1]
    if last.receivedAt + last.waitMs <= batch.due_ms:
        return f"{duration(last.waitMs)} of silence after the last message"
    return f"the first message will have waited {duration(batch.due_ms - batch.messages[0].receivedAt)}"


def _as_json(pending: _Pending) -> dict[str, Any]:
    """Return each batch, and before them all their messages together, due as the soonest of them."""
    batches = [_batch_as_json(key, batch) for key, batch in pending.batches.items()]
    soonest = min(batches, key=lambda batch: batch["due"] or _NEVER, default={})
    return {
        "phone": next((batch.phone for batch in pending.batches.values()), pending.person),
        "size": sum(batch["size"] for batch in batches),
        "due": soonest.get("due"),
        "due_in_ms": soonest.get("due_in_ms"),
        "why": soonest.get("why"),
        "messages": [raw for batch in batches for raw in batch["messages"]],
        "batches": batches,
        "deliveries": [_delivery_as_json(delivery, pending) for delivery in pending.deliveries],
    }


def _batch_as_json(key: str, batch: Batch) -> dict[str, Any]:
    first = batch.messages[0]
    return {
        "batch_key": key,
        "source": first.channel,
        "account": first.account,
        "company": first.companyId,
        "chat": first.chat,
        "size": len(batch.messages),
        "due": format_rfc3339(batch.due_ms),
        "due_in_ms": None if batch.due_ms is None else batch.due_ms - batch.now_ms,
        "why": _why(batch),
        "messages": [msgspec.Raw(as_strict_json(raw)) for raw in batch.raw],
    }


def _delivery_as_json(delivery: PendingDelivery, pending: _Pending) -> dict[str, Any]:
    next_ms, last = delivery.next_retry_ms, delivery.last
    return {
        "sink": delivery.sink,
        "messages": delivery.messages,
        "id": delivery.id,
        "attempts": delivery.attempts,
        "last_error": None if last is None else last.error,
        "last_error_at": None if last is None else format_rfc3339(last.at_ms),
        "next_retry": format_rfc3339(next_ms),
        "next_retry_in_ms": None if next_ms is None else max(0, next_ms - pending.now_ms),
        "paused": delivery.sink in pending.paused,
    }


def _print_batch(run: Invocation, key: str, batch: Batch) -> None:
    due = "not in the index" if batch.due_ms is None else f"in {duration(batch.due_ms - batch.now_ms)}"
    first = batch.messages[0]
    labels = [
        ("source", first.channel),
        ("account", first.account),
        ("chat", first.chat),
        ("batch key", key if is_hashed(key) else ""),
    ]
    nonempty = [(label, value) for label, value in labels if value]
    run.out.facts([("phone", batch.phone), *nonempty, ("due", f"{due}: {_why(batch)}")])
    rows = [
        (
            format_time_of_day(message.receivedAt),
            format_company(message.company) or "-",
            message.type,
            message.messageId,
            message.text,
        )
        for message in batch.messages
    ]
    run.out.table(("received", "company", "type", "id", "message"), rows)


def _print_deliveries(run: Invocation, pending: _Pending) -> None:
    rows = [
        (
            delivery.sink,
            str(delivery.messages),
            delivery.id,
            str(delivery.attempts),
            _next_retry(delivery, pending),
            "-" if delivery.last is None else f"{format_rfc3339(delivery.last.at_ms)} {delivery.last.error}",
        )
        for delivery in pending.deliveries
    ]
    headings = ("waits for", "messages", "first", "attempts", "next retry", "last error")
    run.out.table(headings, rows, right=frozenset({1, 3}))


def _next_retry(delivery: PendingDelivery, pending: _Pending) -> str:
    if delivery.sink in pending.paused:
        return f"paused: {pending.paused[delivery.sink].why}"
    if delivery.next_retry_ms is None or delivery.next_retry_ms <= pending.now_ms:
        return "now"
    return f"in {duration(delivery.next_retry_ms - pending.now_ms)}"
