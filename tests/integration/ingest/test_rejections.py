"""Rejected requests of a whole daemon: each is counted with its reason and time, and bounded before it is verified."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rfctl.daemon.daemon import Daemon
from rfctl.observe import Finding, findings
from rfctl.sources.generic.node_form import BATCHED
from rfctl.store.connection import Connection
from tests.conftest import configure, running
from tests.integration.ingest.test_sources import client, configuration, logged
from tests.support.keys import SHARD
from tests.support.servers import RedisServer
from tests.support.waiting import PATIENCE_S, until

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters are written with the heartbeat."""
    monkeypatch.setattr("rfctl.daemon.heartbeat.BEAT_S", 0.05)


@contextlib.asynccontextmanager
async def opened(
    service: Daemon, sent: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send bytes on a connection of our own."""
    url = httpx.URL(service.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(*fields: str, path: str = BATCHED) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


REQUESTS: dict[str, dict[str, Any]] = {
    "no-path": {"url": "/nowhere"},
    "no-source": {"url": "/webhook/nobody"},
    "method": {"method": "PUT"},
    "content-type:generic": {"content": b"x"},
    "body-too-large:generic": {"content": b"x" * 2000, "headers": JSON},
    "invalid-body:generic": {"content": b"nope", "headers": JSON},
    "proxied:generic": {"content": b"{}", "headers": {**JSON, "Via": "x"}},
    "host:generic": {"content": b"{}", "headers": {**JSON, "Host": "evil.example"}},
    "origin:generic": {"content": b"{}", "headers": {**JSON, "Origin": "http://evil.example"}},
    "host": {"method": "GET", "url": BATCHED + "/stats", "headers": {"Host": "evil.example"}},
    "no-batch": {"method": "DELETE", "url": BATCHED + "/7"},
    "signature:tg": {"url": "/webhook/tg", "content": b"{}"},
    "handshake:salon": {"method": "GET", "url": "/webhook/salon"},
    "method:tg": {"method": "GET", "url": "/webhook/tg"},
}
SENT: dict[str, bytes] = {
    "invalid-http": b"nonsense\r\n\r\n",
    "header-too-large": b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000,
    "header-timeout": b"GET / HT",
    "body-timeout": head("Content-Length: 9"),
}
SETTINGS = """
http.max_body_bytes = 1024
http.header_timeout_ms = 50
http.body_timeout_ms = 50
[sources.generic]
[sources.tg]
type = "telegram"
secrets = ["hush"]
[sources.salon]
type = "whatsapp-cloud"
secrets = ["a"]
verify_token = "b"
"""


async def test_every_rejected_request_is_counted_with_the_time_of_the_last(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    began = await connection.now_ms(SHARD)
    async with (
        running(configuration(server.url, tmp_path, SETTINGS)) as service,
        client(service) as http,
        contextlib.AsyncExitStack() as stack,
    ):
        for sent in SENT.values():
            await stack.enter_async_context(opened(service, sent))
        async with opened(service, head("Content-Length: 9") + b"half"):
            pass
        for request in REQUESTS.values():
            answer = await http.request(**{"method": "POST", "url": BATCHED} | request)
            assert 400 <= answer.status_code < 500
        expected = {f"rejected:{name}" for name in (*SENT, *REQUESTS, "disconnected")}

        async def written() -> bool:
            names = await connection.call("HKEYS", "rfctl:last")
            return expected <= {name.decode() for name in names}

        await until(written)
        totals = (await service._store.pending()).totals
        times = await service._store.counters.read_last_times()
        assert {name: totals[name] for name in expected} == dict.fromkeys(expected, 1)
        ended = await connection.now_ms(SHARD)
        assert [name for name in expected if not began - 1 <= times[name] <= ended] == []
        assert {name for name in totals if name.startswith("rejected:")} == expected


async def test_source_whose_requests_are_all_rejected_is_a_finding(
    server: RedisServer, tmp_path: Path
) -> None:
    sources = '[sources.tg]\ntype = "telegram"\nsecrets = ["hush"]\n[sources.generic]\n'
    async with running(configuration(server.url, tmp_path, sources)) as service, client(service) as http:

        async def find() -> list[Finding]:
            return [
                finding
                for finding in findings(await service._components.take_snapshot())
                if finding.code == "requests_rejected"
            ]

        for number in range(20):
            body = {"from": "7", "message": "x", "messageId": str(number)}
            assert (await http.post(BATCHED, json=body)).status_code == 200
            assert (await http.post("/webhook/tg", content=b"{}")).status_code == 401
            assert (await http.post("/webhook/nobody", content=b"{}")).status_code == 404

        token = {**JSON, "X-Telegram-Bot-Api-Secret-Token": "hush"}
        poll = await http.post("/webhook/tg", content=b'{"update_id": 1, "poll": {}}', headers=token)
        assert poll.status_code == 200

        async def is_found() -> bool:
            return bool(current := await find()) and "20 of 21 requests" in current[0].fact

        await until(is_found)
        [finding] = await find()
        assert (finding.subject, "signature 20" in finding.fact) == ("tg", True)


async def test_half_bodies_leave_a_bounded_room_which_comes_back(server: RedisServer, tmp_path: Path) -> None:
    settings = configure(
        server.url, tmp_path, http__max_inflight_bytes=1_048_576, http__max_body_bytes=200_000,
        http__body_timeout_ms=600_000,
    )  # fmt: skip
    half = head("Content-Length: 200000") + b"x" * 199_999
    async with (
        running(settings) as service,
        client(service) as http,
        contextlib.AsyncExitStack() as stack,
    ):
        budget = service._components.receiver.budget
        readers = [(await stack.enter_async_context(opened(service, half)))[0] for _ in range(20)]
        answered = [asyncio.create_task(reader.readuntil(b"\r\n\r\n")) for reader in readers]
        await until(lambda: sum(task.done() for task in answered) == 16)
        heads = [task.result() for task in answered if task.done()]
        assert all(b" 503 " in answer and b"retry-after: 5" in answer for answer in heads)
        assert budget.used_bytes == 800_000
        small = await http.post(BATCHED, json={"from": "7", "message": "x"})
        assert small.status_code == 200, "small bodies have room that large ones cannot take"
        for task in answered:
            task.cancel()
        await stack.aclose()
        await until(lambda: budget.used_bytes == 0)
        large = json.dumps({"from": "7", "message": "x", "pad": "y" * 190_000}).encode()
        assert (await http.post(BATCHED, content=large, headers=JSON)).status_code == 200


async def test_body_in_hand_counts_until_redis_has_it(server: RedisServer, tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        receiver = service._components.receiver
        store = receiver.group_commit._store

        async def store_later(messages: Any) -> Any:
            await gate.wait()
            return await store(messages)

        receiver.group_commit._store = store_later
        body = json.dumps({"from": "7", "message": "x"}).encode()
        posting = asyncio.create_task(http.post(BATCHED, content=body, headers=JSON, timeout=PATIENCE_S))
        await until(lambda: receiver.budget.used_bytes == len(body))
        gate.set()
        assert (await posting).status_code == 200
        assert receiver.budget.used_bytes == 0


async def test_stop_stores_a_message_whose_client_has_left(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    async with running(configure(server.url, tmp_path)) as service:
        receiver = service._components.receiver
        store = receiver.group_commit._store

        async def store_later(messages: Any) -> Any:
            await gate.wait()
            return await store(messages)

        receiver.group_commit._store = store_later
        body = json.dumps({"from": "7", "message": "x"}).encode()
        async with opened(service, head(f"Content-Length: {len(body)}") + body):
            await until(lambda: receiver.budget.used_bytes == len(body))
        state = service._http_server._state  # type: ignore[union-attr]
        await until(lambda: not state.connections)
        stopping = asyncio.create_task(service.stop())
        await until(service._stopping.is_set)
        gate.set()
        await stopping
    assert await connection.call("XLEN", "rfctl:out") == 1, "it was stored, and handed over at the stop"
    assert await connection.call("HGET", "rfctl:totals", "rejected:redis") is None


async def test_too_large_body_is_answered_413_after_it_was_sent(server: RedisServer, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        for _ in range(2):  # the connection lives on
            answer = await http.post(BATCHED, content=b"x" * 8_000_000, headers=JSON)
            assert answer.status_code == 413
            assert "3145728 bytes (http.max_body_bytes)" in answer.json()["error"]


async def test_body_with_media_may_be_larger_where_the_provider_sends_such(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    sources = '[sources.evo]\ntype = "evolution"\nsecrets = ["s"]\n[sources.tg]\ntype = "telegram"\nsecrets = ["s"]\n'
    message = {
        "event": "messages.upsert", "instance": "shop",
        "data": {
            "key": {"remoteJid": "49151@s.whatsapp.net", "fromMe": False, "id": "E1"},
            "message": {"conversation": "hi", "base64": "A" * 20_000_000},
            "messageType": "conversation", "messageTimestamp": 1790000000,
        },
    }  # fmt: skip
    body = json.dumps(message).encode()
    headers = {**JSON, "Authorization": "Bearer s", "X-Telegram-Bot-Api-Secret-Token": "s"}
    async with running(configuration(server.url, tmp_path, sources)) as service, client(service) as http:
        evo = await http.post("/webhook/evo", content=body, headers=headers, timeout=PATIENCE_S)
        assert evo.status_code == 200
        assert (await http.post("/webhook/tg", content=body, headers=headers)).status_code == 413
        beyond = body + b" " * 14_000_000
        assert (await http.post("/webhook/evo", content=beyond, headers=headers)).status_code == 413


MAPPED = '[sources.shop]\ntype = "generic"\nmap = {each = "m", phone = "p", text = "t"}\n'
ITEM = b'{"p":"7","t":"x"}'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"m":[' + b"{}," * 100_001 + b"{}]}", "objects and arrays"),
        (b'{"m":[' + (ITEM + b",") * 10_000 + ITEM + b"]}", "10000 messages"),
    ],
)
async def test_body_that_would_be_huge_in_memory_is_rejected(
    server: RedisServer, connection: Connection, tmp_path: Path, body: bytes, says: str
) -> None:
    async with running(configuration(server.url, tmp_path, MAPPED)) as service, client(service) as http:
        answer = await http.post("/webhook/shop", content=body, headers=JSON, timeout=PATIENCE_S)
    assert (answer.status_code, says in answer.json()["error"]) == (413, True)
    assert await connection.call("EXISTS", "rfctl:due") == 0


async def test_client_that_floods_and_reads_nothing_keeps_nobody_waiting(
    server: RedisServer, tmp_path: Path
) -> None:
    flood = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100_000
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        state = service._http_server._state  # type: ignore[union-attr]
        async with opened(service, flood) as (_, writer):
            await until(lambda: state.connections)
            [connection] = state.connections
            answers = [await http.get("/healthz") for _ in range(20)]
            assert {answer.status_code for answer in answers} == {200}
            assert len(connection._rest) < 16_384  # type: ignore[union-attr]
            assert connection.transport.get_write_buffer_size() < 32_768
            assert writer.transport.get_write_buffer_size() > 0, "the flood waits at its sender"


async def test_reason_that_changes_is_logged_again(server: RedisServer, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        with logged() as lines:
            for _ in range(5):
                await http.get("/nowhere")
                await http.post(BATCHED, content=b"x")
    events = [(line["reason"], line["status"]) for line in lines if line["event"] == "request_rejected"]
    assert events == [("no-path", 404), ("content-type", 415)]
