"""`rfctl resend ID`: send a merged message again, under the id that it always had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import check_forwarded, check_is_unique, check_message_id
from rfctl.cli.context import invocation, run_async
from rfctl.cli.resend_many import Span, resend_many
from rfctl.cli.shared_options import Yes
from rfctl.cli.steps import Steps, counting
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError, UsageError
from rfctl.store import DeadLetter, ShardKeys, Store, StreamEntry
from rfctl.store.stream_pages import is_delivery_id
from rfctl.text import duration

_SAME_ID = "the id stays the same, so a receiver that remembers ids ignores it if it already has it"


def resend(
    ctx: typer.Context,
    message: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The merged message, by its id or the id that receivers know."),
    ] = None,
    sink: Annotated[
        str, typer.Option(help="Only to this sink; by default to every sink that rfctl delivers to.")
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
    if message is not None:
        if until or dry_run:
            raise UsageError("--until and --dry-run go with --since", next="rfctl resend --help")
        run_async(_resend(ctx, check_message_id(message), sink))
        return
    if not sink:
        raise UsageError("--since needs a sink", next=f"rfctl resend --since {since} --sink crm")
    span = Span(sink, since, until, is_dry_run=dry_run, yes=yes)
    run_async(resend_many(invocation(ctx), span))


@dataclass(frozen=True, slots=True)
class _Original:
    """The message to send again, and the dead letters of it."""

    shard: ShardKeys
    entry: StreamEntry
    dead: list[DeadLetter]


async def _resend(ctx: typer.Context, message_id: str, sink: str) -> None:
    run = invocation(ctx)
    async with run.store() as (store, configuration):
        sinks = _choose_sinks(configuration.settings, sink)
        original = await _find(store, message_id, configuration.settings)
        steps = Steps("sink", "served")
        with counting(run.out, steps):
            for name in sinks:
                await _send(store, original, name)
                steps.add()
    sent_id = original.entry.message_id
    if run.is_json:
        run.out.json({"id": sent_id, "delivery_id": original.entry.delivery_id, "sinks": sinks})
    else:
        run.out.text(f"{sent_id} is sent again to {', '.join(sinks)}; {_SAME_ID}")


async def _send(store: Store, original: _Original, sink: str) -> None:
    """Send it again, and remove its dead letters of this sink."""
    queue = store.deliveries(sink, original.shard)
    dead = [letter for letter in original.dead if letter.sink == sink]
    if not dead or not await queue.requeue(original.entry, dead[0].entry_id):
        await queue.requeue(original.entry)
    for letter in dead[1:]:  # it was sent again, and became a dead letter again
        await store.dead_letters.drop(letter)


def _choose_sinks(settings: Settings, sink: str) -> list[str]:
    if sink:
        check_forwarded(settings, sink)
        return [sink]
    names = list(list_forwarded_sinks(settings))
    if not names:
        raise NothingFoundError(
            "no sink is configured that rfctl delivers to",
            next="[sinks.NAME] in the settings, see `man rfctl.toml`",
        )
    return names


async def _find(store: Store, message_id: str, settings: Settings) -> _Original:
    """Search the output streams, then the dead letters, which keep trimmed messages. Raises NothingFoundError."""
    find = store.output.find_delivery if is_delivery_id(message_id) else store.output.find
    places = await find(message_id)
    dead = [letter for letter in await store.dead_letters.find(message_id) if _is_of(letter, message_id)]
    check_is_unique(
        message_id, [*(entry.message_id for _, entry in places), *(letter.message_id for letter in dead)]
    )
    if not places and dead and (whole := await store.dead_letters.read_whole(dead[0])):
        places = [(whole.shard, whole.entry)]
    if not places:
        raise NothingFoundError(
            f"there is no merged message {message_id} any more in {store.address.shown()}",
            set_by=store.address.set_by,
            next=f"it is kept {duration(settings.output.retention_s * 1000)} (output.retention_s); "
            "`rfctl tail --since 1d` shows what is there",
        )
    return _Original(*places[0], dead)


def _is_of(letter: DeadLetter, message_id: str) -> bool:
    """Say whether the id is the message's: a letter's own id may be another message's."""
    return message_id in (letter.message_id, letter.entry.id, letter.entry.delivery_id)
