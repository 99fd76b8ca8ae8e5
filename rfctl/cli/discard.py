"""`rfctl discard`: throw a person's pending batches away, and print them."""

from __future__ import annotations

import msgspec
import typer

from rfctl.cli.arguments import (
    AllBatches,
    Chat,
    PhoneOrAll,
    Yes,
    ask,
    check_phone_or_all,
    find_batch_keys,
    nothing_pending,
    parse_person,
)
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.output import format_time_of_day
from rfctl.model.stored import as_strict_json, decode_item
from rfctl.text import counted


def discard(
    ctx: typer.Context,
    phone: PhoneOrAll = None,
    chat: Chat = None,
    every: AllBatches = False,
    yes: Yes = False,
) -> None:
    """Throw away all that is pending for a person, and print it.

    With --all, throw away every pending batch and print how many there were.

    Examples:  rfctl discard 79001234567  |  rfctl discard --all --yes
    """
    check_phone_or_all(phone, every=every, command="discard")
    run = invocation(ctx)
    if phone is None:
        ask("throw away every pending batch", yes=yes)
        run_async(_discard_all(run))
    else:
        run_async(_discard(run, parse_person(phone), chat))


async def _discard_all(run: Invocation) -> None:
    async with run.store() as (store, _):
        count = await store.batches.discard_all()
        if run.is_json:
            run.out.json({"batches": count, "done": "discarded"})
        else:
            run.out.text(f"{counted(count, 'batch')} discarded")


async def _discard(run: Invocation, person: str, chat: str | None) -> None:
    async with run.store() as (store, _):
        keys = await find_batch_keys(store, person, chat)
        items = [item for key in keys for item in await store.batches.discard(key)]
        if not items:
            raise nothing_pending(person, chat, store.address)
    if run.is_json:
        run.out.json({"phone": person, "discarded": [msgspec.Raw(as_strict_json(item)) for item in items]})
        return
    messages = [decode_item(item) for item in items]
    rows = [(format_time_of_day(message.receivedAt), message.messageId, message.text) for message in messages]
    run.out.table(("received", "id", "discarded"), rows)
