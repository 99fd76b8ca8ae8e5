"""`rfctl dead`: the merged messages that a sink did not take at any try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from rfctl.assembly.sinks import forwarded_sinks
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.merged_json import merged_as_json
from rfctl.cli.message_id import check_id, check_only_one
from rfctl.cli.prompt import ask
from rfctl.cli.sink_name import unknown
from rfctl.config.settings import Settings
from rfctl.errors import ANSWER_IS_NO, NothingFoundError, UsageError
from rfctl.store.connection import RedisAddress
from rfctl.store.dead_letters import DeadLetter, DeadLetters
from rfctl.text import counted

app = typer.Typer(help="Merged messages that a sink did not take at any try.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="A dead one's id, or its message's.")]
OneSink = Annotated[str, typer.Option("--sink", help="Only those of this sink.")]
Every = Annotated[bool, typer.Option("--all", help="All of them.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    sink: OneSink = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")] = 50,
) -> None:
    """List the newest dead messages, the newest last.

    Examples:  rfctl dead list  |  rfctl dead list --sink crm --limit 10  |  rfctl dead list -o jsonl | jq .
    """
    run_async(_list(invocation(ctx), sink, limit))


@app.command("show")
def show(ctx: typer.Context, message: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show a dead message and what went wrong at every try.

    Examples:  rfctl dead show 1758000000000-0
    """
    run_async(_show(invocation(ctx), message))


@app.command("retry")
def retry(
    ctx: typer.Context, ids: Ids = None, every: Every = False, sink: OneSink = "", yes: Yes = False
) -> None:
    """Send dead messages again to their sink, with all tries before them.

    Examples:  rfctl dead retry 1758000000000-0  |  rfctl dead retry --all --sink crm --yes
    """
    _check_choice(ids, every=every, sink=sink, verb="retry")
    if every:
        ask(f"send {_all_of(sink)} again", yes=yes)
    run_async(_retry(invocation(ctx), ids or [], sink))


@app.command("drop")
def drop(
    ctx: typer.Context, ids: Ids = None, every: Every = False, sink: OneSink = "", yes: Yes = False
) -> None:
    """Throw dead messages away and print what was thrown away.

    Examples:  rfctl dead drop 1758000000000-0  |  rfctl dead drop --all --sink crm --yes
    """
    _check_choice(ids, every=every, sink=sink, verb="drop")
    if every:
        ask(f"throw {_all_of(sink)} away", yes=yes)
    run_async(_drop(invocation(ctx), ids or [], sink))


def _check_choice(ids: list[str] | None, *, every: bool, sink: str, verb: str) -> None:
    if bool(ids) == every:
        raise UsageError("name ids, or --all", next="rfctl dead list shows them")
    if sink and not every:
        raise UsageError("--sink goes with --all", next=f"rfctl dead {verb} --all --sink {sink}")
    for one in ids or []:
        check_id(one)


def _all_of(sink: str) -> str:
    return f"every dead message of {sink}" if sink else "every dead message"


async def _list(run: Invocation, sink: str, limit: int) -> None:
    async with run.store() as (store, _):
        found = await store.dead_letters.newest(limit, sink)
        if run.json:
            run.emit_rows(_as_data(one) for one in found)
        elif found:
            _table(found)
        if not found:
            raise _none_of(sink, store.address)


async def _show(run: Invocation, written: str) -> None:
    async with run.store() as (store, _):
        found = await _named(store.dead_letters, [check_id(written)], store.address)
        if run.json:
            run.emit_rows(_in_full(one) for one in found)
            return
        for one in found:
            _facts(one)


async def _retry(run: Invocation, ids: Sequence[str], sink: str) -> int:
    async with run.store() as (store, configuration):
        room = store.dead_letters
        if ids:
            chosen = await _named(room, ids, store.address)
            _check_sinks(chosen, configuration.settings)
        else:
            chosen = await _every(room, sink, store.address)
        known = forwarded_sinks(configuration.settings)
        left = [one for one in chosen if one.sink not in known]
        sent = [one for one in chosen if one.sink in known and await room.retry(one)]
        _say_sent(run, sent, left)
    return ANSWER_IS_NO if left else 0


