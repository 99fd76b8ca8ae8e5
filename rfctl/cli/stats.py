"""`rfctl stats`: which Redis, who is alive, what is pending, how it goes with the sinks, what has been."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from rfctl.cli.context import invocation, run_async
from rfctl.cli.stats_view import as_data, screen
from rfctl.config.settings import Settings
from rfctl.observe.snapshot import Snapshot
from rfctl.store.batches import Batches
from rfctl.store.connection import Connection
from rfctl.store.daemons import list_alive
from rfctl.store.dead_letters import DeadMessages
from rfctl.store.pending import pending_summary
from rfctl.store.quarantine import Quarantine
from rfctl.store.sink_status import configured_sinks, orphaned_groups, sink_statuses


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
    async with run.batches() as (connection, batches, configuration):
        observer = _Observer(connection, batches, configuration.settings, limit)
        if watch:
            await _watch(observer, as_json=run.json)
        elif run.json:
            run.emit(as_data(await observer.look()))
        else:
            _print(await observer.look())


class _Observer:
    """Looks at one Redis."""

    def __init__(self, connection: Connection, batches: Batches, settings: Settings, limit: int) -> None:
        self._connection = connection
        self._shards = batches.shards
        self._outlets = configured_sinks(settings)
        self._limit = limit

    async def look(self) -> Snapshot:
        """Look once, in a few short calls."""
        connection, shards = self._connection, self._shards
        seen = await pending_summary(connection, shards, limit=self._limit)
        return Snapshot(
            server=await connection.server(),
            write_refusals=await connection.write_refusals(),
            daemons=await list_alive(connection),
            seen=seen,
            sinks=await sink_statuses(connection, shards, self._outlets, seen.totals),
            strays=await orphaned_groups(connection, shards, seen.groups, self._outlets),
            dead=await DeadMessages(connection, shards).count(),
            quarantine=await Quarantine(connection).count(),
        )


async def _watch(observer: _Observer, *, as_json: bool) -> None:
    from rich.live import Live

    from rfctl.cli import output as render

    if as_json or not sys.stdout.isatty():
        while True:
            _print_next(await observer.look(), as_json=as_json)
            await asyncio.sleep(1)
    with Live(console=render.console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(await observer.look()), refresh=True)
            await asyncio.sleep(1)


def _print_next(look: Snapshot, *, as_json: bool) -> None:
    """Print one of many: in any JSON on one line, so that a reader sees where each ends."""
    from rfctl.cli import output as render

    if as_json:
        render.emit(as_data(look), pretty=False)
    else:
        _print(look)


def _print(look: Snapshot) -> None:
    from rfctl.cli import output as render

    render.console().print(screen(look))
    sys.stdout.flush()
