"""`rfctl quarantine`: requests that were authentic and not understood."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.message_id import check_id
from rfctl.cli.prompt import ask
from rfctl.errors import ANSWER_IS_NO, NothingFoundError, UsageError
from rfctl.store import RedisAddress, Store
from rfctl.store.quarantine import Quarantine, QuarantinedRequest
from rfctl.text import counted

if TYPE_CHECKING:
    from rfctl.ingest.quarantine_retry import RetryResult

app = typer.Typer(help="Requests that were authentic and not understood.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="A request, by its id.")]
Every = Annotated[bool, typer.Option("--all", help="All of them.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")] = 50,
) -> None:
    """List the newest requests in quarantine, the newest last, and why they are there.

    Examples:  rfctl quarantine list  |  rfctl quarantine list --limit 10 -o json
    """
    run_async(_list(invocation(ctx), limit))


@app.command("show")
def show(ctx: typer.Context, request: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one request as it came, without the provider's secrets.

    Examples:  rfctl quarantine show 1758000000000-0
    """
    run_async(_show(invocation(ctx), check_id(request)))


@app.command("retry")
def retry(ctx: typer.Context, ids: Ids = None, every: Every = False) -> None:
    """Read requests again with today's settings: their messages are stored, what is still unclear stays.

    Examples:  rfctl quarantine retry 1758000000000-0  |  rfctl quarantine retry --all
    """
    _check_choice(ids, every=every)
    run_async(_retry(invocation(ctx), ids or []))


