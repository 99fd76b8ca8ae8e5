"""docs/recipes/evolution-instances.md: two instances behind one source, and a receiver as their server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.receivers import HttpReceiver
from tests.support.recipes import Recipe, Site, build_evolution_message
from tests.support.servers import RedisServer
from tests.support.waiting import until

pytestmark = pytest.mark.long
"""Its settings are checked in every run, by tests/unit/pages/test_recipes.py."""

PAGE = Recipe("evolution-instances")
PHONE = "5511999990001"


async def set_webhook(site: Site, evolution: HttpReceiver) -> dict[str, str]:
    """Run the page's command; returns the headers that Evolution sends from then on."""
    line = PAGE.take_line("curl ").replace(
        "https://evolution.example.com", evolution.url.removesuffix("/hook")
    )
    assert (await site.run_shell(line, EVOLUTION_KEY="k")).returncode == 0
    request = evolution.taken.pop()
    assert (request["path"], request["headers"]["apikey"]) == ("/webhook/set/salon-centro", "k")
    webhook: dict[str, Any] = request["body"]["webhook"]
    assert (webhook["url"].endswith("/webhook/evo"), webhook["enabled"]) == (True, True)
    headers: dict[str, str] = webhook["headers"]
    return headers


async def post(http: httpx.AsyncClient, proof: dict[str, str], *bodies: dict[str, Any]) -> None:
    for body in bodies:
        assert (await http.post("/webhook/evo", json=body, headers=proof)).status_code == 200


async def test_answer_leaves_from_the_instance_that_was_written_to_and_does_not_come_back(
    server: RedisServer, tmp_path: Path
) -> None:
    async with HttpReceiver() as evolution:
        site = Site(tmp_path, server)
        async with site.serving(PAGE.take("toml", 'company = "{account}"')) as http:
            proof = await set_webhook(site, evolution)
            variables = {"EVOLUTION_URL": evolution.url, "EVOLUTION_KEY": "k"}
            async with site.working(PAGE.take("python", "sendText"), **variables):
                for number, text in enumerate(("Hi", "you")):
                    for instance in ("salon-centro", "salon-novo"):
                        await post(
                            http, proof, build_evolution_message(instance, PHONE, text, f"{instance}{number}")
                        )
                await until(lambda: len(evolution.taken) == 2)
                echo = build_evolution_message("salon-centro", PHONE, "echo", "own", is_own=True)
                await post(http, proof, echo)
                await until(lambda: site.read_totals().get("skipped:own") == 1)
                await site.wait_until_acknowledged(2)
    sent = {request["path"]: request["body"] for request in evolution.taken}
    assert sent == {
        f"/hook/message/sendText/{name}": {"number": PHONE, "text": f"{name} has read: Hi you"}
        for name in ("salon-centro", "salon-novo")
    }
    assert site.read_totals()["messages_in"] == 4


async def test_instances_that_are_listed_have_their_company_and_others_wait(
    server: RedisServer, tmp_path: Path
) -> None:
    site = Site(tmp_path, server)
    proof = {"Authorization": "Bearer a-word-of-your-choice"}
    async with site.serving(PAGE.take("toml", "[sources.evo.companies]")) as http:
        for instance in ("salon-norte", "salon-novo"):
            await post(http, proof, build_evolution_message(instance, PHONE, "Hi", instance))
        assert "salon-novo is not in companies" in (await site.run("quarantine", "list")).stdout
        assert (await site.run("flush", PHONE)).returncode == 0
    with server.client() as client:
        [(_, fields)] = client.xrange("rfctl:out")
    assert fields["company"] == "962303"
