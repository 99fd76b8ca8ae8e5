"""`rfctl replay ID`: a merged message is sent again, under the id that it always had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from rfctl.assembly.sinks import forwarded_sinks
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.message_id import check_id, check_only_one
from rfctl.cli.sink_name import check_forwarded
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError
from rfctl.store import DeadLetter, ShardKeys, Store, StreamEntry
from rfctl.text import duration

_SAME_ID = "the id stays the same: a receiver that remembers it takes the message for the one it has"


def replay(
    ctx: typer.Context,
    message: Annotated[str, typer.Argument(metavar="ID", help="The merged message, by its id.")],
    sink: Annotated[
        str, typer.Option(help="Only to this sink; else to every one that rfctl delivers to.")
    ] = "",
) -> None:
    """Send a merged message again, as the next one of its person.

    Its id stays the same, so a receiver that remembers ids ignores what it has already.

    Examples:  rfctl replay 1758000000000-0  |  rfctl replay 1758000000000-0 --sink crm
    """
    run_async(_replay(ctx, check_id(message), sink))


@dataclass(frozen=True, slots=True)
class _Found:
    shard: ShardKeys
    entry: StreamEntry
    dead: list[DeadLetter]


async def _replay(ctx: typer.Context, written: str, sink: str) -> None:
    run = invocation(ctx)
    async with run.store() as (store, configuration):
        targets = _targets(configuration.settings, sink)
        found = await _find(store, written, configuration.settings)
        for name in targets:
            await _send(store, found, name)
        _say(run, found.entry.message_id, targets)


async def _send(store: Store, found: _Found, sink: str) -> None:
    """Send it again; where it is dead for this sink, it is so no more."""
    queue = store.deliveries(sink, found.shard)
    dead = [letter for letter in found.dead if letter.sink == sink]
    if not dead or not await queue.requeue(found.entry, dead[0].entry_id):
        await queue.requeue(found.entry)
    for letter in dead[1:]:  # given up, sent again and given up again
        await store.dead_letters.drop(letter)


def _targets(settings: Settings, sink: str) -> list[str]:
    known = list(forwarded_sinks(settings))
    if sink:
        check_forwarded(settings, sink)
        return [sink]
    if not known:
        raise NothingFoundError(
            "no sink is configured that rfctl delivers to",
            next="[sinks.NAME] in the settings, see `man rfctl.toml`",
        )
    return known


async def _find(store: Store, written: str, settings: Settings) -> _Found:
    """Look in the output streams, then among the dead, which keep what was trimmed. Raises NothingFoundError."""
    kept = await store.output.find(written)
    dead = [
        letter
        for letter in await store.dead_letters.named(written)
        if written in (letter.message_id, letter.entry.id)
    ]
    every = [*kept, *((letter.shard, letter.entry) for letter in dead)]
    if not every:
        raise NothingFoundError(
            f"there is no merged message {written} any more in {store.address.shown()}",
            set_by=store.address.set_by,
            next=f"it is kept {duration(settings.output.retention_s * 1000)} (output.retention_s); "
            "`rfctl tail --since 1d` shows what is there",
        )
    check_only_one(written, [entry.message_id for _, entry in every])
    shard, entry = every[0]
    return _Found(shard, entry, dead)


def _say(run: Invocation, message_id: str, sinks: list[str]) -> None:
    from rfctl.cli import output as render

    if run.json:
        run.emit({"id": message_id, "sinks": sinks})
        return
    render.console().print(render.safe(f"{message_id} is sent again to {', '.join(sinks)}; {_SAME_ID}"))
