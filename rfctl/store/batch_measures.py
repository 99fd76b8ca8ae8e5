"""What is measured of the batches that calls of this process have handed over, as plain ints for the metrics."""

from __future__ import annotations

from collections.abc import Sequence

from rfctl.model.histogram import Histogram
from rfctl.model.recent_values import RecentValues

_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 50, 100)
_WAITS_MS = (100, 500, 1000, 2000, 3000, 5000, 7500, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 300_000)
_LATE_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 60_000)
_GAPS_MS = (
    100, 250, 500, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 15_000, 20_000, 30_000, 60_000,
)  # fmt: skip
"""Fine where batching.quiet_ms usually is: whoever sets it asks which pauses are inside a thought."""


class BatchMeasures:
    """Histograms since the start of this process.

    `sizes` counts the messages of a batch. `waits` has how long the first of them had waited, `lateness` how late it was
    handed over, and `gaps` the times between a message and the one before it in its batch. `recent_waits` and
    `recent_lateness` have the last minutes.
    """

    __slots__ = ("gaps", "lateness", "recent_lateness", "recent_waits", "sizes", "waits")

    def __init__(self) -> None:
        self.sizes = Histogram(_SIZES)
        self.waits = Histogram(_WAITS_MS, per_unit=1000)
        self.lateness = Histogram(_LATE_MS, per_unit=1000)
        self.gaps = Histogram(_GAPS_MS, per_unit=1000)
        self.recent_waits = RecentValues()
        self.recent_lateness = RecentValues()

    def add(self, measures: Sequence[int]) -> None:
        """Count the batches of a call, by the list of list_measures (lua/shared/batch.lua), all ms.

        A batch has its gaps, how late it is, and -1 minus how long its first message had waited.
        """
        start = 0
        for place, number in enumerate(measures):
            if number < 0:
                self.sizes.add(place - start)
                self.gaps.add_all(measures[start : place - 1])
                self.lateness.add(measures[place - 1])
                self.waits.add(-1 - number)
                self.recent_lateness.add(measures[place - 1])
                self.recent_waits.add(-1 - number)
                start = place + 1
