"""docs/recipes/whatsapp-numbers.md: two numbers of one app, a number that nobody named, and Meta's stand-in."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest

from tests.support.receivers import HttpReceiver
from tests.support.recipes import Recipe, Site
from tests.support.servers import RedisServer
from tests.support.waiting import until

pytestmark = pytest.mark.long
"""Its settings are checked in every run, by tests/unit/pages/test_recipes.py."""

PAGE = Recipe("whatsapp-numbers")
SETTINGS = PAGE.take("toml", "[sources.app]")
NORTH, SOUTH, UNKNOWN = "106540352242922", "206540352242922", "306540352242922"


def event(number: str, text: str) -> bytes:
    """Return Meta's request for a message to a number."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "1555", "phone_number_id": number},
        "contacts": [{"wa_id": "5511999990001", "profile": {"name": "Anna"}}],
        "messages": [
            {"from": "5511999990001", "id": f"wamid.{number}.{text}", "timestamp": "1795536770", "type": "text", "text": {"body": text}}
        ],
    }  # fmt: skip
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]}).encode()  # fmt: skip


async def post(http: httpx.AsyncClient, *bodies: bytes) -> None:
    for body in bodies:
        signature = hmac.new(b"the app secret", body, hashlib.sha256).hexdigest()
        answer = await http.post(
            "/webhook/app", content=body, headers={"X-Hub-Signature-256": f"sha256={signature}"}
        )
        assert answer.status_code == 200


async def test_answer_leaves_from_the_number_that_was_written_to(server: RedisServer, tmp_path: Path) -> None:
    async with HttpReceiver() as meta:
        site = Site(tmp_path, server)
        async with site.serving(SETTINGS) as http:
            query = "hub.mode=subscribe&hub.verify_token=a-word-of-your-choice&hub.challenge=42"
            assert (await http.get(f"/webhook/app?{query}")).text == "42"
            async with site.working(PAGE.take("python", "BOTS"), GRAPH_URL=meta.url, WHATSAPP_TOKEN="t"):
                await post(
                    http, event(NORTH, "Hi"), event(SOUTH, "Good"), event(NORTH, "you"), event(SOUTH, "day")
                )
                await until(lambda: len(meta.taken) == 2)
                await site.wait_until_acknowledged(2)
            with server.client() as client:
                lists = {name: client.llen(f"inbox-{name}") for name in ("north", "south")}
            assert lists == {"north": 1, "south": 1}
    sent = {request["path"]: request["body"] for request in meta.taken}
    assert sent.keys() == {f"/hook/{NORTH}/messages", f"/hook/{SOUTH}/messages"}
    assert sent[f"/hook/{NORTH}/messages"] == {
        "messaging_product": "whatsapp", "to": "5511999990001", "type": "text", "text": {"body": "North has read: Hi you"}
    }  # fmt: skip
    assert sent[f"/hook/{SOUTH}/messages"]["text"] == {"body": "South has read: Good day"}
    assert {request["headers"]["authorization"] for request in meta.taken} == {"Bearer t"}


async def test_number_that_is_named_later_gets_its_messages_from_quarantine(
    server: RedisServer, tmp_path: Path
) -> None:
    site = Site(tmp_path, server)
    async with site.serving(SETTINGS) as http:
        await post(http, event(UNKNOWN, "Hi"))
        listed = await site.run(*PAGE.take_line("rfctl quarantine list").split()[1:])
        assert UNKNOWN in listed.stdout
        site.file.write_text(SETTINGS.replace(f'{SOUTH} = "south"', f'{UNKNOWN} = "west"'))
        done = await site.run(*PAGE.take_line("rfctl quarantine retry").split()[1:])
        assert done.returncode == 0, done.stderr
        assert (await site.run("flush", "5511999990001")).returncode == 0
    with server.client() as client:
        [(_, fields)] = client.xrange("rfctl:out")
    assert fields["company"] == "west"
