"""Whatever strangers send and write, a label of the metrics has a word of a closed set, or a name of the settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from rfctl import __version__
from rfctl.daemon.daemon import Daemon
from rfctl.daemon.readiness import list_reasons
from rfctl.ingest import rejections
from rfctl.model.closed_sets import Reason, Role, SkippedKind
from rfctl.observe.catalogue import CATALOGUE
from rfctl.observe.metrics import FAMILIES
from tests.conftest import configure, running
from tests.support.keys import SHARD
from tests.support.receivers import Answer, HttpReceiver, Taken
from tests.support.servers import RedisServer
from tests.support.waiting import until

PHONE, WORD = "79001234567", "abracadabra"
SETTINGS = {
    "batching__quiet_ms": "20", "sinks__bot__type": "http", "sinks__bot__allow_private": "true",
    "sinks__bot__retry_delays_ms": "[1]", "sources__salon__type": "generic", "sources__salon__insecure": "true",
    "sources__generic__type": "generic",
}  # fmt: skip
OUTCOMES = {"accepted", "stored", "duplicate", "refused", "delivered", "failed", "dead", "paused", "missing"}
ALLOWED: dict[str, set[str]] = {
    "source": {"", "former", "generic", "salon"},
    "outcome": OUTCOMES | set(get_args(rejections.Reason)),
    "reason": set(get_args(Reason)) | list_reasons(),
    "kind": {*get_args(SkippedKind), "other"},
    "sink": {"bot"},
    "rule": {"former"},
    "role": set(get_args(Role)),
    "code": set(CATALOGUE),
    "severity": {"error", "warning"},
    "version": {__version__},
}
FREE = {"event_loop", "le"}
"""What runs and numbers: neither is anybody's word."""


def repeat(request: Taken) -> Answer:
    """Answer as a receiver that shows in its error what it was sent."""
    return Answer(500, {"X-Error": f"{PHONE} {WORD}"}, request["raw"])


async def send_as_strangers_do(http: httpx.AsyncClient) -> None:
    """Put a phone and a word wherever a stranger may put any."""
    body: dict[str, Any] = {
        "from": PHONE, "body": WORD, "id": f"{PHONE}-{WORD}", "companyId": WORD, "platform": f"{WORD}{PHONE}",
        "metadata": {"pushName": WORD, PHONE: WORD}, "type": WORD,
    }  # fmt: skip
    headers = {
        "Content-Type": "application/json", "User-Agent": f"{PHONE} {WORD}", "traceparent": f"00-{PHONE}-{WORD}-01", PHONE: WORD,
    }  # fmt: skip
    raw = json.dumps(body).encode()
    paths = (
        "/webhook/generic",
        "/webhook/salon",
        f"/webhook/{PHONE}",
        f"/webhook/{WORD}",
        f"/{PHONE}?{WORD}={PHONE}",
    )
    for path in paths:
        await http.post(path, content=raw, headers=headers)
        for wrong in (raw[:-3], b"", f"[{PHONE}]".encode(), f'"{WORD}"'.encode()):
            await http.post(path, content=wrong, headers=headers)
        await http.post(path, content=raw, headers=headers | {"Content-Type": f"{WORD}/{PHONE}"})
        await http.post(path, content=raw, headers=headers | {"Host": f"{WORD}.example"})
        await http.post(path, content=raw, headers=headers | {"X-Forwarded-For": WORD})
        for method in ("PUT", WORD.upper()):
            await http.request(method, path, content=raw, headers=headers)


async def write_as_neighbours_do(daemon: Daemon) -> None:
    """Put them into Redis, as another program or another version of rfctl could."""
    call = daemon._store._connection.call
    await call("XGROUP", "CREATE", SHARD.out, f"{WORD}-{PHONE}", "0", "MKSTREAM")
    for field in (
        f"reason:{PHONE}",
        f"skipped:{WORD}",
        f"dropped:{WORD}",
        f"rejected:{WORD}:{PHONE}",
        PHONE,
        WORD,
    ):
        await call("HINCRBY", SHARD.totals, field, 7)


def list_strange_labels(families: list[Metric]) -> list[str]:
    """Return every label that is of no closed set and no name of the settings."""
    return [
        f"{sample.name}{{{name}={value}}}"
        for family in families
        for sample in family.samples
        for name, value in sample.labels.items()
        if name not in FREE and value not in ALLOWED.get(name, set())
    ]


async def test_no_label_has_a_word_of_a_stranger(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.metrics._KEPT_S", 0.0)
    async with HttpReceiver(repeat) as receiver:
        settings = configure(server.url, tmp_path, **SETTINGS, sinks__bot__url=receiver.url)
        async with (
            running(settings) as daemon,
            httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=30) as http,
        ):
            await send_as_strangers_do(http)
            await write_as_neighbours_do(daemon)

            async def read_page() -> str | None:
                page = (await http.get("/metrics")).text
                is_dead = 'rfctl_sink_deliveries_total{outcome="dead",sink="bot"} 0.0' not in page
                return page if is_dead and "rfctl_pending_batches" in page else None

            page = await until(read_page)
    families = list(text_string_to_metric_families(page))
    assert list_strange_labels(families) == []
    assert PHONE not in page
    assert WORD not in page.lower()
    values = {
        sample.name: sample.value for family in families for sample in family.samples if not sample.labels
    }
    assert values["rfctl_daemon_invalid_traces_total"] > 0
    assert values["rfctl_worker_groups"] == 1
    outcomes = {
        sample.labels["outcome"]
        for family in families
        for sample in family.samples
        if sample.name == "rfctl_daemon_requests_total" and sample.value
    }
    assert {
        "accepted",
        "no-source",
        "no-path",
        "content-type",
        "invalid-body",
        "method",
        "invalid-http",
    } <= outcomes


def test_walk_finds_a_strange_label() -> None:
    for labels in ('source="x"', f'sink="{PHONE}"', 'phone=""'):
        [family] = text_string_to_metric_families(f"rfctl_x{{{labels}}} 1\n")
        assert len(list_strange_labels([family])) == 1


def test_walk_knows_every_label() -> None:
    assert set(ALLOWED) | FREE == {label for family in FAMILIES.values() for label in family.labels} | {"le"}
