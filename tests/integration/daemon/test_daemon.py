"""A whole daemon in the test's own loop, spoken to over HTTP, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from rfctl.daemon.daemon import Daemon
from rfctl.daemon.preflight import Preflight
from rfctl.errors import (
    EvictingRedisError,
    ListenError,
    OtherLayoutError,
    RedisCannotNowError,
    RedisUnreachableError,
)
from rfctl.ingest.group_commit import GroupCommit
from rfctl.model.message import Message
from rfctl.sources.generic.node_form import BATCHED, sign
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from rfctl.store.daemons import Daemons
from tests.conftest import configure, running
from tests.support.batching import Rig, make_rig
from tests.support.clock import KEY, VirtualClock
from tests.support.keys import SHARD
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import PATIENCE_S, until

PHONE = "79001234567"
QUICK = {"batching__quiet_ms": 200, "batching__max_wait_ms": 2000}


@pytest.fixture
async def clock(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """A clock that the scripts of the test's daemons go by; it stands still until the test moves it."""
    started = await VirtualClock.start(connection)

    def connect(address: RedisAddress, max_connections: int = 8, **_: Any) -> Connection:
        return Connection.open(address, max_connections=max_connections, clock=started)

    monkeypatch.setattr("rfctl.store.store._connect", connect)
    return started


def client(service: Daemon, **more: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, trust_env=False, **more)


async def collect(batches: Any, count: int) -> Any:
    async def enough() -> Any:
        merged = await batches.collect()
        return merged if len(merged) >= count else None

    return await until(enough)


@pytest.mark.parametrize("shards", [0, 4])
async def test_fragments_over_http_become_one_merged_message(
    server: RedisServer, connection: Connection, tmp_path: Path, shards: int, clock: VirtualClock
) -> None:
    async with (
        running(configure(server.url, tmp_path, redis__shards=shards, daemon__max_sleep_ms=20)) as service,
        client(service) as http,
    ):
        for text in ("Привет,", "запишите", "меня на", "стрижку"):
            answer = await http.post(BATCHED, json={"from": PHONE, "message": text, "companyId": 962302})
        assert answer.status_code == 200
        assert answer.json()["addedCount"] == 1
        [state] = answer.json()["batches"]
        assert (state["phone"], state["size"]) == (PHONE, 4)
        assert state["dueInMs"] == 5000
        await clock.advance(5000)
        [merged] = await collect(make_rig(connection, shards), 1)
        assert merged.text == "Привет, запишите меня на стрижку"
        assert merged.company == 962302
        assert merged.reason == "quiet"


async def test_repeated_request_adds_nothing(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    body = {
        "messages": [
            {"from": PHONE, "body": "a", "messageId": "1"},
            {"from": "7", "body": "b", "messageId": "2"},
        ]
    }
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        first = (await http.post(BATCHED, json=body)).json()
        again = (await http.post(BATCHED, json=body)).json()
        stats = (await http.get(BATCHED + "/stats")).json()["stats"]
    assert (first["addedCount"], first["duplicates"]) == (2, 0)
    assert (again["addedCount"], again["duplicates"]) == (0, 2)
    assert stats["pendingBatches"] == 2
    assert {batch["phone"]: batch["size"] for batch in stats["batches"]} == {PHONE: 1, "7": 1}
    assert all(batch["lastMessageAge"] >= 0 for batch in stats["batches"])


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        ({"content": b"nope", "headers": {"Content-Type": "application/json"}}, 400, "not JSON"),
        ({"content": b"nope"}, 415, "send Content-Type: application/json"),
        ({"json": {"from": PHONE}}, 400, "missing or empty"),
        ({"json": {"message": "x"}}, 400, "`from` is missing"),
        ({"json": {"messages": [{"from": "1", "body": "x"}, {"body": "y"}]}}, 400, "messages[1]"),
        (
            {"content": b"x" * 2000, "headers": {"Content-Type": "application/json"}},
            413,
            "larger than 1024 bytes",
        ),
        ({"method": "PUT"}, 405, "PUT is not served"),
        ({"url": "/nowhere"}, 404, "nothing at"),
    ],
)
async def test_bad_request_is_rejected_in_words_and_stores_nothing(
    server: RedisServer,
    connection: Connection,
    tmp_path: Path,
    request_: dict[str, Any],
    status: int,
    says: str,
) -> None:
    async with (
        running(configure(server.url, tmp_path, http__max_body_bytes=1024)) as service,
        client(service) as http,
    ):
        answer = await http.request(**{"method": "POST", "url": BATCHED} | request_)
        assert (answer.status_code, answer.json()["success"]) == (status, False)
        assert says in answer.json()["error"]
        assert (await http.get("/healthz")).status_code == 200
    assert await connection.call("EXISTS", "rfctl:due") == 0


