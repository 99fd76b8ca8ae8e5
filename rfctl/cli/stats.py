"""`rfctl stats`: is it working, what needs you, who waits, out to whom, and the totals."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from rfctl.assembly.rights import build_store_rights
from rfctl.assembly.sinks import list_configured_sinks
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.outage import Outage
from rfctl.cli.stats_json import as_json
from rfctl.cli.stats_view import draw, draw_in_brief, draw_to_fit
from rfctl.observe import PASSING, RETRY_S, Snapshot, take_snapshot
from rfctl.observe.dead_counts import DeadCounts

if TYPE_CHECKING:
    from rich.live import Live

_EVERY_S = 1.0
_LIMIT = 20
_Take = Callable[[], Awaitable[Snapshot]]


def stats(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second until Ctrl-C.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=10_000,
            help="How many pending batches to list; with it a terminal shows all, however long it is.",
        ),
    ] = None,
) -> None:
    """Show whether it is working, what needs you, who waits, out to whom it goes, and the totals.

    A terminal gets what fits on it, and all that needs you. With --watch Redis may go away and come back meanwhile.

    Examples:  rfctl stats  |  rfctl stats --watch  |  rfctl stats -o json --limit 100
    """
    run_async(_stats(invocation(ctx), watch=watch, limit=limit), interrupted=0)


async def _stats(run: Invocation, *, watch: bool, limit: int | None) -> None:
    async with run.store() as (store, configuration):
        settings = configuration.settings
        sinks, rights = list_configured_sinks(settings), build_store_rights(settings, store.db)
        dead_counts = DeadCounts(store)

        async def take() -> Snapshot:
            snapshot = await take_snapshot(
                store, sinks, limit=_LIMIT if limit is None else limit, rights=rights,
                allow_eviction=settings.redis.allow_eviction,
            )  # fmt: skip
            return await dead_counts.add_to(snapshot)

        if not watch:
            _print(run, await take(), is_whole=limit is not None)
        elif sys.stdout.isatty() and not run.is_json:
            await _watch_screen(take)
        else:
            await _watch(run, take)


def _print(run: Invocation, snapshot: Snapshot, *, is_whole: bool) -> None:
    if run.is_json:
        run.out.json(as_json(snapshot))
    elif is_whole or not sys.stdout.isatty():
        run.out.draw(draw(snapshot))
    else:
        run.out.draw(draw_in_brief(snapshot, *shutil.get_terminal_size()))


async def _watch(run: Invocation, take: _Take) -> None:
    """Print a snapshot every second; JSON is one line each. While Redis is away nothing is printed but a note."""
    outage: Outage | None = None
    while True:
        try:
            snapshot = await take()
        except PASSING as problem:
            if outage is None:
                outage = Outage(problem)
                run.out.note(outage.line())
            await asyncio.sleep(RETRY_S)
            continue
        if outage is not None:
            run.out.note(outage.end_line())
            outage = None
        if run.is_json:
            run.out.json_line(as_json(snapshot))
        else:
            run.out.draw(draw(snapshot))
        await asyncio.sleep(_EVERY_S)


async def _watch_screen(take: _Take) -> None:
    from rich.live import Live

    from rfctl.cli.output import open_console

    with Live(console=open_console(), screen=True, auto_refresh=False) as live:
        snapshot = await take()
        while True:
            _show(live, snapshot, None)
            await asyncio.sleep(_EVERY_S)
            snapshot = await _take_through(live, take, snapshot)


async def _take_through(live: Live, take: _Take, last: Snapshot) -> Snapshot:
    """Return the next snapshot. While Redis is away, show the last one below what is wrong."""
    outage: Outage | None = None
    while True:
        try:
            return await take()
        except PASSING as problem:
            outage = outage or Outage(problem)
        _show(live, last, outage)
        await asyncio.sleep(RETRY_S)


def _show(live: Live, snapshot: Snapshot, outage: Outage | None) -> None:
    from rfctl.cli.output import safe
    from rfctl.cli.signs import SIGNS, STYLES

    above = [] if outage is None else [
        safe(f"{SIGNS['fail']} {outage.head}, trying again: what follows is {outage.age} old", STYLES["fail"]),
        safe(outage.fact, "dim"),
    ]  # fmt: skip
    width, height = live.console.size
    live.update(draw_to_fit(snapshot, width, height, above), refresh=True)
