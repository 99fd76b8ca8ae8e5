"""docs/recipes/chatwoot.md, with a receiver as Chatwoot: it takes the bot's answers, and reports them as it does."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.receivers import HttpReceiver
from tests.support.recipes import Recipe, Site
from tests.support.servers import RedisServer
from tests.support.waiting import until

pytestmark = pytest.mark.long
"""Its settings are checked in every run, by tests/unit/pages/test_recipes.py."""

PAGE = Recipe("chatwoot")
DOOR = "/webhook/desk?token=a-long-word-of-your-choice"
ENDPOINT = "/hook/api/v1/accounts/3/conversations/7"


def event(id: int, content: str, status: str = "pending", **more: Any) -> dict[str, Any]:  # noqa: A002
    """Return Chatwoot's report of a message; by default one that the customer wrote."""
    return {
        "event": "message_created",
        "id": id,
        "content": content,
        "message_type": "incoming",
        "private": False,
        "content_type": "text",
        "content_attributes": {},
        "created_at": "2026-01-01T00:00:00.000Z",
        "sender": {"id": 2, "name": "Ann", "phone_number": "+5544999990001", "type": "contact"},
        "inbox": {"id": 5, "name": "WhatsApp"},
        "account": {"id": 3, "name": "Salon"},
        "conversation": {
            "id": 7,
            "inbox_id": 5,
            "status": status,
            "contact_inbox": {"source_id": "5544999990001"},
        },
    } | more


def report(id: int, content: str) -> dict[str, Any]:  # noqa: A002
    """Return Chatwoot's report of what the bot has answered."""
    return event(id, content, message_type="outgoing", sender={"id": 9, "name": "Bot", "type": "agent_bot"})


async def post(http: httpx.AsyncClient, *bodies: dict[str, Any]) -> None:
    for body in bodies:
        assert (await http.post(DOOR, json=body)).status_code == 200


async def test_bot_answers_in_the_conversation_and_its_own_words_do_not_come_back(
    server: RedisServer, tmp_path: Path
) -> None:
    async with HttpReceiver() as chatwoot:
        site = Site(tmp_path, server)
        variables = {"CHATWOOT_URL": chatwoot.url, "CHATWOOT_ACCOUNT": "3", "CHATWOOT_TOKEN": "bot-token"}
        async with site.serving(PAGE.list("toml")[0]) as http:
            async with site.working(PAGE.take("python", "toggle_status"), **variables):
                await post(http, event(101, "Hi,"), event(102, "a table for two"))
                await until(lambda: bool(chatwoot.taken))
                sent = chatwoot.taken[0]
                await post(http, report(103, sent["body"]["content"]), report(104, "x"))
                await post(http, event(105, "a human,"), event(106, "please"))
                await until(lambda: len(chatwoot.taken) == 2)
                await post(http, event(107, "thanks", status="open"))
                await site.wait_until_acknowledged(2)
            await until(lambda: site.read_totals().get("skipped:event") == 1)
    assert (sent["method"], sent["path"]) == ("POST", f"{ENDPOINT}/messages")
    assert sent["headers"]["api_access_token"] == "bot-token"
    assert sent["body"] == {"content": "You wrote: Hi, a table for two", "message_type": "outgoing"}
    handed_on = chatwoot.taken[1]
    assert (handed_on["path"], handed_on["body"]) == (f"{ENDPOINT}/toggle_status", {"status": "open"})
    totals = site.read_totals()
    assert (totals["messages_in"], totals["skipped:own"], totals["skipped:event"]) == (4, 2, 1)


async def test_another_word_is_turned_away(server: RedisServer, tmp_path: Path) -> None:
    async with Site(tmp_path, server).serving(PAGE.list("toml")[0]) as http:
        assert (await http.post("/webhook/desk?token=x", json=event(1, "hi"))).status_code == 401
        assert (await http.post("/webhook/desk", json=event(1, "hi"))).status_code == 401


async def test_newer_versions_sign_their_requests(server: RedisServer, tmp_path: Path) -> None:
    async with Site(tmp_path, server).serving(PAGE.take("toml", "X-Chatwoot-Signature")) as http:
        body, stamp = json.dumps(event(1, "hi")).encode(), str(int(time.time()))
        signature = hmac.new(b"the secret that Chatwoot shows", f"{stamp}.".encode() + body, hashlib.sha256)
        for sent, status in ((signature.hexdigest(), 200), ("0" * 64, 401)):
            headers = {"X-Chatwoot-Signature": f"sha256={sent}", "X-Chatwoot-Timestamp": stamp}
            answer = await http.post("/webhook/desk", content=body, headers=headers)
            assert answer.status_code == status
