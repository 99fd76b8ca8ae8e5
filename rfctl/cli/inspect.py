"""`rfctl inspect PHONE`: what is still to come of a person, from the pending batch to the dead letters.

`find` tells the same and what became of the rest. This name stays, as its exit status tells scripts whether all is done.
"""

from __future__ import annotations

from itertools import groupby

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Chat, Phone, nothing_pending
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.output import format_time_of_day
from rfctl.model.company import format_company
from rfctl.model.stored import Batch
from rfctl.observe.person.sight import (
    Sight,
    is_batch_key,
    parse_person,
    read_batches,
    read_holds,
    sight_as_json,
)
from rfctl.observe.person.words import describe_hold, describe_release, describe_state, dues, explain_due
from rfctl.store import Person, UnreadMessage, is_hashed
from rfctl.timing import format_rfc3339


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
        # From the front to the back, so that what moves on meanwhile is seen in one place at least.
        batches = await read_batches(store, name, chat)
        person = await store.people.find_person(sinks, name, list(batches)) if everywhere else None
        holds = await read_holds(store, name, chat, configuration.settings.batching.split_by)
        seen = Sight(name, await store.now_ms(), batches, person, holds)
        if holds or not seen.is_empty:
            _show(run, seen)
        if seen.is_empty:  # a script that waits for this status is not kept by a hold
            raise nothing_pending(name, chat, store.address, everywhere=everywhere)
    if seen.person is not None and not seen.person.complete:
        run.out.note("a stream was too long to be searched to its end: there may be more")


def _show(run: Invocation, seen: Sight) -> None:
    if run.is_json:
        run.out.json(sight_as_json(seen))
    else:
        _print(run, seen)


def _print(run: Invocation, seen: Sight) -> None:
    for hold in seen.holds:
        until = f"{format_rfc3339(hold.until_ms)}, {describe_hold(hold, seen.now_ms)}"
        run.out.facts(
            [("phone", hold.phone or seen.name), ("held until", until), ("next", describe_release(hold))]
        )
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
    rows = [
        (group, message.id, _describe_unread(message)) for group, messages in by_group for message in messages
    ]
    run.out.table(("for group", "message id", "state"), rows)


def _describe_unread(message: UnreadMessage) -> str:
    return f"{message.state}, sent again" if message.is_again else message.state


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
