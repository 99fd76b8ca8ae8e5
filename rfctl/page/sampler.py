"""Looks at Redis for all viewers of this daemon together: once a second, and not at all while nobody watches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from rfctl.errors import RfctlError
from rfctl.ingest.rejections import RejectedError
from rfctl.ingest.responses import RETRY
from rfctl.page.viewers import Viewer

EVERY_S = 1.0
MAX_VIEWERS = 64
_SAME_OUTAGE_S = 15.0
"""Two failed looks that are further apart are not of one outage for sure: Redis may have come back between them."""
_log = structlog.get_logger("page")


class Outage(msgspec.Struct, frozen=True):
    """What is wrong with Redis, and since when (Unix ms by the clock of this host)."""

    fact: str
    since_ms: int


class Moment(msgspec.Struct, frozen=True):
    """The last look: the overview as JSON (empty before the first), and the outage, if Redis is away."""

    overview: bytes = b""
    outage: Outage | None = None

    def render(self) -> bytes:
        """Return it as one server-sent event."""
        if self.outage is not None:
            return b"event: outage\ndata: %b\n\n" % msgspec.json.encode(self.outage)
        return b'event: state\ndata: {"overview":%b}\n\n' % self.overview


class Sampler:
    """Takes overviews with `look`, which raises RfctlError, and gives them to all viewers.

    `measure_silence_ms` says how long ago Redis served the daemon last: an outage may be older than its first viewer.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[object]],
        every_s: float = EVERY_S,
        measure_silence_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._look = look
        self._measure_silence_ms = measure_silence_ms
        self._every_s = every_s
        self._viewers: set[Viewer] = set()
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._moment = Moment()
        self._loop: asyncio.Task[None] | None = None
        self._is_stopped = False

    def join(self) -> Viewer:
        """Begin to watch. Raises RejectedError where too many do, and once the daemon stops."""
        if self._is_stopped:
            raise RejectedError("this daemon is stopping: try again", 503, "viewers", headers=RETRY)
        if len(self._viewers) >= MAX_VIEWERS:
            fact = f"{MAX_VIEWERS} browsers watch this daemon already: close some, or wait"
            raise RejectedError(fact, 503, "viewers", headers=RETRY)
        viewer = Viewer()
        self._viewers.add(viewer)
        if self._is_fresh:
            viewer.offer(self._moment.render())
        if self._loop is None or self._loop.done():
            self._loop = asyncio.ensure_future(self._watch())
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """End to watch."""
        self._viewers.discard(viewer)

    async def read(self) -> Moment:
        """Return the present moment, with the look that the viewers share."""
        async with self._looking:
            if not self._is_fresh:
                self._moment = await self._take()
                self._looked_at = time.monotonic()
        return self._moment

    def stop(self) -> None:
        """End all streams, for ever."""
        self._is_stopped = True
        for viewer in self._viewers:
            viewer.end()
        if self._loop is not None:
            self._loop.cancel()

    @property
    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked_at < self._every_s * 0.9

    async def _watch(self) -> None:
        """Look, and tell all viewers, until the last has left."""
        while self._viewers:
            began = time.monotonic()
            event = (await self.read()).render()
            for viewer in self._viewers:
                viewer.offer(event)
            await asyncio.sleep(max(self._every_s / 10, began + self._every_s - time.monotonic()))

    def _find_begin_ms(self) -> int:
        return int(time.time() * 1000) - self._measure_silence_ms()

    async def _take(self) -> Moment:
        before = self._moment
        try:
            return Moment(msgspec.json.encode(await self._look()))
        except RfctlError as problem:
            fact = problem.fact
        except Exception as problem:  # a bug must not end the streams: the page says so
            fact = "a bug in rfctl: see its log"
            if before.outage is None or before.outage.fact != fact:
                _log.exception("look_failed", problem=repr(problem))
        is_same = time.monotonic() - self._looked_at < _SAME_OUTAGE_S
        since_ms = before.outage.since_ms if before.outage is not None and is_same else self._find_begin_ms()
        return Moment(before.overview, Outage(fact, since_ms))
