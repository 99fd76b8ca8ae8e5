"""`rfctl simulate`: send marked traffic through the running daemon, and check the result against its timers."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import typer

from rfctl.assembly.simulation import build_impersonation
from rfctl.assembly.sources import list_source_configs
from rfctl.batching import Batcher, BatchingRules, Policy, Timers
from rfctl.batching.batcher import read_wall_clock_ms
from rfctl.cli.completion import complete_sources
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.daemon_options import use_daemon_options
from rfctl.cli.output import open_console
from rfctl.cli.simulate_view import print_json, print_report
from rfctl.config.loader import Configuration
from rfctl.errors import ANSWER_IS_NO, KeyTakenError, NoDaemonError, RedisCannotNowError, UsageError
from rfctl.model.message import Message, normalize_phone
from rfctl.simulation import (
    Client,
    Follower,
    PlannedMessage,
    Scenario,
    Send,
    base_url,
    check,
    plan_times,
    schedule,
    send_all,
)
from rfctl.sources.config import SourceConfig
from rfctl.sources.registry import GENERIC
from rfctl.store import DaemonRecord, Store
from rfctl.text import duration

_GRACE_S = 3.0
_NUMBERS_OF_A_RUN = 100_000_000
Via = Literal["webhook", "redis"]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the operator asked for; None leaves the choice to the scenario, or to the settings."""

    run_id: str
    phones: list[str]
    scenario: Scenario
    count: int | None
    interval_s: float | None
    via: Via | None
    expected: int | None
    source: str | None

    def messages(self, timers: Timers) -> list[PlannedMessage]:
        times = plan_times(self.scenario, timers, self.count, self.interval_s)
        messages = schedule(self.phones, times, f"sim-{self.run_id}")
        if self.source is None:
            return messages
        return [replace(message, text=f"rfctl simulate {message.text}") for message in messages]


def simulate(
    ctx: typer.Context,
    count: Annotated[int | None, typer.Option(min=1, max=10_000, help="Messages of each person.")] = None,
    interval: Annotated[float | None, typer.Option(min=0, max=3600, help="Seconds between them.")] = None,
    phones: Annotated[int, typer.Option(min=1, max=10_000, help="How many people.")] = 1,
    phone: Annotated[str | None, typer.Option(help="Send as this person.")] = None,
    scenario: Annotated[
        Scenario, typer.Option(metavar="NAME", help="rapid-fire 8 x 0.1 s, long-pauses, overflow.")
    ] = "rapid-fire",
    via: Annotated[
        Via | None,
        typer.Option(help="How the messages go in; by default the webhook, if it takes generic requests."),
    ] = None,
    expect_batches: Annotated[
        int | None, typer.Option(min=0, help="Fail unless so many batches are handed over.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="SOURCE",
            help="Write requests as the provider of this source does, with its proof.",
            autocompletion=complete_sources,
        ),
    ] = None,
) -> None:
    """Send simulated messages through the running daemon and check the result.

    With --as they look like real ones, and only their text says what they are: your bot gets them, and may answer.

    Examples:  rfctl simulate --count 8 --interval 0.1  |  rfctl simulate --scenario overflow --expect-batches 2  |  rfctl simulate --as telegram --count 3 --phone 7001
    """
    if phone and phones > 1:
        raise UsageError("--phone is one person, --phones several: choose one")
    if source is not None and via == "redis":
        raise UsageError(
            "--as is for the webhook: that is where requests prove themselves", next="leave --via away"
        )
    run_id = uuid.uuid4().hex[:6]
    people = (
        [normalize_phone(phone)] if phone else _name_people(run_id, phones, are_numbers=source is not None)
    )
    plan = _Plan(run_id, people, scenario, count, interval, via, expect_batches, source)
    run_async(_simulate(invocation(ctx), plan))


def _name_people(run_id: str, count: int, *, are_numbers: bool) -> list[str]:
    """Return people whom nobody is. Most providers know numbers alone: no country has 999."""
    if are_numbers:
        return [f"999{int(run_id, 16) % 10**6:06d}{number:05d}" for number in range(count)]
    return [f"simulated-{run_id}-{number + 1}" for number in range(count)]


async def _simulate(run: Invocation, plan: _Plan) -> int:
    async with run.store() as (store, configuration):
        via = plan.via or (_default_via(configuration) if plan.source is None else "webhook")
        daemon = await _choose_daemon(store, via)
        timers = Timers(daemon.quiet_ms, daemon.max_size, daemon.max_wait_ms)
        messages = plan.messages(timers)
        if plan.source is not None:
            messages, timers, send = _impersonate(configuration, daemon, plan, timers)
        elif via == "redis":
            await use_daemon_options(run, store, configuration.settings)
            send = _via_redis(store, configuration, timers)
        else:
            send = _via_webhook(configuration, daemon)
        follower = await Follower.open(store, [message.id for message in messages])
        way = f"{via}, as {plan.source}" if plan.source else via
        run.out.note(f"{len(messages)} messages to {store.address.shown()} via {way}")
        began_ms = await store.now_ms()
        await _send_and_follow(messages, send, follower, timers)
    verdict = check(messages, follower.merged, timers, plan.expected)
    if run.is_json:
        print_json(run, verdict, follower.merged)
    else:
        print_report(run, verdict, follower.merged, timers, began_ms)
    return ANSWER_IS_NO if verdict.failures else 0


