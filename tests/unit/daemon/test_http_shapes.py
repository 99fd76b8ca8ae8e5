"""A head of a known shape needs no parser, whatever its signature and its length are, and is read as the parser would."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import httptools
import pytest

from rfctl.daemon.http_heads import Heads, Route, _cut_head
from rfctl.ingest.head import Head
from tests.support.two_ways import Way, build_sources

OK = b"HTTP/1.1 200 OK"
SERVED = build_sources()["words"]


def sign(body: bytes, signature: bytes) -> bytes:
    """Return a message whose head is never the same."""
    fields = b"Host: localhost\r\nX-Token: good\r\nX-Hub-Signature-256: sha256=%b" % signature
    return b"POST /webhook/words HTTP/1.1\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (fields, len(body), body)


def read_head(heads: Heads, raw: bytes) -> tuple[Head, int] | None:
    """Return what is in a head of a known shape, and the size of its body, whatever of its numbers that is."""
    for size in {int(digits) for digits in re.findall(rb"[0-9]+", raw)}:
        for shape in heads.find_alike(raw):
            head = shape.read(raw, size, "::1")
            if head is not None:
                return head, size
    return None


class NoParser:
    """A parser that must not be asked."""

    def feed_data(self, data: memoryview) -> None:
        raise AssertionError(f"the parser was asked for {bytes(data)!r}")


def take_parser_away(way: Way) -> None:
    parser: Any = NoParser()
    way.connection.protocol.parser = parser


async def test_head_with_a_new_signature_and_length_is_not_parsed() -> None:
    way = Way(is_hot=True)
    await way.read(sign(b"hello", b"00"))
    await way.read(
        sign(b"hello there", b"a1")
    )  # of another length: the shape comes for the second time below
    await way.read(sign(b"hallo", b"b2"))
    take_parser_away(way)
    await way.read(sign(b"again 3", b"c3"))
    assert way.connection.answers == [OK, b""] * 4
    assert way.store.done[-2:] == ["7 again", "7 3"]


TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def sign_traced(body: bytes, trace: bytes) -> bytes:
    return sign(body, b"00").replace(b"Host", b"Traceparent: %b\r\nHost" % trace)


async def test_each_head_of_a_shape_has_a_trace_of_its_own() -> None:
    traces = [TRACE.replace(b"4", b"%d" % number) for number in range(5, 9)]
    way = Way(is_hot=True)
    for trace in traces[:2]:
        await way.read(sign_traced(b"hello", trace))
    take_parser_away(way)
    for trace in [*traces[2:], TRACE.upper(), TRACE.replace(b"00-", b"01-", 1)]:
        await way.read(sign_traced(b"hello", trace))
    stored = [f"7 hello of {trace.decode()}" for trace in traces]
    assert way.store.done == [*stored, "7 hello", "7 hello"]


async def test_head_that_is_known_by_its_bytes_has_its_trace() -> None:
    way = Way(is_hot=True)
    for _ in range(4):
        await way.read(sign_traced(b"hello", TRACE))
    assert way.store.done == [f"7 hello of {TRACE.decode()}"] * 4


@pytest.mark.parametrize("other", [TRACE, TRACE.replace(b"4", b"5"), b"x", b""])
async def test_request_with_two_traces_has_none(other: bytes) -> None:
    way = Way(is_hot=True)
    sent = sign_traced(b"hello", TRACE).replace(b"Host", b"TraceParent: %b\r\nHost" % other)
    for _ in range(3):
        await way.read(sent)
    assert way.connection.answers == [OK, b""] * 3
    assert way.store.done == ["7 hello"] * 3


@pytest.mark.parametrize(
    "sent",
    [
        sign(b"hello", b"0\x00"), sign(b"hello", b"0 "), sign(b"hello", b"\r\n"), sign(b"hello", b"\n "),
        sign(b"hello", b"123"), sign(b"hello", b"\xe9\xe9"), sign(b"hello", b"00").replace(b"Length: 5", b"Length: a"),
        sign(b"hello", b"00").replace(b"localhost", b"localhose"), sign(b"hello", b"00").replace(b"Token", b"Taken"),
        sign(b"hello", b"00").replace(b"words", b"wordy"), sign(b"hello", b"00")[:-1], sign(b"hello", b"00") * 2,
    ],
)  # fmt: skip
async def test_head_of_another_shape_or_with_a_value_that_is_not_plain_is_parsed(sent: bytes) -> None:
    way = Way(is_hot=True)
    await way.read(sign(b"hello", b"00"))
    await way.read(sign(b"hello", b"00"))
    take_parser_away(way)
    with pytest.raises(AssertionError, match="the parser was asked"):
        way.connection.read(sent)


@pytest.mark.parametrize(
    "field",
    [
        b"Connection: close",
        b"Transfer-Encoding: gzip",
        b"Upgrade: h2c",
        b"Expect: nothing",
        b"Accept: a",
        b"X: a b",
        b"X:",
    ],
)
async def test_value_that_tells_something_or_is_not_plain_is_a_part_of_the_shape(field: bytes) -> None:
    fields = [(b"host", b"b"), (b"content-length", b"5")]
    name, _, value = field.partition(b":")
    fields.insert(1, (name.lower(), value.strip()))
    pieces = _cut_head(b"POST / HTTP/1.1\r\nHost: b\r\n%b\r\nContent-Length: 5" % field, fields)
    assert pieces == [b"POST / HTTP/1.1\r\nHost: b\r\n%b\r\nContent-Length: " % field, b"5", b""]


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"POST / HTTP/1.1\r\nHost: a", [(b"host", b"a")]),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5", [(b"content-length", b"5")] * 2),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n b", [(b"content-length", b"5")]),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\nA: b", [(b"content-length", b"5"), (b"a", b"b")]),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nA: b", [(b"content-length", b"5"), (b"a", b"c")]),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nA: b", [(b"content-length", b"5"), (b"b", b"b")]),
        (b"\r\nPOST / HTTP/1.1\r\nContent-Length: 5", [(b"content-length", b"5")] * 2),
        (b"PUT / HTTP/1.1\r\nContent-Length: 5", [(b"content-length", b"5")]),
    ],
)
async def test_head_whose_lines_are_not_its_fields_has_no_shape(
    raw: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    assert _cut_head(raw, fields) is None


def test_shapes_that_are_kept_are_few() -> None:
    heads = Heads()
    for number in range(3000):
        raw = b"POST /%04d HTTP/1.1\r\n%b: x\r\nContent-Length: 5" % (number, b"X" * (number % 700 + 1))
        head = Head(
            "POST", "/", "/", "", "1.1", [(b"x" * (number % 700 + 1), b"x"), (b"content-length", b"5")], ""
        )
        route = Route(SERVED, head, 5, True, {})
        heads.keep_shape(raw, route)
        assert read_head(heads, raw) is None
        heads.keep_shape(raw, route)
        assert read_head(heads, raw) is not None
        kept = [len(shapes) for shapes in heads._shapes.values()]
        assert sum(kept) == heads._count <= 512
        assert max(kept) <= 4
        assert len(heads._seen) <= 4096


class Reading:
    """What httptools reads in a head: its fields, and whether the connection may stay; None when it refuses it."""

    def __init__(self, raw: bytes) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.url, self.stay, self.is_whole, self.is_over, self.upgrade = b"", False, False, False, False
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(raw + b"\r\n\r\n")
        except httptools.HttpParserError:
            self.is_whole = False
        except httptools.HttpParserUpgrade:
            self.upgrade = True

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.is_whole, self.stay = True, self.parser.should_keep_alive()
        self.upgrade = self.parser.should_upgrade()

    def on_body(self, body: bytes) -> None:
        raise AssertionError(body)


NAMES = [
    b"X-Signature", b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"Host", b"Expect", b"X-A",
    b"Upgrade", b"User-Agent", b"Proxy-Connection", b"Content-Len", b"X-Content-Length",
]  # fmt: skip
VALUES = [
    b"sha256=0af3", b"q83+/w==", b"5", b"12", b"chunked", b"close", b"keep-alive", b"", b"a b", b"1.2.3.4", b"upgrade",
    b"a", b"abcde", b"ab:de", b"abcdefghij", b"abcdefg", b"a.b-c=/", b"a,b", b"\xe9", b"a\tb", b"100-continue", b"h2c", b" 5", b"5 ", b"+5", b"0005", b"9" * 25, b"Content-Length:", b":",
]  # fmt: skip
SPOILS = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"\x7f",
    b"\xff",
    b"a",
    b"9",
    b"=",
    b"-",
    b"+",
    b"\r\n ",
]


def build_pair(chance: random.Random) -> tuple[bytes, bytes]:
    """Return a head, and one like it: with other values of the same length, or other bytes in some places."""
    fields = [(chance.choice(NAMES), chance.choice(VALUES)) for _ in range(chance.randrange(4))]
    fields.insert(chance.randint(0, len(fields)), (b"Content-Length", b"5"))
    colons = [chance.choice((b": ", b": ", b":", b":  ")) for _ in fields]
    version = chance.choice((b"1.1", b"1.1", b"1.0"))
    others = [
        (name, chance.choice([value, *(other for other in VALUES if len(other) == len(value))]))
        for name, value in fields
    ]
    first, other = (
        b"\r\n".join(
            [
                b"POST /webhook/words HTTP/" + version,
                *(name + colon + value for (name, value), colon in zip(some, colons, strict=True)),
            ]
        )
        for some in (fields, others)
    )
    for _ in range(chance.choice((0, 0, 1, 1, 3))):
        place, spoil = chance.randrange(len(other) + 1), chance.choice(SPOILS)
        other = other[:place] + spoil + other[place + (len(spoil) if chance.random() < 0.9 else 0) :]
    return first, other


def test_head_of_a_known_shape_is_read_as_the_parser_reads_it() -> None:
    chance, count = random.Random(7), 0
    for _ in range(20_000):
        first, other = build_pair(chance)
        parsed = Reading(first)
        if not parsed.is_whole or parsed.upgrade:
            continue
        version = parsed.parser.get_http_version()
        head = Head("POST", "/webhook/words", "/webhook/words", "", version, parsed.fields, "1.2.3.4")
        route, heads = Route(SERVED, head, 5, parsed.stay, {}), Heads()
        for _ in range(2):
            heads.keep_shape(first, route)
        read = read_head(heads, other)
        if read is None or b"\r\n\r\n" in other:  # a head ends there
            continue
        second, (head, size) = Reading(other), read
        assert second.is_whole, other
        assert (head.version, head.peer) == (second.parser.get_http_version(), "::1"), other
        assert head.build_request(b"").headers == {
            name.decode("latin-1"): value for name, value in second.fields
        }
        assert (second.url, second.stay, second.upgrade) == (parsed.url, parsed.stay, False), other
        assert [int(value) for name, value in second.fields if name == b"content-length"] == [size], other
        assert not any(name == b"transfer-encoding" for name, _ in second.fields)
        count += other != first
    assert count > 100


async def test_reload_that_takes_the_secret_away_has_the_head_looked_at_again() -> None:
    way = Way(is_hot=True)
    for _ in range(2):
        await way.read(sign(b"hello", b"00"))
    sources = build_sources()
    sources["words"] = replace(sources["words"], verified=False, insecure=True, json_only=True)
    way.receiver.reconfigure(sources, "")
    await way.read(sign(b"hello", b"11"))
    assert [line.split()[1] for line in way.connection.answers[::2]] == [b"200", b"200", b"415"]


def test_head_of_a_source_without_a_secret_has_no_shape() -> None:
    heads, served = Heads(), build_sources()["open"]
    raw = b"POST / HTTP/1.1\r\nContent-Length: 5"
    for _ in range(3):
        heads.keep_shape(
            raw,
            Route(served, Head("POST", "/", "/", "", "1.1", [(b"content-length", b"5")], ""), 5, True, {}),
        )
    assert not heads.find_alike(raw)
