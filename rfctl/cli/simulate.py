"""`rfctl simulate`: marked traffic through the running daemon, held against what the settings promise."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from typing import Annotated, Any, Literal

import typer

from rfctl.assembly.sources import source_configs
from rfctl.assembly.store import batch_options
from rfctl.batching import Batcher, BatchingRules, Policy, Timers
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.merged_json import merged_as_json
from rfctl.config.loader import Configuration
from rfctl.errors import ANSWER_IS_NO, KeyTakenError, NoDaemonError, RedisCannotNowError, UsageError
from rfctl.model.message import Message, normalize_phone
from rfctl.model.stored import Merged
from rfctl.simulation.client import Client, Send, base_url, send_all
from rfctl.simulation.scenario import PlannedMessage, Scenario, Verdict, check, due_ms, offsets, schedule
from rfctl.sources.registry import GENERIC
from rfctl.store import DaemonRecord, Store
from rfctl.text import counted, duration

_GRACE_S = 3.0


def simulate(
    ctx: typer.Context,
    count: Annotated[int | None, typer.Option(min=1, max=10_000, help="Messages of each person.")] = None,
    interval: Annotated[float | None, typer.Option(min=0, max=3600, help="Seconds between them.")] = None,
    phones: Annotated[int, typer.Option(min=1, max=10_000, help="How many people.")] = 1,
    phone: Annotated[str | None, typer.Option(help="Send as this person.")] = None,
    scenario: Annotated[
        Scenario, typer.Option(help="rapid-fire 8 x 0.1 s, long-pauses, overflow.")
    ] = "rapid-fire",
    via: Annotated[
        Literal["webhook", "redis"] | None,
        typer.Option(help="How the messages go in; by default the webhook, if it takes generic requests."),
    ] = None,
    expect_batches: Annotated[int | None, typer.Option(min=0, help="Fail unless so many come out.")] = None,
) -> None:
    """Send simulated messages through the running daemon and check what comes out.

    Examples:  rfctl simulate --count 8 --interval 0.1  |  rfctl simulate --scenario overflow --expect-batches 2
    """
    if phone and phones > 1:
        raise UsageError("--phone is one person, --phones several: choose one")
    names = [normalize_phone(phone)] if phone else []
    run = uuid.uuid4().hex[:6]
    names = names or [f"simulated-{run}-{who + 1}" for who in range(phones)]
    run_async(_simulate(ctx, names, run, scenario, count, interval, via, expect_batches))


async def _simulate(
    ctx: typer.Context,
    phones: list[str],
    run: str,
    scenario: Scenario,
    count: int | None,
    interval: float | None,
    wanted: str | None,
    expected: int | None,
) -> int:
    context = invocation(ctx)
    async with context.store() as (store, configuration):
        generic = source_configs(configuration.settings).get(GENERIC)
        via = wanted or ("webhook" if generic is not None and generic.answers_in_words else "redis")
        daemon = await _daemon(store, via)
        timers = Timers(daemon.quiet_ms, daemon.max_size, daemon.max_wait_ms)
        sendings = schedule(phones, offsets(scenario, timers, count, interval), f"sim-{run}")
        send = (
            _via_redis(store, configuration, daemon)
            if via == "redis"
            else _via_webhook(configuration, daemon)
        )
        before = [await store.output.last_id(shard) for shard in store.shards]
        typer.echo(f"rfctl: {len(sendings)} messages to {store.address.shown()} via {via}", err=True)
        began_ms = await store.now_ms()
        merged = await _send_and_follow(store, sendings, send, before, timers)
        verdict = check(sendings, merged, timers, expected)
    _report(context, verdict, merged, timers, began_ms)
    return ANSWER_IS_NO if verdict.failures else 0


async def _daemon(store: Store, via: str) -> DaemonRecord:
    living = await store.daemons.list_alive()
    processors = [one for one in living if one.processes]
    listeners = [one for one in living if one.listens]
    if not processors:
        await _check_writes(store)
        address = store.address
        raise NoDaemonError(
            f"no processor is alive on {address.shown()}: nothing would come out",
            set_by=address.set_by,
            next="start one: rfctl serve",
        )
    if via == "webhook" and not listeners:
        raise NoDaemonError("no daemon listens for webhooks", next="start one, or use --via redis")
    return listeners[0] if via == "webhook" else processors[0]


async def _check_writes(store: Store) -> None:
    """Name the cause where no daemon could say that it is alive. Raises RedisCannotNowError."""
    where = store.address
    if found := await store.write_refusals():
        fact = f"Redis at {where.shown()} refuses writes: {found[0].why}"
        raise RedisCannotNowError(fact, set_by=where.set_by, next=found[0].next)


def _via_webhook(configuration: Configuration, daemon: DaemonRecord) -> Send:
    generic = source_configs(configuration.settings).get(GENERIC)
    if generic is None or not generic.answers_in_words:
        raise UsageError("there is no source generic that takes simulated messages", next="use --via redis")
    return Client(base_url(daemon), generic.secrets[0] if generic.secrets else "").send


def _via_redis(store: Store, configuration: Configuration, daemon: DaemonRecord) -> Send:
    settings = configuration.settings
    timers = Timers(daemon.quiet_ms, daemon.max_size, daemon.max_wait_ms)
    store.batches.options = replace(batch_options(settings), separator=daemon.separator)
    batcher = Batcher(store, BatchingRules(Policy(timers), dedupe_s=settings.batching.dedupe_s))

    async def send(phone: str, text: str, message_id: str) -> None:
        results = await batcher.add(
            [Message(phone=phone, text=text, id=message_id, channel="generic", simulated=True)]
        )
        if results[0].rejected:
            step = "find out who writes that key, or use another database"
            raise KeyTakenError(f"{phone}: {results[0].rejected}", next=step)

    return send


async def _send_and_follow(
    store: Store, sendings: list[PlannedMessage], send: Send, before: list[str], timers: Timers
) -> list[Merged]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from rfctl.cli.output import console

    wanted = {one.id for one in sendings}
    merged: list[Merged] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    screen = console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=screen, disable=not screen.is_terminal) as progress:
        sent = progress.add_task("sent", total=len(sendings))
        out = progress.add_task("came out", total=len(sendings))
        sender = asyncio.create_task(send_all(sendings, send, lambda: progress.advance(sent)))
        last_s = max(one.at_s for one in sendings)
        deadline = time.monotonic() + last_s + timers.longest_ms / 1000 + _GRACE_S
        try:
            while wanted and time.monotonic() < deadline and not (sender.done() and sender.exception()):
                for batch in await _new(store, before):
                    mine = [one.messageId for one in batch.messages if one.messageId in wanted]
                    if mine:
                        merged.append(batch)
                        wanted.difference_update(mine)
                        progress.advance(out, len(mine))
                await asyncio.sleep(0.05)
        finally:
            sender.cancel() if not sender.done() else None
    if sender.done() and not sender.cancelled():
        sender.result()
    return merged


async def _new(store: Store, before: list[str]) -> list[Merged]:
    found: list[Merged] = []
    for number, shard in enumerate(store.shards):
        page = await store.output.read_after(shard, before[number])
        if page:
            before[number] = page[-1].id
        found += page
    return found


def _report(
    context: Invocation, verdict: Verdict, merged: list[Merged], timers: Timers, began_ms: int
) -> None:
    from rfctl.cli import output as render

    if context.json:
        context.emit(
            {
                "ok": not verdict.failures,
                "sent": verdict.sent,
                "received": verdict.received,
                "batches": verdict.batches,
                "worst_late_ms": verdict.worst_late_ms,
                "complaints": verdict.failures,
                "merged": [merged_as_json(one) for one in merged],
            }
        )
        return
    rows = [_row(one, timers, began_ms) for one in merged]
    headings = ("phone", "messages", "sent, s", "came out, s", "reason", "late")
    out = render.console()
    out.print(render.table(headings, rows, right=frozenset({1, 3, 5})))
    out.print(
        f"{verdict.sent} sent, {verdict.received} came out in {counted(verdict.batches, 'batch')}, "
        f"worst lateness {duration(verdict.worst_late_ms)}"
    )
    for complaint in verdict.failures:
        out.print(render.safe(f"NOT AS PROMISED: {complaint}", "bold red"))
    if not verdict.failures:
        out.print(f"as promised: quiet {duration(timers.quiet_ms)}, at most {timers.max_size} messages")


def _row(one: Merged, timers: Timers, began_ms: int) -> tuple[Any, ...]:
    arrivals = [(message.receivedAt - began_ms) / 1000 for message in one.messages]
    span = f"{arrivals[0]:.2f}" if len(arrivals) == 1 else f"{arrivals[0]:.2f} … {arrivals[-1]:.2f}"
    late = duration(max(0, one.handed_ms - due_ms(one, timers)))
    return one.phone, str(one.count), span, f"{(one.handed_ms - began_ms) / 1000:.2f}", one.reason, late
