"""The attempts to deliver a message: what the delivery log says of the last one, and how many failed before it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from rfctl.store import replies
from rfctl.store.stream_entry import StreamEntry


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """What the delivery log says of the attempt that ended a message's way to a sink.

    `phone` is "" where the batch key is the phone. `attempts` counts all attempts, with this one. `took_ms` is how long
    it took (None: not measured).
    """

    phone: str = ""
    attempts: int = 1
    took_ms: int | None = None

    @classmethod
    def at(cls, entry: StreamEntry, took_ms: int | None = None) -> LastAttempt:
        """Return the attempt at an entry, after those that failed before it."""
        phone = "" if entry.phone == entry.batch_key else entry.phone
        return cls(phone, entry.attempts + 1, took_ms)

    def as_args(self) -> tuple[str, int, int | str]:
        """Return it as the scripts take it."""
        return self.phone, self.attempts, "" if self.took_ms is None else self.took_ms


UNTIMED = LastAttempt()
"""The first attempt, which nobody timed, at a message whose batch key is the phone."""


def count_attempts(history: object) -> int:
    """Return how many attempts a stored history has; 0 for what another program wrote there."""
    try:
        return len(msgspec.json.decode(replies.data(history) or b"[]", type=list[msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
