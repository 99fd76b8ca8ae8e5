"""Whether a receiver was down as a whole, told by whose messages fail and whose arrive. Pure.

So many phones that fail one after another, while nobody is served for so long, are the receiver's doing: once it
takes a message again, all of them need not wait for their schedules. Whoever fails again after that does so by
the message, and so is no sign of the next outage; nor is one whom the receiver told when to come again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_PHONES = 3
_SERVED_NOBODY_S = 5.0


class OutageDetector:
    """Follows one receiver; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing: set[str] = set()
        self._refused: set[str] = set()
        self._served_at = clock()

    def failed(self, name: str, *, told_to_wait: bool) -> bool:
        """Note a failure; says whether its wait is its own, to be kept when the receiver is back."""
        own = told_to_wait or name in self._refused
        if not own:
            self._failing.add(name)
        return own

    def served(self, name: str) -> bool:
        """Note a success; says whether it ends an outage."""
        now = self._clock()
        ends = len(self._failing) >= _PHONES and now - self._served_at >= _SERVED_NOBODY_S
        if ends:
            self._refused |= self._failing
        self._failing.clear()
        self._refused.discard(name)
        self._served_at = now
        return ends

    def given_up(self, name: str) -> None:
        """Note that the message which was refused is dead: the phone's next one is another matter."""
        self._refused.discard(name)
        self._failing.discard(name)
