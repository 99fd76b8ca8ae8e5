"""The bodies in hand: one bound over all, taken before a body is read and let go with its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from rfctl.ingest.bodies import BodyBudget, HeldBody
from rfctl.ingest.rejections import RejectedError

MB = 1_000_000


def build_request(parts: Sequence[bytes], length: int | None = None) -> tuple[Request, list[bytes]]:
    """Return a request whose body comes in these parts, and the parts that were not read yet. It never ends."""
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting) or part == b"more"}

    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive), waiting


@pytest.mark.parametrize("length", [None, 300_000])
@pytest.mark.parametrize("size", [100_000, 300_000, 1000])
async def test_body_is_read_whole_and_its_room_is_let_go(length: int | None, size: int) -> None:
    parts = [bytes([65 + place % 26]) * size for place in range(300_000 // size)]
    request, _ = build_request(parts, length)
    budget = BodyBudget(MB)
    with HeldBody(request, budget, MB, "salon") as held:
        assert await held.read() == b"".join(parts)
        assert budget.used_bytes == 300_000
    assert budget.used_bytes == 0


async def test_body_that_is_announced_too_large_is_not_read() -> None:
    request, waiting = build_request([b"x"], length=2001)
    budget = BodyBudget(MB)
    with pytest.raises(RejectedError) as problem, HeldBody(request, budget, 2000, "salon") as held:
        await held.read()
    assert (problem.value.status, problem.value.reason, problem.value.source) == (
        413,
        "body-too-large",
        "salon",
    )
    assert "2000 bytes (http.max_body_bytes)" in problem.value.fact
    assert (waiting, budget.used_bytes) == ([b"x"], 0)


async def test_body_without_length_is_rejected_as_soon_as_it_is_too_large() -> None:
    request, waiting = build_request([b"x" * 1000] * 9)
    budget = BodyBudget(MB)
    with pytest.raises(RejectedError) as problem, HeldBody(request, budget, 2000, "salon") as held:
        await held.read()
    assert (problem.value.status, len(waiting), budget.used_bytes) == (413, 6, 0)


@pytest.mark.parametrize("length", [500_000, None])
async def test_body_without_room_gets_503_before_it_is_read(length: int | None) -> None:
    budget = BodyBudget(MB)
    assert budget.take(700_000)
    request, waiting = build_request([b"x" * 100_000] * 5, length)
    with pytest.raises(RejectedError) as problem, HeldBody(request, budget, MB, "salon") as held:
        await held.read()
    assert (problem.value.status, problem.value.headers) == (503, {"Retry-After": "5"})
    assert len(waiting) == (5 if length else 3)
    assert budget.used_bytes == 700_000


async def test_large_bodies_leave_room_for_small_bodies() -> None:
    budget = BodyBudget(MB)
    assert budget.take(budget.largest_bytes)
    assert not budget.take(70_000)
    assert not budget.take(10_000, before=60_000)
    assert budget.take(65_536)
    while budget.take(10_000):
        pass
    assert budget.used_bytes <= MB


async def test_body_that_could_never_have_room_is_413_and_names_the_bound() -> None:
    request, _ = build_request([b"x"], length=900_000)
    with (
        pytest.raises(RejectedError) as problem,
        HeldBody(request, BodyBudget(MB), 33_000_000, "evo") as held,
    ):
        await held.read()
    assert problem.value.status == 413
    assert "(http.max_inflight_bytes)" in problem.value.fact


async def test_client_that_leaves_lets_its_room_go() -> None:
    request, _ = build_request([b"more"], length=300_000)
    budget = BodyBudget(MB)
    with pytest.raises(ClientDisconnect), HeldBody(request, budget, MB, "salon") as held:
        await held.read()
    assert budget.used_bytes == 0
