"""Which calls a turn of the scheduler makes. Pure.

A call hands few batches over, so that Redis serves others meanwhile. While much is due, several calls are on their way
at once: so Redis never waits for the next. Half of the calls begin at what has become due last: behind a backlog of
hours, what is due now leaves at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from rfctl.model.closed_sets import DueEnd
from rfctl.model.stored import HandedOver, sum_answers

CALLS_AT_ONCE = 4
"""How many calls are on their way at most, over all shards: they share the sockets with the intake."""
_OTHER: dict[DueEnd, DueEnd] = {"oldest": "newest", "newest": "oldest"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a turn: which shard hands over (a number), and from which end of what is due."""

    shard: int
    end: DueEnd


@dataclass(slots=True)
class _ShardTurn:
    calls: int = 0
    """How many calls are on their way."""
    end: DueEnd = "newest"
    """Where the last call began."""
    last: HandedOver | None = None
    """The last answer."""
    has_backlog: bool = False
    is_probed: bool = False
    """Whether the only call on its way is to say if there is a backlog."""

    @property
    def wants_call(self) -> bool:
        """Say whether a call would find something. The first is alone: mostly it finds all there is.

        Behind a backlog too: answers come in any order, and an old one may say that more is left.
        """
        return self.has_backlog or (not self.calls and (self.last is None or self.last.more))

    def note_call(self) -> None:
        self.calls += 1
        self.end = _OTHER[self.end]
        self.is_probed = not self.has_backlog

    def note_answer(self, answer: HandedOver) -> None:
        self.calls -= 1
        self.last = answer
        self.has_backlog = answer.more and (self.has_backlog or self.is_probed)
        self.is_probed = False

    @property
    def rank(self) -> tuple[int, bool]:
        """What goes first is smallest: a shard with few calls on their way, then one that was not asked yet."""
        return self.calls, self.last is not None


class Turn:
    """One turn over so many shards: it ends when no shard has anything due, or behind a failure."""

    def __init__(self, shards: int, calls_at_once: int = CALLS_AT_ONCE) -> None:
        self._shards = [_ShardTurn() for _ in range(shards)]
        self._calls_at_once = calls_at_once
        self._has_failed = False

    def next_call(self) -> Call | None:
        """Return a call that is to be made now, which then is on its way; None for none until another has ended."""
        if self._has_failed or sum(shard.calls for shard in self._shards) >= self._calls_at_once:
            return None
        waiting = [number for number, shard in enumerate(self._shards) if shard.wants_call]
        if not waiting:
            return None
        number = min(waiting, key=lambda number: self._shards[number].rank)
        shard = self._shards[number]
        shard.note_call()
        return Call(number, shard.end)

    def record_answer(self, call: Call, answer: HandedOver) -> None:
        """Take a call off that has been answered; the last answer says whether its shard has more."""
        self._shards[call.shard].note_answer(answer)

    def record_failure(self, call: Call) -> None:
        """Take a call off that has failed. Redis is asked nothing more in this turn."""
        self._shards[call.shard].calls -= 1
        self._has_failed = True

    def sum_up(self) -> HandedOver:
        """Return the last answers of all shards as one."""
        return sum_answers([shard.last for shard in self._shards if shard.last is not None])
