"""What the keys of `rfctl top` do: the same functions as the commands, with their words for what happened."""

from __future__ import annotations

from rfctl.cli.daemon_options import take_daemon_options
from rfctl.cli.discard import Discarded, describe_discarded, discard_batch
from rfctl.cli.find import INCOMPLETE, find_person, format_local_time, list_rows
from rfctl.cli.flush import describe_flushed, flush_batches
from rfctl.cli.hold import describe_held, describe_released, hold_batches, parse_hold_ms, release_person
from rfctl.cli.sinks import describe_paused, describe_resumed, pause_sink, resume_sink
from rfctl.cli.steps import Steps
from rfctl.config.settings import Settings
from rfctl.errors import NothingFoundError
from rfctl.observe.person import parse_person
from rfctl.store import Store

_GONE = "nothing is pending any more: it was handed over meanwhile"


class Deeds:
    """Each deed returns what happened, in words. Each raises RfctlError."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def flush(self, batch_key: str) -> str:
        """Hand a batch over now."""
        await take_daemon_options(self._store, self._settings)
        batches = await flush_batches(self._store, [batch_key], Steps("batch", "handed over"))
        return describe_flushed(batches) if batches else _GONE

    async def discard(self, batch_key: str) -> list[str]:
        """Throw a batch away. Returns each of its messages on a line: it is the last copy. [] if nothing was there."""
        messages: list[Discarded] = []
        await discard_batch(self._store, batch_key, messages.extend)
        return list(map(describe_discarded, messages))

    async def hold(self, batch_key: str, duration: str) -> str:
        """Keep a batch from the bot for a duration, such as 2h."""
        for_ms = parse_hold_ms(duration)
        return describe_held(await hold_batches(self._store, [batch_key], batch_key, for_ms, ""))

    async def release(self, person: str) -> str:
        """End the holds of a phone or a batch key, and hand over what came meanwhile."""
        await take_daemon_options(self._store, self._settings)
        return describe_released(await release_person(self._store, parse_person(person)), discard=False)

    async def pause(self, sink: str, why: str) -> str:
        """Stop the deliveries of a sink."""
        return describe_paused(sink, *await pause_sink(self._store, self._settings, sink, why))

    async def resume(self, sink: str) -> str:
        """Let a sink go on."""
        changed, phones = await resume_sink(self._store, self._settings, sink)
        return describe_resumed(sink, phones, changed=changed)

    async def find(self, person: str) -> list[tuple[str, str]]:
        """Return what became of a person's messages: a time, or "", and a line for each event."""
        try:
            result = await find_person(self._store, self._settings, parse_person(person), None)
        except NothingFoundError as problem:
            return [("", problem.fact)]
        rows = list_rows(result.events, format_local_time)
        return rows if result.is_complete else [*rows, ("", INCOMPLETE)]
