"""Which requests may be on their way at once: whatever ends first, each phone's messages go in their order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from rfctl.ingest import request_queue
from rfctl.ingest.request_queue import Request, RequestQueue
from rfctl.model.message import Message

ANYBODY = "id@lid"


def request(*phones: str) -> Request:
    messages = [
        Message(phone=phone, text="x", id="1", channel="generic", alias=ANYBODY if phone == ANYBODY else "")
        for phone in phones
    ]
    return Request(messages, lambda _: None)


def queue_of(*requests: Request) -> RequestQueue:
    queue = RequestQueue()
    for waiting in requests:
        queue.append(waiting)
    return queue


def test_requests_of_other_phones_pass_those_whose_phone_is_busy() -> None:
    a1, a2, b, ab, b2, c = (
        request("a"),
        request("a"),
        request("b"),
        request("a", "b"),
        request("b"),
        request("c"),
    )
    queue = queue_of(a1)
    assert queue.take(10) == [a1]
    for waiting in (a2, b, ab, b2, c):
        queue.append(waiting)
    assert queue.take(10) == [b, c], "b2 must not overtake the request that has a message of b too"
    queue.finish([a1])
    assert queue.take(10) == [a2]
    queue.finish([a2])
    assert not queue.take(10)
    queue.finish([b, c])
    assert queue.take(10) == [ab, b2]
    assert queue.count == 0


def test_call_has_so_many_messages_or_a_single_larger_request() -> None:
    large, small, other = request(*"abc"), request("d"), request("e")
    queue = queue_of(large, small, other)
    assert queue.take(2) == [large]
    assert queue.count == 2
    assert queue.take(2) == [small, other]


def test_message_that_may_be_anybodys_goes_while_no_other_is_on_its_way() -> None:
    a, anybodys, b = request("a"), request(ANYBODY), request("b")
    queue = queue_of(a)
    assert queue.take(10) == [a]
    queue.append(anybodys)
    queue.append(b)
    assert not queue.take(10), "b may be the same person, and must not overtake"
    queue.finish([a])
    assert queue.take(10) == [anybodys]
    assert not queue.take(10)
    queue.finish([anybodys])
    assert queue.take(10) == [b]


def test_request_that_nobody_waits_for_is_left_out_and_holds_up_nobody() -> None:
    a1, a2, anybodys, b = request("a"), request("a"), request(ANYBODY), request("b")
    queue = queue_of(a1)
    queue.take(10)
    for waiting in (a2, anybodys, b):
        queue.append(waiting)
    for given_up in (a2, anybodys):
        given_up.is_waiting = False
        queue.forget(given_up)
    assert queue.count == 1
    assert queue.take(10) == [b]
    assert not queue


def test_flood_of_one_phone_is_not_walked_through_for_each_call() -> None:
    first = request("a")
    queue = queue_of(first)
    queue.take(1)
    for _ in range(request_queue._MOST_PASSED):
        queue.append(request("a"))
    queue.append(request("b"))
    assert not queue.take(10)
    queue.finish([first])
    assert len(queue.take(10)) == 10


def play(requests: Sequence[Request], most: int, dice: Random) -> list[list[Request]]:
    """Bring requests and end calls in any order; returns the calls, as they began. Checks those on their way."""
    queue, coming = RequestQueue(), list(reversed(requests))
    calls: list[list[Request]] = []
    on_their_way: list[list[Request]] = []
    while coming or queue or on_their_way:
        if coming and dice.random() < 0.6:
            queue.append(coming.pop())
        if len(on_their_way) < 4 and (call := queue.take(most)):
            calls.append(call)
            on_their_way.append(call)
        if on_their_way and dice.random() < 0.4:
            queue.finish(on_their_way.pop(dice.randrange(len(on_their_way))))
        busy = [
            phone for call in on_their_way for phone in {phone for taken in call for phone in taken.phones}
        ]
        assert len(busy) == len(set(busy))
        assert ANYBODY not in busy or len(on_their_way) == 1
    return calls


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", ANYBODY]), min_size=1, max_size=3), max_size=40),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_each_phone_keeps_its_order_whichever_call_ends_first(
    phones: list[list[str]], most: int, dice: Random
) -> None:
    requests = [request(*names) for names in phones]
    calls = play(requests, most, dice)
    order = [taken for call in calls for taken in call]
    assert sorted(map(id, order)) == sorted(map(id, requests))
    place = {id(taken): number for number, taken in enumerate(order)}
    for earlier, later in combinations(requests, 2):
        if earlier.is_anybodys or later.is_anybodys or set(earlier.phones) & set(later.phones):
            assert place[id(earlier)] < place[id(later)]
