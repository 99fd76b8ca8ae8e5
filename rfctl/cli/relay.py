"""For `tail --forward-to`: POSTs each merged message also to a developer's own machine.

It reads the output stream and nothing else: no group notices it, nothing is acknowledged, nothing retried.
The posts go one after another, beside the tail, so that a slow receiver holds up no line of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from rfctl.cli.output import Output
from rfctl.errors import RfctlError, SettingsError, UsageError
from rfctl.observe import BatchHandedOver
from rfctl.section import build_section
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.http.config import HttpConfig
from rfctl.sinks.http.sink import Http
from rfctl.store import Store, StreamEntry
from rfctl.text import mask_url

_FLAG = "--forward-to"


class Relay:
    """Posts merged messages in the order they come, and says on stderr what the receiver answered."""

    def __init__(self, store: Store, sink: Sink, shown: str) -> None:
        self._store = store
        self._sink = sink
        self._shown = shown
        self._output = Output()
        self._queue: asyncio.Queue[BatchHandedOver] = asyncio.Queue()

    def take(self, event: BatchHandedOver) -> None:
        """Post this message when its turn comes."""
        self._queue.put_nowait(event)

    async def run(self) -> None:
        """Post one after another, until cancelled."""
        while True:
            event = await self._queue.get()
            self._output.note(f"{event.id} to {self._shown}: {await self._post(event)}")

    async def _post(self, event: BatchHandedOver) -> str:
        try:
            entry = await self._entry(event)
            if entry is None:
                return "not sent: it has been removed from the output stream"
            await self._sink.deliver(entry.to_delivery())
        except DeliveryError as problem:
            return problem.fact
        except RfctlError as problem:
            return f"not sent: {problem.fact}"
        except Exception as problem:  # a sink may raise anything, and it counts as a failure
            return f"not sent: {type(problem).__name__}: {problem}"
        return "accepted (2xx)"

    async def _entry(self, event: BatchHandedOver) -> StreamEntry | None:
        places = await self._store.output.find(event.id)
        # On several shards the same id may stand twice; the event says only whose it is.
        return next((entry for _, entry in places if entry.merged.phone == event.phone), None)


@contextlib.asynccontextmanager
async def open_relay(store: Store, url: str) -> AsyncIterator[Relay]:
    """Open a relay to this URL, also in a private network. Raises UsageError for a wrong URL."""
    sink = _http(url)
    await sink.open()
    relay = Relay(store, sink, mask_url(url))
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.wait([task])
        await sink.close()


def _http(url: str) -> Sink:
    try:
        config = build_section(HttpConfig, {"type": "http", "url": url, "allow_private": True}, _FLAG)
    except SettingsError as problem:
        raise UsageError("; ".join(problem.problems).replace(f"{_FLAG}.url", _FLAG)) from None
    return Http(_FLAG, config)
