"""`rfctl serve`: the daemon."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from rfctl.cli.context import invocation, run_loop
from rfctl.daemon import find_loop_factory, run_process
from rfctl.observe import logging as logs


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
    run = invocation(ctx)
    configuration = run.configuration(flags)
    log = configuration.settings.log
    logs.configure(level=log.level, format=log.format, mask=log.mask)
    work = run_process(configuration, lambda: run.configuration(flags), is_rolling_out=rollout)
    run_loop(work, find_loop_factory())
