"""`rfctl resend`: send one merged message again, or with --since all that a sink has finished since then.

The work is in `resend_one` and `resend_many`, which are imported when it runs: the completion of sinks loads this module.
"""

from __future__ import annotations

from typing import Annotated

import typer

from rfctl.cli.completion import complete_sinks
from rfctl.cli.context import invocation, run_async
from rfctl.cli.shared_options import Yes
from rfctl.errors import UsageError


def resend(
    ctx: typer.Context,
    message: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The merged message, by its id or the id that receivers know."),
    ] = None,
    sink: Annotated[
        str,
        typer.Option(
            help="Only to this sink; by default to every sink that rfctl delivers to.",
            autocompletion=complete_sinks,
        ),
    ] = "",
    since: Annotated[
        str, typer.Option(help="All that the sink has finished since then: 2h, 02:00 or a whole time.")
    ] = "",
    until: Annotated[str, typer.Option(help="And up to then; by default up to now.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --since: count, and send nothing.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Send a merged message again, as the next message of its person.

    Its id stays the same, so a receiver that remembers ids ignores a message that it already has.
    With --since, send all that a sink has finished since then.

    Examples:  rfctl resend 1758000000000-0 --sink crm  |  rfctl resend --since 02:00 --sink crm --dry-run
    """
    if (message is None) == (not since):
        raise UsageError("name one message, or --since", next="rfctl resend --since 02:00 --sink crm")
    if message is None:
        _resend_many(ctx, sink, since, until, is_dry_run=dry_run, yes=yes)
    elif until or dry_run:
        raise UsageError("--until and --dry-run go with --since", next="rfctl resend --help")
    else:
        _resend_one(ctx, message, sink)


def _resend_one(ctx: typer.Context, message: str, sink: str) -> None:
    from rfctl.cli.arguments import check_message_id
    from rfctl.cli.resend_one import resend_one

    run_async(resend_one(invocation(ctx), check_message_id(message), sink))


def _resend_many(
    ctx: typer.Context, sink: str, since: str, until: str, *, is_dry_run: bool, yes: bool
) -> None:
    from rfctl.cli.resend_many import Span, resend_many

    if not sink:
        raise UsageError("--since needs a sink", next=f"rfctl resend --since {since} --sink crm")
    run_async(resend_many(invocation(ctx), Span(sink, since, until, is_dry_run=is_dry_run, yes=yes)))
