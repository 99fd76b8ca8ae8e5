"""`rfctl dead`: dead letters, the merged messages that a sink did not take at any attempt.

The work is in `dead_shelf`, which is imported when a command runs: the completion of ids loads this module alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from rfctl.cli.completion import complete_dead_letters, complete_sinks
from rfctl.cli.shared_options import All, Limit, Yes, check_ids_or_all
from rfctl.errors import UsageError

if TYPE_CHECKING:
    from rfctl.cli.dead_shelf import AnyDeadShelf

app = typer.Typer(
    help="Dead letters: merged messages that a sink did not take at any attempt.", no_args_is_help=True
)

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        help="The id of a dead letter, of its message or of its delivery.",
        autocompletion=complete_dead_letters,
    ),
]
SinkName = Annotated[
    str, typer.Option("--sink", help="Only those of this sink.", autocompletion=complete_sinks)
]


@app.command("list")
def list_(ctx: typer.Context, sink: SinkName = "", limit: Limit = 50) -> None:
    """List the newest dead letters, the newest last.

    Examples:  rfctl dead list  |  rfctl dead list --sink crm --limit 10  |  rfctl dead list -o jsonl | jq .
    """
    _run(ctx, sink, lambda letters: letters.list_newest(limit))


@app.command("show")
def show(
    ctx: typer.Context,
    message: Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_dead_letters)],
) -> None:
    """Show a dead letter and the error of every attempt.

    Examples:  rfctl dead show 1758000000000-0
    """
    letter_id = _check_message_id(message)
    _run(ctx, "", lambda letters: letters.show(letter_id))


@app.command("retry")
def retry(
    ctx: typer.Context, ids: Ids = None, every: All = False, sink: SinkName = "", yes: Yes = False
) -> None:
    """Send dead letters to their sink again, with a full schedule of attempts.

    Examples:  rfctl dead retry 1758000000000-0  |  rfctl dead retry --all --sink crm --yes
    """
    chosen_ids = _check_choice(ids, every=every, sink=sink, command="retry")
    question = f"send {_all_of(sink)} again" if every else ""
    _run(ctx, sink, lambda letters: letters.retry(chosen_ids), question=question, yes=yes)


@app.command("drop")
def drop(
    ctx: typer.Context, ids: Ids = None, every: All = False, sink: SinkName = "", yes: Yes = False
) -> None:
    """Print dead letters, and throw each away as soon as it is printed.

    Examples:  rfctl dead drop 1758000000000-0  |  rfctl dead drop --all --sink crm --yes
    """
    chosen_ids = _check_choice(ids, every=every, sink=sink, command="drop")
    question = f"throw {_all_of(sink)} away" if every else ""
    _run(ctx, sink, lambda letters: letters.drop(chosen_ids), question=question, yes=yes)


def _check_choice(ids: list[str] | None, *, every: bool, sink: str, command: str) -> list[str]:
    chosen_ids = check_ids_or_all(ids, every=every, command="dead", check=_check_message_id)
    if sink and not every:
        raise UsageError("--sink goes with --all", next=f"rfctl dead {command} --all --sink {sink}")
    return chosen_ids


def _all_of(sink: str) -> str:
    return f"every dead letter of {sink}" if sink else "every dead letter"


def _run(
    ctx: typer.Context,
    sink: str,
    action: Callable[[AnyDeadShelf], Awaitable[int | None]],
    *,
    question: str = "",
    yes: bool = False,
) -> None:
    from rfctl.cli.dead_shelf import choose_dead_letters
    from rfctl.cli.shelf import run_on_shelf

    run_on_shelf(ctx, choose_dead_letters(sink), action, question=question, yes=yes)


def _check_message_id(text: str) -> str:
    from rfctl.cli.arguments import check_message_id

    return check_message_id(text)
