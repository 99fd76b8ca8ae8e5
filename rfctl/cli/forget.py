"""`rfctl forget PHONE`: remove all of a person from Redis, and say what stays and until when."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import Phone, ask, nothing_pending
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.shared_options import Yes
from rfctl.config.settings import Settings
from rfctl.errors import ANSWER_IS_NO, UsageError
from rfctl.observe.person.sight import is_batch_key, parse_person
from rfctl.sources.registry import GENERIC
from rfctl.store import Forgetting, Forgotten, History, Store
from rfctl.store.whereabouts import SEARCHED
from rfctl.text import counted, duration
from rfctl.timing import format_rfc3339

_LOOK_AGAIN_S = 0.2
_UNSEARCHED = (
    f"not looked through: what lies beyond {SEARCHED:,} entries of the quarantine, the output stream, the dead letters or a "
    "sink's queue, which rfctl stats counts; empty what is so long (rfctl quarantine drop, rfctl dead drop), and run it again"
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Whom to forget, and how."""

    phone: str
    with_stream: bool
    wait_s: float
    is_dry_run: bool
    yes: bool


def forget(
    ctx: typer.Context,
    phone: Phone,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Delete entries of the output stream too: nobody reads them any more."),
    ] = False,
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=0, max=3600, help="How long to wait for attempts on their way, seconds."),
    ] = 10.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what there is, and change nothing.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Remove all of a person from Redis, and say what stays and until when.

    That is what is pending, undelivered, dead, quarantined or in the delivery log, and their second ids.
    What a worker may have in hand at this moment is waited for, as what is on its way to a sink.

    Examples:  rfctl forget 79001234567 --dry-run  |  rfctl forget 79001234567 --stream --yes
    """
    person = parse_person(phone)
    if is_batch_key(person):
        raise UsageError(f"{person} is a batch key, not a phone", next="name the phone")
    run_async(_forget(invocation(ctx), _Plan(person, stream, wait_s, dry_run, yes)))


async def _forget(run: Invocation, plan: _Plan) -> int:
    async with run.store() as (store, configuration):
        settings = configuration.settings
        pending, history = await _look(store, plan.phone, list(list_forwarded_sinks(settings)))
        here = _count(pending, history)
        channels = {*settings.sources, GENERIC, *(message.merged.channel for message in history.handed)}
        forgetting = store.people.forgetting(plan.phone, list(list_forwarded_sinks(settings)), channels)
        if plan.is_dry_run:
            _show_plan(run, plan, here, history)
            return 0
        ask(f"forget {plan.phone}: {_list(here) or 'second ids, if there are any'}", yes=plan.yes)
        done = await _forget_all(forgetting, plan)
        if done.complete and not (done.counts.total() or done.in_stream or done.on_its_way):
            raise nothing_pending(plan.phone, None, store.address, everywhere=True)
    _report(run, plan, done, settings, history)
    return ANSWER_IS_NO if done.on_its_way or not done.complete else 0


async def _look(store: Store, phone: str, sinks: list[str]) -> tuple[int, History]:
    batch_keys = await store.batches.find_batches(phone)
    batches = [await store.batches.peek(key) for key in batch_keys]
    pending = sum(len(batch.messages) for batch in batches if batch is not None)
    return pending, await store.people.find_history(sinks, phone, batch_keys)


def _count(pending: int, history: History) -> Counter[str]:
    undelivered = history.person.whereabouts.undelivered
    return Counter(
        {
            "pending message": pending,
            "undelivered message": sum(message.state != "unread" for message in undelivered)
            + sum(message.is_again for message in history.person.unread),
            "dead letter": len(history.person.whereabouts.dead),
            "request in quarantine": len(history.quarantined),
            "entry of the delivery log": len(history.logged),
            "entry of the output stream": len(history.handed),
        }
    )


async def _forget_all(forgetting: Forgetting, plan: _Plan) -> Forgotten:
    """Forget until nothing is on its way, or the time is over."""
    ends_at = asyncio.get_running_loop().time() + plan.wait_s
    done = await forgetting.forget(with_stream=plan.with_stream)
    while done.on_its_way and asyncio.get_running_loop().time() < ends_at:
        await asyncio.sleep(_LOOK_AGAIN_S)
        again = await forgetting.forget(with_stream=plan.with_stream)
        again.counts.update(done.counts)
        done = again
    return done


def _list(counts: Counter[str]) -> str:
    return ", ".join(_counted(count, kind) for kind, count in counts.items() if count)


def _counted(count: int, kind: str) -> str:
    noun, _, rest = kind.partition(" of the ")
    noun, _, place = noun.partition(" in ")
    tail = (f" in {place}" if place else "") + (f" of the {rest}" if rest else "")
    return counted(count, noun) + tail


def _show_plan(run: Invocation, plan: _Plan, here: Counter[str], history: History) -> None:
    if run.is_json:
        run.out.json(
            {"phone": plan.phone, "dry_run": True, "found": _as_fields(here), "complete": history.complete}
        )
    else:
        run.out.text(
            f"{plan.phone}: {_list(here) or 'nothing'}; second ids are looked for when it is forgotten"
        )
        if not history.complete:
            run.out.text(_UNSEARCHED)


def _as_fields(counts: Counter[str]) -> dict[str, int]:
    return {
        kind.replace(" of the ", " ").replace(" in ", " ").replace(" ", "_"): count
        for kind, count in counts.items()
    }


def _list_what_stays(done: Forgotten, settings: Settings, history: History) -> list[str]:
    stays = []
    if done.in_stream:
        newest_ms = max(int(message_id.partition("-")[0]) for message_id in done.in_stream)
        until = format_rfc3339(newest_ms + settings.output.retention_s * 1000)
        stays.append(
            f"{counted(len(done.in_stream), 'entry')} of the output stream until {until}, and until every group has "
            "acknowledged them: who has not read them yet gets them; --stream deletes them now"
        )
    unread = {item.sink for item in history.person.whereabouts.undelivered if item.state == "unread"}
    if unread and done.in_stream:
        stays.append(f"they are still to be delivered to {', '.join(sorted(unread))}")
    stays.append(
        f"hashes of message ids, which name nobody, for {duration(settings.batching.dedupe_s * 1000)}, and at workers for "
        "their remember_s; and what sinks, workers and logs have"
    )
    return stays


def _report(run: Invocation, plan: _Plan, done: Forgotten, settings: Settings, history: History) -> None:
    stays = _list_what_stays(done, settings, history)
    left = [{"sink": message.sink, "id": message.id} for message in done.on_its_way]
    if run.is_json:
        answer: dict[str, Any] = {
            "phone": plan.phone,
            "dry_run": False,
            "forgotten": _as_fields(done.counts),
            "on_its_way": left,
            "in_stream": done.in_stream,
            "complete": done.complete,
            "stays": stays,
        }
        run.out.json(answer)
        return
    run.out.text(f"{plan.phone}: forgotten {_list(done.counts) or 'nothing'}")
    for line in stays:
        run.out.text(f"stays: {line}")
    for message in done.on_its_way:
        run.out.text(f"left: {message.id} may be on its way to {message.sink} at this moment; run it again")
    if not done.complete:
        run.out.text(_UNSEARCHED)
