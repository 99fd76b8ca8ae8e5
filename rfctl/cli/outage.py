"""What a command that watches says while Redis is away, and when it is back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rfctl.cli.output import format_time_of_day
from rfctl.errors import RfctlError
from rfctl.text import duration, mask_urls


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without Redis: what began it, and when."""

    problem: RfctlError
    began_at_ms: float = field(default_factory=lambda: time.time() * 1000)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> str:
        """How long it has lasted, for a person."""
        return duration((time.monotonic() - self.began_s) * 1000)

    @property
    def head(self) -> str:
        """Since when it lasts, by this host's clock."""
        return f"Redis away since {format_time_of_day(int(self.began_at_ms)).partition('.')[0]}"

    @property
    def fact(self) -> str:
        """What failed."""
        return mask_urls(self.problem.fact)

    def line(self) -> str:
        """Return what to say once while it lasts."""
        return f"{self.head}, trying again: {self.fact}"

    def end_line(self) -> str:
        """Return what to say at its end."""
        return f"Redis is back after {self.age}"
