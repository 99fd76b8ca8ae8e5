"""The messages that a worker is at, and how long it says that it lives. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rfctl.worker.stream_keys import StreamKeys


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in hand: where it is, its person, its attempt (from 1), and its flat fields."""

    keys: StreamKeys
    batch_key: bytes
    id: str
    attempt: int
    fields: Sequence[bytes]


@dataclass(slots=True)
class _Held:
    entry: Entry
    until: float
    is_late: bool = False


class InHand:
    """What a worker has in hand: of each person of a stream one message. `clock` counts seconds.

    For `timeout_s` a sign of life is given for each of them.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s, self._clock = timeout_s, clock
        self._held: dict[tuple[StreamKeys, bytes], _Held] = {}

    def add(self, entry: Entry) -> None:
        """Note that a message is in hand from now on."""
        self._held[entry.keys, entry.batch_key] = _Held(entry, self._clock() + self._timeout_s)

    def remove(self, entry: Entry) -> None:
        """Note that a message is in hand no more."""
        held = self._held.get((entry.keys, entry.batch_key))
        if held is not None and held.entry is entry:
            del self._held[entry.keys, entry.batch_key]

    def list_persons(self, keys: StreamKeys) -> list[bytes]:
        """Return the batch keys of what is in hand from a stream."""
        return [batch_key for place, batch_key in self._held if place == keys]

    def group_by_stream(self) -> dict[StreamKeys, list[str]]:
        """Return the ids for which a sign of life is due."""
        by_stream: dict[StreamKeys, list[str]] = {}
        for held in self._held.values():
            if self._clock() < held.until:
                by_stream.setdefault(held.entry.keys, []).append(held.entry.id)
        return by_stream

    def pop_late(self) -> list[Entry]:
        """Return what no sign of life is given for any more, each once."""
        late = [held for held in self._held.values() if not held.is_late and self._clock() >= held.until]
        for held in late:
            held.is_late = True
        return [held.entry for held in late]
