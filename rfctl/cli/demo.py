"""`rfctl demo`: everything at once on this machine, with nothing to set up, in ten seconds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from rfctl.assembly.store import open_store
from rfctl.batching import Timers
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.demo_story import Story, build_next_steps
from rfctl.cli.output import open_console
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.errors import ANSWER_IS_NO, INTERRUPTED, EmbeddedServerError, NoDaemonError
from rfctl.observe import follow_events
from rfctl.simulation import Client, Follower, PlannedMessage, Verdict, base_url, check, send_all
from rfctl.store import DaemonRecord, Store
from rfctl.store.embedded import build_death_signal
from rfctl.text import duration

_START_S = 15.0
_END_S = 27.0


def demo(
    ctx: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Stay until Ctrl-C, for your own curl.")] = False,
) -> None:
    """Start a private Valkey and a daemon, let three people write, and show what the bot would get.

    Examples:  rfctl demo  |  rfctl demo --keep
    """
    run_async(_demo(invocation(ctx), keep=keep), interrupted=0 if keep else INTERRUPTED)


async def _demo(run: Invocation, *, keep: bool) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal ends it as Ctrl-C does
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    folder = Path(tempfile.mkdtemp(prefix="rfctl-demo-"))
    process = _start_daemon(folder)
    try:
        store, daemon = await _wait_for_daemon(folder, process)
        story = Story(open_console(stderr=run.is_json), daemon.quiet_ms)
        verdict = await _talk(store, daemon, story)
        _print_summary(run, verdict, build_next_steps(daemon.listener, _find_state(folder) if keep else None))
        if keep:
            await _stay(store, story)
        await store.close()
    finally:
        await _stop_daemon(process)
        shutil.rmtree(folder, ignore_errors=True)
    return ANSWER_IS_NO if verdict.failures else 0


def _clean_environment(folder: Path) -> dict[str, str]:
    """Return the environment of the demo: without the user's settings, with its own folder."""
    foreign = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "STATE_DIRECTORY", "REDIS_URL")
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RFCTL_") and name not in foreign
    }
    return {
        **variables,
        "RFCTL_REDIS__EMBEDDED_DIR": str(_find_state(folder)),
        "RFCTL_REDIS__URL": "embedded",
    }


def _find_state(folder: Path) -> Path:
    return folder / "state"


def _start_daemon(folder: Path) -> subprocess.Popen[bytes]:
    settings = folder / "config.toml"
    settings.touch()
    with (folder / "serve.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "rfctl", "serve", "--port", "0", "--config", str(settings)],
            stdin=subprocess.DEVNULL,
            stderr=log,
            env=_clean_environment(folder),
            start_new_session=True,
            preexec_fn=build_death_signal(),  # noqa: PLW1509 - no thread runs yet
        )


async def _wait_for_daemon(folder: Path, process: subprocess.Popen[bytes]) -> tuple[Store, DaemonRecord]:
    configuration = load(Environment(_clean_environment(folder)), file=folder / "config.toml")
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        await asyncio.sleep(0.05)
        try:
            store = open_store(configuration, max_connections=2)
        except EmbeddedServerError:
            continue
        for daemon in await store.daemons.list_alive():
            return store, daemon
        await store.close()
    log = (folder / "serve.log").read_text(errors="replace").strip()
    raise NoDaemonError(f"the demo's daemon did not start: {log}")


def _plan(daemon: DaemonRecord) -> list[PlannedMessage]:
    """Return what three people write: a thought in four pieces, two in two, and more at once than a batch takes."""
    people = {
        "anna": [(0.0, "Привет,"), (0.7, "запишите"), (1.3, "меня на"), (2.0, "стрижку")],
        "boris": [(1.0, "Hi!"), (2.5, "A table for two, at eight?")],
        "chiara": [(3.0, f"photo {i + 1}") for i in range(daemon.max_size + 2)],
    }
    messages = [
        PlannedMessage(at, f"demo-{name}", f"demo-{name}-{i}", text)
        for name, lines in people.items()
        for i, (at, text) in enumerate(lines)
    ]
    return sorted(messages, key=lambda message: message.at_s)


async def _talk(store: Store, daemon: DaemonRecord, story: Story) -> Verdict:
    messages = _plan(daemon)
    follower = await Follower.open(store, [message.id for message in messages])
    subscribed = asyncio.Event()
    story.print_heading()
    showing = asyncio.create_task(_show_events(store, story, subscribed))
    await subscribed.wait()
    deadline = time.monotonic() + _END_S - 4
    try:
        await send_all(messages, Client(base_url(daemon)).send, lambda: None)
        while time.monotonic() < deadline and not follower.is_complete:
            await follower.read_new()
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)  # for the last event to be shown
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing
        story.end()
    return check(messages, follower.merged, Timers(daemon.quiet_ms, daemon.max_size, daemon.max_wait_ms))


async def _show_events(store: Store, story: Story, subscribed: asyncio.Event | None = None) -> None:
    async for event in follow_events(store, subscribed):
        story.show(event)


def _print_summary(run: Invocation, verdict: Verdict, next_steps: str) -> None:
    lost = verdict.sent - verdict.received
    if run.is_json:
        run.out.json(
            {
                "in": verdict.sent,
                "out": verdict.batches,
                "lost": lost,
                "worst_late_ms": verdict.worst_late_ms,
                "failures": verdict.failures,
            }
        )
        return
    typer.echo(
        f"\n{verdict.sent} messages in, {verdict.batches} merged messages out, {lost} lost, "
        f"worst lateness {duration(verdict.worst_late_ms)}"
    )
    for failure in verdict.failures:
        typer.echo(f"CHECK FAILED: {failure}")
    typer.echo(next_steps)


async def _stay(store: Store, story: Story) -> None:
    typer.echo("\nFollowing; Ctrl-C ends it.", err=True)
    await _show_events(store, story)


async def _stop_daemon(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    for _ in range(70):
        if process.poll() is not None:
            return
        await asyncio.sleep(0.1)
    process.kill()
    process.wait()
