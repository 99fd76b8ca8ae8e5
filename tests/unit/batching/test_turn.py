"""Which calls a turn makes, against a model of what is due: no call is cut short, wasted or forgotten."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rfctl.batching.turn import CALLS_AT_ONCE, Call, Turn
from rfctl.model.stored import HandedOver

A_CALL = 16


def answer(batches: int, *, more: bool, next_due_ms: int | None = None) -> HandedOver:
    return HandedOver(batches, batches, next_due_ms, 0, 0, more)


def calls_of(turn: Turn) -> list[Call]:
    """Every call that is to be counts now."""
    calls = []
    while call := turn.next_call():
        calls.append(call)
    return calls


def test_each_shard_is_asked_once_before_any_is_asked_more() -> None:
    turn = Turn(3)
    first = calls_of(turn)
    assert first == [Call(0, "oldest"), Call(1, "oldest"), Call(2, "oldest")]
    turn.record_answer(first[1], answer(A_CALL, more=True))
    assert [call.shard for call in calls_of(turn)] == [1, 1]


def test_calls_at_once_are_for_all_shards_together() -> None:
    turn = Turn(7)
    first = calls_of(turn)
    assert len(first) == CALLS_AT_ONCE
    turn.record_answer(first[0], answer(A_CALL, more=True))
    assert [call.shard for call in calls_of(turn)] == [4], "one that was not asked yet comes first"


def test_single_call_at_once_takes_both_ends_by_turns() -> None:
    turn, ends = Turn(1, calls_at_once=1), []
    for _ in range(6):
        [call] = calls_of(turn)
        ends.append(call.end)
        turn.record_answer(call, answer(A_CALL, more=True))
    assert ends == ["oldest", "newest"] * 3


def test_failure_ends_the_turn_when_what_is_on_its_way_has_ended() -> None:
    turn = Turn(1)
    [first] = calls_of(turn)
    turn.record_answer(first, answer(A_CALL, more=True))
    second, *others = calls_of(turn)
    turn.record_failure(second)
    for call in others:
        turn.record_answer(call, answer(A_CALL, more=True))
        assert calls_of(turn) == []


def test_sum_has_the_last_answer_of_each_shard() -> None:
    turn = Turn(2)
    first, second = calls_of(turn)
    turn.record_answer(second, answer(3, more=False, next_due_ms=70))
    turn.record_answer(first, answer(2, more=True, next_due_ms=10))
    for call in calls_of(turn):
        turn.record_answer(call, answer(1, more=False, next_due_ms=80))
    total = turn.sum_up()
    assert (total.next_due_ms, total.batches, total.more) == (70, 4, False)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=5), st.integers(1, 6), st.integers())
def test_turn_empties_every_shard_with_half_of_the_calls_from_the_newest(
    due: list[int], at_once: int, seed: int
) -> None:
    """The answers come in any order; Redis serves the calls in the order in which they came."""
    turn, left, chance = Turn(len(due), at_once), list(due), random.Random(seed)
    flying: list[tuple[Call, HandedOver]] = []
    counts: Counter[Call] = Counter()
    while True:
        for call in calls_of(turn):
            counts[call] += 1
            taken = min(A_CALL, left[call.shard])
            left[call.shard] -= taken
            flying.append((call, answer(taken, more=left[call.shard] > 0)))
        assert len(flying) <= at_once
        if not flying:
            break
        turn.record_answer(*flying.pop(chance.randrange(len(flying))))
    assert left == [0] * len(due)
    for shard, count in enumerate(due):
        oldest, newest = counts[Call(shard, "oldest")], counts[Call(shard, "newest")]
        assert oldest - newest in (0, 1)
        assert oldest + newest <= count // A_CALL + 2 + at_once
