"""`rfctl discard`: print pending batches, and throw each away as soon as it is printed.

What is printed is the last copy. Where nothing can be printed (a full disk), nothing is thrown away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import typer

from rfctl.cli.arguments import AllBatches, Chat, PhoneOrAll, ask, check_phone_or_all, nothing_pending
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.output import format_time_of_day
from rfctl.cli.shared_options import Yes
from rfctl.cli.steps import Steps, counting, passing_over
from rfctl.errors import ANSWER_IS_NO
from rfctl.model.stored import as_strict_json, decode_item
from rfctl.observe.person.sight import find_batch_keys, parse_person
from rfctl.store import Store
from rfctl.text import counted
from rfctl.timing import format_rfc3339


@dataclass(frozen=True, slots=True)
class Discarded:
    """One message that is thrown away: whose it is, in which batch, and its stored item."""

    phone: str
    batch_key: str
    item: bytes


Show = Callable[[Sequence[Discarded]], None]


def discard(
    ctx: typer.Context,
    phone: PhoneOrAll = None,
    chat: Chat = None,
    every: AllBatches = False,
    yes: Yes = False,
) -> None:
    """Throw away all that is pending for a person, and print it.

    With --all, print and throw away every batch that is pending when the command begins.

    Examples:  rfctl discard 79001234567  |  rfctl discard --all --yes -o jsonl > discarded.jsonl
    """
    check_phone_or_all(phone, every=every, command="discard")
    run = invocation(ctx)
    if phone is None:
        run_async(_discard_all(run, yes=yes))
    else:
        run_async(_discard(run, parse_person(phone), chat))


async def _discard_all(run: Invocation, *, yes: bool) -> int:
    async with run.store() as (store, _):
        count = await store.pending_keys.count()
        ask(f"throw away {counted(count, 'pending batch')}", yes=yes)
        steps = Steps("batch", "discarded")
        with counting(run.out, steps), _printing_all(run, steps) as show:
            async for batch_key in store.pending_keys.iterate():
                with passing_over(run.out, steps, batch_key):
                    steps.add(await discard_batch(store, batch_key, show) > 0)
    return ANSWER_IS_NO if steps.left else 0


@contextmanager
def _printing_all(run: Invocation, steps: Steps) -> Iterator[Show]:
    """Print every message on a line of its own, or as JSON, and at last how many batches there were."""
    if not run.is_json:
        yield lambda messages: _add_each(run.out.text, map(describe_discarded, messages))
        run.out.text(steps.line())
        return

    def summarize() -> dict[str, int | str]:
        return {"batches": steps.count, "done": "discarded"}

    if run.output == "jsonl":
        yield lambda messages: run.out.rows(map(_as_json, messages))
        run.out.json(summarize())
        return
    with run.out.open_array("discarded", summarize) as add:
        yield lambda messages: _add_each(add, map(_as_json, messages))


def _add_each(add: Callable[[Any], None], values: Iterable[Any]) -> None:
    for value in values:
        add(value)


def _as_json(discarded: Discarded) -> dict[str, object]:
    return {
        "phone": discarded.phone,
        "batch_key": discarded.batch_key,
        "message": msgspec.Raw(as_strict_json(discarded.item)),
    }


def describe_discarded(discarded: Discarded) -> str:
    """Return a message on a line: when it was received, whose it is, its id and its text."""
    message = decode_item(discarded.item)
    parts = (format_rfc3339(message.receivedAt or None), discarded.phone, message.messageId, message.text)
    return "  ".join(part or "-" for part in parts)


async def discard_batch(store: Store, batch_key: str, show: Show) -> int:
    """Show a batch, then throw it away, and show what came in between. Returns how many messages were thrown away."""
    return await show_what_goes(store, batch_key, show, lambda: store.batches.discard(batch_key))


async def show_what_goes(
    store: Store, batch_key: str, show: Show, throw_away: Callable[[], Awaitable[Sequence[bytes]]]
) -> int:
    """Show a batch, then have it thrown away by a call that returns its items. Returns how many messages those were."""
    batch = await store.batches.peek(batch_key)
    phone, shown = (batch_key, ()) if batch is None else (batch.phone, batch.raw)

    def show_items(items: Sequence[bytes]) -> None:
        if items:
            show([Discarded(phone, batch_key, item) for item in items])

    show_items(shown)
    items = await throw_away()
    show_items(list((Counter(items) - Counter(shown)).elements()))
    return len(items)


async def _discard(run: Invocation, person: str, chat: str | None) -> None:
    async with run.store() as (store, _):
        steps = Steps("batch", "discarded")
        with counting(run.out, steps), printing(run, lambda: {"phone": person}) as show:
            for batch_key in await find_batch_keys(store, person, chat):
                steps.add(await discard_batch(store, batch_key, show) > 0)
            if not steps.count:
                raise nothing_pending(person, chat, store.address)


@contextmanager
def printing(run: Invocation, summarize: Callable[[], Mapping[str, Any]]) -> Iterator[Show]:
    """Print the messages of one person as tables, or as JSON, with the summary behind them."""
    if run.is_json:
        with run.out.open_array("discarded", summarize) as add:
            yield lambda messages: _add_each(
                add, (msgspec.Raw(as_strict_json(message.item)) for message in messages)
            )
        return
    headings = ("received", "id", "discarded")
    yield lambda messages: run.out.table(headings, map(_row, messages))


def _row(discarded: Discarded) -> tuple[str, ...]:
    message = decode_item(discarded.item)
    return format_time_of_day(message.receivedAt), message.messageId, message.text
