"""docs/recipes/telegram.md: first without Telegram, as the page does, then with a receiver in its place."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

from tests.support.receivers import Answer, HttpReceiver, Taken
from tests.support.recipes import Recipe, Site
from tests.support.servers import RedisServer
from tests.support.waiting import until

PAGE = Recipe("telegram")
SETTINGS, WORKER = PAGE.take("toml", "[sources.bot]"), PAGE.take("python", "sendMessage")


def update(
    number: int, text: str, person: int = 77, chat: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    sender = {"id": person, "is_bot": False, "first_name": "Anna"}
    post = {"message_id": number, "from": sender, "chat": chat or {"id": person, "type": "private"}}
    return {"update_id": number, "message": {**post, "date": 1795536770, "text": text, **more}}


async def test_bot_answers_simulated_people_on_the_screen(server: RedisServer, tmp_path: Path) -> None:
    site = Site(tmp_path, server)
    async with site.serving(SETTINGS, RFCTL_BATCHING__MAX_SIZE="3"), site.working(WORKER) as worker:
        line = PAGE.take_line("rfctl simulate").replace("bot.toml", str(site.file))
        done = await site.run(*line.split()[1:])
        assert (done.returncode, "3 handed over in 1 batch" in done.stdout) == (0, True), (
            done.stdout + done.stderr
        )
        answer = await asyncio.to_thread(worker.stdout.read_line)
        assert re.match(r"simulated-\w+-1 You wrote: \S", answer)
        await site.wait_until_acknowledged(1)


async def post(http: httpx.AsyncClient, secret: str, *updates: dict[str, Any]) -> None:
    for body in updates:
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        assert (await http.post("/webhook/bot", json=body, headers=headers)).status_code == 200


async def test_bot_answers_where_it_was_asked_and_a_person_who_blocked_it_does_not_stop_it(
    server: RedisServer, tmp_path: Path
) -> None:
    def answer(request: Taken) -> Answer:
        is_blocked = request["body"].get("chat_id") == 78
        return (
            Answer(403, body=b'{"description":"Forbidden: bot was blocked"}')
            if is_blocked
            else Answer(body=b"{}")
        )

    async with HttpReceiver(answer) as telegram:
        api = telegram.url.removesuffix("/hook")
        site = Site(tmp_path, server)
        async with site.serving(SETTINGS) as http:
            line = PAGE.take_line("curl ").replace("https://api.telegram.org", api)
            assert (await site.run_shell(line, TELEGRAM_TOKEN="1:t")).returncode == 0
            webhook = telegram.taken.pop()
            assert (webhook["path"], webhook["body"]["url"][-12:]) == ("/bot1:t/setWebhook", "/webhook/bot")
            secret = webhook["body"]["secret_token"]
            group = {"id": -100, "type": "supergroup", "title": "Salon"}
            async with site.working(WORKER, TELEGRAM_API=api, TELEGRAM_TOKEN="1:t") as worker:
                await post(http, secret, update(1, "a", 78), update(2, "b", 78))
                await post(http, secret, update(3, "Hi,"), update(4, "a table"))
                topic: dict[str, Any] = {"chat": group, "message_thread_id": 5, "is_topic_message": True}
                await post(http, secret, update(5, "in", **topic), update(6, "a topic", **topic))
                await until(lambda: len(telegram.taken) == 2)
                await site.wait_until_acknowledged(3)
                assert "403" in "".join(worker.stdout.lines)
            rejected = await http.post("/webhook/bot", json=update(9, "x"), headers={})
    assert rejected.status_code == 401
    assert [request["path"] for request in telegram.taken] == ["/bot1:t/sendMessage"] * 2
    assert [request["body"] for request in telegram.taken] == [
        {"chat_id": 77, "text": "You wrote: Hi, a table"},
        {"chat_id": -100, "text": "You wrote: in a topic", "message_thread_id": 5},
    ]
