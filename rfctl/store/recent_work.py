"""What one daemon has done in the last minutes, as its record says it: counts of values, ready to be summed."""

from __future__ import annotations

import msgspec

ValueCounts = dict[int, int]
"""How many there were of each value (ms, to two digits)."""


class RecentAttempts(msgspec.Struct, frozen=True):
    """How long the attempts of one sink took: those that delivered, and all others."""

    delivered: ValueCounts
    failed: ValueCounts


class RecentWork(msgspec.Struct, frozen=True):
    """The last five minutes of one daemon, about.

    `waits` has how long the first message of each batch had waited, `lateness` how late it was handed over; `attempts` are
    by sink. Of a flood they have samples.
    """

    waits: ValueCounts = {}
    lateness: ValueCounts = {}
    attempts: dict[str, RecentAttempts] = {}


class MinuteCounts(msgspec.Struct, frozen=True):
    """What all daemons together took in (messages) and handed over (merged messages), by minute, oldest first."""

    ins: tuple[int, ...] = ()
    outs: tuple[int, ...] = ()
