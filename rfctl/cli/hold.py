"""`rfctl hold`, `rfctl release` and `rfctl held`: a person on our side takes over, and gives back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rfctl.cli.arguments import Phone
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.daemon_options import use_daemon_options
from rfctl.cli.discard import Show, printing, show_what_goes
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError, UsageError
from rfctl.observe.person.sight import is_batch_key, parse_person
from rfctl.observe.person.words import describe_release, hold_as_json
from rfctl.store import Store
from rfctl.store.holds import LONGEST_HOLD_MS, Hold, Released
from rfctl.text import counted
from rfctl.text import duration as duration_words
from rfctl.timing import format_rfc3339, parse_duration_ms

Account = Annotated[
    str, typer.Option("--account", help="Only what was sent to this account, where batching.split_by has it.")
]
Company = Annotated[
    str, typer.Option("--company", help="Only what is this company's, where batching.split_by has it.")
]


def hold(
    ctx: typer.Context,
    phone: Phone,
    duration: Annotated[str, typer.Option("--for", help="How long: 90s, 30m, 2h or 7d.")] = "24h",
    note: Annotated[str, typer.Option("--note", help="Why, for whoever looks.")] = "",
    chat: Annotated[str, typer.Option("--chat", help="In this group or thread, not one to one.")] = "",
    account: Account = "",
    company: Company = "",
) -> None:
    """Keep a person from the bot for a while: somebody on your side talks to them.

    What they send is stored, and goes to the bot when the hold ends. A person who is held already is held until the new time instead.

    Examples:  rfctl hold 79001234567 --for 2h --note "we talk"  |  rfctl release 79001234567
    """
    for_ms = parse_hold_ms(duration)
    where = {"chat": chat, "account": account, "company": company}
    run_async(_hold(invocation(ctx), parse_person(phone), for_ms, note, where))


def release(
    ctx: typer.Context,
    phone: Phone,
    discard: Annotated[
        bool, typer.Option("--discard", help="Print what came meanwhile, and throw it away.")
    ] = False,
) -> None:
    """End the hold of a person, and hand over what came meanwhile as one.

    Examples:  rfctl release 79001234567  |  rfctl release 79001234567 --discard
    """
    run_async(_release(invocation(ctx), parse_person(phone), discard=discard))


def held(ctx: typer.Context) -> None:
    """List who is held, until when, by whom and why."""
    run_async(_list_held(invocation(ctx)))


def parse_hold_ms(text: str) -> int:
    """Return a duration in ms. Raises UsageError."""
    for_ms = parse_duration_ms(text)
    if for_ms is None or not 1000 <= for_ms <= LONGEST_HOLD_MS:
        raise UsageError(f"--for {text} is no time from 1s to 30d", next="write 90s, 30m, 2h or 7d")
    return for_ms


async def _hold(run: Invocation, person: str, for_ms: int, note: str, where: dict[str, str]) -> None:
    async with run.store() as (store, configuration):
        await use_daemon_options(run, store, configuration.settings)
        batch_keys = await _name_batches(store, configuration.settings, person, where)
        holds = await hold_batches(store, batch_keys, person, for_ms, note)
    if run.is_json:
        run.out.json({"phone": person, "held": [hold_as_json(hold) for hold in holds]})
        return
    run.out.text(f"{person} {describe_held(holds)}")


async def hold_batches(
    store: Store, batch_keys: Sequence[str], person: str, for_ms: int, note: str
) -> list[Hold]:
    """Hold these batches of a person from now on for so many ms. Raises RfctlError."""
    return [
        await store.holds.hold(
            key, await _find_phone(store, key, person), for_ms=for_ms, by="operator", note=note
        )
        for key in batch_keys
    ]


def describe_held(holds: Sequence[Hold]) -> str:
    """Say until when a person is held, and with how many messages."""
    pending = sum(hold.size for hold in holds)
    kept = f", with {counted(pending, 'pending message')}" if pending else ""
    return f"is held until {format_rfc3339(holds[0].until_ms)}{kept}"


async def _find_phone(store: Store, batch_key: str, person: str) -> str:
    """Return whose a batch is; an operator may have named it by its key."""
    if not is_batch_key(person):
        return person
    batch = await store.batches.peek(batch_key)
    return person if batch is None else batch.phone


async def _name_batches(store: Store, settings: Settings, person: str, where: dict[str, str]) -> list[str]:
    if is_batch_key(person):
        return [person]
    split_by = settings.batching.split_by
    batch_keys = await store.holds.name_batches(person, split_by, **where)
    if not batch_keys:
        missing = " and ".join(f"--{name}" for name in split_by if not where[name])
        raise NothingFoundError(
            f"{person} has no pending batch, and batching.split_by keeps batches apart", next=f"add {missing}"
        )
    return batch_keys


async def _release(run: Invocation, person: str, *, discard: bool) -> None:
    async with run.store() as (store, configuration):
        await use_daemon_options(run, store, configuration.settings)
        if discard:
            await _release_and_discard(run, store, person)
            return
        batches = await release_person(store, person)
    if run.is_json:
        run.out.json(_sum_up(person, batches, discard=False))
    else:
        run.out.text(f"{person} {describe_released(batches, discard=False)}")


async def _release_and_discard(run: Invocation, store: Store, person: str) -> None:
    batches: list[Released] = []
    with printing(run, lambda: _sum_up(person, batches, discard=True)) as show:
        batches += await release_person(store, person, show)
    if not run.is_json:
        run.out.text(f"{person} {describe_released(batches, discard=True)}")


async def release_person(store: Store, person: str, show: Show | None = None) -> list[Released]:
    """End each hold of a person or of a batch key, and hand over what came meanwhile; or `show` it, and throw it away.

    Raises NothingFoundError if there is none, and RfctlError.
    """
    batches: list[Released] = []
    for hold in await store.holds.find(person):
        if show is None:
            answer = await store.holds.release(hold.batch_key, hold.phone)
        else:
            answer = await _discard_held(store, hold, show)
        if answer is not None:  # else somebody has released it meanwhile
            batches.append(answer)
    if not batches:
        raise NothingFoundError(f"{person} is not held", next="`rfctl held` lists who is")
    return batches


async def _discard_held(store: Store, hold: Hold, show: Show) -> Released | None:
    answer: Released | None = None

    async def throw_away() -> list[bytes]:
        nonlocal answer
        answer = await store.holds.release(hold.batch_key, hold.phone, "discard")
        return [] if answer is None else answer.discarded

    await show_what_goes(store, hold.batch_key, show, throw_away)
    return answer


def _sum_up(person: str, batches: Sequence[Released], *, discard: bool) -> dict[str, Any]:
    rows = [{"batch_key": batch.batch_key, "ids": batch.ids, "count": batch.count} for batch in batches]
    done, count = "discarded" if discard else "handed over", sum(batch.count for batch in batches)
    return {"phone": person, "done": done, "count": count, "batches": rows}


def describe_released(batches: Sequence[Released], *, discard: bool) -> str:
    """Say that a person is released, and what became of what came meanwhile."""
    done, count = "discarded" if discard else "handed over", sum(batch.count for batch in batches)
    ids = ", ".join(entry_id for batch in batches for entry_id in batch.ids)
    what = f"{counted(count, 'message')} {done}" if count else "nothing was pending"
    return f"is released: {what}{f' as {ids}' if ids else ''}"


async def _list_held(run: Invocation) -> None:
    async with run.store() as (store, _):
        holds, now_ms = await store.holds.list_held(), await store.now_ms()
    if run.output == "jsonl":
        run.out.rows(map(hold_as_json, holds))
    elif run.is_json:
        run.out.json({"held": [hold_as_json(hold) for hold in holds]})
    elif not holds:
        run.out.text("nobody is held")
    else:
        rows = (
            (
                hold.phone or hold.batch_key,
                duration_words(hold.until_ms - now_ms),
                hold.by,
                str(hold.size),
                hold.note,
            )
            for hold in holds
        )
        run.out.table(("phone", "ends in", "by", "messages", "note"), rows)
        run.out.text(f"`{describe_release(holds[0])}` ends the first of these")
