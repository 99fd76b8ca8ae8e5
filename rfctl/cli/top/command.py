"""The command `rfctl top`: it checks the terminal and the extra, and opens the screen."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.errors import UsageError, write_install_line


def top(
    ctx: typer.Context,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show only: no key hands over, discards, holds or pauses.")
    ] = False,
) -> None:
    """Watch who waits, what needs you and where it goes, and act on it with a key.

    It looks every second, and goes on by itself when Redis has been away. Press ? for the keys.

    Examples:  rfctl top  |  rfctl top --read-only  |  NO_COLOR=1 rfctl top
    """
    run = invocation(ctx)
    check_screen(run)
    run_async(_watch(run, read_only=read_only), interrupted=0)


def check_screen(run: Invocation) -> None:
    """Check that there is a terminal to draw on, and the library to do it. Raises UsageError."""
    if run.is_json:
        raise UsageError("rfctl top is a screen, and has no JSON", next="rfctl stats --watch -o json")
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):  # Textual draws on stderr
        raise UsageError("rfctl top needs a terminal", next="rfctl stats, or rfctl stats --watch -o jsonl")
    try:
        import textual  # noqa: F401 - whether it is there
    except ImportError:
        raise UsageError(
            "rfctl top needs the library textual, which is not installed", next=write_install_line("top")
        ) from None


async def _watch(run: Invocation, *, read_only: bool) -> None:
    from rfctl.assembly.batching import list_max_sizes
    from rfctl.assembly.rights import build_store_rights
    from rfctl.assembly.sinks import list_configured_sinks
    from rfctl.cli.top.app import TopApp
    from rfctl.cli.top.deeds import Deeds
    from rfctl.observe.watching import Watcher

    async with run.store() as (store, configuration):
        settings = configuration.settings
        watcher = Watcher(
            store, list_configured_sinks(settings), rights=build_store_rights(settings, store.db),
            allow_eviction=settings.redis.allow_eviction, max_sizes=list_max_sizes(settings),
        )  # fmt: skip
        app = TopApp(watcher, Deeds(store, settings), is_read_only=read_only)
        await app.run_async(mouse=False)  # a terminal without it lets its user mark and copy text
        if app.failure is not None:
            raise app.failure
