"""A reload in a running daemon: what changes, what is rejected, and that no message is lost."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.daemon.daemon import Daemon
from rfctl.store.connection import Connection
from tests.conftest import running
from tests.support.batching import make_rig
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until


class File:
    def __init__(self, url: str, tmp_path: Path) -> None:
        self.path = tmp_path / "c.toml"
        self.environment = Environment(
            {"HOME": str(tmp_path), "RFCTL_REDIS__URL": url, "RFCTL_HTTP__PORT": "0"}
        )

    def write(self, text: str) -> Configuration:
        self.path.write_text(text)
        return self.load()

    def load(self) -> Configuration:
        return load(self.environment, file=self.path)


def client(service: Daemon) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, trust_env=False)


async def say(http: httpx.AsyncClient, source: str, phone: str, text: str) -> httpx.Response:
    return await http.post(f"/webhook/{source}", json={"from": phone, "message": text, "messageId": text})


GENERIC = '[sources.generic]\n[sources.extra]\ntype = "generic"\n'


async def test_reload_changes_timers_rules_and_sources(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    file = File(server.url, tmp_path)
    async with (
        running(file.write("[batching]\nquiet_ms = 5000\n"), file.load) as service,
        client(service) as http,
    ):
        assert (await say(http, "extra", "7", "x")).status_code == 404
        file.write(
            "[batching]\nquiet_ms = 100\n" + GENERIC + '[rules.now]\nwords = ["now"]\naction = "send_batch"\n'
        )
        await service.reload()
        answer = await say(http, "extra", "7", "x")
        assert answer.json()["batches"][0]["dueInMs"] == 100
        assert (await say(http, "generic", "8", "now")).json()["batches"][0]["dueInMs"] == 0
        file.write(GENERIC.replace("extra", "other"))
        await service.reload()
        assert (await say(http, "extra", "7", "y")).status_code == 404
        assert (await say(http, "other", "7", "z")).status_code == 200


async def test_bad_file_is_rejected_and_the_old_settings_stay(server: RedisServer, tmp_path: Path) -> None:
    file = File(server.url, tmp_path)
    good = "[batching]\nquiet_ms = 1234\n" + GENERIC
    bad = [
        "[batching]\nquiet_ms = 'soon'\n",
        "not toml",
        '[sources.x]\ntype = "generic"\nmap = { nonsense = "a" }\n',
        '[sinks.x]\ntype = "nothing-known"\n',
        '[sinks.x]\ntype = "http"\nurl = "ftp://x"\n',
        '[sinks.x]\ntype = "http"\nurl = "http://127.0.0.1:1/"\n',
        '[rules.x]\npatterns = ["(?=a)b"]\naction = "send_batch"\n',
        GENERIC + '[rules.x]\nsources = ["gone"]\naction = "send_batch"\n',
    ]
    async with running(file.write(good), file.load) as service, client(service) as http:
        for text in bad:
            file.path.write_text(text)
            with capture_logs() as lines:
                await service.reload()
            assert [line["event"] for line in lines if line["log_level"] == "error"] == [
                "settings_rejected"
            ], text
            answer = await say(http, "extra", "7", text)
            assert answer.json()["batches"][0]["dueInMs"] == 1234, text


async def test_reload_names_the_settings_that_need_a_restart(
    server: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = File(server.url, tmp_path)
    async with running(file.write(""), file.load) as service, client(service) as http:
        file.write('[http]\nadmin_token = "new"\n[output]\nstream = "elsewhere"\nretention_s = 5\n')
        await service.reload()
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        [reloaded] = [line for line in lines if line["event"] == "settings_reloaded"]
        assert reloaded["after_a_restart"] == ["http.admin_token", "output.stream"]
        assert (await http.get("/webhook/whatsapp/batched/stats")).status_code == 200


async def test_reload_of_sinks_loses_no_message(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    file = File(server.url, tmp_path)
    base = "[batching]\nquiet_ms = 30\nmax_wait_ms = 100\n"
    sent: list[str] = []

    async def person(http: httpx.AsyncClient, name: str) -> None:
        for number in range(60):
            text = f"{name}-{number}"
            answer = await say(http, "generic", name, text)
            assert answer.status_code == 200
            sent.append(text)

    async with HttpReceiver() as first, HttpReceiver() as second:

        def sink(name: str, url: str, concurrency: int) -> str:
            return f'[sinks.{name}]\ntype = "http"\nurl = "{url}"\nallow_private = true\nconcurrency = {concurrency}\n'

        versions = [
            base + sink("a", first.url, 4),
            base + sink("a", first.url, 8) + sink("b", second.url, 4),
            base + sink("a", first.url, 8) + sink("b", second.url, 2),
            base + sink("b", second.url, 2),
            base + sink("a", first.url, 1) + sink("b", second.url, 2),
        ]
        async with running(file.write(versions[0]), file.load) as service, client(service) as http:
            people = asyncio.gather(*(person(http, f"p{n}") for n in range(5)))
            for number, text in enumerate(versions[1:], 1):
                await until(partial(_are_sent, sent, 60 * number))  # of 300: each reload is between messages
                file.write(text)
                await service.reload()
            await people

            async def arrived() -> bool:
                return all(len(texts(receiver)) >= len(sent) for receiver in (first, second))

            await until(arrived)
        for receiver in (first, second):
            assert sorted(set(texts(receiver))) == sorted(sent)
            for name in {text.partition("-")[0] for text in sent}:
                mine = list(dict.fromkeys(t for t in texts(receiver) if t.startswith(name + "-")))
                assert mine == [f"{name}-{number}" for number in range(60)]
    assert sum(message.count for message in await make_rig(connection).collect()) == len(sent)


def _are_sent(sent: list[str], count: int) -> bool:
    return len(sent) >= count


def texts(receiver: HttpReceiver) -> list[str]:
    return [text for request in receiver.taken for text in request["body"]["message"].split()]
