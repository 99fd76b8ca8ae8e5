"""Which sessions somebody has ended: what this daemon knows of them, and what all daemons tell each other in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from rfctl.errors import RfctlError
from rfctl.page.sessions import Session

EVERY_S = 1.0
"""So long what Redis said of a session is believed: a logout at another daemon is known here after that."""
WAIT_S = 2.0
"""So long Redis has time to answer: it may hang."""
_CLOCKS_DIFFER_S = 3600
"""A host whose clock is so far behind still takes the session; for it the key lives on."""
_MAX_ASKED = 1000
_log = structlog.get_logger("page")


class EndedStore(Protocol):
    """What daemons share: `rfctl.store.ended_sessions`. Both raise RfctlError."""

    async def add(self, lifetimes_s: Mapping[str, int]) -> None:
        """Write down that sessions are over, each for so long (session id → s)."""

    async def contains(self, session_id: str) -> bool:
        """Say whether a session was ended."""


class Logouts:
    """The sessions that were ended before their time. `clock` is Unix time, `steady` runs evenly, both in s.

    While Redis is away a daemon goes by what it knows: the page is needed then, and nothing can be done on it.
    """

    def __init__(
        self,
        store: EndedStore,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        *,
        every_s: float = EVERY_S,
        wait_s: float = WAIT_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady
        self._every_s = every_s
        self._wait_s = wait_s
        self._ended: dict[str, int] = {}
        self._unsaved: dict[str, int] = {}
        self._asked_at: dict[str, float] = {}
        self._saving: asyncio.Task[None] | None = None

    async def add(self, session: Session) -> bool:
        """End a session. Returns whether all daemons know of it; if not, this one tells them once Redis answers."""
        now_s = self._clock()
        self._ended = {id_: until_s for id_, until_s in self._ended.items() if until_s > now_s}
        self._ended[session.id] = self._unsaved[session.id] = session.until_s
        with contextlib.suppress(RfctlError, TimeoutError):
            await self._save()
        if self._unsaved and (self._saving is None or self._saving.done()):
            self._saving = asyncio.ensure_future(self._save_later())
        return session.id not in self._unsaved

    async def contains(self, session: Session) -> bool:
        """Say whether a session was ended, here or, as far as Redis tells, at another daemon."""
        if session.id not in self._ended and self._is_due(session.id):
            with contextlib.suppress(RfctlError, TimeoutError):
                async with asyncio.timeout(self._wait_s):
                    if await self._store.contains(session.id):
                        self._ended[session.id] = session.until_s
            self._remember_asked(session.id)
        return session.id in self._ended

    def stop(self) -> None:
        """End what goes on by itself."""
        if self._saving is not None:
            self._saving.cancel()

    def _is_due(self, session_id: str) -> bool:
        return self._steady() - self._asked_at.get(session_id, float("-inf")) >= self._every_s

    def _remember_asked(self, session_id: str) -> None:
        if len(self._asked_at) >= _MAX_ASKED:
            self._asked_at = {id_: at for id_, at in self._asked_at.items() if not self._is_due(id_)}
        self._asked_at[session_id] = self._steady()

    async def _save(self) -> None:
        now_s = int(self._clock())
        lifetimes_s = {id_: until_s - now_s + _CLOCKS_DIFFER_S for id_, until_s in self._unsaved.items()}
        lasting = {id_: lifetime_s for id_, lifetime_s in lifetimes_s.items() if lifetime_s > 0}
        if lasting:
            async with asyncio.timeout(self._wait_s):
                await self._store.add(lasting)
        for id_ in lifetimes_s:
            self._unsaved.pop(id_, None)

    async def _save_later(self) -> None:
        while self._unsaved:
            await asyncio.sleep(self._every_s)
            count = len(self._unsaved)
            with contextlib.suppress(RfctlError, TimeoutError):
                await self._save()
                _log.info("logouts_completed", sessions=count)
