"""Wrong tokens are counted for each client, also behind a proxy, and for all together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rfctl.ingest.access import BEARERS, BEARERS_OF_ONE, Gate
from rfctl.ingest.head import Head
from rfctl.ingest.rejections import RejectedError
from rfctl.ingest.tries import MOST, MOST_OF_ONE, WINDOW_S, Tries, find_forwarded, name_client


def build_head(peer: str, *forwarded: str, token: str = "") -> Head:
    fields: Sequence[tuple[bytes, bytes]] = [
        *((b"x-forwarded-for", value.encode("latin-1")) for value in forwarded),
        *([(b"authorization", f"Bearer {token}".encode())] if token else []),
    ]
    return Head("POST", "/", "/", "", "1.1", fields, peer)


def test_wrong_tokens_are_bounded_for_an_address_and_for_all() -> None:
    now = 0.0
    tries = Tries(lambda: now)
    for _ in range(MOST_OF_ONE):
        assert tries.measure_wait_s("a") == 0
        tries.record_failure("a")
    assert tries.measure_wait_s("a") == WINDOW_S
    assert tries.measure_wait_s("b") == 0
    now = WINDOW_S - 0.5
    assert tries.measure_wait_s("a") == 1
    now = WINDOW_S
    assert tries.measure_wait_s("a") == 0
    for number in range(MOST):
        assert tries.measure_wait_s(f"peer {number}") == 0
        tries.record_failure(f"peer {number}")
    assert tries.measure_wait_s("new") == WINDOW_S


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.7", ["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
        ("198.51.100.7", ["1.2.3.4"], "198.51.100.7"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["<script>"], "127.0.0.1"),
        ("127.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", [], "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", [], "198.51.100.7"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("", [], ""),
    ],
)
def test_client_is_the_address_that_the_nearest_proxy_saw(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert name_client(build_head(peer, *forwarded)) == client


def test_nobody_far_away_speaks_for_another() -> None:
    assert find_forwarded(build_head("8.8.8.8", "1.2.3.4")) == ""
    assert find_forwarded(build_head("127.0.0.1", "1.2.3.4")) == "1.2.3.4"


def test_bearer_does_not_guess_without_end_and_locks_out_nobody_else() -> None:
    gate = Gate("geheim", metrics_token="other")
    guessing = [gate.check_admin, gate.check_metrics]
    for number in range(BEARERS_OF_ONE):
        with pytest.raises(RejectedError) as caught:
            guessing[number % 2](build_head("127.0.0.1", "203.0.113.9", token="x"))
        assert caught.value.status == 401
    for token in ("x", "geheim"):
        with pytest.raises(RejectedError) as caught:
            gate.check_admin(build_head("127.0.0.1", "203.0.113.9", token=token))
        assert (caught.value.status, int(caught.value.headers["Retry-After"]) > 0) == (429, True)
    assert not gate.may_see_facts(build_head("127.0.0.1", "203.0.113.9", token="geheim"))
    gate.check_admin(build_head("127.0.0.1", "203.0.113.10", token="geheim"))
    assert gate.may_see_facts(build_head("127.0.0.1", "203.0.113.10", token="geheim"))
    assert BEARERS > BEARERS_OF_ONE


def test_request_without_a_token_is_no_guess() -> None:
    gate = Gate("geheim")
    for _ in range(2 * BEARERS_OF_ONE):
        with pytest.raises(RejectedError):
            gate.check_admin(build_head("127.0.0.1"))
    gate.check_admin(build_head("127.0.0.1", token="geheim"))
