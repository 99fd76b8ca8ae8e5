"""`rfctl config`: what is set, by whom, and what that overrides.

The work is in `config_view`, which is imported when a command runs: the completion of names loads this module alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfctl.cli.completion import complete_settings
from rfctl.cli.context import invocation

app = typer.Typer(help="Show, explain and check the settings.", no_args_is_help=True)


@app.command("show")
def show(
    ctx: typer.Context,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Write secrets too: with -o toml and --to FILE.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write a new file instead of printing.")
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only the settings that are not as by default.")
    ] = False,
) -> None:
    """Show every setting, its value, who set it and what that overrides. Secrets are masked.

    With -o toml it prints a settings file. Defaults and secrets are comments in it.

    Examples:  rfctl config show --changed  |  rfctl config show -o toml --secrets --to new.toml
    """
    from rfctl.cli.config_view import show_settings

    show_settings(invocation(ctx), secrets=secrets, to=to, changed=changed)


@app.command("explain")
def explain(
    ctx: typer.Context, key: Annotated[str, typer.Argument(autocompletion=complete_settings)]
) -> None:
    """Explain a setting, or a whole source: where each of its keys comes from, also out of a preset.

    Examples:  rfctl config explain batching.quiet_ms  |  rfctl config explain sources.salon
    """
    from rfctl.cli.config_view import explain_setting

    explain_setting(invocation(ctx), key)


@app.command("check")
def check(ctx: typer.Context) -> None:
    """Check the settings, and that every source and sink can be set up; all problems at once, exit status 78.

    Nothing is opened: no receiver is called, and Redis is not asked.

    Examples:  rfctl config check  |  rfctl config check --config new.toml
    """
    from rfctl.cli.config_view import check_settings

    check_settings(invocation(ctx))


@app.command("path")
def path(ctx: typer.Context) -> None:
    """Print which settings files rfctl reads, and which of them exist."""
    run = invocation(ctx)
    environment = run.environment
    files = [run.config] if run.config else [environment.system_file, environment.user_file]
    if run.is_json:
        run.out.rows({"path": str(file), "exists": file.exists()} for file in files)
        return
    for file in files:
        typer.echo(f"{file}{'' if file.exists() else '  (not there)'}")


@app.command("init")
def init(
    ctx: typer.Context,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="TYPE", help="Only a source of this type. Repeatable."),
    ] = None,
    sink: Annotated[
        list[str] | None, typer.Option("--sink", metavar="TYPE", help="Only a sink of this type. Repeatable.")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print it instead of writing it.")] = False,
) -> None:
    """Write a settings file with every default in it, for your user (or to --config FILE).

    In /etc/rfctl everybody may read it, as the service has a user of its own: keep secrets in its credentials.
    With --source or --sink the file has only these, filled in with examples.

    Examples:  rfctl config init  |  rfctl config init --source telegram --sink http
    """
    from rfctl.cli.config_view import create_file
    from rfctl.config.example import render_example, render_starter

    run = invocation(ctx)
    text = render_starter(source or [], sink or []) if source or sink else render_example()
    if stdout:
        typer.echo(text, nl=False)
        return
    target = run.config or run.environment.user_file
    is_of_system = target.absolute().parent == run.environment.system_file.parent
    create_file(
        target,
        text,
        "name a file that you may write with --config FILE; rfctl config init --stdout prints it",
        "rfctl config init --stdout prints a new one",
        mode=0o644
        if is_of_system
        else 0o600,  # the service has a user of its own, and its secrets are credentials
    )
    typer.echo(str(target))
