"""A head that came before is known by its bytes: it needs no parser, and counts for what it counted before."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.daemon.http_heads import Heads
from rfctl.daemon.http_hot import HotProtocol
from tests.support.http_bytes import FakeTransport
from tests.support.two_ways import Way, build_sources

OK = b"HTTP/1.1 200 OK"


def post(body: bytes, *, path: bytes = b"/webhook/words") -> bytes:
    fields = b"Host: localhost\r\nX-Token: good\r\nContent-Type: application/json"
    return b"POST %b HTTP/1.1\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (path, fields, len(body), body)


class NoParser:
    """A parser that must not be asked."""

    def feed_data(self, data: memoryview) -> None:
        raise AssertionError(f"the parser was asked for {bytes(data)!r}")


async def build_knowing(message: bytes, **bounds: Any) -> Way:
    """Return a connection that has answered this message often enough to know its head."""
    way = Way(is_hot=True, **bounds)
    await way.read(message)
    await way.read(message)
    return way


def take_parser_away(way: Way) -> None:
    parser: Any = NoParser()
    way.connection.protocol.parser = parser


def connect_again(way: Way, peer: str) -> FakeTransport:
    """Connect another client to the same server, and return where its answers go."""
    first = way.connection.protocol
    second: Any = type(first)(config=first.config, server_state=first.server_state, app_state={})
    way.connection.protocol, way.connection.transport = second, FakeTransport(peer)
    second.connection_made(way.connection.transport)
    return way.connection.transport


async def test_head_that_came_before_is_not_parsed_again() -> None:
    way = Way(is_hot=True)
    await way.read(post(b"hello"))
    await way.read(post(b"hallo"))
    take_parser_away(way)
    await way.read(post(b"again"))
    assert way.connection.answers == [OK, b""] * 3
    assert way.store.done == ["7 hello", "7 hallo", "7 again"]
    connect_again(way, "127.0.0.1")
    take_parser_away(way)
    await way.read(post(b"other"))
    assert (way.connection.answers, way.store.done[3:]) == ([OK, b""], ["7 other"])


@pytest.mark.parametrize(
    "sent",
    [
        post(b"hello")[:-1],
        post(b"hello") * 2,
        post(b"hello", path=b"/webhook/spoken"),
        b"\r\n" + post(b"hello"),
    ],
)
async def test_what_is_not_one_whole_request_with_a_known_head_is_parsed(sent: bytes) -> None:
    way = await build_knowing(post(b"hello"))
    take_parser_away(way)
    with pytest.raises(AssertionError, match="the parser was asked"):
        way.connection.read(sent)


async def test_head_without_its_end_waits_for_it() -> None:
    whole = post(b"", path=b"/webhook/open")
    way = Way(is_hot=True)
    for message in (
        post(b"hello"),
        whole,
    ) * 2:  # an answer that waits for nothing comes while its read is parsed
        await way.read(message)
    await way.read(post(b"hello"))
    assert way.connection.protocol.heads.routes  # type: ignore[attr-defined]
    await way.read(whole[:-4])
    assert len(way.connection.answers) == 10
    await way.read(whole[-4:])
    assert way.connection.answers == [OK, b""] * 6


async def test_reload_makes_a_known_head_count_anew() -> None:
    way = await build_knowing(post(b"hello"))
    sources = build_sources()
    del sources["words"]
    way.receiver.reconfigure(sources, "")
    await way.read(post(b"hello"))
    assert [line.split()[1] for line in way.connection.answers[::2]] == [b"200", b"200", b"404"]
    assert way.store.done == ["7 hello"] * 2


async def test_head_is_known_for_its_peer_alone() -> None:
    message = post(b'{"from":"7900","message":"hello"}', path=b"/webhook/generic")
    way = await build_knowing(message)
    connect_again(way, "203.0.113.9")
    await way.read(message)
    assert way.connection.answers[0] == b"HTTP/1.1 401 Unauthorized"
    assert len(way.store.done) == 2


async def test_known_head_needs_room_for_its_body_too() -> None:
    way = await build_knowing(post(b"hello"), max_inflight_bytes=6)
    way.receiver.budget.used_bytes = 2
    await way.read(post(b"hello"))
    assert [line.split()[1] for line in way.connection.answers[::2]] == [b"200", b"200", b"503"]


async def test_message_behind_an_answer_that_is_not_taken_waits() -> None:
    way = await build_knowing(post(b"hello"))
    way.connection.protocol.pause_writing()
    await way.read(post(b"hello"))
    assert (way.store.done, way.connection.transport.paused) == (["7 hello"] * 2, True)
    way.connection.protocol.resume_writing()
    await way.settle()
    assert way.store.done == ["7 hello"] * 3


def test_heads_that_are_kept_are_few_small_and_end_where_they_seem_to() -> None:
    route: Any = object()
    heads = Heads()
    for raw in (b"POST / HTTP/1.1\n\nX: y", b"POST / HTTP/1.1\nX: y", b"", b"\r\n", b"POST " + b"x" * 1024):
        for _ in range(3):
            heads.keep(raw, route)
        assert not heads.routes, raw
    for number in range(6000):
        raw = b"POST /%d HTTP/1.1\r\nHost: x" % number
        heads.keep(raw, route)
        assert raw not in heads.routes
        heads.keep(raw, route)
        assert raw in heads.routes
        assert len(heads.routes) <= 512
        assert len(heads._seen) <= 4096


async def test_connection_that_is_stopped_takes_no_known_head() -> None:
    way = await build_knowing(post(b"hello"))
    protocol = way.connection.protocol
    assert isinstance(protocol, HotProtocol)
    protocol.shutdown()
    protocol.get_buffer(-1)[: len(post(b"hello"))] = post(b"hello")
    protocol.buffer_updated(len(post(b"hello")))
    await way.settle()
    assert way.store.done == ["7 hello"] * 2