async def _drop(run: Invocation, ids: Sequence[str], sink: str) -> None:
    async with run.store() as (store, _):
        room = store.dead_letters
        named = _named(room, ids, store.address) if ids else _every(room, sink, store.address)
        dropped = [one for one in await named if await room.drop(one)]
        if run.json:
            run.emit({"dropped": [_in_full(one) for one in dropped]})
        else:
            _table(dropped, "dropped")
            typer.echo(f"rfctl: {counted(len(dropped), 'dead message')} thrown away", err=True)


async def _named(room: DeadLetters, ids: Sequence[str], address: RedisAddress) -> list[DeadLetter]:
    """Return what the ids name, each once. Raises NothingFoundError before anything was done."""
    found: dict[str, DeadLetter] = {}
    missing: list[str] = []
    for written in ids:
        those = await room.named(written)
        check_only_one(written, [one.message_id for one in those])
        found |= {one.id: one for one in those}
        missing += [] if those else [written]
    if missing:
        raise NothingFoundError(
            f"not among the dead of {address.shown()}: {', '.join(missing)}",
            set_by=address.set_by,
            next="rfctl dead list",
        )
    return list(found.values())


async def _every(room: DeadLetters, sink: str, address: RedisAddress) -> list[DeadLetter]:
    found = [one async for one in room.each(sink)]
    if not found:
        raise _none_of(sink, address)
    return found


def _none_of(sink: str, address: RedisAddress) -> NothingFoundError:
    whose = f"of sink {sink} " if sink else ""
    return NothingFoundError(f"no message {whose}is dead in {address.shown()}", set_by=address.set_by)


def _check_sinks(chosen: Iterable[DeadLetter], settings: Settings) -> None:
    known = forwarded_sinks(settings)
    for one in chosen:
        if one.sink not in known:
            raise unknown(one.sink, known)


def _say_sent(run: Invocation, sent: list[DeadLetter], left: list[DeadLetter]) -> None:
    from rfctl.cli import output as render

    if run.json:
        run.emit({"sent_again": [_as_data(one) for one in sent], "left": [_as_data(one) for one in left]})
    elif sent:
        _table(sent, "sent again")
    for name in sorted({one.sink for one in left}):
        count = sum(one.sink == name for one in left)
        text = f"rfctl: {counted(count, 'message')} left: there is no sink {name}"
        render.console(stderr=True).print(render.safe(text))


def _table(found: Sequence[DeadLetter], heading: str = "id") -> None:
    from rfctl.cli import output as render

    rows = [
        (
            one.id,
            render.rfc3339(one.died_ms) or "",
            one.sink,
            one.message_id,
            one.entry.merged.phone,
            str(len(one.attempts)),
            one.attempts[-1].error if one.attempts else "",
            one.entry.merged.text,
        )
        for one in found
    ]
    headings = (heading, "since", "sink", "message id", "phone", "tries", "last error", "message")
    render.console().print(render.table(headings, rows, right=frozenset({5})))


def _facts(one: DeadLetter) -> None:
    from rfctl.cli import output as render

    merged = one.entry.merged
    out = render.console()
    lines = [
        ("id", one.id),
        ("since", render.rfc3339(one.died_ms) or ""),
        ("sink", one.sink),
        ("message id", one.message_id),
        ("phone", merged.phone),
        ("company", merged.company or "-"),
        ("source", merged.channel),
        ("reason", f"{merged.reason}, {counted(merged.count, 'message')}"),
        ("message", merged.text),
    ]
    out.print(render.facts(lines))
    attempts = [
        (str(place), render.rfc3339(a_try.at_ms) or "", a_try.error)
        for place, a_try in enumerate(one.attempts, 1)
    ]
    out.print(render.table(("try", "at", "what went wrong"), attempts, right=frozenset({0})))


def _as_data(one: DeadLetter) -> dict[str, Any]:
    from rfctl.cli.output import rfc3339

    merged = one.entry.merged
    return {
        "id": one.id,
        "since": rfc3339(one.died_ms),
        "sink": one.sink,
        "message_id": one.message_id,
        "phone": merged.phone,
        "tries": len(one.attempts),
        "last_error": one.attempts[-1].error if one.attempts else None,
        "text": merged.text,
    }


def _in_full(one: DeadLetter) -> dict[str, Any]:
    from rfctl.cli.output import rfc3339

    attempts = [{"at": rfc3339(a_try.at_ms), "error": a_try.error} for a_try in one.attempts]
    return {**_as_data(one), "history": attempts, "merged": merged_as_json(one.entry.merged)}
