from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from rfctl.errors import SettingsError
from rfctl.model.delivery import Delivery
from rfctl.model.stored import Merged
from rfctl.section import build_section
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.http import sink as http
from rfctl.sinks.http.config import HttpConfig
from rfctl.sinks.http.sink import Http, parse_retry_after_ms, sign
from rfctl.sinks.payload import encode_payload
from tests.support.certificates import self_signed
from tests.support.receivers import Answer, HttpReceiver, tcp_receiver
from tests.support.waiting import PATIENCE_S

KEYS = [bytes(range(24)), bytes(range(100, 164))]
SECRETS = ["whsec_" + base64.b64encode(key).decode() for key in KEYS]


def message(
    text: str = "Привет, запишите", raw: tuple[bytes, ...] = (b'{"message":"a","metadata":{"n":1}}',)
) -> Any:
    merged = Merged(
        id="1790000000000-0", phone="79001234567", company="962302", text=text, count=1, reason="quiet", first_ms=1,
        last_ms=2, late_ms=0, channel="generic", simulated=False, raw=list(raw),
    )  # fmt: skip
    return Delivery("1790000000000-0", merged)


def config(url: str, **settings: Any) -> HttpConfig:
    table = {"type": "http", "url": url, "timeout_ms": 5_000, "allow_private": True, **settings}
    return build_section(HttpConfig, table, "sinks.bot")


@asynccontextmanager
async def sink(url: str, **settings: Any) -> AsyncIterator[Http]:
    # What the config would refuse without a look-up is refused at the connection too.
    loose = config(url, **{**settings, "allow_private": True})
    built = Http("bot", loose.model_copy(update={"allow_private": settings.get("allow_private", True)}))
    await built.open()
    try:
        yield built
    finally:
        await built.close()