async def test_body_that_grows_too_large_is_not_read_to_its_end(server: RedisServer, tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[Any]:
        for _ in range(100):
            yield b"x" * 100

    async with (
        running(configure(server.url, tmp_path, http__max_body_bytes=1024)) as service,
        client(service) as http,
    ):
        try:
            answer = await http.post(BATCHED, content=endless(), headers={"Content-Type": "application/json"})
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # closed while the client still wrote: it was not read on
        assert (await http.get("/healthz")).status_code == 200


async def test_unsigned_request_is_rejected_when_the_source_has_secrets(
    server: RedisServer, tmp_path: Path
) -> None:
    configuration = configure(server.url, tmp_path, sources__generic__secrets="old,new")
    body = json.dumps({"from": PHONE, "message": "x"}).encode()
    now = str(time.time_ns() // 1_000_000)
    good = sign("new", "POST", BATCHED, now, body)
    async with running(configuration) as service, client(service) as http:
        for signature, status in ((good, 200), ("0" * 64, 401), ("é", 401), ("", 401)):
            headers = [(b"X-Timestamp", now.encode()), (b"X-Signature", signature.encode())]
            assert (await http.post(BATCHED, content=body, headers=headers)).status_code == status
        assert (await http.post(BATCHED, content=body)).status_code == 401


async def test_batches_are_shown_and_deleted_only_with_access(server: RedisServer, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        await http.post(BATCHED, json={"from": PHONE, "message": "x"})
        proxied = await http.get(BATCHED + "/stats", headers={"X-Forwarded-For": "1.2.3.4"})
        assert proxied.status_code == 401
        gone = await http.delete(f"{BATCHED}/+7 900 123-45-67")
        assert gone.json()["removed"] == 1
        assert gone.json()["messages"][0]["message"] == "x"
        assert (await http.delete(f"{BATCHED}/{PHONE}")).status_code == 404
    async with (
        running(configure(server.url, tmp_path, http__admin_token="hush")) as service,
        client(service) as http,
    ):
        assert (await http.get(BATCHED + "/stats")).status_code == 401
        assert (
            await http.get(BATCHED + "/stats", headers={"Authorization": "Bearer hush"})
        ).status_code == 200
        assert (
            await http.get(BATCHED + "/stats", headers=[(b"Authorization", "Bearer é".encode())])
        ).status_code == 401


async def is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


async def test_readyz_names_the_redis(server: RedisServer, connection: Connection, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        await until(partial(is_ready, http))
        answer = await http.get("/readyz")
        assert answer.json()["run_id"] == (await connection.read_server_info()).run_id
        assert answer.json()["set_by"] == "variable RFCTL_REDIS__URL"


async def test_message_is_deferred_while_redis_is_away_and_stored_afterwards(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    settings = {"redis__timeout_ms": 300, "redis__connect_timeout_ms": 300}
    async with (
        running(configure(server.url, tmp_path, **settings, **QUICK)) as service,
        client(service) as http,
    ):
        body = {"from": PHONE, "message": "x", "messageId": "1"}
        assert (await http.post(BATCHED, json=body)).status_code == 200
        server.kill()
        answer = await http.post(BATCHED, json={**body, "messageId": "2"}, timeout=PATIENCE_S)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0

        async def away() -> bool:
            return bool((await http.get("/readyz")).json().get("reason") == "redis-away")

        await until(away)
        server.start()
        assert (await http.post(BATCHED, json={**body, "messageId": "2"})).status_code == 200
        connection = Connection.open(patient_address(server.url))
        merged = await collect(make_rig(connection), 1)
        await until(lambda: _total(connection))
        assert sum(message.count for message in merged) in (1, 2)
        await connection.close()


async def _total(connection: Connection) -> bool:
    return sum(message.count for message in await make_rig(connection).collect()) == 2


async def test_daemon_that_starts_before_redis_waits_for_it(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    server.kill()
    async with running(configure(server.url, tmp_path, **QUICK)) as service, client(service) as http:
        assert (await http.get("/healthz")).status_code == 200
        server.start()
        await until(partial(is_ready, http))
        assert (await http.post(BATCHED, json={"from": PHONE, "message": "x"})).status_code == 200


async def test_evicting_redis_is_rejected(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server("--maxmemory-policy", "allkeys-lru")
    with pytest.raises(EvictingRedisError, match="maxmemory-policy is allkeys-lru") as problem:
        async with running(configure(server.url, tmp_path)):
            pass
    assert "noeviction" in problem.value.next
    assert problem.value.exit_status == 78
    async with running(configure(server.url, tmp_path, redis__allow_eviction="true")) as service:
        assert service.url


async def test_taken_port_is_an_error(server: RedisServer, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ListenError, match="cannot listen"):
            await Daemon(configure(server.url, tmp_path, http__port=taken.getsockname()[1])).start()


@pytest.mark.parametrize(
    "sent", [b"", b"POST / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"]
)
async def test_connection_without_header_or_body_is_closed(
    server: RedisServer, tmp_path: Path, sent: bytes
) -> None:
    slow = {"http__header_timeout_ms": 100, "http__body_timeout_ms": 100}
    async with running(configure(server.url, tmp_path, **slow)) as service:
        url = httpx.URL(service.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(sent)
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()


async def test_half_open_clients_do_not_delay_the_stop(server: RedisServer, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path, http__header_timeout_ms=600_000)) as service:
        url = httpx.URL(service.url)
        opened = [await asyncio.open_connection(url.host, url.port) for _ in range(5)]
        async with asyncio.timeout(PATIENCE_S):  # far less than the time for their headers
            await service.stop()
        for _, writer in opened:
            writer.close()


async def test_last_scheduler_hands_over_everything_when_it_stops(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        await http.post(BATCHED, json={"from": PHONE, "message": "x"})
        async with running(configure(server.url, tmp_path)):
            await until(lambda: _are_two_alive(connection))
        assert await make_rig(connection).collect() == [], "another scheduler lives, and hands it over later"
    [merged] = await make_rig(connection).collect()
    assert merged.reason == "shutdown"
    assert await Daemons(connection, SHARD).list_alive() == []


async def _are_two_alive(connection: Connection) -> bool:
    return len(await Daemons(connection, SHARD).list_alive()) == 2


async def test_drain_due_leaves_the_rest_for_the_next_start(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    configuration = configure(server.url, tmp_path, daemon__drain="due")
    async with running(configuration) as service, client(service) as http:
        await http.post(BATCHED, json={"from": PHONE, "message": "x"})
    assert await make_rig(connection).collect() == []
    assert await make_rig(connection).batches.peek(PHONE) is not None


async def test_roles_share_the_work(
    server: RedisServer, connection: Connection, tmp_path: Path, clock: VirtualClock
) -> None:
    webhook = configure(server.url, tmp_path, daemon__role="webhook")
    processor = configure(server.url, tmp_path, daemon__role="processor", daemon__max_sleep_ms=20)
    async with running(webhook) as receiver, running(processor) as scheduler, client(receiver) as http:
        assert scheduler.url == ""
        await http.post(BATCHED, json={"from": PHONE, "message": "x"})
        await clock.advance(5000)
        [merged] = await collect(make_rig(connection), 1)
        assert merged.reason == "quiet"


async def test_watchdog_is_fed_by_the_schedulers_own_turn(server: RedisServer, tmp_path: Path) -> None:
    path = str(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        configuration = configure(server.url, tmp_path, daemon__max_sleep_ms=50)
        configuration.environment.variables["NOTIFY_SOCKET"] = path  # type: ignore[index]
        notices: list[str] = []

        def is_fed_twice() -> bool:
            with contextlib.suppress(BlockingIOError):
                while True:
                    notices.append(manager.recv(4096).decode())
            return notices.count("WATCHDOG=1") >= 2

        async with running(configuration):
            await until(is_fed_twice)
        is_fed_twice()
    assert sum("READY=1" in notice for notice in notices) == 1
    assert notices[-1].startswith("STOPPING=1\n")


async def test_scenarios_of_the_node_service_give_the_same_batches(
    server: RedisServer, connection: Connection, tmp_path: Path, clock: VirtualClock
) -> None:
    """8 at 100 ms; 3, 6 s apart; 12 at once: with the Node service's own 5 s and 10."""
    rapid = [(100 * number, "1") for number in range(8)]
    apart = [(6000 * number, "2") for number in range(3)]
    at_once = [(0, "3")] * 12
    rig = make_rig(connection)
    began_ms = await connection.call("GET", KEY)
    async with (
        running(configure(server.url, tmp_path, daemon__max_sleep_ms=20)) as service,
        client(service) as http,
    ):
        for at_ms, phone in sorted([*rapid, *apart, *at_once]):
            await pass_time(clock, rig, int(began_ms) + at_ms)
            answer = await http.post(BATCHED, json={"from": phone, "message": "x"})
            assert answer.status_code == 200
        # Not "*:2": a part of a segment of ids may have the number 2 as well.
        keys = {key.decode() for key in await connection.call("KEYS", "*-*:2")}
        assert keys == {"rapid-fire:2", "last-msg:2"}
        await pass_time(clock, rig, int(began_ms) + 60_000)
        merged = await rig.collect()
    of_phone = {phone: [message for message in merged if message.phone == phone] for phone in "123"}
    assert [(message.count, message.reason) for message in of_phone["1"]] == [(8, "quiet")]
    assert [(message.count, message.reason) for message in of_phone["2"]] == [(1, "quiet")] * 3
    assert [(message.count, message.reason) for message in of_phone["3"]] == [(10, "size"), (2, "quiet")]
    assert [message.late_ms for message in merged] == [0] * 6


async def pass_time(clock: VirtualClock, rig: Rig, until_ms: int) -> None:
    """Move the clock on. It stops at each due time on the way, until the daemon has handed those batches over."""
    while (due_ms := (await rig.store.pending()).next_due_ms) is not None and due_ms <= until_ms:
        await clock.set(due_ms)
        await until(partial(_is_handed_over, rig, due_ms))
    await clock.set(until_ms)


async def _is_handed_over(rig: Rig, due_ms: int) -> bool:
    next_due_ms = (await rig.store.pending()).next_due_ms
    return next_due_ms is None or next_due_ms > due_ms


async def test_call_with_a_lost_answer_is_repeated_and_stored_once(connection: Connection) -> None:
    batches = make_rig(connection)
    lost = [RedisUnreachableError("the answer was cut off")]

    async def store(messages: Any) -> Any:
        results = await batches.add(messages)
        if lost:
            raise lost.pop()
        return results

    [result] = await GroupCommit(store).add([Message(phone=PHONE, text="x", id="1", channel="generic")])
    assert (result.added, result.size) == (True, 1)
    batch = await batches.batches.peek(PHONE)
    assert batch is not None
    assert len(batch.messages) == 1


async def test_retry_storm_of_a_provider_stores_one_copy(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        body = {"from": PHONE, "message": "x", "messageId": "1"}
        answers = await asyncio.gather(*(http.post(BATCHED, json=body) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["addedCount"] for answer in answers) == 1


async def test_other_number_of_shards_is_rejected(server: RedisServer, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path, redis__shards=4)):
        pass
    with pytest.raises(OtherLayoutError, match=r"laid out for redis.shards = 4, not 0") as problem:
        async with running(configure(server.url, tmp_path)):
            pass
    assert problem.value.exit_status == 78


async def test_daemon_waits_for_a_redis_that_is_still_loading(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Preflight.check
    answers = [RedisCannotNowError("LOADING"), RedisCannotNowError("LOADING")]

    async def loading(preflight: Preflight) -> None:
        if answers:
            raise answers.pop()
        await check(preflight)

    monkeypatch.setattr(Preflight, "check", loading)
    async with running(configure(server.url, tmp_path)) as service, client(service) as http:
        assert not await is_ready(http)
        await until(partial(is_ready, http))


async def test_stop_hands_over_no_longer_than_it_may(own_server: ServerMaker, tmp_path: Path) -> None:
    """Redis hangs for good: what waits for it is given up, first the drain, then the sockets."""
    server = own_server()
    service = Daemon(configure(server.url, tmp_path), drain_s=0.05)
    await service.start()
    server.send_signal(signal.SIGSTOP)
    try:
        with capture_logs() as lines:
            await service.stop()
    finally:
        server.send_signal(signal.SIGCONT)
    assert "drain_incomplete" in [line["event"] for line in lines]
