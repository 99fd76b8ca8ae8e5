"""Live events that go on after a time without Redis.

What was handed over meanwhile comes from the output stream, and what was delivered from the delivery log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable

from rfctl.errors import RedisCannotNowError, RedisUnreachableError, RfctlError
from rfctl.observe.events import Event, follow_live, follow_on, identify
from rfctl.observe.outcomes import DeliveryEnded, MessageDropped, Outcomes
from rfctl.store import Store

PASSING = (RedisUnreachableError, RedisCannotNowError)
"""The failures that pass: who watches waits for their end."""
RETRY_S = 1.0
_PROBE_S = 5.0
"""After so much silence Redis is asked whether it is there: a socket that is cut off may say nothing for ever."""
_MARGIN_MS = 2000
"""Events of several shards come a little out of order."""
_REMEMBERED = 10_000


async def follow_through(
    store: Store,
    since_ms: int | None,
    subscribed: asyncio.Event,
    on_away: Callable[[RfctlError], None],
    on_back: Callable[[], None],
) -> AsyncGenerator[Event]:
    """Yield the events since then (Unix ms; None: from now on), and go on whenever Redis has been away.

    `on_away` is called when it goes, `on_back` when events are heard again. `subscribed` is set once none can be missed any
    more. What was received and not handed over while Redis could not be heard is missed; no merged message is, and no outcome.
    Raises RfctlError if Redis is away at the start, or for a failure that does not pass.
    """
    shown = _Shown()
    if since_ms is None:
        last_ms, outcomes = await store.now_ms(), await Outcomes.from_now_on(store)
        events = follow_live(store, subscribed, outcomes)
    else:
        last_ms, outcomes = since_ms, Outcomes.since(store, since_ms)
        events = follow_on(store, since_ms, subscribed, outcomes)
    first_ms, logged_ms = last_ms, outcomes.last_ms  # the log goes by the server's clock
    while True:
        try:
            async with contextlib.aclosing(_probe(store, events)) as live:
                async for event in live:
                    if isinstance(event, DeliveryEnded | MessageDropped):
                        logged_ms = max(logged_ms, event.at_ms)
                    else:
                        last_ms = max(last_ms, event.at_ms)
                    if shown.add(event):
                        yield event
        except PASSING as problem:
            on_away(problem)
        await _wait_for(store)
        again = outcomes.from_earlier(store, logged_ms - _MARGIN_MS)
        events = follow_on(store, max(first_ms, last_ms - _MARGIN_MS), _Announced(on_back), again)


class _Announced(asyncio.Event):
    """An event that says when it is set."""

    def __init__(self, on_set: Callable[[], None]) -> None:
        super().__init__()
        self._on_set = on_set

    def set(self) -> None:
        """Set it."""
        super().set()
        self._on_set()


async def _wait_for(store: Store) -> None:
    while True:
        await asyncio.sleep(RETRY_S)
        with contextlib.suppress(*PASSING):
            await store.now_ms()
            return


async def _probe(store: Store, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """Yield the events, and ask Redis for a sign of life when none has come for a while. Raises RfctlError."""
    coming: asyncio.Future[Event] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(events))
            await asyncio.wait([coming], timeout=_PROBE_S)
            if coming.done():
                event, coming = coming.result(), None
                yield event
            else:
                await store.now_ms()
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, RfctlError):
                await coming
        await events.aclose()


class _Shown:
    """The last events that were shown: what is read again is not shown twice."""

    def __init__(self) -> None:
        self._identities: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def add(self, event: Event) -> bool:
        """Remember an event; says whether it is new."""
        identity = identify(event)
        if identity in self._identities:
            return False
        self._identities[identity] = None
        if len(self._identities) > _REMEMBERED:
            self._identities.popitem(last=False)
        return True
