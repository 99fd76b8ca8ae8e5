"""What may happen to a sink's deliveries now: one immutable snapshot, and what changes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rfctl.delivery.attempt import PauseRequested
from rfctl.store.stream_entry import parse_entry_id


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another daemon may deliver now. Messages on their way here stay unacknowledged, and come again there."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """A phone's queue ended by an error that is not its message's. What it had stays unacknowledged."""

    failure: Exception


Report = PauseRequested | LeaseLost | Crashed
"""What a phone's queue reports to the forwarder, because it concerns every other phone."""


@dataclass(frozen=True, slots=True)
class SinkState:
    """The state of a sink in this daemon.

    A paused sink starts nothing, and what was read goes back to Redis. A draining sink starts nothing either, and leaves
    what was read unacknowledged. `failure` is why the forwarder has to start over. `pauses_requested` counts the pauses that
    receivers asked for, `pauses_settled` those that are in Redis. While unacknowledged entries are read again,
    `recovered_to` is the id of the last that came: behind it may lie an older one of any phone than what waits in Redis.
    """

    leased: bool = False
    paused: bool = False
    draining: bool = False
    failure: Exception | None = None
    recovered_to: str | None = None
    pauses_requested: int = 0
    pauses_settled: int = 0

    @property
    def may_start(self) -> bool:
        """Whether a delivery may start."""
        return self.leased and not self.draining and not self.paused

    def may_fetch(self, entry_id: str) -> bool:
        """Say whether a message that waits in Redis may be next of its phone; "" is none."""
        if not entry_id or self.recovered_to is None:
            return bool(entry_id)
        return parse_entry_id(entry_id) <= parse_entry_id(self.recovered_to)

    def recover_to(self, entry_id: str | None) -> SinkState:
        """Return the state in which unacknowledged entries were read again up to this one; None is all of them."""
        return replace(self, recovered_to=entry_id)

    def with_lease(self, *, is_ours: bool) -> SinkState:
        """Return the state with the lease, or without it."""
        return self if is_ours == self.leased else replace(self, leased=is_ours)

    def after(self, report: Report) -> SinkState:
        """Return the state after a report of a phone's queue."""
        match report:
            case PauseRequested():
                return replace(self, paused=True, pauses_requested=self.pauses_requested + 1)
            case LeaseLost():
                return replace(self, leased=False)
            case Crashed(failure):
                return replace(self, failure=failure)

    def after_pauses_settled(self, count: int) -> SinkState:
        """Return the state after the first `count` of the requested pauses are in Redis."""
        return replace(self, pauses_settled=max(self.pauses_settled, count))

    def after_pause_read(self, *, is_paused: bool, asked_in: SinkState) -> SinkState:
        """Return the state after Redis answered whether the sink is paused; it was asked in the state `asked_in`.

        Redis may not have known a pause that was on its way then, or that was requested since. Such a pause counts.
        """
        was_on_its_way = asked_in.pauses_requested > asked_in.pauses_settled
        is_newer = self.pauses_requested > asked_in.pauses_requested
        return replace(self, paused=is_paused or was_on_its_way or is_newer)

    def drain(self) -> SinkState:
        """Return the state in which nothing starts, and each queue ends after the message that it is at."""
        return replace(self, draining=True)

    def start_over(self) -> SinkState:
        """Return the draining state in which the failure is dealt with."""
        return replace(self, draining=True, failure=None)

    def resume(self) -> SinkState:
        """Return the state after every queue has ended, in which deliveries may start again."""
        return replace(self, draining=False)
