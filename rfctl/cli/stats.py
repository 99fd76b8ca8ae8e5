"""`rfctl stats`: which Redis, who is alive, what is pending, how the sinks do, and the totals."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import typer

from rfctl.assembly.rights import build_store_rights
from rfctl.assembly.sinks import list_configured_sinks
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.stats_view import as_json, draw
from rfctl.observe import Snapshot, take_snapshot


def stats(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many pending batches to list.")] = 20,
) -> None:
    """Show which Redis is used, the living daemons, the pending batches, the sinks and the totals.

    Examples:  rfctl stats  |  rfctl stats --watch  |  rfctl stats -o json --limit 100
    """
    run_async(_stats(invocation(ctx), watch=watch, limit=limit), interrupted=0)


async def _stats(run: Invocation, *, watch: bool, limit: int) -> None:
    async with run.store() as (store, configuration):
        settings = configuration.settings
        take = partial(
            take_snapshot, store, list_configured_sinks(settings), limit=limit,
            rights=build_store_rights(settings, store.db), allow_eviction=settings.redis.allow_eviction,
        )  # fmt: skip
        if watch:
            await _watch(run, take)
        elif run.is_json:
            run.out.json(as_json(await take()))
        else:
            run.out.draw(draw(await take()))


async def _watch(run: Invocation, take: Callable[[], Awaitable[Snapshot]]) -> None:
    if sys.stdout.isatty() and not run.is_json:
        await _watch_screen(take)
    while True:
        snapshot = await take()
        if run.is_json:
            run.out.json_line(as_json(snapshot))
        else:
            run.out.draw(draw(snapshot))
        await asyncio.sleep(1)


async def _watch_screen(take: Callable[[], Awaitable[Snapshot]]) -> None:
    from rich.live import Live

    from rfctl.cli.output import open_console

    with Live(console=open_console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(draw(await take()), refresh=True)
            await asyncio.sleep(1)
