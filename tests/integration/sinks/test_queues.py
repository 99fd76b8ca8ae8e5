from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from rfctl.model.delivery import Delivery
from rfctl.model.message import Message
from rfctl.model.stored import Merged, encode_item
from rfctl.section import build_section
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.payload import encode_payload
from rfctl.sinks.redis import RedisSink
from rfctl.sinks.registry import SPECS, build_sink
from rfctl.store.connection import Connection
from tests.support import workers
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import PATIENCE_S

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
QUEUE = "company-7-messages"
TEMPLATE = "company-{company}-messages"
TASKS = {"bullmq": "", "celery": "chat.answer", "rq": "tests.support.workers.tasks.rq_task"}
TYPES = ("bullmq", "celery", "rq")
WAITING = {"bullmq": f"bull:{QUEUE}:wait", "celery": QUEUE, "rq": f"rq:queue:{QUEUE}"}
NODE = ("TEST_BULLMQ5", "TEST_BULLMQ6")

every_sink = pytest.mark.parametrize("type_", TYPES)


def delivery(number: int, metadata: bytes = b'{"pushName":"Zo\xc3\xab"}') -> Delivery:
    texts = ("Привет,", 'запишите "меня"')
    messages = [
        Message(
            phone="79001234567", text=text, id=f"wamid-{number}-{place}", channel="wa", company="7", metadata=metadata,
            traceparent=TRACE if place else "",
        )
        for place, text in enumerate(texts)
    ]  # fmt: skip
    raw = [
        encode_item(message, with_phone=False) + b',"timestamp":1,"receivedAt":2,"waitMs":3}'
        for message in messages
    ]
    id_ = f"179000000000{number}-0"
    merged = Merged(
        id=id_, phone="79001234567", company="7", text=" ".join(texts), count=2, reason="quiet",
        first_ms=1_789_999_990_000, last_ms=1_789_999_991_500, late_ms=0, channel="wa", simulated=False, raw=raw,
        platform="whatsapp",
    )  # fmt: skip
    return Delivery(id_, merged, instance_id="0f0f")


def build(type_: str, url: str, *, sink_name: str = "bot", **settings: Any) -> Sink:
    task = {} if type_ == "bullmq" else {"task": TASKS[type_]}
    times = {"timeout_ms": 5_000, "connect_timeout_ms": 1_000}
    table = {"type": type_, "url": url, "queue": TEMPLATE, **times, **task, **settings}
    sink = build_sink(sink_name, build_section(SPECS[type_].config, table, "sinks.bot"))
    assert not isinstance(sink, RedisSink)
    return sink


@asynccontextmanager
async def opened(type_: str, url: str, **options: Any) -> AsyncIterator[Sink]:
    sink = build(type_, url, **options)
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


def ids(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["id"] for job in jobs]


@every_sink
async def test_two_sinks_and_two_rfctl_in_one_queue_are_all_served(
    connection: Connection, type_: str
) -> None:
    async with (
        opened(type_, connection.address.url) as bot,
        opened(type_, connection.address.url, sink_name="other") as other,
    ):
        for sink, sent in (
            (bot, delivery(1)),
            (other, delivery(1)),
            (bot, replace(delivery(1), instance_id="1e1e")),
        ):
            await sink.deliver(sent)
        assert await connection.call("LLEN", WAITING[type_]) == 3


async def refusal(sink: Sink, sent: Delivery) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        async with asyncio.timeout(PATIENCE_S):  # far more than the sink's own patience, and not for ever
            await sink.deliver(sent)
    return caught.value


@pytest.mark.parametrize("variable", NODE)
async def test_bullmq_worker_of_node_gets_the_message_in_its_shape(
    server: RedisServer, variable: str
) -> None:
    modules, sent = workers.node_modules(variable), delivery(1)
    async with opened("bullmq", server.url) as sink, workers.bullmq(server, QUEUE, modules) as worker:
        await sink.deliver(sent)
        job = await worker.job()
    assert job == {
        "id": "rfctl-bot-0f0f-1790000000001-0", "name": "process-message", "data": json.loads(encode_payload(sent, "node")),
        "attempts": 3, "backoff": {"type": "exponential", "delay": 5_000},
    }  # fmt: skip
    data = job["data"]
    assert (data["from"], data["message"], data["companyId"]) == (
        "79001234567",
        'Привет, запишите "меня"',
        "7",
    )
    assert (data["platform"], data["messageId"]) == ("whatsapp", sent.id)
    assert data["metadata"]["pushName"] == "Zoë"
    assert " ".join(data["metadata"]["originalMessages"]) == data["message"]
    first, last = data["metadata"]["originals"]
    assert [first["messageId"], last["messageId"]] == ["wamid-1-0", "wamid-1-1"]
    assert (first.get("traceparent"), last["traceparent"]) == (None, TRACE)


@pytest.mark.parametrize("variable", NODE)
async def test_repeated_message_is_one_bullmq_job(server: RedisServer, variable: str) -> None:
    modules = workers.node_modules(variable)
    async with opened("bullmq", server.url) as sink:
        for number in (1, 2, 1, 2):
            await sink.deliver(delivery(number))
        async with workers.bullmq(server, QUEUE, modules) as worker:
            first = [await worker.job() for _ in range(2)]
            for number in (1, 2, 3):
                await sink.deliver(delivery(number))
            last = await worker.job()
    assert ids([*first, last]) == [f"rfctl-bot-0f0f-179000000000{number}-0" for number in (1, 2, 3)]