@app.command("drop")
def drop(
    ctx: typer.Context,
    ids: Ids = None,
    every: Every = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Throw requests away and print what was thrown away.

    Examples:  rfctl quarantine drop 1758000000000-0  |  rfctl quarantine drop --all --yes
    """
    _check_choice(ids, every=every)
    if every:
        ask("throw every request in quarantine away", yes=yes)
    run_async(_drop(invocation(ctx), ids or []))


def _check_choice(ids: list[str] | None, *, every: bool) -> None:
    if bool(ids) == every:
        raise UsageError("name ids, or --all", next="rfctl quarantine list shows them")
    for one in ids or []:
        check_id(one)


async def _list(run: Invocation, limit: int) -> None:
    async with run.store() as (store, _):
        found = await store.quarantine.list(limit)
        if run.json:
            run.emit_rows(_as_data(one) for one in found)
        elif found:
            _table(found)
        if not found:
            raise _none(store.address)


async def _show(run: Invocation, entry_id: str) -> None:
    from rfctl.cli import output as render

    async with run.store() as (store, _):
        [kept] = await _named(store.quarantine, [entry_id], store.address)
        if run.json:
            run.emit({**_as_data(kept), "body": _body(kept)})
            return
        out = render.console()
        out.print(render.facts(_facts(kept)))
        for line in (_pretty(kept.body) or _text(kept.body)).split("\n"):
            out.print(render.safe(line))


async def _retry(run: Invocation, ids: Sequence[str]) -> int:
    from rfctl.assembly.batching import build_rules
    from rfctl.assembly.sources import build_sources
    from rfctl.batching import Batcher
    from rfctl.ingest.quarantine_retry import QuarantineRetry

    async with run.store() as (store, configuration):
        settings = configuration.settings
        retrying = QuarantineRetry(
            store,
            Batcher(store, build_rules(settings)),
            build_sources(settings),
            settings.batching.placeholder,
        )
        done = [_told(await retrying.retry(kept)) async for kept in _chosen(store, ids)]
        _say(run, done)
    return ANSWER_IS_NO if any(one["problem"] for one in done) else 0


async def _drop(run: Invocation, ids: Sequence[str]) -> None:
    async with run.store() as (store, _):
        room, count = store.quarantine, 0
        with _printing(run) as show:
            async for kept in _chosen(store, ids):
                if await room.drop(kept.id):
                    show(kept)
                    count += 1
        if not run.json:
            typer.echo(f"rfctl: {counted(count, 'request')} thrown away", err=True)


@contextmanager
def _printing(run: Invocation) -> Iterator[Callable[[QuarantinedRequest], None]]:
    """Print each request as soon as it is thrown away: this is its last copy."""
    from rfctl.cli import output as render

    if run.json:
        with render.growing("dropped", pretty=run.output == "json") as add:
            yield lambda kept: add({**_as_data(kept), "body": _body(kept)})
        return
    out = render.console()

    def show(kept: QuarantinedRequest) -> None:
        row = (kept.id, kept.source, kept.why, _text(kept.body))
        out.print(render.table(("dropped", "source", "why", "body"), [row]))

    yield show


async def _chosen(store: Store, ids: Sequence[str]) -> AsyncIterator[QuarantinedRequest]:
    """Yield what the ids name, or without any all that is there now, one by one: a body may have megabytes.

    Raises NothingFoundError before anything is done.
    """
    room = store.quarantine
    if ids:
        for kept in await _named(room, ids, store.address):
            yield kept
        return
    if not await room.count():
        raise _none(store.address)
    async for kept in room.each():
        yield kept


async def _named(room: Quarantine, ids: Sequence[str], address: RedisAddress) -> list[QuarantinedRequest]:
    """Return what the ids name. Raises NothingFoundError before anything is done."""
    looked = {entry_id: await room.get(entry_id) for entry_id in ids}
    if missing := [entry_id for entry_id, kept in looked.items() if kept is None]:
        raise NothingFoundError(
            f"not in the quarantine of {address.shown()}: {', '.join(missing)}",
            set_by=address.set_by,
            next="rfctl quarantine list",
        )
    return [kept for kept in looked.values() if kept is not None]


def _none(address: RedisAddress) -> NothingFoundError:
    return NothingFoundError(f"nothing is in the quarantine of {address.shown()}", set_by=address.set_by)


def _table(found: Sequence[QuarantinedRequest]) -> None:
    from rfctl.cli import output as render

    rows = [
        (one.id, render.rfc3339(one.at_ms) or "", one.source, one.type, str(len(one.body)), one.why)
        for one in found
    ]
    headings = ("id", "came", "source", "type", "bytes", "why")
    render.console().print(render.table(headings, rows, right=frozenset({4})))


def _facts(kept: QuarantinedRequest) -> list[tuple[str, str]]:
    from rfctl.cli.output import rfc3339

    came = rfc3339(kept.at_ms) or ""
    return [("id", kept.id), ("came", came), ("source", f"{kept.source} ({kept.type})"), ("why", kept.why)]


def _as_data(kept: QuarantinedRequest) -> dict[str, Any]:
    from rfctl.cli.output import rfc3339

    return {
        "id": kept.id,
        "came": rfc3339(kept.at_ms),
        "source": kept.source,
        "type": kept.type,
        "why": kept.why,
        "bytes": len(kept.body),
    }


def _body(kept: QuarantinedRequest) -> Any:
    """Return the body for JSON: as the JSON that it is, to the digit, else as text."""
    import msgspec

    pretty = _pretty(kept.body)
    return _text(kept.body) if pretty is None else msgspec.Raw(msgspec.json.format(pretty, indent=-1))


def _text(body: bytes) -> str:
    return body.decode(errors="backslashreplace")


def _pretty(body: bytes) -> str | None:
    """Return JSON indented, None for what is none."""
    import msgspec

    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        return msgspec.json.format(body.decode(), indent=2)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _told(done: RetryResult) -> dict[str, Any]:
    """Return what became of a request, without its body."""
    return {
        **_as_data(done.request),
        "stored": done.stored,
        "skipped": dict(done.skipped),
        "problem": done.problem or None,
    }


def _say(run: Invocation, done: list[dict[str, Any]]) -> None:
    from rfctl.cli import output as render

    if run.json:
        run.emit_rows(done)
        return
    rows_shown = [(one["id"], one["source"], _outcome(one), one["problem"] or "") for one in done]
    render.console().print(
        render.table(("id", "source", "read again", "still in quarantine, because"), rows_shown)
    )


def _outcome(one: dict[str, Any]) -> str:
    skipped = ", ".join(f"{kind} {count}" for kind, count in sorted(one["skipped"].items()))
    stored = counted(one["stored"], "message") if one["stored"] else ""
    parts = [stored, f"skipped: {skipped}" if skipped else ""]
    return "; ".join(part for part in parts if part) or "nothing"
