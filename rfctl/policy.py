"""How long to wait for a person; pure. The scripts are told a number and know nothing of why."""

from __future__ import annotations

from dataclasses import dataclass

from rfctl.message import Message


@dataclass(frozen=True, slots=True)
class Timers:
    """The three timers of a batch: silence, size and the longest wait (ms, messages, ms)."""

    quiet_ms: int
    max_size: int
    max_wait_ms: int

    @property
    def longest_ms(self) -> int:
        """No batch is due further away than this."""
        return max(self.quiet_ms, self.max_wait_ms)


def quiet_ms(message: Message, timers: Timers) -> int:  # noqa: ARG001 - the place where rules will look at it
    """Return how long this message's batch waits for the next one."""
    return timers.quiet_ms
