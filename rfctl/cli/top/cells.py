"""Small pieces of the screen: short times, bars and columns of a curve. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from rfctl.cli.output import safe

_CURVE = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


def brief(ms: float | None) -> str:
    """Return ms as short as can be: `8ms`, `1.4s`, `3m20s`, `2h03m`, `3d04h`; `-` where nobody knows."""
    if ms is None:
        return "-"
    if ms < 60_000:
        return f"{max(0, ms):.0f}ms" if ms < 1000 else f"{ms / 1000:.1f}s"
    minutes, seconds = divmod(int(ms / 1000), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    days, hours_of_day = divmod(hours, 24)
    if days:
        return f"{days}d{hours_of_day:02d}h"
    return f"{hours}h{minutes_of_hour:02d}m" if hours else f"{minutes}m{seconds:02d}s"


def draw_curve(counts: Sequence[int], width: int) -> str:
    """Return the newest counts as columns, the highest of them full."""
    shown = counts[-width:] if width > 0 else ()
    highest = max(shown, default=0)
    if not highest:
        return _CURVE[0] * len(shown)
    return "".join(_CURVE[round(count / highest * (len(_CURVE) - 1))] for count in shown)


def draw_bar(fraction: float, width: int) -> str:
    """Return a bar of `width` cells, of which this fraction is full, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


def format_clock(ms: float) -> str:
    """Return Unix ms as this host's time of day, to the second."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%H:%M:%S")


def join(*parts: Text) -> Text:
    """Return a line of parts, each with a style of its own."""
    return safe("").join(parts)
