"""A source with a preset, from the door to the output stream: nothing of its bodies is lost, and all of it is counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.config.toml_text import render_toml_section
from rfctl.store.connection import Connection
from tests.conftest import running
from tests.support.batching import make_rig
from tests.support.presets import Gateway, build_request, list_gateways
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
"""
JSON = {"content-type": "application/json"}


def configure(url: str, folder: Path, settings: str = SETTINGS) -> Configuration:
    file = folder / "c.toml"
    file.write_text(settings)
    file.chmod(0o600)
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


def render_sources(gateway: Gateway) -> str:
    """Return a source that asks for no proof, and one that does. Its proofs are signed for another path."""
    secrets = gateway.settings.get("secrets", ["secret"])
    shared = {"preset": gateway.preset} | {
        name: value for name, value in gateway.settings.items() if name != "secrets"
    }
    signed = {**shared, "secrets": secrets, "public_path": "/webhook/here"}
    sections = {name_source(gateway): shared, f"{name_source(gateway)}-signed": signed}
    return "\n".join(
        render_toml_section(f"sources.{name}", settings) + "\n" for name, settings in sections.items()
    )


def name_source(gateway: Gateway) -> str:
    return f"of-{gateway.preset}"


def count_outcomes(gateways: list[Gateway]) -> Counter[str]:
    expected: Counter[str] = Counter()
    for case in (case for gateway in gateways for case in gateway.list_cases()):
        expected.update({f"skipped:{kind}": count for kind, count in case.expected["skipped"].items()})
        expected["messages"] += len(case.expected["messages"])
        expected["quarantined"] += case.expected["unparsed"]
    return expected


async def test_all_bodies_of_all_gateways_are_stored_counted_or_in_quarantine(
    server: RedisServer, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.heartbeat.BEAT_S", 0.05)
    gateways = list_gateways()
    expected = count_outcomes(gateways)

    async def read_totals() -> Counter[str] | None:
        fields = await connection.call("HGETALL", "rfctl:totals")
        pairs = zip(fields[::2], fields[1::2], strict=True)
        totals = Counter({name.decode(): int(value) for name, value in pairs})
        totals["messages"] = totals["messages_in"] + totals["duplicates"]
        seen = Counter({name: totals[name] for name in expected})
        return seen if seen == expected else None

    configuration = configure(server.url, tmp_path, "\n".join(map(render_sources, gateways)))
    sources = configuration.settings.sources
    async with (
        running(configuration) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
    ):
        async with asyncio.TaskGroup() as group:
            for gateway in gateways:
                words = sources[name_source(gateway)].answer_text
                group.create_task(post_bodies(http, gateway, words.encode()))
        assert await until(read_totals) == expected
        async with asyncio.TaskGroup() as group:
            for gateway in gateways:
                group.create_task(hold_to_proofs(http, gateway))


async def post_bodies(http: httpx.AsyncClient, gateway: Gateway, words: bytes) -> None:
    """Send all bodies of a gateway, in their order, to the source that asks for no proof."""
    for case in gateway.list_cases():
        answer = await http.post(f"/webhook/{name_source(gateway)}", content=case.body, headers=JSON)
        assert (answer.status_code, answer.content) == (200, words), case


async def hold_to_proofs(http: httpx.AsyncClient, gateway: Gateway) -> None:
    """Send the proofs and the handshakes of a gateway, but those that were right at another time."""
    for entry in gateway.proofs:
        is_right = entry["verified"]
        if not (is_right and "now_ms" in entry):
            assert (await send(http, gateway, entry)).status_code == (200 if is_right else 401), entry
    for entry in gateway.handshakes:
        if entry["answer"] is None:
            assert (await send(http, gateway, entry)).status_code in (401, 403), entry
        elif "now_ms" not in entry:
            answer = await send(http, gateway, entry)
            assert (answer.status_code, answer.text) == (200, entry["answer"]), entry


async def send(http: httpx.AsyncClient, gateway: Gateway, entry: dict[str, Any]) -> httpx.Response:
    request = build_request(entry, "POST" if "raw" in entry else "GET")
    url = f"/webhook/{name_source(gateway)}-signed" + (f"?{request.query}" if request.query else "")
    headers = JSON | {name: value.decode() for name, value in request.headers.items()}
    return await http.request(request.method, url, content=request.body, headers=headers)
