"""The hot path and the app give the same answers, byte by byte, and store, count and log the same."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.two_ways import StoppedClock, Way


def build_generic(*texts: str, **more: Any) -> bytes:
    messages = [{"from": "7900", "message": text, "messageId": text} for text in texts]
    return json.dumps({"messages": messages} | more).encode()


TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PACKED = gzip.compress(b"hello again", mtime=0)
BODIES = [
    b"", b"hello", b"hello hello again", b"slow", b"away", b"refused", b"bug", b"taken", b"crash", b"echo", b"odd",
    b"slow odd echo", b"refused odd", b"odd full", b"a b c d e f", b"x" * 200, b"\r\n\r\n", b"y " * 40_000,
    build_generic("hello"), build_generic("hello", "slow"), build_generic("taken", "hello"), build_generic("away"),
    build_generic(*"abcdef"), build_generic(), build_generic("hello", pad="z" * 20_000), b'{"from":"7","message":"x"}',
    b'{"challenge":"hello"}', b'{"challenge":"<b>"}', b"\xef\xbb\xbfhello", PACKED, PACKED[:-3], b"a=hello&a=slow",
    b'{"from":"7"', b'{"from":7,"message":1}', b"\xff",
]  # fmt: skip
PATHS = [
    b"/webhook/whatsapp/batched", b"/webhook/guarded", b"/webhook/generic", b"/webhook/words", b"/webhook/words/", b"/webhook/words/a.b?c=%20",
    b"/webhook/words?", b"/webhook/spoken", b"/webhook/open/x", b"/webhook/large", b"/webhook/nobody", b"/webhook/",
    b"/webhook/wo%72ds", b"/webhook/words#a", b"http://x/webhook/words", b"//webhook/words", b"/webhook/words%2fa",
    b"/webhook/whatsapp/batched/stats", b"/healthz", b"/nowhere", b"/webhook/w\xe9", b"*",
]  # fmt: skip
FIELDS = [
    b"Host: localhost", b"Host: bot.internal:3000", b"Host: evil.example", b"Host: [", b"Content-Type: application/json",
    b"Content-Type: text/plain", b"Content-Type: application/x-www-form-urlencoded", b"Content-Encoding: gzip",
    b"Content-Encoding: br", b"X-Token: good", b"X-Token: bad", b"Connection: close", b"Connection: keep-alive",
    b"Connection: Upgrade\r\nUpgrade: h2c", b"Expect: 100-continue", b"Via: x", b"Origin: http://evil.example",
    b"X-Forwarded-For: 1.2.3.4", b"X: " + b"y" * 300, b"Content-Length: 5", b"traceparent: " + TRACE,
    b"Traceparent: " + TRACE.replace(b"4", b"5"), b"traceparent: " + TRACE.upper(),
]  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return the bytes of one request: mostly a plain message, with something that is not plain now and then."""
    plain = draw(st.integers(0, 3))
    method = draw(st.sampled_from([b"POST"] * 9 + [b"GET", b"PUT", b"DELETE"]))
    path = draw(st.sampled_from(PATHS[: 9 if plain else None]))
    version = draw(st.sampled_from([b"1.1"] * 5 + [b"1.0"]))
    body = draw(st.sampled_from(BODIES))
    fields = [b"Host: localhost", b"Content-Type: application/json", b"X-Token: good"] if plain else []
    fields += draw(st.lists(st.sampled_from(FIELDS), max_size=1 if plain > 1 else 4))
    framing = draw(st.sampled_from(["length"] * 8 + ["chunked", "none", "half"]))
    if framing == "chunked":
        fields.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif framing != "none":
        fields.append(b"Content-Length: %d" % (len(body) + 9 * (framing == "half")))
    return b"%b %b HTTP/%b\r\n%b\r\n\r\n%b" % (method, path, version, b"\r\n".join(fields), body)


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Return what the server reads: requests one after another, cut at any places."""
    stream = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    if draw(st.integers(0, 9)) == 0:
        stream += b"nonsense\r\n\r\n"
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


async def play_both(reads: list[bytes], ending: str, **options: Any) -> tuple[Any, Any]:
    hot = await Way(is_hot=True, **options).play(reads, ending)
    app = await Way(is_hot=False, **options).play(reads, ending)
    return hot, app


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # a body may be large
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    reads=conversations(),
    ending=st.sampled_from(["", "", "stop", "late", "left"]),
    peer=st.sampled_from(["127.0.0.1"] * 4 + ["203.0.113.9", ""]),
    max_body_bytes=st.sampled_from([3_000_000, 3_000_000, 100]),
    max_inflight_bytes=st.sampled_from([40_000_000, 40_000_000, 150]),
)
def test_both_ways_answer_store_and_count_the_same(reads: list[bytes], ending: str, **options: Any) -> None:
    with asyncio.Runner(loop_factory=StoppedClock) as runner:
        hot, app = runner.run(play_both(reads, ending, **options))
    assert hot == app
    assert hot["room"] == 0


@st.composite
def repetitions(draw: st.DrawFn) -> list[bytes]:
    """Return what the server reads of a client that sends the same heads again and again, nearly always in whole."""
    pool, stream = draw(st.lists(requests(), min_size=1, max_size=2)), b""
    reads: list[bytes] = []
    for request in draw(st.lists(st.sampled_from(pool), min_size=3, max_size=8)):
        head, end, body = request.partition(b"\r\n\r\n")
        stream += (
            head
            + end
            + draw(st.sampled_from([other for other in BODIES if len(other) == len(body)] or [body]))
        )
        cut = draw(
            st.sampled_from([None] * 6 + [-len(body) - 4, -len(body) - 2, -len(body), -1, len(stream) + 1])
        )
        if cut != len(stream) + 1:  # else it comes in one read with the next
            reads += [stream[:cut], stream[cut:]] if cut else [stream]
            stream = b""
    return [*reads, stream]


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    reads=repetitions(),
    ending=st.sampled_from(["", "", "stop", "late", "left"]),
    peer=st.sampled_from(["127.0.0.1"] * 4 + ["203.0.113.9", ""]),
    max_inflight_bytes=st.sampled_from([40_000_000, 40_000_000, 150]),
)
def test_known_heads_change_nothing(reads: list[bytes], ending: str, **options: Any) -> None:
    with asyncio.Runner(loop_factory=StoppedClock) as runner:
        hot, app = runner.run(play_both(reads, ending, **options))
    assert hot == app
    assert hot["room"] == 0


def build_request(body: bytes, *fields: bytes, path: bytes = b"/webhook/guarded") -> bytes:
    head = b"\r\n".join([b"POST %b HTTP/1.1" % path, b"Host: localhost", b"X-Token: good", *fields])
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("body", "fields", "answer", "done"),
    [
        (b"hello", (), b"ok", ["7 hello"]),
        (PACKED, (b"Content-Encoding: gzip",), b"ok", ["7 hello", "7 again"]),
        (b"\xef\xbb\xbfhello", (), b"ok", ["7 hello"]),
        (b"a=hello", (b"Content-Type: application/x-www-form-urlencoded",), b"ok", ['7 {"a":"hello"}']),
        (b'{"challenge":"hello"}', (), b"hello", []),
        (b"odd", (), b"ok", ["unparsed b'odd'"]),
        (b"crash", (), b"ok", ["unparsed b'crash'"]),
    ],
)
def test_guarded_source_answers_in_the_words_of_its_settings(
    body: bytes, fields: tuple[bytes, ...], answer: bytes, done: list[str]
) -> None:
    reads = [build_request(body, *fields)] * 3
    with asyncio.Runner(loop_factory=StoppedClock) as runner:
        hot, app = runner.run(play_both(reads, ""))
    assert hot == app
    answers = hot["sent"].split(b"HTTP/1.1 ")[1:]
    assert [sent.rpartition(b"\r\n\r\n")[2] for sent in answers] == [answer] * 3
    assert all(b"content-type: text/plain; charset=utf-8\r\n" in sent.lower() for sent in answers)
    assert hot["done"] == done * 3


@pytest.mark.parametrize(
    ("body", "encoding", "status", "reason"),
    [
        (b"hello", b"br", b"415", "content-encoding"),
        (b"hello", b"gzip", b"400", "invalid-body"),
        (gzip.compress(b"a" * 4_000_000), b"gzip", b"413", "body-too-large"),
    ],
)
def test_body_that_cannot_be_unpacked_is_rejected_and_counted(
    body: bytes, encoding: bytes, status: bytes, reason: str
) -> None:
    request = build_request(body, b"Content-Encoding: " + encoding)
    with asyncio.Runner(loop_factory=StoppedClock) as runner:
        hot, app = runner.run(play_both([request, request], ""))
    assert hot == app
    assert hot["sent"].count(b"HTTP/1.1 " + status) == 2
    assert hot["counts"] == {f"rejected:{reason}:guarded": 2}
    assert (hot["done"], hot["room"]) == ([], 0)
