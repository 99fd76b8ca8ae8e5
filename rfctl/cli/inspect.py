"""`rfctl inspect PHONE`: every place where something of a person is, from the pending batch to the dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec
import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Chat, Phone, find_batch_keys, is_batch_key, nothing_pending, parse_person
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.inspect_view import describe_state, dues, explain_due, undelivered_as_json
from rfctl.cli.output import format_rfc3339, format_time_of_day
from rfctl.model.company import format_company
from rfctl.model.stored import Batch, as_strict_json
from rfctl.store import DeadLetter, Person, Store, is_hashed

_NEVER = "~"
"""Sorts behind every time."""


@dataclass(frozen=True, slots=True)
class _Findings:
    """A person's pending batches by their keys, and where else something of them is (None: not asked for)."""

    name: str
    now_ms: int
    batches: Mapping[str, Batch]
    person: Person | None


def inspect(ctx: typer.Context, phone: Phone, chat: Chat = None) -> None:
    """Show everything of a person, wherever it is: pending, unread, before a sink that fails or is paused, dead.

    With --chat or a batch key, show the pending messages alone: in order, when they are due, and why then.

    Examples:  rfctl inspect 79001234567  |  rfctl inspect "+7 900 123-45-67" -o json
    """
    run_async(_inspect(invocation(ctx), parse_person(phone), chat))


async def _inspect(run: Invocation, name: str, chat: str | None) -> None:
    async with run.store() as (store, configuration):
        sinks = list(list_forwarded_sinks(configuration.settings))
        everywhere = chat is None and not is_batch_key(name)
        seen = await _read(store, name, chat, sinks if everywhere else None)
        if not seen.batches and (seen.person is None or seen.person.is_nowhere):
            raise nothing_pending(name, chat, store.address, everywhere=everywhere)
    if run.is_json:
        run.out.json(_as_json(seen))
    else:
        _print(run, seen)
    if seen.person is not None and not seen.person.complete:
        run.out.note("a stream was too long to be searched to its end: there may be more")


async def _read(store: Store, name: str, chat: str | None, sinks: Sequence[str] | None) -> _Findings:
    """Read from the front to the back, so that what moves on meanwhile is seen in one place at least."""
    batch_keys = await find_batch_keys(store, name, chat)
    batches = {key: await store.batches.peek(key) for key in batch_keys}
    pending = {key: batch for key, batch in batches.items() if batch is not None}
    person = None if sinks is None else await store.people.find_person(sinks, name, list(pending))
    return _Findings(name, await store.now_ms(), pending, person)


def _as_json(seen: _Findings) -> dict[str, Any]:
    """Return each batch, and before them all their messages together, due as the soonest of them."""
    batches = [_batch_as_json(key, batch) for key, batch in seen.batches.items()]
    soonest = min(batches, key=lambda batch: batch["due"] or _NEVER, default={})
    return {
        "phone": next((batch.phone for batch in seen.batches.values()), seen.name),
        "size": sum(batch["size"] for batch in batches),
        "due": soonest.get("due"),
        "due_in_ms": soonest.get("due_in_ms"),
        "why": soonest.get("why"),
        "messages": [raw for batch in batches for raw in batch["messages"]],
        "batches": batches,
        **_elsewhere_as_json(seen),
    }


def _elsewhere_as_json(seen: _Findings) -> dict[str, Any]:
    if seen.person is None:
        return {"deliveries": [], "unread": [], "dead": [], "complete": True}
    return {
        "deliveries": undelivered_as_json(seen.person.whereabouts.undelivered, seen.now_ms),
        "unread": [
            {"group": message.group, "id": message.id, "state": message.state}
            for message in seen.person.unread
        ],
        "dead": [_letter_as_json(letter) for letter in seen.person.whereabouts.dead],
        "complete": seen.person.complete,
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
        "why": explain_due(batch),
        "messages": [msgspec.Raw(as_strict_json(raw)) for raw in batch.raw],
    }


def _letter_as_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "since": format_rfc3339(letter.died_ms),
        "sink": letter.sink,
        "message_id": letter.message_id,
        "attempts": len(letter.attempts),
        "last_error": letter.attempts[-1].error if letter.attempts else None,
        "text": letter.entry.merged.text,
    }


def _print(run: Invocation, seen: _Findings) -> None:
    for key, batch in seen.batches.items():
        _print_batch(run, key, batch)
    if seen.person is None:
        return
    if seen.person.whereabouts.undelivered:
        _print_undelivered(run, seen.person, seen.now_ms)
    if seen.person.unread:
        _print_unread(run, seen.person)
    if seen.person.whereabouts.dead:
        _print_dead(run, seen.person)


def _print_batch(run: Invocation, key: str, batch: Batch) -> None:
    due = "not in the index" if batch.due_ms is None else dues(batch.due_ms - batch.now_ms)
    first = batch.messages[0]
    labels = [
        ("source", first.channel),
        ("account", first.account),
        ("chat", first.chat),
        ("batch key", key if is_hashed(key) else ""),
    ]
    nonempty = [(label, value) for label, value in labels if value]
    run.out.facts([("phone", batch.phone), *nonempty, ("due", f"{due}: {explain_due(batch)}")])
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


def _print_undelivered(run: Invocation, person: Person, now_ms: int) -> None:
    rows = [
        (
            message.sink,
            message.id,
            str(message.attempts),
            describe_state(message, now_ms),
            "-" if message.last is None else f"{format_rfc3339(message.last.at_ms)} {message.last.error}",
        )
        for message in person.whereabouts.undelivered
    ]
    headings = ("for sink", "message id", "attempts", "state", "last error")
    run.out.table(headings, rows, right=frozenset({2}))


def _print_unread(run: Invocation, person: Person) -> None:
    by_group = groupby(
        sorted(person.unread, key=lambda message: message.group), key=lambda message: message.group
    )
    rows = [(group, message.id, message.state) for group, messages in by_group for message in messages]
    run.out.table(("for group", "message id", "state"), rows)


def _print_dead(run: Invocation, person: Person) -> None:
    rows = [
        (
            letter.id,
            format_rfc3339(letter.died_ms) or "",
            letter.sink,
            letter.attempts[-1].error if letter.attempts else "",
        )
        for letter in person.whereabouts.dead
    ]
    run.out.table(("dead letter", "since", "sink", "last error"), rows)
