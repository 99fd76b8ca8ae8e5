"""`rfctl flush`: hand a person's batches over now."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
from rfctl.store import Store
from rfctl.text import counted


@dataclass(frozen=True, slots=True)
class _Flushed:
    """One batch that was handed over: its key, and the merged message's id and count."""

    batch_key: str
    id: str
    count: int


def flush(
    ctx: typer.Context,
    phone: PhoneOrAll = None,
    chat: Chat = None,
    every: AllBatches = False,
    yes: Yes = False,
) -> None:
    """Hand over all that is pending for a person now.

    Examples:  rfctl flush 79001234567  |  rfctl flush 79001234567 --chat ""  |  rfctl flush --all --yes
    """
    check_phone_or_all(phone, every=every, command="flush")
    run = invocation(ctx)
    if phone is None:
        ask("hand over every pending batch", yes=yes)
        run_async(_flush_all(run))
    else:
        run_async(_flush(run, parse_person(phone), chat))


async def _flush_all(run: Invocation) -> None:
    async with run.store() as (store, _):
        count = await _drain(store)
        if run.is_json:
            run.out.json({"batches": count, "done": "handed over"})
        else:
            run.out.text(f"{counted(count, 'batch')} handed over")


async def _drain(store: Store) -> int:
    count = 0
    while True:
        answer = await store.batches.drain("flush")
        count += answer.batches
        if not answer.more:
            return count


async def _flush(run: Invocation, person: str, chat: str | None) -> None:
    async with run.store() as (store, _):
        answers = {key: await store.batches.flush(key) for key in await find_batch_keys(store, person, chat)}
        # A batch that has left meanwhile has no answer.
        batches = [_Flushed(key, *answer) for key, answer in answers.items() if answer is not None]
        if not batches:
            raise nothing_pending(person, chat, store.address)
    _report(run, person, batches)


def _report(run: Invocation, person: str, batches: list[_Flushed]) -> None:
    count = sum(batch.count for batch in batches)
    if run.is_json:
        as_json = [asdict(batch) for batch in batches]
        run.out.json({"phone": person, "id": batches[0].id, "count": count, "batches": as_json})
        return
    ids = ", ".join(batch.id or "nothing: they say nothing, and were dropped" for batch in batches)
    several = f" in {counted(len(batches), 'batch')}" if len(batches) > 1 else ""
    run.out.text(f"{person}: {counted(count, 'message')}{several} handed over as {ids}")
