"""`rfctl resend ID`: find a merged message, and send it again under the id that it always had."""

from __future__ import annotations

from dataclasses import dataclass

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.cli.arguments import check_forwarded, check_is_unique
from rfctl.cli.context import Invocation
from rfctl.cli.steps import Steps, counting
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError
from rfctl.store import DeadLetter, ShardKeys, Store, StreamEntry
from rfctl.store.stream_pages import is_delivery_id
from rfctl.text import duration

_SAME_ID = "the id stays the same, so a receiver that remembers ids ignores it if it already has it"


@dataclass(frozen=True, slots=True)
class _Original:
    """The message to send again, and the dead letters of it."""

    shard: ShardKeys
    entry: StreamEntry
    dead: list[DeadLetter]


async def resend_one(run: Invocation, message_id: str, sink: str) -> None:
    """Send a message again to one sink, or to every sink for ""."""
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
