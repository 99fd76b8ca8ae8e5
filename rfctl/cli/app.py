"""The command line as a whole: the global options, the table of commands, and how a failure ends.

Global options work before and after the verb: they are moved to the front before the line is parsed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from rfctl import __version__
from rfctl.cli.commands import COMMANDS, GROUPS
from rfctl.cli.context import Invocation
from rfctl.errors import BUG, EXIT_STATUSES, RfctlError

_FLAGS = frozenset({"--json", "--embedded", "--debug"})
_VALUED = frozenset({"-o", "--output", "--config", "--redis"})

_EPILOG = (
    "Global options may stand before or after the command.  "
    + "Exit status: "
    + ", ".join(f"{number} {meaning}" for number, meaning in EXIT_STATUSES.items())
    + "."
)

app = typer.Typer(
    name="rfctl",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command in COMMANDS.items():
    app.command(name)(command)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rfctl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    output: Annotated[
        Literal["table", "json", "jsonl", "toml"],
        typer.Option("-o", "--output", help="How to print the result; toml is for `config show`."),
    ] = "table",
    json: Annotated[bool, typer.Option("--json", help="The same as -o json.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", readable=False, help="Read this file instead of the usual ones."
        ),  # whether it can be read is said by those who read it, with the one status for wrong settings
    ] = None,
    redis: Annotated[str | None, typer.Option("--redis", metavar="URL", help="Use this Redis.")] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use the private Valkey of `serve --embedded`.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Wait until a person has stopped typing, and hand the chat bot one message.

    [bold]Try it:[/]  rfctl demo
    [bold]Run it:[/]  rfctl serve --embedded
    [bold]See it:[/]  rfctl stats --watch   |   rfctl tail   |   rfctl inspect 79001234567
    """
    ctx.obj = Invocation(
        output="json" if json else output, config=config, redis=redis, embedded=embedded, debug=debug
    )


def globals_first(line: list[str]) -> list[str]:
    """Move the global options to the front, wherever they stand before `--`."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(line)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or (word.partition("=")[0] in _VALUED - {"-o"} and "=" in word):
            front.append(word)
        elif word in _VALUED:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            rest.append(word)
    return front + rest


def run() -> None:
    """Parse and run this process's command line, and end with the status that scripts rely on."""
    line = globals_first(sys.argv[1:])
    debug = "--debug" in line
    try:
        app(args=line, prog_name="rfctl")
    except RfctlError as problem:
        _end(problem, debug=debug)
    except Exception as problem:
        if debug:
            raise
        typer.echo(f"rfctl: a bug: {type(problem).__name__}: {problem}", err=True)
        typer.echo("  next: run it again with --debug and report what it prints", err=True)
        sys.exit(BUG)


def _end(problem: RfctlError, *, debug: bool) -> None:
    from rfctl.cli.output import error

    if debug:
        import traceback

        traceback.print_exception(problem)
    error(problem)
    sys.stdout.flush()
    sys.exit(problem.exit_status)
