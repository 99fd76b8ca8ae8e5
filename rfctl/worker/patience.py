"""Calls to a Redis that may be away: what fails for a while is repeated, what waiting cannot mend is raised."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis import exceptions as rx

from rfctl.errors import CredentialsRefusedError, RedisUnreachableError
from rfctl.text import hide_secrets, mask_url

Answer = TypeVar("Answer")
_notes = logging.getLogger("rfctl.worker")
_PAUSE_S = 0.5
_LAST_PATIENCE_S = 5.0
_REFUSED = re.compile(
    r"NOAUTH|WRONGPASS|NOPERM|ACL failure in script|The user executing the script can't (?:run|access|publish)"
)
"""How Redis refuses a user, also inside a script."""
_FOR_A_WHILE = (
    rx.ConnectionError, rx.TimeoutError, rx.BusyLoadingError, rx.OutOfMemoryError, rx.ReadOnlyError, rx.MasterDownError,
    OSError,
)  # fmt: skip
_CODE_FOR_A_WHILE = re.compile(r"(?:^|: -)(?:MISCONF|BUSY|NOREPLICAS|UNBLOCKED|OOM|READONLY|MASTERDOWN)\b")
"""The codes of such errors; Redis 6.2 has them in the middle of what it says of a script."""
_NOT_THE_MASTER = re.compile(r"(?:^|: -)(?:READONLY|MASTERDOWN|UNBLOCKED)\b|read only replica")


def is_not_the_master(problem: Exception) -> bool:
    """Say whether a failure means that the address may lead to another server by now."""
    is_named = isinstance(problem, rx.ReadOnlyError | rx.MasterDownError)
    return is_named or bool(_NOT_THE_MASTER.search(str(problem)))


def _obey_cancellation() -> None:
    """redis-py makes a timeout of its own of a cancellation that comes at a bad moment."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Patience:
    """Repeats the calls of the workers of a group. `hang_up` lets go of every socket; `clock` counts seconds."""

    def __init__(
        self,
        url: str,
        group: str,
        hang_up: Callable[[], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._group, self._hang_up, self._clock = url, group, hang_up, clock
        self._most_s = math.inf
        self._answered_at = clock()
        self.longest_silence_s = 0.0
        """For how long no call was answered, as far as one failed since `forget_silence`."""

    @property
    def where(self) -> str:
        """The address, without its password."""
        return mask_url(self._url)

    def end(self) -> None:
        """From now on a call is repeated for a few seconds only: what is not acknowledged comes again."""
        self._most_s = _LAST_PATIENCE_S

    def forget_silence(self) -> None:
        """Measure the longest silence anew."""
        self.longest_silence_s = 0.0

    async def repeat(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Call until Redis answers, and say in the log that it is away. Raises what waiting cannot mend."""
        away_since = None
        while True:
            try:
                answer = await call()
            except (rx.RedisError, OSError) as problem:
                _obey_cancellation()
                self._raise_unless_temporary(problem)
                now = self._clock()
                if away_since is None:
                    away_since = now
                    _notes.warning("Redis at %s: %s; waiting", self.where, self._explain(problem))
                if now - away_since > self._most_s:
                    raise RedisUnreachableError(f"Redis at {self.where}: {self._explain(problem)}") from None
                self.longest_silence_s = max(self.longest_silence_s, now - self._answered_at)
                if is_not_the_master(problem):
                    await self._hang_up()
                await asyncio.sleep(_PAUSE_S)
            else:
                _obey_cancellation()
                self._answered_at = self._clock()
                if away_since is not None:
                    _notes.warning("Redis at %s is back", self.where)
                return answer

    def _explain(self, problem: Exception) -> str:
        return hide_secrets(str(problem), self._url)

    def _raise_unless_temporary(self, problem: Exception) -> None:
        if isinstance(problem, rx.AuthenticationError | rx.NoPermissionError) or _REFUSED.search(
            str(problem)
        ):
            raise CredentialsRefusedError(
                f"Redis at {self.where} refuses the worker: {self._explain(problem)}",
                next=f"rfctl export acl --worker {self._group} prints the rights that it needs",
            ) from None
        if not (isinstance(problem, _FOR_A_WHILE) or _CODE_FOR_A_WHILE.search(str(problem))):
            raise problem
