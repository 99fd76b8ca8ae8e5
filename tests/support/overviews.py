"""An overview for screens, with a bit of everything."""

from __future__ import annotations

from typing import Any

import msgspec

from rfctl.observe.overview import (
    FindingRow,
    Flow,
    LastLine,
    Overview,
    SinkRow,
    Waiting,
    WaitingRow,
    WorkerRow,
)

NOW_MS = 1_800_000_000_000
FAILING = FindingRow(
    "sink_failing", "error", "crm", "sink crm fails: 503", "config.toml:4", "rfctl resume crm retries now"
)
DEAD = FindingRow("dead_letters", "warning", "", "4 dead messages", "", "rfctl dead list")


def wait(number: int, **parts: Any) -> WaitingRow:
    """Return somebody who waits."""
    row = WaitingRow(
        batch_key=f"790012345{number:02}", phone=f"790012345{number:02}", chat="", account="", source="salon", size=number,
        max_size=10, due_in_ms=1000 * number, waited_ms=4100, fraction=0.5, text=f"Привет {number}", is_held=False,
    )  # fmt: skip
    return msgspec.structs.replace(row, **parts)


def sink(name: str, **parts: Any) -> SinkRow:
    """Return a sink that does well."""
    row = SinkRow(name, "http", "ok", "ok, daemon 7", 12, 1.0, 8, 0, 0, is_paused=False, next_try_in_ms=None)
    return msgspec.structs.replace(row, **parts)


def show(waiting: int = 3, **parts: Any) -> Overview:
    """Return an overview in which so many wait."""
    rows = tuple(wait(number) for number in range(1, waiting + 1))
    overview = Overview(
        now_ms=NOW_MS, state="fail", word="FAILING", daemons_line="2 daemons (0.3.1), the same settings", daemons=(),
        redis_line="10.0.0.5:6379/0 · run 31185a87 · AOF · noeviction",
        flow=Flow(41, 12, (1, 5, 9, 3, 0, 12, 40), (1, 2, 3, 4), 3.4, 5000, 7800, 3, 0, 4, 1),
        waiting=Waiting(len(rows), 9, 4100, 0, 0, 0, rows),
        sinks=(sink("bot"), sink("crm", state="fail", words="fails: 503", left=17, next_try_in_ms=80_000)),
        workers=(WorkerRow("hands", "warn", "nobody asked for 12 min 0 s", 31),),
        findings=(FAILING, DEAD),
        last=tuple(LastLine(NOW_MS - place, "out", "3→1 quiet", "79001234567") for place in range(9)),
    )  # fmt: skip
    return msgspec.structs.replace(overview, **parts)
