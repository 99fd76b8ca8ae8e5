"""`rfctl stats`: which Redis, who is alive, what is pending, what has been."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import Annotated, Any

import typer

from rfctl.batches import Batches
from rfctl.cli.context import invocation, run_async
from rfctl.connection import Connection, Server
from rfctl.heartbeat import Daemon, alive
from rfctl.overview import Overview, overview
from rfctl.text import counted, duration


def stats(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many pending batches to list.")] = 20,
) -> None:
    """Show which Redis is used, the living daemons, the pending batches and the totals.

    Examples:  rfctl stats  |  rfctl stats --watch  |  rfctl stats -o json --limit 100
    """
    run_async(_stats(ctx, watch=watch, limit=limit), interrupted=0)


async def _stats(ctx: typer.Context, *, watch: bool, limit: int) -> None:
    run = invocation(ctx)
    async with run.batches() as (connection, batches, _):
        if watch:
            await _watch(connection, batches, limit, as_json=run.json)
            return
        look = await _look(connection, batches, limit)
        _print(look, as_json=run.json)


Look = tuple[Server, list[Daemon], Overview]


async def _look(connection: Connection, batches: Batches, limit: int) -> Look:
    server = await connection.server()
    return server, await alive(connection), await overview(connection, batches.partitions, limit=limit)


async def _watch(connection: Connection, batches: Batches, limit: int, *, as_json: bool) -> None:
    from rich.live import Live

    from rfctl.cli import render

    if as_json or not sys.stdout.isatty():
        while True:
            _print(await _look(connection, batches, limit), as_json=as_json, pretty=False)
            await asyncio.sleep(1)
    with Live(console=render.console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(_screen(await _look(connection, batches, limit)), refresh=True)
            await asyncio.sleep(1)


def _print(look: Look, *, as_json: bool, pretty: bool = True) -> None:
    from rfctl.cli import render

    if as_json:
        render.emit(_as_json(look), pretty=pretty)
    else:
        render.console().print(_screen(look))
        sys.stdout.flush()


def _as_json(look: Look) -> dict[str, Any]:
    from rfctl.cli.render import rfc3339
    from rfctl.connection import mask_url

    server, daemons, seen = look
    return {
        "time": rfc3339(seen.now_ms),
        "redis": {**dataclasses.asdict(server), "where": mask_url(server.where)},
        "daemons": daemons,
        "pending": {
            "batches": seen.batches,
            "messages": seen.messages,
            "overdue": seen.overdue,
            "oldest_age_ms": None if seen.oldest_ms is None else max(0, seen.now_ms - seen.oldest_ms),
            "next_due_in_ms": None if seen.next_due_ms is None else seen.next_due_ms - seen.now_ms,
        },
        "totals": seen.totals,
        "output": {"length": seen.out_length, "groups": [dataclasses.asdict(one) for one in seen.groups]},
        "batches": [
            {
                "phone": one.phone,
                "size": one.size,
                "due": rfc3339(one.due_ms),
                "due_in_ms": one.due_ms - seen.now_ms,
                "last": rfc3339(one.last_ms),
            }
            for one in seen.waiting
        ],
    }


def _screen(look: Look) -> Any:
    from rich.console import Group

    from rfctl.cli import render

    server, daemons, seen = look
    parts: list[Any] = [render.facts(_lines(server, daemons, seen))]
    if daemons:
        rows = [
            (
                one.host,
                str(one.pid),
                one.roles,
                one.listener or "-",
                duration(max(0, seen.now_ms - one.turned_ms)),
            )
            for one in daemons
        ]
        parts += [
            "",
            render.table(("daemon", "pid", "roles", "listener", "last turn"), rows, right=frozenset({1, 4})),
        ]
    if seen.waiting:
        waiting = [(one.phone, str(one.size), _due(one.due_ms - seen.now_ms)) for one in seen.waiting]
        parts += ["", render.table(("phone", "messages", "due in"), waiting, right=frozenset({1, 2}))]
        if seen.batches > len(seen.waiting):
            parts.append(f"… and {seen.batches - len(seen.waiting)} more (--limit)")
    return Group(*parts)


def _due(in_ms: int) -> str:
    return duration(in_ms) if in_ms >= 0 else f"overdue {duration(-in_ms)}"


def _lines(server: Server, daemons: list[Daemon], seen: Overview) -> list[tuple[str, str]]:
    totals = seen.totals
    reasons = {name[7:]: count for name, count in sorted(totals.items()) if name.startswith("reason:")}
    oldest = "" if seen.oldest_ms is None else f", oldest {duration(max(0, seen.now_ms - seen.oldest_ms))}"
    lines = [
        ("Redis", f"{server.line()}, set by {server.set_by}"),
        (
            "pending",
            f"{counted(seen.batches, 'batch')}, {counted(seen.messages, 'message')}{oldest}, {seen.overdue} overdue",
        ),
        (
            "in",
            f"{counted(totals.get('messages_in', 0), 'message')}, {counted(totals.get('duplicates', 0), 'duplicate')} not added",
        ),
        ("out", f"{counted(totals.get('merged', 0), 'merged message')} of {totals.get('messages_out', 0)}"),
        ("reasons", ", ".join(f"{name} {count}" for name, count in reasons.items()) or "none yet"),
        ("discarded", counted(totals.get("messages_discarded", 0), "message")),
        ("late", f"{totals.get('stale', 0)} batches were found overdue by more than batching.stale_ms"),
        ("stream", f"{seen.out_length} entries" + "".join(_group(one) for one in seen.groups)),
    ]
    if not any(one.processes for one in daemons):
        lines.append(("WARNING", "no processor is alive: nobody hands over what is pending (rfctl serve)"))
    return lines


def _group(one: Any) -> str:
    lag = "unknown" if one.lag is None else one.lag
    return f"; group {one.name}: lag {lag}, unacknowledged {one.pending}"
