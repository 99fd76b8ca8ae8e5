"""The command line as a whole: the global options, the table of commands, and how a failure ends.

Global options work before and after the command: they are moved to the front before the line is parsed.
A command's module is imported when that command is used: `--help`, `--version` and the completion of command
words read the table alone.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from rfctl import __version__
from rfctl.cli.context import Invocation
from rfctl.cli.help_texts import list_examples, name_value, name_values
from rfctl.cli.panels import find_panel
from rfctl.errors import BUG, EXIT_STATUSES, NOTHING_FOUND, RfctlError

COMMANDS = {
    "demo": ("demo:demo", "Start a private Valkey and a daemon, let three people write, and show what the bot would get."),
    "serve": (
        "serve:serve",
        "Run the daemon: the webhook takes messages in, the processor hands batches over, the forwarder delivers.",
    ),
    "stats": (
        "stats:stats",
        "Show whether it is working, what needs you, who waits, out to whom it goes, and the totals.",
    ),
    "top": ("top:top", "Watch who waits, what needs you and where it goes, and act on it with a key."),
    "find": (
        "find:find",
        "Tell what became of a person's messages, in the order of time, and what happens next.",
    ),
    "doctor": (
        "doctor:doctor",
        "Look at everything, and say what is wrong, who set it and what to do: failures first.",
    ),
    "check": ("check:check", "Say in one line for Nagios, cron or Kubernetes whether rfctl works."),
    "inspect": (
        "inspect:inspect",
        "Show everything of a person, wherever it is: pending, unread, before a sink that fails or is paused, dead.",
    ),
    "tail": ("tail:tail", "Follow live what comes in (-->), leaves as one (<--) and is delivered (==>). Ctrl-C ends it."),
    "flush": ("flush:flush", "Hand over all that is pending for a person now."),
    "discard": ("discard:discard", "Throw away all that is pending for a person, and print it."),
    "hold": ("hold:hold", "Keep a person from the bot for a while: somebody on your side talks to them."),
    "release": ("hold:release", "End the hold of a person, and hand over what came meanwhile as one."),
    "held": ("hold:held", "List who is held, until when, by whom and why."),
    "adopt": ("adopt:adopt", "Take in lists of messages that nobody hands over, and let them be due now."),
    "forget": ("forget:forget", "Remove all of a person from Redis, and say what stays and until when."),
    "pause": ("sinks:pause", "Stop deliveries to a sink, on every daemon. Its messages are kept until `rfctl resume`."),
    "resume": ("sinks:resume", "Start deliveries to a paused sink again; messages that wait are retried at once."),
    "resend": ("resend:resend", "Send a merged message again, as the next message of its person."),
    "simulate": ("simulate:simulate", "Send simulated messages through the running daemon and check the result."),
    "dead": ("dead:app", "Dead letters: merged messages that a sink did not take at any attempt."),
    "quarantine": ("quarantine:app", "Authentic requests that could not be parsed."),
    "source": ("source:app", "Try what a source makes of a captured request: messages, skips, proof and answer."),
    "config": ("config:app", "Show, explain and check the settings."),
    "export": ("export:app", "Print files for other programs."),
}  # fmt: skip
"""Each command: where its function or its own group is, and the first line of its help."""

_WrongLineError: Any = typer.BadParameter.__bases__[0]
"""What Typer raises for a wrong command line; which library it is from depends on the version of Typer."""
_FLAGS = frozenset({"--json", "--embedded", "--debug"})
_VALUED = frozenset({"-o", "--output", "--config", "--redis"})

_EPILOG = (
    "Global options may stand before or after the command.  "
    + "Exit status: "
    + ", ".join(f"{number} {meaning}" for number, meaning in EXIT_STATUSES.items())
    + "."
)


class CommandTable(TyperGroup):
    """The commands; each is only a line of help until it is used."""

    def get_params(self, ctx: Any) -> Any:
        """Return the global options, which name their values as those of a command do."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            name_value(parameter, ctx)
        return parameters

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the global options; while a word is completed, nobody needs their values."""
        if ctx.resilient_parsing:
            for option in self.get_params(ctx):
                _keep_as_text(option)
        command = next((word for word in args if word in COMMANDS), "")
        with _ending_as_nagios_wants(lambda: command):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the line names."""
        with _ending_as_nagios_wants(lambda: ctx.invoked_subcommand or ""):
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that the line names, and let Typer find it."""
        if args:
            self.load(args[0])
        if args and ctx.resilient_parsing and args[0] in COMMANDS:
            _keep_all_as_text(self.commands[args[0]])
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> None:
        """Put the command itself in the place of its line of help; a name that is no command changes nothing."""
        if name in COMMANDS:
            self.commands[name] = _load(name)


@contextlib.contextmanager
def _ending_as_nagios_wants(name_command: Callable[[], str]) -> Iterator[None]:
    """Let a wrong command line of `check` end with 3: Nagios would take 2 for CRITICAL."""
    try:
        yield
    except _WrongLineError as problem:
        if name_command() == "check":
            problem.exit_code = NOTHING_FOUND
        raise


def _keep_as_text(option: Any) -> None:
    """Let an option keep the word that was typed: Typer imports pydantic to turn it into a value."""
    option.process_value = lambda _, value: value


def _keep_all_as_text(command: Any) -> None:
    """Let every option and argument of a command, and of those below it, keep the words that were typed."""
    list_parameters = command.get_params

    def get_params(ctx: Any) -> Any:
        parameters = list_parameters(ctx)
        for parameter in parameters:
            _keep_as_text(parameter)
        return parameters

    command.get_params = get_params
    for inner in getattr(command, "commands", {}).values():
        _keep_all_as_text(inner)


def _load(name: str) -> Any:
    command = _import(name)
    list_examples(command)
    name_values(command)
    return command


def _import(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].partition(":")
    target = getattr(import_module(f"rfctl.cli.{module}"), attribute)
    if not isinstance(target, typer.Typer):
        shell = typer.Typer(add_completion=False, rich_markup_mode="rich")
        shell.command(name)(target)
        return typer.main.get_command(shell)
    group = typer.main.get_group(target)
    group.name = name
    return group


app = typer.Typer(
    name="rfctl",
    cls=CommandTable,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, (_, _help) in COMMANDS.items():
    app.command(_name, help=_help, rich_help_panel=find_panel(_name))(lambda: None)  # until `load`


def load_all_commands() -> CommandTable:
    """Return the table with every command loaded: the pages are checked against it."""
    table = typer.main.get_command(app)
    assert isinstance(table, CommandTable)  # noqa: S101
    for name in COMMANDS:
        table.load(name)
    return table


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"rfctl {__version__}")
        raise typer.Exit


@app.callback()
def read_global_options(
    ctx: typer.Context,
    output: Annotated[
        Literal["table", "json", "jsonl", "toml"],
        typer.Option(
            "-o", "--output", metavar="FORMAT", help="table, json or jsonl; toml is for `config show`."
        ),
    ] = "table",
    json: Annotated[bool, typer.Option("--json", help="The same as -o json.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", readable=False, help="Read this file instead of the usual ones."
        ),  # whoever reads the file says if it cannot be read, with the one status for wrong settings
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
    [bold]See it:[/]  rfctl stats --watch   |   rfctl tail   |   rfctl find 79001234567
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
        with contextlib.suppress(OSError):
            _print_bug(problem, debug=debug)
        sys.exit(BUG)


def _print_bug(problem: Exception, *, debug: bool) -> None:
    from rfctl.text import mask_urls, visible

    if debug:
        _print_traceback(problem)
        return
    words = visible(mask_urls(f"{type(problem).__name__}: {problem}"))
    typer.echo(f"rfctl: a bug: {words}", err=True)
    typer.echo("  next: run it again with --debug and report what it prints", err=True)


def _print_traceback(problem: BaseException) -> None:
    """Print where an error came from, without passwords, and with nothing that acts on the terminal."""
    import traceback

    from rfctl.text import mask_urls, visible

    for line in "".join(traceback.format_exception(problem)).splitlines():
        typer.echo(visible(mask_urls(line)), err=True)


def _end(problem: RfctlError, *, debug: bool) -> None:
    from rfctl.cli.output import print_error

    with contextlib.suppress(OSError):  # nobody reads it: the exit status says it too
        if debug:
            _print_traceback(problem)
        print_error(problem)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.exit(problem.exit_status)