def _default_via(configuration: Configuration) -> Via:
    return "webhook" if _find_generic(configuration) is not None else "redis"


def _find_generic(configuration: Configuration) -> SourceConfig | None:
    """Return the source generic, if it takes what we can sign: its own forms, in its own way."""
    generic = list_source_configs(configuration.settings).get(GENERIC)
    is_ours = generic is not None and generic.answers_in_words and generic.find_auth() is None
    return generic if is_ours else None


async def _choose_daemon(store: Store, via: Via) -> DaemonRecord:
    daemons = await store.daemons.list_alive()
    processors = [daemon for daemon in daemons if daemon.is_scheduler]
    listeners = [daemon for daemon in daemons if daemon.is_listening]
    if not processors:
        await _check_writes(store)
        address = store.address
        raise NoDaemonError(
            f"no processor is alive on {address.shown()}: nothing would be handed over",
            set_by=address.set_by,
            next="start one: rfctl serve",
        )
    if via == "webhook" and not listeners:
        raise NoDaemonError("no daemon listens for webhooks", next="start one, or use --via redis")
    return listeners[0] if via == "webhook" else processors[0]


async def _check_writes(store: Store) -> None:
    """Check that a daemon could show that it is alive. Raises RedisCannotNowError with the reason if Redis refuses writes."""
    address = store.address
    if refusals := await store.write_refusals():
        fact = f"Redis at {address.shown()} refuses writes: {refusals[0].why}"
        raise RedisCannotNowError(fact, set_by=address.set_by, next=refusals[0].next)


def _via_webhook(configuration: Configuration, daemon: DaemonRecord) -> Send:
    generic = _find_generic(configuration)
    if generic is None:
        raise UsageError("there is no source generic that takes simulated messages", next="use --via redis")
    return Client(base_url(daemon), generic.secrets[0] if generic.secrets else "").send


def _impersonate(
    configuration: Configuration, daemon: DaemonRecord, plan: _Plan, timers: Timers
) -> tuple[list[PlannedMessage], Timers, Send]:
    """Return the messages as they will be handed over, by which timers, and what sends them as their provider would.

    Raises RfctlError, in words, for a source that cannot be simulated.
    """
    settings, name = configuration.settings, plan.source or GENERIC
    impersonation = build_impersonation(settings, name, int(plan.run_id, 16) * _NUMBERS_OF_A_RUN)
    timers = impersonation.find_timers(settings, timers, plan.messages(timers)[0], read_wall_clock_ms())
    written = plan.messages(timers)
    foreseen = impersonation.foresee_all(written, read_wall_clock_ms())
    places = {message.id: place for place, message in enumerate(foreseen)}
    client = Client(base_url(daemon))

    async def send(_phone: str, _text: str, message_id: str) -> None:
        place = places[message_id]
        request = impersonation.write(written[place], place, read_wall_clock_ms())
        await client.post(f"/webhook/{name}", request)

    return foreseen, timers, send


def _via_redis(store: Store, configuration: Configuration, timers: Timers) -> Send:
    dedupe_s = configuration.settings.batching.dedupe_s
    batcher = Batcher(store, BatchingRules(Policy(timers), dedupe_s=dedupe_s))

    async def send(phone: str, text: str, message_id: str) -> None:
        [result] = await batcher.add(
            [
                Message(
                    phone=phone, text=text, id=message_id, id_scope=("simulated", phone), channel="generic", simulated=True
                )
            ]
        )  # fmt: skip
        if result.rejected:
            step = "find out who writes that key, or use another database"
            raise KeyTakenError(f"{phone}: {result.rejected}", next=step)

    return send


async def _send_and_follow(
    messages: list[PlannedMessage], send: Send, follower: Follower, timers: Timers
) -> None:
    """Send the messages and follow them, until all are handed over or the last one is long overdue."""
    last_at = time.monotonic() + messages[-1].at_s
    deadline = last_at + timers.longest_ms / 1000 + _GRACE_S
    with _progress(len(messages), last_at + timers.quiet_ms / 1000) as (on_sent, on_handed_over):
        sending = asyncio.create_task(send_all(messages, send, lambda: on_sent(1)))
        try:
            while not follower.is_complete and time.monotonic() < deadline and not _has_failed(sending):
                on_handed_over(await follower.read_new())
                await asyncio.sleep(0.05)
        finally:
            sending.cancel()
    if not sending.cancelled() and sending.done():
        sending.result()


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and task.exception() is not None


@contextmanager
def _progress(count: int, due_at: float) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show two bars on a terminal, and how long the last message waits: until `due_at` by the monotonic clock.

    Yields what advances the bars: of the sent messages, and of those handed over.
    """
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    screen = open_console(stderr=True)
    rest = TextColumn("{task.fields[rest]}")
    with Progress(*columns, rest, console=screen, disable=not screen.is_terminal) as progress:
        sent = progress.add_task("sent", total=count, rest="")
        handed_over = progress.add_task("handed over", total=count, rest="")

        def on_handed_over(number: int) -> None:
            is_over = progress.tasks[handed_over].completed + number >= count
            rest = "" if is_over else count_down(due_at - time.monotonic())
            progress.update(handed_over, advance=number, rest=rest)

        yield lambda number: progress.advance(sent, number), on_handed_over


def count_down(left_s: float) -> str:
    """Say how long the last message still waits; or that it is due."""
    return f"the last is due in {duration(left_s * 1000)}" if left_s > 0 else "due now"
