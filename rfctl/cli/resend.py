"""`rfctl replay ID`: a merged message is sent again, under the id that it always had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from rfctl.assembly.sinks import forwarded_sinks
from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.message_id import check_id, check_only_one, in_stream, outside_id
from rfctl.cli.sink_name import check_forwarded
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError
from rfctl.store.batches import Batches
from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadMessage, DeadMessages
from rfctl.store.deliveries import DeliveryQueue, StreamEntry
from rfctl.store.keys import ShardKeys
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
    dead: list[DeadMessage]


async def _replay(ctx: typer.Context, written: str, sink: str) -> None:
    run = invocation(ctx)
    async with run.batches() as (connection, batches, configuration):
        targets = _targets(configuration.settings, sink)
        found = await _find(connection, batches, written, configuration.settings)
        for name in targets:
            await _send(connection, found, name)
        _say(run, outside_id(found.entry), targets)


async def _send(connection: Connection, found: _Found, sink: str) -> None:
    """Send it again; where it is dead for this sink, it is so no more."""
    deliveries = DeliveryQueue(connection, found.shard, sink)
    dead = [one for one in found.dead if one.sink == sink]
    if not dead or not await deliveries.requeue(found.entry, dead[0].entry_id):
        await deliveries.requeue(found.entry)
    room = DeadMessages(connection, [found.shard])
    for one in dead[1:]:  # given up, sent again and given up again
        await room.drop(one)


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


async def _find(connection: Connection, batches: Batches, written: str, settings: Settings) -> _Found:
    """Look in the output streams, then among the dead, which keep what was trimmed. Raises NothingFoundError."""
    kept = await in_stream(connection, batches.shards, written)
    dead = [
        one
        for one in await DeadMessages(connection, batches.shards).named(written)
        if written in (one.message_id, one.entry.id)
    ]
    every = [*kept, *((one.shard, one.entry) for one in dead)]
    if not every:
        raise NothingFoundError(
            f"there is no merged message {written} any more in {connection.address.shown()}",
            set_by=connection.address.set_by,
            next=f"it is kept {duration(settings.output.retention_s * 1000)} (output.retention_s); "
            "`rfctl tail --since 1d` shows what is there",
        )
    check_only_one(written, [outside_id(entry) for _, entry in every])
    shard, entry = every[0]
    return _Found(shard, entry, dead)


def _say(run: Invocation, message_id: str, sinks: list[str]) -> None:
    from rfctl.cli import output as render

    if run.json:
        run.emit({"id": message_id, "sinks": sinks})
        return
    render.console().print(render.safe(f"{message_id} is sent again to {', '.join(sinks)}; {_SAME_ID}"))
