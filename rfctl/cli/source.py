"""`rfctl source`: what a source would make of a request.

The work is in `trial_view`, which is imported when a command runs: the completion of names loads this module alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfctl.cli.completion import complete_presets, complete_sources
from rfctl.cli.context import invocation

app = typer.Typer(
    help="Try what a source makes of a captured request: messages, skips, proof and answer.",
    no_args_is_help=True,
)


@app.callback()
def _keep_group() -> None:
    """Let `try` stay a word of its own."""


@app.command("try")
def try_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The source.", autocompletion=complete_sources)],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A body, JSON lines or raw HTTP. Without it: stdin.")
    ] = None,
    headers: Annotated[
        Path | None,
        typer.Option("--headers", metavar="FILE", help="The headers that came with it: its proof is tried."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("-H", metavar="LINE", help="One of these headers. Repeatable.")
    ] = None,
    path: Annotated[
        str, typer.Option("--path", metavar="PATH", help="The path and query that it came to.")
    ] = "",
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="PRESET",
            help="Read it by this preset, also where there is no such source.",
            autocompletion=complete_presets,
        ),
    ] = "",
) -> None:
    """Read a captured request by a source's settings, and show what would come in. Nothing is stored or sent.

    It needs no Redis and no daemon. The exit status is 1 if no message comes out, or something is wrong.

    Examples:  rfctl source try shop body.json  |  rfctl source try shop body.json -H 'X-Token: abc'  |  rfctl source try shop request.http -o json
    """
    from rfctl.cli.trial_view import Capture, show_trials

    capture = Capture(file, headers, header or [], path)
    show_trials(invocation(ctx), name, capture, preset)
