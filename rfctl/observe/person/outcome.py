"""How far a message is with one reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rfctl.text import counted, duration
from rfctl.timing import format_rfc3339


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a message is with one sink or one group of workers.

    `state` is delivered, acknowledged (nothing says when), dead, missing, dropped, waiting, on_its_way or unread.
    """

    reader: str
    is_group: bool
    state: str
    at_ms: int | None = None
    attempts: int | None = None
    took_ms: int | None = None
    error: str = ""
    behind: str = ""
    next: str = ""

    def line(self, format_time: Callable[[int], str | None] = format_rfc3339) -> str:
        """Return it for a person, who reads times in this form."""
        parts = [self.state.replace("_", " ")]
        is_over = self.state != "waiting"  # else the time is that of the last failure
        if self.at_ms is not None and is_over:
            parts.append(format_time(self.at_ms) or "")
        if self.attempts:
            parts.append(
                f"at attempt {self.attempts}" if self.state == "delivered" else describe_failed(self.attempts)
            )
        if self.took_ms is not None:
            parts.append(f"in {duration(self.took_ms)}")
        if self.at_ms is not None and not is_over:
            parts[-1] += f", the last {format_time(self.at_ms)}"
        line = " ".join(parts) + (f": {self.error}" if self.error else "")
        return f"{line}; {self.next}" if self.next else line

    def as_json(self) -> dict[str, Any]:
        """Return it for -o json."""
        return {
            "group" if self.is_group else "sink": self.reader,
            "state": self.state,
            "at": format_rfc3339(self.at_ms),
            "attempts": self.attempts,
            "took_ms": self.took_ms,
            "error": self.error or None,
            "behind": self.behind or None,
            "next": self.next or None,
        }


def describe_failed(attempts: int) -> str:
    """Say after how many failed attempts."""
    return f"after {counted(attempts, 'failed attempt')}"
