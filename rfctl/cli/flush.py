"""`rfctl flush`: hand a person's batches over now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import typer

from rfctl.cli.arguments import AllBatches, Chat, PhoneOrAll, ask, check_phone_or_all, nothing_pending
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.daemon_options import use_daemon_options
from rfctl.cli.shared_options import Yes
from rfctl.cli.steps import Steps, counting, passing_over
from rfctl.errors import ANSWER_IS_NO
from rfctl.observe.person.sight import find_batch_keys, parse_person
from rfctl.store import Store
from rfctl.text import counted


@dataclass(frozen=True, slots=True)
class Flushed:
    """One batch that was handed over: its key, and the merged message's id and count.

    The id is None where the messages said nothing: then nothing is sent.
    """

    batch_key: str
    id: str | None
    count: int


def flush(
    ctx: typer.Context,
    phone: PhoneOrAll = None,
    chat: Chat = None,
    every: AllBatches = False,
    yes: Yes = False,
) -> None:
    """Hand over all that is pending for a person now.

    With --all, hand over every batch that is pending when the command begins.

    Examples:  rfctl flush 79001234567  |  rfctl flush 79001234567 --chat ""  |  rfctl flush --all --yes
    """
    check_phone_or_all(phone, every=every, command="flush")
    run = invocation(ctx)
    if phone is None:
        run_async(_flush_all(run, yes=yes))
    else:
        run_async(_flush(run, parse_person(phone), chat))


async def _flush_all(run: Invocation, *, yes: bool) -> int:
    async with run.store() as (store, configuration):
        count = await store.pending_keys.count()
        ask(f"hand over {counted(count, 'pending batch')}", yes=yes)
        await use_daemon_options(run, store, configuration.settings)
        steps = Steps("batch", "handed over")
        with counting(run.out, steps):
            await _hand_over_all(run, store, count, steps)
        if run.is_json:
            run.out.json({"batches": steps.count, "done": "handed over"})
        else:
            run.out.text(steps.line())
        if held := (await store.holds.count()).count:
            step = "rfctl held lists them, rfctl release PHONE hands over"
            run.out.note(f"held, and left as they are: {counted(held, 'batch')}; {step}")
    return ANSWER_IS_NO if steps.left else 0


async def _hand_over_all(run: Invocation, store: Store, count: int, steps: Steps) -> None:
    """Hand over what is pending now, and end however many messages come in meanwhile."""
    began_ms = await store.now_ms()
    while steps.count < count:
        answer = await store.batches.drain("flush")
        steps.add(answer.batches)
        if not answer.more:
            return
    # What is due late stands behind what has come since.
    async for batch_key in store.pending_keys.iterate():
        with passing_over(run.out, steps, batch_key):
            batch = await store.batches.peek(batch_key)
            if batch is not None and batch.messages[0].receivedAt < began_ms:
                steps.add(await store.batches.flush(batch_key) is not None)


async def _flush(run: Invocation, person: str, chat: str | None) -> None:
    async with run.store() as (store, configuration):
        batch_keys = await find_batch_keys(store, person, chat)
        if batch_keys:
            await use_daemon_options(run, store, configuration.settings)
        steps = Steps("batch", "handed over")
        with counting(run.out, steps):
            batches = await flush_batches(store, batch_keys, steps)
        if not batches:
            raise nothing_pending(person, chat, store.address)
    _report(run, person, batches)


async def flush_batches(store: Store, batch_keys: Sequence[str], steps: Steps) -> list[Flushed]:
    """Hand over each of these batches that is still pending, and count it. Raises RfctlError."""
    batches = []
    for batch_key in batch_keys:
        answer = await store.batches.flush(batch_key)
        if answer is not None:  # else it has left meanwhile
            batches.append(Flushed(batch_key, answer[0] or None, answer[1]))
            steps.add()
    return batches


def _report(run: Invocation, person: str, batches: list[Flushed]) -> None:
    if run.is_json:
        count = sum(batch.count for batch in batches)
        as_json = [asdict(batch) for batch in batches]
        run.out.json({"phone": person, "id": batches[0].id, "count": count, "batches": as_json})
    else:
        run.out.text(f"{person}: {describe_flushed(batches)}")


def describe_flushed(batches: Sequence[Flushed]) -> str:
    """Say how many messages of a person were handed over, and as what."""
    count = sum(batch.count for batch in batches)
    ids = ", ".join(batch.id for batch in batches if batch.id)
    several = f" in {counted(len(batches), 'batch')}" if len(batches) > 1 else ""
    what = f"handed over as {ids}" if ids else "dropped: they say nothing that could be sent"
    return f"{counted(count, 'message')}{several} {what}"
