from __future__ import annotations

import pytest

from rfctl.cli.stats_words import describe_skipped


@pytest.mark.parametrize(
    ("totals", "words"),
    [
        ({"messages_in": 4}, ""),
        ({"skipped:own": 2, "skipped:status": 0}, "own 2"),
        (
            {"skipped:event": 2, "skipped:own": 1, "skipped:event:ack": 3, "skipped:event:typing": 4},
            "event 9 (typing 4, ack 3), own 1",
        ),
        (
            {f"skipped:event:e{number}": number for number in range(1, 8)},
            "event 28 (e7 7, e6 6, e5 5, e4 4, e3 3, …)",
        ),
    ],
)
def test_skipped_parts_are_summed_by_kind_with_the_names_of_events(
    totals: dict[str, int], words: str
) -> None:
    assert describe_skipped(totals) == words
