"""docs/recipes/n8n.md: n8n's two requests, as its workflow makes and takes them, with a receiver in its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.support.receivers import Answer, HttpReceiver
from tests.support.recipes import Recipe, Site
from tests.support.servers import RedisServer
from tests.support.waiting import until

PAGE = Recipe("n8n")
NODES: dict[str, dict[str, Any]] = {
    node["name"]: node["parameters"] for node in json.loads(PAGE.take("json", '"nodes"'))["nodes"]
}
SECRET = "the word that n8n sends"
QUICK = {"RFCTL_SINKS__N8N__RETRY_DELAYS_MS": "20", "RFCTL_SINKS__N8N__ALLOW_PRIVATE": "true"}


def settings(receiver: HttpReceiver) -> str:
    text = PAGE.take("toml", "[sinks.n8n]")
    assert "https://n8n.example.com" in text
    return text.replace("https://n8n.example.com", receiver.url.removesuffix("/hook"))


def fill_body(node: str, came: dict[str, str]) -> dict[str, str]:
    """Return the body that this node sends when its workflow was called with another."""
    fields = re.findall(r"(\w+): \$json\.body\.(\w+)", NODES[node]["jsonBody"])
    assert fields
    return {name: came[path] for name, path in fields}


async def test_workflow_is_called_once_for_two_messages_and_again_after_a_failed_run(
    server: RedisServer, tmp_path: Path
) -> None:
    async with HttpReceiver([Answer(500)]) as n8n:
        site = Site(tmp_path, server)
        async with site.serving(settings(n8n), **QUICK) as http:
            path = re.sub(r"https?://[^/]+", "", NODES["To rfctl"]["url"])
            answers = []
            for id, text in (("m1", "Hi,"), ("m2", "a table for two")):  # noqa: A001
                body = fill_body("To rfctl", {"phone": "5511999990001", "text": text, "id": id})
                answers.append(await http.post(path, json=body, headers={"X-Rfctl-Token": SECRET}))
            assert [answer.status_code for answer in answers] == [200, 200]
            shown = json.loads(PAGE.take("json", '"addedCount"'))
            assert answers[0].json().keys() == shown.keys()
            assert answers[0].json()["batches"][0].keys() == shown["batches"][0].keys()
            await until(lambda: bool(n8n.taken))
        first, again = n8n.seen
    assert first["body"]["messageId"] == again["body"]["messageId"]
    assert again["path"] == "/webhook/" + NODES["From rfctl"]["path"]
    assert again["headers"]["x-rfctl-token"] == "the word that rfctl sends"
    check_body(again["body"])


def check_body(body: dict[str, Any]) -> None:
    """Check what n8n got against the page, and against what the node of the bot reads."""
    shown = json.loads(PAGE.take("json", '"originalMessages"'))
    assert body.keys() == shown.keys()
    assert body["metadata"].keys() >= shown["metadata"].keys()
    for name in ("from", "message", "companyId", "platform"):
        assert body[name] == shown[name], name
    read = re.findall(r"merged\.(\w+)", NODES["Bot"]["jsCode"])
    assert read
    assert set(read) <= body.keys()


async def test_command_of_the_page_gets_the_answer_and_another_word_does_not(
    server: RedisServer, tmp_path: Path
) -> None:
    async with HttpReceiver() as n8n:
        site = Site(tmp_path, server)
        async with site.serving(settings(n8n), **QUICK):
            line = PAGE.take_line("curl ").replace("http://127.0.0.1:3000", site.url)
            done = await site.run_shell(line)
            assert json.loads(done.stdout)["addedCount"] == 1, done.stderr
            wrong = await site.run_shell(line.replace(SECRET, "another"))
            assert (wrong.returncode, "401" in wrong.stderr) == (22, True)
            assert "n8n" in (await site.run("stats")).stdout
