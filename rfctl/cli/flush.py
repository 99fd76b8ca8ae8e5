"""`rfctl flush`: hand a person's batches over now, or clear them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from rfctl.cli.arguments import Chat, batch_names, nothing_pending, person
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.prompt import ask
from rfctl.errors import UsageError
from rfctl.model.stored import decode_item
from rfctl.store import Store
from rfctl.text import counted


@dataclass(frozen=True, slots=True)
class _Flushed:
    """One batch that was handed over: its key, and the merged message's id and count."""

    key: str
    id: str
    count: int


def flush(
    ctx: typer.Context,
    phone: Annotated[
        str | None, typer.Argument(help="The person, in any spelling, or the key that stats shows.")
    ] = None,
    chat: Chat = None,
    discard: Annotated[
        bool, typer.Option("--discard", help="Clear what is pending and print what it was.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Every pending batch.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Hand all that is pending of a person over now, without waiting; or throw it away.

    Examples:  rfctl flush 79001234567  |  rfctl flush 79001234567 --discard  |  rfctl flush --all --yes
    """
    if (phone is None) == (not every):
        raise UsageError("name one phone, or --all", next="rfctl flush 79001234567")
    run = invocation(ctx)
    if phone is None:
        run_async(_flush_all(run, discard=discard, yes=yes))
    else:
        run_async(_flush(run, person(phone), chat, discard=discard))


async def _flush_all(run: Invocation, *, discard: bool, yes: bool) -> None:
    async with run.store() as (store, _):
        count = await _every(store, discard=discard, yes=yes)
        what = "discarded" if discard else "handed over"
        _say(run, {"batches": count, "done": what}, f"{counted(count, 'batch')} {what}")


async def _flush(run: Invocation, who: str, chat: str | None, *, discard: bool) -> None:
    async with run.store() as (store, _):
        names = await batch_names(store, who, chat)
        if discard:
            items = [item for name in names for item in await store.batches.discard(name)]
            if items:
                _print_discarded(run, who, items)
                return
        elif flushed := await _hand_over(store, names):
            _say_flushed(run, who, flushed)
            return
        raise nothing_pending(who, chat, store.address)


async def _hand_over(store: Store, names: list[str]) -> list[_Flushed]:
    """Hand batches over; one that has left meanwhile is not among the answers."""
    left = {name: await store.batches.flush(name) for name in names}
    return [_Flushed(name, *answer) for name, answer in left.items() if answer is not None]


async def _every(store: Store, *, discard: bool, yes: bool) -> int:
    what = "throw away" if discard else "hand over"
    ask(f"{what} every pending batch", yes=yes)
    if discard:
        return await store.batches.discard_all()
    count = 0
    while True:
        done = await store.batches.drain("flush")
        count += done.batches
        if not done.more:
            return count


def _say_flushed(run: Invocation, who: str, flushed: list[_Flushed]) -> None:
    count = sum(one.count for one in flushed)
    ids = ", ".join(one.id for one in flushed)
    many = f" in {counted(len(flushed), 'batch')}" if len(flushed) > 1 else ""
    data = {"phone": who, "id": flushed[0].id, "count": count, "batches": [asdict(one) for one in flushed]}
    _say(run, data, f"{who}: {counted(count, 'message')}{many} handed over as {ids}")


def _print_discarded(run: Invocation, who: str, items: list[bytes]) -> None:
    import msgspec

    from rfctl.cli import output as render

    if run.json:
        run.emit({"phone": who, "discarded": [msgspec.Raw(item) for item in items]})
        return
    messages = [decode_item(item) for item in items]
    rows = [(render.clock(one.receivedAt), one.messageId, one.text) for one in messages]
    render.console().print(render.table(("received", "id", "discarded"), rows))


def _say(run: Invocation, data: dict[str, object], text: str) -> None:
    from rfctl.cli import output as render

    if run.json:
        run.emit(data)
    else:
        render.console().print(render.safe(text))