async def test_a_celery_worker_gets_the_messages_in_order_and_in_their_shape(server: RedisServer) -> None:
    deliveries = [delivery(number) for number in (1, 2, 3)]
    async with opened("celery", server.url) as sink:
        for sent in deliveries:
            await sink.deliver(sent)
    async with workers.celery(server, QUEUE) as worker:
        jobs = [await worker.job() for _ in deliveries]
    assert jobs == [
        {"id": f"rfctl-bot-0f0f-{sent.id}", "data": json.loads(encode_payload(sent))} for sent in deliveries
    ]


async def test_a_repeated_message_reaches_celery_with_the_same_task_id(server: RedisServer) -> None:
    async with opened("celery", server.url) as sink:
        for number in (1, 1):
            await sink.deliver(delivery(number))
    async with workers.celery(server, QUEUE) as worker:
        jobs = [await worker.job() for _ in range(2)]
    assert ids(jobs) == ["rfctl-bot-0f0f-1790000000001-0"] * 2, (
        "Celery runs it again: that is why the id must be the same"
    )


async def test_a_default_rq_worker_gets_the_messages_in_order_and_each_once(server: RedisServer) -> None:
    deliveries = [delivery(number) for number in (1, 2, 3)]
    async with opened("rq", server.url) as sink:
        for sent in [*deliveries, deliveries[0]]:
            await sink.deliver(sent)
        async with workers.rq(server, QUEUE) as worker:
            jobs = await worker.rest()
        await sink.deliver(deliveries[0])
        await sink.deliver(delivery(4))
        async with workers.rq(server, QUEUE) as worker:
            later = await worker.rest()
    assert jobs == [
        {"id": f"rfctl-bot-0f0f-{sent.id}", "data": json.loads(encode_payload(sent))} for sent in deliveries
    ]
    assert ids(later) == ["rfctl-bot-0f0f-1790000000004-0"], "a message that was done is not done again"


async def test_rq_worker_that_reads_json_gets_jobs_in_json(server: RedisServer) -> None:
    async with opened("rq", server.url, serializer="json") as sink:
        await sink.deliver(delivery(1))
        async with workers.rq(server, QUEUE, "--serializer", "rq.serializers.JSONSerializer") as worker:
            jobs = await worker.rest()
    sent = delivery(1)
    assert jobs == [{"id": f"rfctl-bot-0f0f-{sent.id}", "data": json.loads(encode_payload(sent))}]


@every_sink
async def test_delivery_fails_without_redis_and_succeeds_after_its_return(
    own_server: ServerMaker, type_: str
) -> None:
    server = own_server()
    url = server.url.replace("://", "://:s3cr3t-word@")
    async with opened(type_, server.url, timeout_ms=1_500) as sink:
        await sink.deliver(delivery(1))
        server.kill()
        for number in (2, 3):
            problem = await refusal(sink, delivery(number))
            assert not problem.final
            assert str(server.port) in problem.fact
        async with opened(type_, url, timeout_ms=1_500) as secretive:
            assert "s3cr3t-word" not in str(await refusal(secretive, delivery(2)))
        server.start()
        await sink.deliver(delivery(4))
    assert await waiting(server, type_) == 2


@every_sink
async def test_delivery_to_a_silent_server_fails(type_: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with opened(type_, f"redis://:s3cr3t-word@127.0.0.1:{port}/0", timeout_ms=500) as sink:
        problem = await refusal(sink, delivery(1))
        assert "s3cr3t-word" not in str(problem)
    listener.close()


@every_sink
async def test_wrong_password_is_a_temporary_failure(own_server: ServerMaker, type_: str) -> None:
    server = own_server("--requirepass", "r1ght")
    url = server.url.replace("://", "://:wr0ng@")
    async with opened(type_, url) as sink:
        problem = await refusal(sink, delivery(1))
    assert not problem.final
    assert "wr0ng" not in str(problem)
    async with opened(type_, server.url.replace("://", "://:r1ght@")) as sink:
        await sink.deliver(delivery(1))


@every_sink
async def test_a_unix_socket_and_a_database_are_taken_from_the_url(
    server: RedisServer, connection: Connection, type_: str
) -> None:
    scheme, query = ("redis+socket", "virtual_host=3") if type_ == "celery" else ("unix", "db=3")
    async with opened(type_, f"{scheme}://{server.socket}?{query}") as sink:
        await sink.deliver(delivery(1))
    assert await waiting(server, type_) == 0
    assert await waiting(server, type_, db=3) == 1


@every_sink
async def test_many_deliveries_at_a_time_all_arrive(server: RedisServer, type_: str) -> None:
    async with opened(type_, server.url) as sink:
        await asyncio.gather(*(sink.deliver(delivery(number)) for number in range(40)))
    assert await waiting(server, type_) == 40


@every_sink
async def test_numbers_that_no_encoder_writes_do_not_stop_a_message(server: RedisServer, type_: str) -> None:
    metadata = b'{"huge":1e400,"long":' + b"9" * 5_000 + b"}"
    async with opened(type_, server.url) as sink:
        await sink.deliver(delivery(1, metadata))
    assert await waiting(server, type_) == 1


async def test_the_brokers_of_celerys_own_variables_are_not_used(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CELERY_CONFIG_MODULE", "no.such.module")
    async with opened("celery", server.url) as sink:
        await sink.deliver(delivery(1))
    assert await waiting(server, "celery") == 1


async def waiting(server: RedisServer, type_: str, db: int = 0) -> int:
    """How many jobs lie in the queue."""
    connection = Connection.open(patient_address(f"redis://127.0.0.1:{server.port}/{db}"))
    try:
        return int(await connection.call("LLEN", WAITING[type_]))
    finally:
        await connection.close()
