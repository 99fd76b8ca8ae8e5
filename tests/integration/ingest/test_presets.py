"""A source with a preset, from the door to the output stream: nothing of its bodies is lost, and all of it is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.store.connection import Connection
from tests.conftest import running
from tests.support.batching import make_rig
from tests.support.presets import list_gateways
from tests.support.servers import RedisServer
from tests.support.waiting import until

SETTINGS = """
[sources.voice]
type = "generic"
[sources.voice.map]
each = "lines.*.messages.*"
phone = "from"
text = "text"
id = "id"
account = "^line"
type = "type"
refers = "of"
media_url = "files.*.url"
event = "/event"
messages = ["message"]
[sources.page]
preset = "messenger"
"""


def configure(url: str, folder: Path) -> Configuration:
    file = folder / "c.toml"
    file.write_text(SETTINGS)
    environment = {"HOME": str(folder), "RFCTL_REDIS__URL": url, "RFCTL_HTTP__PORT": "0"}
    return load(Environment(environment), file=file)


async def post(http: httpx.AsyncClient, source: str, body: object) -> None:
    answer = await http.post(f"/webhook/{source}", json=body)
    assert (answer.status_code, answer.content) == (200, b"")


def call(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"event": "message", "lines": [{"line": "l1", "messages": list(messages)}]}


async def test_transcript_of_a_later_request_gives_the_pending_voice_message_its_words(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    voice = {"from": "7900", "type": "voice", "id": "v1", "files": [{"url": "https://x/a.ogg"}]}
    transcript = {"from": "7900", "type": "transcript", "id": "x1", "of": "v1", "text": "A table for two"}
    async with running(configure(server.url, tmp_path)) as service:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as http:
            await post(http, "voice", call(voice, {"from": "7900", "id": "t1", "text": "please"}))
            await post(http, "voice", call(transcript))
            await post(http, "voice", call(transcript))
        rig = make_rig(connection)
        await rig.drain("flush")
        [merged] = await rig.collect()
    assert (merged.text, merged.account, merged.count) == ("A table for two please", "l1", 3)
    assert merged.messages[0].media[0].url == "https://x/a.ogg"


async def test_all_bodies_of_a_gateway_are_stored_counted_or_in_quarantine(
    server: RedisServer, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.heartbeat.BEAT_S", 0.05)
    [gateway] = [gateway for gateway in list_gateways() if gateway.preset == "messenger"]
    expected: Counter[str] = Counter()
    for case in gateway.list_cases():
        expected.update({f"skipped:{kind}": count for kind, count in case.expected["skipped"].items()})
        expected["messages"] += len(case.expected["messages"])
        expected["quarantined"] += case.expected["unparsed"]

    async def read_totals() -> Counter[str] | None:
        fields = await connection.call("HGETALL", "rfctl:totals")
        pairs = zip(fields[::2], fields[1::2], strict=True)
        totals = Counter({name.decode(): int(value) for name, value in pairs})
        totals["messages"] = totals["messages_in"] + totals["duplicates"]
        seen = Counter({name: totals[name] for name in expected})
        return seen if seen == expected else None

    async with running(configure(server.url, tmp_path)) as service:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as http:
            for entry in gateway.bodies:
                await post(http, "page", entry["body"])
        assert await until(read_totals) == expected
