"""docs/recipes/typebot.md, with a receiver that is Typebot and Evolution API at once."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.support.receivers import Answer, HttpReceiver, Taken
from tests.support.recipes import Recipe, Site, build_evolution_message
from tests.support.servers import RedisServer

pytestmark = pytest.mark.long
"""Its settings are checked in every run, by tests/unit/pages/test_recipes.py."""

PAGE = Recipe("typebot")
PROOF = {"Authorization": "Bearer the value of the webhook's Authorization header"}


class Flow:
    """A flow of two questions, as Typebot's API plays it: the second answer ends it."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.heard: list[tuple[str, str]] = []
        self.started = 0

    def answer(self, request: Taken) -> Answer:
        path, body = request["path"], request["body"]
        if "/message/sendText/" in path:
            return Answer(201, body=b"{}")
        assert (body["message"]["type"], body["textBubbleContentFormat"]) == ("text", "markdown")
        session, is_last = self._find_session(path)
        if not session:
            return Answer(404, body=b'{"message":"Session not found"}')
        self.heard.append((path.rpartition("/")[2], body["message"]["text"]))
        bubbles = [
            {
                "id": "b",
                "type": "text",
                "content": {"type": "markdown", "markdown": f"after {self.heard[-1][1]}"},
            }
        ]
        bubbles.append({"id": "i", "type": "image", "content": {"url": "https://x/y.png"}})
        reply = {
            "messages": bubbles,
            "sessionId": session,
            **({} if is_last else {"input": {"type": "text input"}}),
        }
        return Answer(body=json.dumps(reply).encode())

    def _find_session(self, path: str) -> tuple[str, bool]:
        if path.endswith("/api/v1/typebots/my-flow/startChat"):
            self.started += 1
            self.sessions.add(f"s{self.started}")
            return f"s{self.started}", False
        session = path.split("/")[-2]
        return (session if session in self.sessions else ""), True


async def write(http: httpx.AsyncClient, first: str, second: str) -> None:
    """Write two messages, which are a batch."""
    for text in (first, second):
        body = build_evolution_message("salon", "5511999990001", text, f"id-{text}")
        assert (await http.post("/webhook/evo", json=body, headers=PROOF)).status_code == 200


async def test_flow_gets_what_a_person_wrote_in_all_and_begins_anew_after_its_end(
    server: RedisServer, tmp_path: Path
) -> None:
    flow, site = Flow(), Site(tmp_path, server)
    async with HttpReceiver(flow.answer) as other:
        evolution = {"EVOLUTION_URL": other.url, "EVOLUTION_KEY": "k"}
        typebot = {"TYPEBOT_URL": other.url, "TYPEBOT_ID": "my-flow"}
        serving = site.serving(PAGE.take("toml", "[sources.evo]"))
        working = site.working(PAGE.take("python", "startChat"), **typebot, **evolution)
        async with serving as http, working:
            for number, texts in enumerate((("Anna", "Costa"), ("at", "eight"), ("hello", "again")), 1):
                await write(http, *texts)
                await site.wait_until_acknowledged(number)
            flow.sessions.clear()  # as if Typebot had forgotten it
            await write(http, "are you", "there")
            await site.wait_until_acknowledged(4)
    assert flow.heard == [
        ("startChat", "Anna Costa"), ("continueChat", "at eight"), ("startChat", "hello again"),
        ("startChat", "are you there"),
    ]  # fmt: skip
    sent = [each for each in other.taken if "/sendText/" in each["path"]]
    assert [each["path"] for each in sent] == ["/hook/message/sendText/salon"] * 4
    assert [each["body"]["text"] for each in sent] == [f"after {text}" for _, text in flow.heard]
    assert {each["body"]["number"] for each in sent} == {"5511999990001"}
    assert {each["headers"]["apikey"] for each in sent} == {"k"}
