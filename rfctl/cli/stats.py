"""`rfctl stats`: which Redis, who is alive, what is pending, how it goes with the sinks, what has been."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import typer

from rfctl.assembly.sinks import configured_sinks
from rfctl.cli.context import invocation, run_async
from rfctl.cli.stats_view import as_data, screen
from rfctl.observe import Snapshot, take_snapshot


def stats(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many pending batches to list.")] = 20,
) -> None:
    """Show which Redis is used, the living daemons, the pending batches, the sinks and the totals.

    Examples:  rfctl stats  |  rfctl stats --watch  |  rfctl stats -o json --limit 100
    """
    run_async(_stats(ctx, watch=watch, limit=limit), interrupted=0)


async def _stats(ctx: typer.Context, *, watch: bool, limit: int) -> None:
    run = invocation(ctx)
    async with run.store() as (store, configuration):
        look = partial(take_snapshot, store, configured_sinks(configuration.settings), limit=limit)
        if watch:
            await _watch(look, as_json=run.json)
        elif run.json:
            run.emit(as_data(await look()))
        else:
            _print(await look())


async def _watch(look: Callable[[], Awaitable[Snapshot]], *, as_json: bool) -> None:
    from rich.live import Live

    from rfctl.cli import output as render

    if as_json or not sys.stdout.isatty():
        while True:
            _print_next(await look(), as_json=as_json)
            await asyncio.sleep(1)
    with Live(console=render.console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(await look()), refresh=True)
            await asyncio.sleep(1)


def _print_next(snapshot: Snapshot, *, as_json: bool) -> None:
    """Print one of many: in any JSON on one line, so that a reader sees where each ends."""
    from rfctl.cli import output as render

    if as_json:
        render.emit(as_data(snapshot), pretty=False)
    else:
        _print(snapshot)


def _print(snapshot: Snapshot) -> None:
    from rfctl.cli import output as render

    render.console().print(screen(snapshot))
    sys.stdout.flush()
