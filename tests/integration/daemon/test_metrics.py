"""What real daemons expose at /metrics: every family, to whom it may concern, also while Redis is away."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from rfctl.daemon.daemon import Daemon
from rfctl.observe.metrics import FAMILIES
from tests.conftest import configure, running
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
PHONE = "79001234567"
STRANGER = {"X-Forwarded-For": "203.0.113.9"}
SINK = {"sinks__bot__type": "list", "sinks__bot__key": "inbox", "batching__quiet_ms": "50"}


@contextlib.asynccontextmanager
async def asking(daemon: Daemon) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=30) as http:
        yield http


async def scrape(http: httpx.AsyncClient, **headers: str) -> dict[str, Metric]:
    answer = await http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert PHONE not in answer.text
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value_of(families: dict[str, Metric], name: str, **labels: str) -> float | None:
    """Return the value of one sample; None if it is not there."""
    samples = [sample for family in families.values() for sample in family.samples]
    matches = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
    assert len(matches) <= 1
    return matches[0] if matches else None


async def send(http: httpx.AsyncClient, id_: str, text: str = "hi") -> None:
    answer = await http.post("/webhook/generic", json={"from": PHONE, "body": text, "id": id_})
    assert answer.status_code == 200, answer.text


async def test_daemon_exposes_every_name_of_the_page_and_counts_what_it_did(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.metrics._KEPT_S", 0.0)
    async with running(configure(server.url, tmp_path, **SINK)) as service, asking(service) as http:

        async def is_delivered() -> Any:
            families = await scrape(http)
            name = "rfctl_sink_deliveries_total"
            return families if value_of(families, name, sink="bot", outcome="delivered") == 1 else None

        await until(lambda: service._components.preflight.passed)
        service._readiness.redis_errors["redis-away"] += 1
        await send(http, "1")
        await send(http, "1")
        assert (await http.post("/webhook/generic", content=b"{")).status_code == 415
        assert (await http.get("/nowhere")).status_code == 404
        families = await until(is_delivered)
    page = (ROOT / "docs" / "NAMING.md").read_text()
    listed = set(re.findall(r"(?m)^\| `(rfctl_\w+)` \|", page))
    exposed = {
        f"{name}_total" if family.type == "counter" else name
        for name, family in families.items()
        if not name.startswith("process_")
    }
    assert listed == exposed == set(FAMILIES)
    requests, messages = "rfctl_daemon_requests_total", "rfctl_daemon_messages_total"
    assert value_of(families, requests, source="generic", outcome="accepted") == 2
    assert value_of(families, requests, source="generic", outcome="content-type") == 1
    assert value_of(families, requests, source="", outcome="no-path") == 1
    assert value_of(families, messages, source="generic", outcome="stored") == 1
    assert value_of(families, messages, source="generic", outcome="duplicate") == 1
    assert value_of(families, "rfctl_duplicate_messages_total") == 1
    assert value_of(families, "rfctl_daemon_handed_over_batches_total") == 1
    assert value_of(families, "rfctl_batches_total", reason="quiet") == 1
    assert value_of(families, "rfctl_daemon_batch_messages_sum") == 1
    labels = {"sink": "bot", "outcome": "delivered"}
    assert value_of(families, "rfctl_daemon_attempt_seconds_count", **labels) == 1
    assert value_of(families, "rfctl_daemon_sink_bytes", sink="bot") == 0


async def test_redis_that_is_away_leaves_what_the_daemon_knows(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    async with running(configure(server.url, tmp_path, **SINK)) as service, asking(service) as http:

        async def says(up: float) -> Any:
            families = await scrape(http, **{"X-Prometheus-Scrape-Timeout-Seconds": "1"})
            return families if value_of(families, "rfctl_redis_up") == up else None

        assert "rfctl_pending_batches" in await until(lambda: says(1))
        server.kill()
        families = await until(lambda: says(0))
        assert "rfctl_pending_batches" not in families
        assert value_of(families, "rfctl_build_info") is None  # it has labels
        assert families["rfctl_build_info"].samples[0].value == 1

        async def is_counted() -> bool:
            families = await scrape(http)
            return "rfctl_daemon_redis_errors" in families

        await until(is_counted)
        server.start()
        assert "rfctl_pending_batches" in await until(lambda: says(1))


async def test_daemons_say_the_same_of_redis_and_each_its_own_of_itself(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.metrics._KEPT_S", 0.0)
    settings = configure(
        server.url, tmp_path, **SINK | {"batching__quiet_ms": "60000", "batching__max_wait_ms": "60000"}
    )
    async with (
        running(settings) as first,
        running(settings) as second,
        asking(first) as a,
        asking(second) as b,
    ):
        await send(a, "1")
        await send(a, "2")
        await send(b, "3")
        pages = [await scrape(http) for http in (a, b)]
        assert [value_of(page, "rfctl_pending_messages") for page in pages] == [3, 3]
        assert [value_of(page, "rfctl_messages_total") for page in pages] == [3, 3]
        name, labels = "rfctl_daemon_messages_total", {"source": "generic", "outcome": "stored"}
        assert [value_of(page, name, **labels) for page in pages] == [2, 1]

        async def say_the_same() -> bool:
            pages = [list_of_redis(await scrape(http)) for http in (a, b)]
            return pages[0] == pages[1] and ("rfctl_daemons", (("role", "all"),), 2.0) in pages[0]

        await until(say_the_same)


def list_of_redis(families: dict[str, Metric]) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
    """Return all that a page says of Redis, but for ages: the second page is of a later moment."""
    return [
        (sample.name, tuple(sample.labels.items()), sample.value)
        for family in families.values()
        for sample in family.samples
        if sample.name in FAMILIES
        and FAMILIES[sample.name].whose == "all"
        and not sample.name.endswith("_seconds")
    ]


async def test_stranger_reads_the_metrics_with_their_own_token_alone(
    server: RedisServer, tmp_path: Path
) -> None:
    settings = configure(server.url, tmp_path, http__metrics_token="see", http__admin_token="do")
    async with running(settings) as service, asking(service) as http:
        statuses = {}
        for token in ("", "see", "do", "other"):
            headers = {**STRANGER, "Authorization": f"Bearer {token}"} if token else STRANGER
            answers = [
                await http.get(path, headers=headers)
                for path in ("/metrics", "/webhook/whatsapp/batched/stats")
            ]
            statuses[token] = [answer.status_code for answer in answers]
    assert statuses == {"": [401, 401], "see": [200, 401], "do": [200, 200], "other": [401, 401]}
