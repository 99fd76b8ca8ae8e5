"""`rfctl flush`: hand a batch over now, or clear it."""

from __future__ import annotations

from typing import Annotated

import typer

from rfctl.batches import Batches
from rfctl.cli.consent import ask
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.person import Chat, batch_name
from rfctl.errors import NothingFoundError, UsageError
from rfctl.message import decode_item
from rfctl.text import counted


def flush(
    ctx: typer.Context,
    phone: Annotated[
        str | None, typer.Argument(help="The person, in any spelling, or the key that stats shows.")
    ] = None,
    chat: Chat = "",
    discard: Annotated[
        bool, typer.Option("--discard", help="Clear the batch and print what was in it.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Every pending batch.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Hand a person's batch over now, without waiting; or throw it away.

    Examples:  rfctl flush 79001234567  |  rfctl flush 79001234567 --discard  |  rfctl flush --all --yes
    """
    if (phone is None) == (not every):
        raise UsageError("name one phone, or --all", next="rfctl flush 79001234567")
    run_async(_flush(ctx, None if phone is None else batch_name(phone, chat), discard=discard, yes=yes))


async def _flush(ctx: typer.Context, name: str | None, *, discard: bool, yes: bool) -> None:
    from rfctl.cli import render

    run = invocation(ctx)
    async with run.batches() as (connection, batches, _):
        if name is None:
            count = await _every(batches, discard=discard, yes=yes)
            what = "discarded" if discard else "handed over"
            _say(run, {"batches": count, "done": what}, f"{counted(count, 'batch')} {what}")
            return
        if discard:
            items = await batches.discard(name)
            if items:
                _print_discarded(run, name, items)
                return
        elif (left := await batches.flush(name)) is not None:
            text = f"{render.safe(name)}: {counted(left[1], 'message')} handed over as {left[0]}"
            _say(run, {"phone": name, "id": left[0], "count": left[1]}, text)
            return
        where = connection.address
        raise NothingFoundError(f"{name} has no pending messages in {where.shown()}", set_by=where.set_by)


async def _every(batches: Batches, *, discard: bool, yes: bool) -> int:
    what = "throw away" if discard else "hand over"
    ask(f"{what} every pending batch", yes=yes)
    if discard:
        return await batches.discard_all()
    count = 0
    while True:
        done = await batches.hand_over(everything="flush")
        count += done.batches
        if not done.more:
            return count


def _print_discarded(run: Invocation, phone: str, items: list[bytes]) -> None:
    import msgspec

    from rfctl.cli import render

    if run.json:
        run.emit({"phone": phone, "discarded": [msgspec.Raw(item) for item in items]})
        return
    messages = [decode_item(item) for item in items]
    rows = [(render.clock(one.receivedAt), one.messageId, one.text) for one in messages]
    render.console().print(render.table(("received", "id", "discarded"), rows))


def _say(run: Invocation, data: dict[str, object], text: str) -> None:
    from rfctl.cli import render

    if run.json:
        run.emit(data)
    else:
        render.console().print(text)
