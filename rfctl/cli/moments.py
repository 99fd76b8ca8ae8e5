"""Moments as an operator writes them: a while ago, a time of day, or a whole time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from rfctl.errors import UsageError

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


def parse_moment(text: str, now_ms: int, *, option: str = "--since") -> int:
    """Return the moment (Unix ms) of `2h` (ago), `02:00` (the last one, local time) or an RFC 3339 time.

    Raises UsageError.
    """
    if match := _AGO.fullmatch(text):
        return max(0, now_ms - int(match[1]) * _UNITS_MS[match[2]])
    now = datetime.fromtimestamp(now_ms / 1000).astimezone()
    if match := _TIME_OF_DAY.fullmatch(text):
        hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
        moment = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return _to_ms(moment if moment <= now else moment - timedelta(days=1))
    try:
        moment = datetime.fromisoformat(text)
        return _to_ms(moment if moment.tzinfo else moment.astimezone())
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option} {text} is no moment", next="write 2h (ago), 02:00 or 2026-11-29T02:00:00Z"
        ) from None


def _to_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
