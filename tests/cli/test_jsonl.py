"""`-o jsonl`: whatever a command prints, every line of it is one JSON value."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from rfctl.model.message import Unparsed
from rfctl.store.connection import Connection
from rfctl.store.quarantine import Quarantine
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, crm, say
from tests.support.keys import COMMON
from tests.support.processes import RFCTL, Daemon, Process, environment
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until


class Lines(Operator):
    """Reads what a command prints as JSON Lines."""

    async def of(self, *line: str) -> list[Any]:
        done = await self.run(*line, "-o", "jsonl")
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout, line
        return [json.loads(line) for line in done.stdout.splitlines()]


async def test_the_settings_are_lines(tmp_path: Path) -> None:
    operator = Lines(tmp_path, "redis://127.0.0.1:1/0")
    shown = await operator.of("config", "show")
    assert {"http.port", "redis.url"} <= {item["name"] for item in shown}
    assert [row["exists"] for row in await operator.of("config", "path")] == [False, False]
    [explained] = await operator.of("config", "explain", "http.port")
    [checked] = await operator.of("config", "check")
    assert (explained["name"], checked["ok"]) == ("http.port", True)


async def test_pending_batches_are_jsonl(server: RedisServer, tmp_path: Path) -> None:
    operator = Lines(tmp_path, server.url, RFCTL_BATCHING__QUIET_MS="60000")
    async with operator.daemon() as daemon:
        for phone in ("a", "b", "c"):
            await say(daemon, "x", phone)
        [seen] = await operator.of("stats")
        [batch] = await operator.of("inspect", "a")
        [flushed] = await operator.of("flush", "a")
        [discarded] = await operator.of("discard", "b")
        [every] = await operator.of("flush", "--all", "--yes")
    assert (seen["pending"]["batches"], batch["size"], flushed["count"]) == (3, 1, 1)
    assert (len(discarded["discarded"]), every["batches"]) == (1, 1)


async def test_merged_messages_and_dead_letters_are_jsonl(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver(lambda _: 500) as receiver:
        operator = Lines(tmp_path, server.url, **crm(receiver.url))
        async with operator.daemon() as daemon:
            for phone in ("a", "b"):
                await say(daemon, "x", phone)
            await until(lambda: _two(connection))
            listed = await operator.of("dead", "list")
            [shown] = await operator.of("dead", "show", listed[0]["id"])
            [dropped] = await operator.of("dead", "drop", listed[0]["id"])
            [sent] = await operator.of("dead", "retry", listed[1]["id"])
            [again] = await operator.of("resend", listed[1]["message_id"])
            [paused] = await operator.of("pause", "crm")
            [resumed] = await operator.of("resume", "crm")
    assert (len(listed), len(dropped["dropped"]), len(sent["sent_again"])) == (2, 1, 1)
    assert shown["id"] == listed[0]["id"]
    assert (again["sinks"], paused["paused"], resumed["paused"]) == (["crm"], True, False)


async def _two(connection: Connection) -> bool:
    return bool(await connection.call("XLEN", "rfctl:dead") == 2)


async def test_quarantined_requests_are_jsonl(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    operator = Lines(tmp_path, server.url, RFCTL_SOURCES__TG__TYPE="telegram")
    await Quarantine(connection, COMMON).add("tg", "telegram", [Unparsed(b'{\n"x": 1}', "why")] * 2)
    listed = await operator.of("quarantine", "list")
    [shown] = await operator.of("quarantine", "show", listed[0]["id"])
    reread = await operator.of("quarantine", "retry", "--all")
    [dropped] = await operator.of("quarantine", "drop", "--all", "--yes")
    assert (len(listed), shown["body"], len(reread), len(dropped["dropped"])) == (2, {"x": 1}, 2, 2)


async def test_a_simulation_is_a_line(server: RedisServer, tmp_path: Path) -> None:
    operator = Lines(tmp_path, server.url)
    async with operator.daemon():
        [report] = await operator.of("simulate", "--count", "1")
    assert report["received"] == 1


async def test_the_demo_is_a_line(tmp_path: Path) -> None:
    [report] = await Lines(tmp_path, "redis://127.0.0.1:1/0").of("demo")
    assert report["lost"] == 0


def test_tail_prints_jsonl(server: RedisServer, tmp_path: Path) -> None:
    with Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_BATCHING__QUIET_MS="60000") as daemon:
        for command in (["stats", "--watch"], ["tail"]):
            _follow(daemon, server, tmp_path, command)


def _follow(daemon: Daemon, server: RedisServer, tmp_path: Path, command: list[str]) -> None:
    line = [RFCTL, *command, "-o", "jsonl", "--redis", server.url]
    with Process(line, environment(tmp_path)) as process:
        if command == ["tail"]:
            assert "following" in process.stderr.read_line()
            daemon.post({"from": PHONE, "message": "x"})
            daemon.post({"from": PHONE, "message": "y"})
        assert "time" in json.loads(process.stdout.read_line())
        assert "time" in json.loads(process.stdout.read_line())
        process.end(signal.SIGINT)
