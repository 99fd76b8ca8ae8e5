"""What may start after any order of events, held against a plain description of each event."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from rfctl.delivery.attempt import PauseRequested
from rfctl.delivery.state import Crashed, LeaseLost, SinkState
from rfctl.sinks.contract import DeliveryError

CRASH = ZeroDivisionError("a bug")
GONE = PauseRequested(DeliveryError("410 Gone", pause=True))

EVENTS: dict[str, Callable[[SinkState, SinkState], SinkState]] = {
    "pause requested": lambda state, _: state.after(GONE),
    "pause settled": lambda state, _: state.after_pauses_settled(state.pauses_settled + 1),
    "ask": lambda state, _: state,
    "answer: paused": lambda state, asked_in: state.after_pause_read(is_paused=True, asked_in=asked_in),
    "answer: not paused": lambda state, asked_in: state.after_pause_read(is_paused=False, asked_in=asked_in),
    "lease taken": lambda state, _: state.with_lease(is_ours=True),
    "lease lost": lambda state, _: state.after(LeaseLost()),
    "crash": lambda state, _: state.after(Crashed(CRASH)),
    "drain": lambda state, _: state.drain(),
    "start over": lambda state, _: state.start_over(),
    "resume": lambda state, _: state.resume(),
}
"""What an event does to the state; the other state is that in which Redis was asked."""
PAUSES = [event for event in EVENTS if "pause" in event or event == "ask"]
ANSWERS = ("answer: paused", "answer: not paused")


def play(events: tuple[str, ...]) -> SinkState:
    state = asked_in = SinkState()
    for event in events:
        asked_in = state if event == "ask" else asked_in
        state = EVENTS[event](state, asked_in)
    return state


def is_possible(events: tuple[str, ...]) -> bool:
    """Say whether each pause is requested before it is settled, and each answer has a question of its own."""
    on_their_way = questions = 0
    for event in events:
        on_their_way += (event == "pause requested") - (event == "pause settled")
        questions = 1 if event == "ask" else questions - (event in ANSWERS)
        if on_their_way < 0 or questions < 0:
            return False
    return True


def last_of(events: tuple[str, ...], *names: str) -> str:
    return next((event for event in reversed(events) if event in names), "")


def is_paused(events: tuple[str, ...]) -> bool:
    """Say whether the last request or answer pauses the sink, as Redis may have seen it."""
    place = max((n for n, event in enumerate(events) if event in ("pause requested", *ANSWERS)), default=-1)
    if place < 0 or events[place] != "answer: not paused":
        return place >= 0
    asked = max(n for n, event in enumerate(events[:place]) if event == "ask")
    before, meanwhile = events[:asked], events[asked:place]
    is_on_its_way = before.count("pause requested") > before.count("pause settled")
    return is_on_its_way or "pause requested" in meanwhile


@pytest.mark.parametrize(("names", "length"), [(list(EVENTS), 4), (PAUSES, 6)], ids=["all", "pauses"])
def test_every_order_of_events_leads_to_the_state_that_they_describe(names: list[str], length: int) -> None:
    orders = [events for events in itertools.product(names, repeat=length) if is_possible(events)]
    assert len(orders) > 1000
    for events in orders:
        state = play(events)
        assert state.leased == (last_of(events, "lease taken", "lease lost") == "lease taken"), events
        assert state.draining == (last_of(events, "drain", "start over", "resume") in ("drain", "start over"))
        assert (state.failure is CRASH) == (last_of(events, "crash", "start over") == "crash"), events
        assert state.paused == is_paused(events), events
        assert state.may_start == (state.leased and not state.paused and not state.draining), events


@pytest.mark.parametrize("event", ["lease lost", "pause requested", "answer: paused", "drain", "start over"])
def test_nothing_starts_after_any_of_these_events(event: str) -> None:
    ready = SinkState(leased=True)
    assert ready.may_start
    assert not EVENTS[event](ready, ready).may_start
    assert ready.may_start, "a snapshot does not change"


def test_new_state_has_no_lease_and_starts_nothing() -> None:
    assert not SinkState().may_start


def test_pause_holds_until_redis_was_asked_after_it_was_stored() -> None:
    requested = SinkState(leased=True).after(GONE)
    stored = requested.after_pauses_settled(1)
    assert stored.after_pause_read(is_paused=False, asked_in=requested).paused
    assert not stored.after_pause_read(is_paused=False, asked_in=stored).paused, "an operator resumed it"
