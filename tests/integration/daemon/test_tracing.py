"""A conversation in traces, through a real daemon: from the header of a request to that of the delivery, and as spans."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from rfctl.daemon.daemon import Daemon
from rfctl.observe.tracing import Tracing, build_provider
from tests.conftest import configure, running
from tests.support import workers
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

PHONE, TEXT = "79001234567", "abracadabra"
FIRST, LAST = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")
THREE = {"batching__max_size": "3", "batching__quiet_ms": "600000", "batching__max_wait_ms": "600000"}


class Spans:
    """The spans of one daemon, as they are exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = build_provider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(provider)

    def list_all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def of(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.list_all() if span.name == name]


def id_of(span: ReadableSpan) -> tuple[int, int]:
    return span.context.trace_id, span.context.span_id


def parent_of(span: ReadableSpan) -> tuple[int, int] | None:
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def read(traceparent: str) -> tuple[int, int]:
    _, trace_id, span_id, _ = traceparent.split("-")
    return int(trace_id, 16), int(span_id, 16)


@contextlib.asynccontextmanager
async def serving(
    server: RedisServer, tmp_path: Path, spans: Spans | None, **settings: str
) -> AsyncIterator[Daemon]:
    tracing = None if spans is None else spans.tracing
    async with running(configure(server.url, tmp_path, **settings), tracing=tracing) as daemon:
        yield daemon


async def send(daemon: Daemon, number: int, traceparent: str = "") -> None:
    headers = {"traceparent": traceparent} if traceparent else {}
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=30) as http:
        body = {"from": PHONE, "body": f"{TEXT}{number}", "id": str(number)}
        answer = await http.post("/webhook/generic", json=body, headers=headers)
        assert answer.status_code == 200, answer.text


def crm(receiver: HttpReceiver) -> dict[str, str]:
    sink = {"type": "http", "url": receiver.url, "allow_private": "true", "retry_delays_ms": "[1, 1]"}
    return {f"sinks__crm__{name}": value for name, value in sink.items()}


async def test_traces_of_requests_reach_the_receiver_without_any_span(
    server: RedisServer, tmp_path: Path
) -> None:
    async with (
        HttpReceiver() as receiver,
        serving(server, tmp_path, None, **THREE, **crm(receiver)) as daemon,
    ):
        await send(daemon, 1, FIRST)
        await send(daemon, 2, LAST)
        await send(daemon, 3, LAST.upper())
        await until(lambda: receiver.taken)
    [taken] = receiver.taken
    originals = taken["body"]["metadata"]["originalMessages"]
    assert [original.get("traceparent") for original in originals] == [FIRST, LAST, None]
    assert taken["headers"]["traceparent"] == LAST


async def test_worker_of_node_reads_the_trace_of_each_request(server: RedisServer, tmp_path: Path) -> None:
    modules = workers.node_modules("TEST_BULLMQ6")
    bot = {"sinks__bot__type": "bullmq", "sinks__bot__url": server.url, "sinks__bot__queue": "messages"}
    async with (
        serving(server, tmp_path, None, **THREE, **bot) as daemon,
        workers.bullmq(server, "messages", modules) as worker,
    ):
        for number, trace in enumerate((FIRST, LAST.upper(), LAST)):
            await send(daemon, number, trace)
        job = await worker.job()
    originals = job["data"]["metadata"]["originals"]
    assert [original.get("traceparent") for original in originals] == [FIRST, None, LAST]


HOSTILE = [
    LAST.upper(), LAST + "0", LAST + "-x", "0" * 8_000, LAST[:-2] + "0g", "01" + LAST[2:], "ff" + LAST[2:], "", LAST + "," + FIRST,
    f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'b' * 32}-{'0' * 16}-01", "' OR 1=1 --", f"{LAST}\tX-Admin: 1", f"{PHONE} {TEXT}",
]  # fmt: skip


async def test_hostile_trace_is_counted_and_goes_nowhere(server: RedisServer, tmp_path: Path) -> None:
    settings = THREE | {
        "batching__max_size": str(len(HOSTILE)),
        "sinks__list__type": "list",
        "sinks__list__key": "inbox",
    }
    settings |= {"sinks__copy__type": "stream", "sinks__copy__key": "copy"}
    async with (
        HttpReceiver() as receiver,
        serving(server, tmp_path, None, **settings, **crm(receiver)) as daemon,
        httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=30) as http,
    ):
        for number, trace in enumerate(HOSTILE):
            body = {"from": PHONE, "body": TEXT, "id": str(number)}
            answer = await http.post("/webhook/generic", json=body, headers={"traceparent": trace})
            assert answer.status_code == 200, trace
        call = daemon._store._connection.call

        async def is_everywhere() -> bool:
            return bool(receiver.taken) and await call("LLEN", "inbox") == await call("XLEN", "copy") == 1

        await until(is_everywhere)
        items = await call("LRANGE", "inbox", 0, -1), await call("XRANGE", "copy", "-", "+")
        page = (await http.get("/metrics")).text
    assert f"rfctl_daemon_invalid_traces_total {float(len(HOSTILE))}\n" in page
    assert "traceparent" not in f"{receiver.taken} {items}"


