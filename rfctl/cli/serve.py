"""`rfctl serve`: the daemon."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Literal

import typer

from rfctl.assembly.store import find_embedded_folder
from rfctl.cli.context import invocation, run_loop
from rfctl.config.loader import Configuration
from rfctl.config.redis_settings import EMBEDDED
from rfctl.daemon import find_loop_factory, run_process
from rfctl.daemon.systemd import telling_failures
from rfctl.observe import logging as logs
from rfctl.store.embedded_folder import EmbeddedFolder
from rfctl.text import visible


def serve(
    ctx: typer.Context,
    role: Annotated[
        Literal["all", "webhook", "processor", "forwarder"] | None,
        typer.Option(metavar="ROLE", help="What it does: all, webhook, processor or forwarder."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    rollout: Annotated[
        bool, typer.Option("--rollout", help="Start beside daemons whose settings do not go with these.")
    ] = False,
) -> None:
    """Run the daemon: the webhook takes messages in, the processor hands batches over, the forwarder delivers.

    SIGHUP makes it read the settings again.

    Examples:  rfctl serve --embedded  |  rfctl serve --redis redis://127.0.0.1:6379/0 --port 3000
    """
    flags: dict[str, tuple[str, Any]] = {
        name: (flag, value)
        for name, flag, value in (
            ("daemon.role", "--role", role),
            ("http.host", "--host", host),
            ("http.port", "--port", port),
        )
        if value is not None
    }
    import_module("rfctl.cli.output")  # an error at the end is printed by this version, not by the next one
    run = invocation(ctx)
    with telling_failures(run.environment.variables):
        configuration = run.configuration(flags)
        _greet(configuration)
        log = configuration.settings.log
        logs.configure(level=log.level, format=log.format, mask=log.mask)
        work = run_process(configuration, lambda: run.configuration(flags), is_rolling_out=rollout)
        run_loop(work, find_loop_factory())


def _greet(configuration: Configuration) -> None:
    """Tell a person at a terminal where the embedded server keeps its data, and how another shell finds it."""
    if configuration.settings.redis.url != EMBEDDED or not sys.stderr.isatty():
        return
    folder = EmbeddedFolder(find_embedded_folder(configuration))
    typer.echo(
        f"Messages are kept in {visible(str(folder.path.resolve()))}, also over a restart.\n"
        "With this line another shell finds them, for `rfctl tail` and for workers:\n\n"
        f"  {visible(folder.readers_line)}\n",
        err=True,
    )
