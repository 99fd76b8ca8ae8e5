from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from rfctl.errors import SettingsError
from rfctl.model.delivery import Delivery
from rfctl.model.installation import build_extra_command
from rfctl.model.stored import Merged
from rfctl.section import build_section
from rfctl.sinks.bullmq.sink import MAX_QUEUES, BullMq
from rfctl.sinks.celery.config import CeleryConfig
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.queues import build_job_data, build_job_id
from rfctl.sinks.redis import RedisSink
from rfctl.sinks.registry import SPECS, build_sink

NOWHERE = "redis://127.0.0.1:1/0"
TYPES = ("bullmq", "celery", "rq")

every_sink = pytest.mark.parametrize("type_", TYPES)


def delivery(
    company: str = "7", phone: str = "79001234567", id_: str = "1790000000000-0", raw: bytes = b"{}"
) -> Delivery:
    merged = Merged(
        id="1790000000000-0", phone=phone, company=company, text="x", count=1, reason="quiet", first_ms=1, last_ms=1,
        late_ms=0, channel="wa", simulated=False, raw=[raw],
    )  # fmt: skip
    return Delivery(id_, merged)


async def opened(type_: str, **options: Any) -> Sink:
    task = {} if type_ == "bullmq" else {"task": "a.b"}
    table = {"type": type_, "url": NOWHERE, "queue": "q-{company}", "timeout_ms": 500, **task, **options}
    sink = build_sink("bot", build_section(SPECS[type_].config, table, "sinks.bot"))
    assert not isinstance(sink, RedisSink)
    await sink.open()
    return sink


@pytest.mark.parametrize("id_", ["1790000000000-0", "1790000000000", "17:1790000000000-0"])
def test_a_job_id_is_one_that_node_and_rq_accept(id_: str) -> None:
    results = build_job_id("my bot", delivery(id_=id_))
    assert results.replace("-", "").isalnum()
    assert not results.isdigit()


def test_plain_data_keeps_every_number_that_can_be_written() -> None:
    raw = (
        b'{"metadata":{"id":123456789012345678901234567890,"x":-1.5,"huge":1e400,"long":'
        + b"9" * 5_000
        + b"}}"
    )
    data = build_job_data(delivery(raw=raw), CeleryConfig(type="celery", task="a.b"))
    metadata = data["metadata"]["originalMessages"][0]["metadata"]
    assert metadata["id"] == 123456789012345678901234567890
    assert (metadata["x"], metadata["huge"], len(metadata["long"])) == (-1.5, "1e400", 5_000)
    assert json.loads(json.dumps(data, allow_nan=False)) == data


@pytest.mark.parametrize("phone", ["telegram:12", " ", ""])
async def test_a_queue_name_that_bullmq_cannot_have_is_refused_for_good(phone: str) -> None:
    sink = await opened("bullmq", queue="{phone}")
    with pytest.raises(DeliveryError, match="queue") as caught:
        await sink.deliver(delivery(phone=phone))
    assert caught.value.final
    await sink.close()


@every_sink
async def test_a_missing_library_is_said_with_what_to_install(
    type_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, type_, None)
    with pytest.raises(SettingsError) as caught:
        await opened(type_)
    assert caught.value.next == f"`{build_extra_command(type_)}`"


@every_sink
@pytest.mark.parametrize("options", [{"url": 7}, {"url": "http://127.0.0.1/"}, {"queue": None}])
async def test_wrong_options_are_said_with_the_name_of_the_sink(type_: str, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        await opened(type_, **options)
    assert caught.value.problems[0].startswith(f"sinks.bot.{next(iter(options))}: ")


async def test_a_sink_of_many_queues_keeps_only_the_latest() -> None:
    sink = await opened("bullmq")
    for company in range(MAX_QUEUES + 3):
        with pytest.raises(DeliveryError):
            await sink.deliver(delivery(company=str(company)))
    assert isinstance(sink, BullMq)
    assert len(sink._queues) == MAX_QUEUES
    assert "q-0" not in sink._queues
    await sink.close()


async def test_every_broker_of_celery_is_shown_without_its_password() -> None:
    sink = await opened(
        "celery", url="redis://:first@127.0.0.1:1/0;redis://:second@127.0.0.1:2/0?password=third"
    )
    with pytest.raises(DeliveryError) as caught:
        await sink.deliver(delivery())
    assert not [word for word in ("first", "second", "third") if word in str(caught.value)]
    await sink.close()


async def test_refused_connection_to_a_broker_fails_at_once() -> None:
    sink = await opened("celery", url="amqp://127.0.0.1:1//")
    with pytest.raises(DeliveryError, match="refused"):
        await sink.deliver(delivery())
    await sink.close()


@pytest.mark.parametrize("secret", ["TOP/SECRET", "TOP?SECRET", "TOP#SECRET", "TOP@SE:CRET", "TOPSECRET:x/y"])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey"])
@pytest.mark.parametrize("kind", ["bullmq", "celery", "rq"])
async def test_wrong_url_of_a_queue_is_refused_without_its_password(
    kind: str, scheme: str, secret: str
) -> None:
    url = f"{scheme}://:{secret}@127.0.0.1:1/0"
    problems = ""
    try:
        sink = await opened(kind, url=url)
    except SettingsError as problem:
        problems = "; ".join([*problem.problems, problem.next])
        assert "percent-encode" in problems
    else:
        await sink.close()
    assert kind == "celery" or problems, "kombu reads some of these in its own way"
    assert "TOP" not in problems
    assert "CRET" not in problems