async def failure(url: str, **settings: Any) -> DeliveryError:
    async with sink(url, **settings) as built:
        with pytest.raises(DeliveryError) as caught:
            await built.deliver(message())
    return caught.value


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def expected(key: bytes, name: str, seconds: str, body: bytes) -> str:
    digest = hmac.new(key, name.encode() + b"." + seconds.encode() + b"." + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


async def test_a_message_arrives_signed_by_every_secret_and_verifies() -> None:
    async with HttpReceiver() as receiver, sink(receiver.url, secrets=SECRETS) as built:
        await built.deliver(message())
    [taken] = receiver.taken
    headers, raw = taken["headers"], taken["raw"]
    assert raw == encode_payload(message())
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("rfctl/")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 10
    signed = [expected(key, headers["webhook-id"], headers["webhook-timestamp"], raw) for key in KEYS]
    assert headers["webhook-signature"] == " ".join(signed)
    for secret in SECRETS:
        assert Webhook(secret).verify(raw, headers)["message"] == "Привет, запишите"


def test_every_signature_is_the_one_that_the_specification_defines() -> None:
    dice = random.Random(7)
    now = datetime.now(UTC)
    for _ in range(10_000):
        keys = [dice.randbytes(dice.randint(24, 64)) for _ in range(dice.randint(1, 2))]
        text = "".join(
            chr(dice.choice((dice.randint(32, 126), dice.randint(0x400, 0x4FF), 0x1F600))) for _ in range(30)
        )
        body = json.dumps({"message": text}, ensure_ascii=False).encode()
        name = f"{dice.randint(0, 10**13)}-{dice.randint(0, 9)}"
        moment = now + timedelta(seconds=dice.randint(-200, 200))
        seconds = str(int(moment.timestamp()))
        signed = sign(tuple(keys), name, seconds, body)
        assert signed.split(" ") == [expected(key, name, seconds, body) for key in keys]
        headers = {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": signed}
        assert Webhook(dice.choice(keys)).verify(body, headers) == {"message": text}


async def test_every_try_has_the_same_id() -> None:
    async with HttpReceiver([503]) as receiver, sink(receiver.url) as built:
        with pytest.raises(DeliveryError):
            await built.deliver(message())
        await built.deliver(message())
    assert [seen["headers"]["webhook-id"] for seen in receiver.seen] == ["1790000000000-0"] * 2
    assert "webhook-signature" not in receiver.taken[0]["headers"]


async def test_extra_headers_are_sent() -> None:
    async with HttpReceiver() as receiver, sink(receiver.url, headers={"Authorization": "Bearer x"}) as built:
        await built.deliver(message())
    assert receiver.taken[0]["headers"]["authorization"] == "Bearer x"


async def test_trace_of_an_attempt_is_a_header_and_nothing_that_is_signed() -> None:
    trace, plain = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", message()
    async with (
        HttpReceiver() as receiver,
        sink(receiver.url, secrets=SECRETS, headers={"Traceparent": "ours"}) as built,
    ):
        await built.deliver(replace(plain, traceparent=trace))
        await built.deliver(plain)
    first, last = (taken["headers"] for taken in receiver.taken)
    assert (first["traceparent"], last["traceparent"]) == (trace, "ours")
    assert "tracestate" not in first
    assert Webhook(SECRETS[0]).verify(receiver.taken[0]["raw"], first)
    assert receiver.taken[0]["raw"] == encode_payload(plain)


async def test_unsignable_text_is_a_final_failure() -> None:
    async with sink("http://127.0.0.1:1", secrets=SECRETS) as built:
        with pytest.raises(DeliveryError, match="not UTF-8") as caught:
            await built.deliver(message(raw=(b'{"message":"\xff"}',)))
    assert caught.value.final


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_taken(status: int) -> None:
    async with HttpReceiver([status]) as receiver, sink(receiver.url) as built:
        await built.deliver(message())
    assert len(receiver.taken) == 1


@pytest.mark.parametrize(
    "status", [300, 304, 400, 401, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504, 599]
)
async def test_any_other_status_is_a_failure_that_is_tried_again(status: int) -> None:
    async with HttpReceiver([Answer(status, body=b"" if status == 304 else b"no \x1b[2J\nroom")]) as receiver:
        problem = await failure(receiver.url)
    assert problem.fact.startswith(f"answered {status}")
    assert status == 304 or problem.fact.endswith(r"no \x1b[2J\nroom")
    assert (problem.final, problem.pause, problem.retry_after_ms) == (False, False, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_leads_nowhere(status: int) -> None:
    async with (
        HttpReceiver() as elsewhere,
        HttpReceiver([Answer(status, {"Location": elsewhere.url})]) as receiver,
    ):
        problem = await failure(receiver.url)
    assert problem.fact == f"answered {status}, a redirect, which is not followed"
    assert (len(receiver.seen), elsewhere.seen) == (1, [])


async def test_410_pauses_the_sink() -> None:
    async with HttpReceiver([410]) as receiver:
        problem = await failure(receiver.url)
    assert (problem.pause, problem.final) == (True, False)


@pytest.mark.parametrize("status", [302, 400, 410, 429, 503])
async def test_retry_after_is_passed_on_with_any_failure(status: int) -> None:
    async with HttpReceiver([Answer(status, {"Retry-After": "120"})]) as receiver:
        assert (await failure(receiver.url)).retry_after_ms == 120_000


NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("", 0), ("0", 0), (" 7 ", 7_000), ("007", 7_000), ("86400", DAY_MS), ("86401", DAY_MS), ("9" * 5_000, DAY_MS),
        ("-5", 0), ("1.5", 0), ("soon", 0), ("٣", 0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90_000),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("Tue, 01 Sep 2026 12:00:05 -0000", 5_000),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY_MS),
        ("Tue, 01 Sep 2026 12:00:05 +99999999999999", 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms_and_never_longer_than_a_day(header: str, wait_ms: int) -> None:
    assert parse_retry_after_ms(header, int(NOW.timestamp() * 1000)) == wait_ms


@given(st.text(max_size=60))
def test_any_retry_after_gives_a_wait_within_a_day(header: str) -> None:
    assert 0 <= parse_retry_after_ms(header, 1_790_000_000_000) <= DAY_MS


async def test_silent_receiver_times_out() -> None:
    async with tcp_receiver(lambda reader, writer: asyncio.sleep(60)) as port:
        problem = await failure(f"http://127.0.0.1:{port}/", timeout_ms=200)
    assert problem.fact == "no answer within 200 ms"


async def test_receiver_with_a_slow_head_times_out() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with tcp_receiver(trickle) as port:
        problem = await failure(f"http://127.0.0.1:{port}/", timeout_ms=300)
    assert problem.fact == "no answer within 300 ms"


@pytest.mark.parametrize(
    ("status", "taken", "rest_ms", "timeout_ms"),
    [(200, True, 100, 60_000), (500, False, 100, 60_000), (200, True, 600_000, 5_000)],
)
async def test_slow_body_is_cut_off_and_the_status_counts(
    monkeypatch: pytest.MonkeyPatch, status: int, taken: bool, rest_ms: int, timeout_ms: int
) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 100000\r\n\r\n".encode())
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    monkeypatch.setattr(http, "REST_MS", rest_ms)
    async with (
        tcp_receiver(trickle) as port,
        sink(f"http://127.0.0.1:{port}/", timeout_ms=timeout_ms) as built,
    ):
        async with asyncio.timeout(PATIENCE_S):
            if taken:
                await built.deliver(message())
            else:
                with pytest.raises(DeliveryError, match="answered 500: x"):
                    await built.deliver(message())


async def test_answer_is_read_to_64_kib_and_shown_to_200_characters() -> None:
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 500 X\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"\x1b" * 65_536)
            await writer.drain()
            written += 65_536

    async with tcp_receiver(flood) as port:
        problem = await failure(f"http://127.0.0.1:{port}/")
    assert problem.fact == "answered 500: " + r"\x1b" * 50
    assert written < 50_000_000


@pytest.mark.parametrize(
    "says", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"]
)
async def test_answer_that_is_no_http_is_a_failure_in_one_line(says: bytes) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(says)

    async with tcp_receiver(play) as port:
        problem = await failure(f"http://user:geheim@127.0.0.1:{port}/?token=geheim")
    assert "\n" not in problem.fact
    assert "geheim" not in problem.fact
    assert ("closed before" in problem.fact) is (says == b"")


async def test_a_reset_is_a_failure() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with tcp_receiver(reset) as port:
        problem = await failure(f"http://127.0.0.1:{port}/")
    assert "reset by peer" in problem.fact


async def test_a_port_where_nobody_listens_is_named() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        problem = await failure(f"http://127.0.0.1:{port}/")
    assert problem.fact == f"no connection to 127.0.0.1:{port}: Connection refused"


async def test_unknown_host_name_is_a_temporary_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    problem = await failure("https://nowhere.invalid/hook")
    assert problem.fact == "no connection to nowhere.invalid:443: the name is not found"
    assert not problem.final


async def test_connection_attempt_has_its_own_timeout() -> None:
    async with tcp_receiver(lambda reader, writer: asyncio.sleep(60)) as port:  # silent in the TLS handshake
        problem = await failure(f"https://127.0.0.1:{port}/", connect_timeout_ms=200, timeout_ms=60_000)
    assert problem.fact == f"no connection to 127.0.0.1:{port} within 200 ms"


async def test_untrusted_certificate_is_rejected(tmp_path: Path) -> None:
    _, context = self_signed(tmp_path)
    heard: list[object] = []
    server = await asyncio.start_server(lambda *streams: heard.append(streams), "127.0.0.1", 0, ssl=context)
    async with server:
        problem = await failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert "certificate verify failed" in problem.fact
    assert heard == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f000001", "①②⑦.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
async def test_a_private_address_is_refused_at_connect_however_it_is_written(host: str) -> None:
    async with HttpReceiver() as receiver:
        problem = await failure(f"http://{host}:{receiver.port}/", allow_private=False)
    assert "blocked unless allow_private = true" in problem.fact
    assert (problem.final, problem.pause) == (False, False)
    assert receiver.seen == []


@pytest.mark.parametrize(
    "host",
    [
        "[::1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "[fe80::1]",
    ],
)
async def test_an_address_inside_is_refused_before_a_packet_is_sent(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    async def connect(*_: object) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
    problem = await failure(f"http://{host}/", allow_private=False)
    assert "blocked unless allow_private = true" in problem.fact


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpReceiver() as proxy, HttpReceiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with sink(receiver.url) as built:
            await built.deliver(message())
    assert (len(receiver.taken), proxy.seen) == (1, [])


async def test_cookies_are_not_kept() -> None:
    async with HttpReceiver([Answer(200, {"Set-Cookie": "a=b"})]) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        async with sink(url) as built:
            await built.deliver(message())
            await built.deliver(message())
    assert "cookie" not in receiver.taken[1]["headers"]


async def test_a_connection_serves_again_and_none_is_left_open() -> None:
    before = open_files()
    async with (
        HttpReceiver([200, Answer(500, body=b"x" * 1000), 302, 204]) as receiver,
        sink(receiver.url) as built,
    ):
        for _ in range(5):
            try:
                await built.deliver(message())
            except DeliveryError:
                pass
        assert len(receiver.seen) == 5
        assert len(receiver.connections) == 1
    assert open_files() == before


async def test_a_cancelled_delivery_leaves_no_connection() -> None:
    heard, gone = asyncio.Event(), asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heard.set()
        await reader.read()
        gone.set()

    async with (
        tcp_receiver(play) as port,
        sink(f"http://127.0.0.1:{port}/") as built,
        asyncio.timeout(PATIENCE_S),
    ):
        delivery = asyncio.create_task(built.deliver(message()))
        await heard.wait()
        delivery.cancel()
        await gone.wait()
    assert delivery.cancelled()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": ""}, "is missing: a sink of type http needs it"),
        ({"url": None}, "write a text, in quotes"),
        ({"url": "ftp://x/"}, "must be http"),
        ({"url": "http:///x"}, "must be http"),
        ({"url": "http://a b/"}, "without spaces"),
        ({"url": "http://x:99999/"}, "Port out of range"),
        ({"url": "http://[::1"}, "cannot be read"),
        ({"url": "http://2130706433/"}, "no address as it is written"),
        ({"url": "http://0177.0.0.1/"}, "no address as it is written"),
        ({"url": "http://127.1/"}, "no address as it is written"),
        ({"url": "http://127.0.0.1./"}, "no address as it is written"),
        ({"url": "http://u:geheim@x/", "headers": {"Authorization": "x"}}, "one of them is too much"),
        ({"secrets": ["geheim"]}, "secrets: number 1 must start with whsec_"),
        ({"secrets": [SECRETS[0], "whsec_geheim!"]}, "secrets: number 2 is not base64"),
        ({"secrets": ["whsec_Z2VoZWlt"]}, "secrets: number 1 holds 6 bytes"),
        ({"headers": {"X-A": "geheim\r\nX-B: 1"}}, "X-A cannot be sent"),
        ({"headers": {"X A": "1"}}, "cannot be sent"),
        ({"headers": {"Webhook-Id": "1"}}, "is set by rfctl"),
        ({"headers": {"Content-Length": "1"}}, "is set by rfctl"),
    ],
)  # fmt: skip
def test_wrong_options_are_named_and_secrets_not_shown(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build_section(HttpConfig, {"type": "http", "url": "https://example.com/", **options}, "sinks.bot")
    [problem] = caught.value.problems
    assert problem.startswith("sinks.bot.")
    assert says in problem
    assert "geheim" not in problem
