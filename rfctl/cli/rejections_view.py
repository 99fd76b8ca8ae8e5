"""The rejected requests of `stats`: how many for each reason, of which source, and when the last came."""

from __future__ import annotations

from typing import Any

from rfctl.observe import Snapshot
from rfctl.text import duration
from rfctl.timing import format_rfc3339

_PREFIX = "rejected:"


def rejections_as_json(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return each reason with its count and the time of the last, the newest first."""
    return [
        {
            "reason": name.removeprefix(_PREFIX).partition(":")[0],
            "source": name.removeprefix(_PREFIX).partition(":")[2] or None,
            "count": snapshot.pending.totals[name],
            "last": format_rfc3339(snapshot.last_times.get(name)),
        }
        for name in _list_newest_first(snapshot)
    ]


def draw_rejections(snapshot: Snapshot) -> str:
    """Return the same as a line; "" when nothing was rejected yet."""
    return ", ".join(_draw(name, snapshot) for name in _list_newest_first(snapshot))


def _list_newest_first(snapshot: Snapshot) -> list[str]:
    names = [name for name in snapshot.pending.totals if name.startswith(_PREFIX)]
    return sorted(names, key=lambda name: (-snapshot.last_times.get(name, 0), name))


def _draw(name: str, snapshot: Snapshot) -> str:
    count, last_ms = snapshot.pending.totals[name], snapshot.last_times.get(name)
    ago = "" if last_ms is None else f" ({duration(max(0, snapshot.pending.now_ms - last_ms))} ago)"
    return f"{name.removeprefix(_PREFIX)} {count}{ago}"