async def test_request_without_a_trace_is_delivered_without_one(server: RedisServer, tmp_path: Path) -> None:
    async with (
        HttpReceiver() as receiver,
        serving(server, tmp_path, None, batching__quiet_ms="50", **crm(receiver)) as daemon,
    ):
        await send(daemon, 1)
        await until(lambda: receiver.taken)
    assert "traceparent" not in receiver.taken[0]["headers"]
    assert b"traceparent" not in receiver.taken[0]["raw"]


async def test_spans_of_a_conversation_hang_together(server: RedisServer, tmp_path: Path) -> None:
    spans = Spans()
    async with (
        HttpReceiver([503]) as receiver,
        serving(server, tmp_path, spans, **THREE, **crm(receiver)) as daemon,
    ):
        await send(daemon, 1, FIRST)
        await send(daemon, 2)
        await send(daemon, 3, LAST)
        await until(lambda: len(spans.of("deliver")) == 2)
    receives, [handed_over], [failed, delivered] = (
        spans.of("receive"),
        spans.of("hand over"),
        spans.of("deliver"),
    )
    assert [parent_of(span) for span in receives] == [read(FIRST), None, read(LAST)]
    assert receives[1].context.trace_id not in (read(FIRST)[0], read(LAST)[0])
    assert parent_of(handed_over) == id_of(receives[2])
    assert [(link.context.trace_id, link.context.span_id) for link in handed_over.links] == [
        id_of(span) for span in receives
    ]
    assert parent_of(failed) == parent_of(delivered) == id_of(handed_over)
    assert [read(seen["headers"]["traceparent"]) for seen in receiver.seen] == [
        id_of(failed),
        id_of(delivered),
    ]
    kinds = [receives[0].kind, handed_over.kind, failed.kind]
    assert kinds == [SpanKind.SERVER, SpanKind.PRODUCER, SpanKind.CLIENT]
    assert [span.status.status_code for span in (failed, delivered)] == [StatusCode.ERROR, StatusCode.UNSET]
    message_id = receiver.taken[0]["body"]["messageId"]
    assert [dict(span.attributes or {}) for span in (receives[0], handed_over, failed, delivered)] == [
        {"rfctl.source": "generic", "http.request.method": "POST", "http.response.status_code": 200},
        {"rfctl.message_id": message_id, "rfctl.reason": "size", "messaging.batch.message_count": 3},
        *(
            {
                "rfctl.sink": "crm",
                "rfctl.message_id": message_id,
                "rfctl.attempt": number,
                "rfctl.outcome": outcome,
            }
            for number, outcome in ((1, "failed"), (2, "delivered"))
        ),
    ]
    check_that_nobody_is_in(spans)


async def test_scheduler_hands_over_in_a_span_and_a_list_has_the_trace(
    server: RedisServer, tmp_path: Path
) -> None:
    spans, sink = Spans(), {"sinks__bot__type": "list", "sinks__bot__key": "inbox"}
    async with serving(server, tmp_path, spans, batching__quiet_ms="50", **sink) as daemon:
        await send(daemon, 1)
        await until(lambda: spans.of("deliver"))
        [item] = await daemon._store._connection.call("LRANGE", "inbox", 0, -1)
    [received], [handed_over], [delivered] = spans.of("receive"), spans.of("hand over"), spans.of("deliver")
    assert parent_of(received) is None
    assert parent_of(handed_over) == id_of(received)
    assert parent_of(delivered) == id_of(handed_over)
    assert handed_over.attributes is not None
    assert handed_over.attributes["rfctl.reason"] == "quiet"
    assert (handed_over.end_time or 0) - (handed_over.start_time or 0) >= 50_000_000
    [original] = json.loads(item)["metadata"]["originalMessages"]
    assert read(original["traceparent"]) == id_of(received)
    check_that_nobody_is_in(spans)


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_trace_that_its_caller_does_not_record_is_passed_on_and_not_recorded(
    server: RedisServer, tmp_path: Path, flags: str
) -> None:
    spans, sent = Spans(), FIRST[:-2] + flags
    async with HttpReceiver() as receiver:
        settings: Any = {"batching__quiet_ms": "50", **crm(receiver)}
        async with serving(server, tmp_path, spans, **settings) as daemon:
            await send(daemon, 1, sent)
            await until(lambda: receiver.taken)
    header = receiver.taken[0]["headers"]["traceparent"]
    assert (header[3:35], header[-2:]) == (sent[3:35], flags)
    assert bool(spans.list_all()) == (flags == "01")


async def test_request_that_fails_ends_its_span_with_its_status(server: RedisServer, tmp_path: Path) -> None:
    spans = Spans()
    async with (
        serving(server, tmp_path, spans) as daemon,
        httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http,
    ):
        answer = await http.post(
            "/webhook/generic", json={"from": PHONE, "id": [TEXT]}, headers={"traceparent": FIRST}
        )
        assert answer.status_code == 400
    [span] = spans.list_all()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 400
    assert (span.status.status_code, parent_of(span)) == (StatusCode.UNSET, read(FIRST))
    check_that_nobody_is_in(spans)


def check_that_nobody_is_in(spans: Spans) -> None:
    shown = "".join(span.to_json() for span in spans.list_all())
    assert TEXT not in shown
    assert PHONE not in shown
    assert PHONE[:6] not in shown
