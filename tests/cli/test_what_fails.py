"""What an operator is told of batches that are hard to find and of sinks that fail, by the installed command."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, crm, say
from tests.support.keys import COMMON
from tests.support.processes import Daemon, send
from tests.support.receivers import Answer, HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

PATIENT = {"RFCTL_BATCHING__QUIET_MS": "300000", "RFCTL_BATCHING__MAX_WAIT_MS": "600000"}
APART = {**PATIENT, "RFCTL_BATCHING__SPLIT_BY": '["company"]'}
WIPE = "\x1b[2J"


@pytest.fixture
def apart(server: RedisServer, tmp_path: Path) -> Operator:
    """An operator whose batches are kept apart by company."""
    return Operator(tmp_path, server.url, **APART)


def warnings(stats: dict[str, Any]) -> list[str]:
    """The findings as the screen shows them."""
    return [f"{finding['fact']} ({finding['fix']})" for finding in stats["findings"]]


async def two_companies(daemon: Daemon) -> None:
    for company, text in ((7, "one"), (7, "two"), (8, "three")):
        await asyncio.to_thread(daemon.post, {"from": PHONE, "message": text, "companyId": company})


async def test_inspect_shows_every_batch_of_a_phone(apart: Operator) -> None:
    async with apart.daemon() as daemon:
        await two_companies(daemon)
        shown = await apart.run("inspect", PHONE)
        assert shown.returncode == 0, shown.stderr
        assert all(text in shown.stdout for text in ("one", "two", "three"))
        data = await apart.data("inspect", PHONE)
    assert (data["phone"], data["size"]) == (PHONE, 3)
    assert [batch["size"] for batch in data["batches"]] == [2, 1]
    assert [message["message"] for message in data["messages"]] == ["one", "two", "three"]
    assert all(batch["batch_key"].startswith("&") for batch in data["batches"])


async def test_flush_hands_over_every_batch_of_a_phone_and_says_how_many(apart: Operator) -> None:
    async with apart.daemon() as daemon:
        await two_companies(daemon)
        nobody = await apart.run("flush", PHONE, "--chat", "family")
        assert nobody.returncode == 3
        done = await apart.run("flush", PHONE)
        assert done.returncode == 0, done.stderr
        assert f"{PHONE}: 3 messages in 2 batches handed over as " in done.stdout
        await two_companies(daemon)
        data = await apart.data("flush", PHONE)
        assert (data["phone"], data["count"]) == (PHONE, 3)
        assert [batch["count"] for batch in data["batches"]] == [2, 1]
        await two_companies(daemon)
        gone = await apart.data("discard", PHONE)
        assert [message["message"] for message in gone["discarded"]] == ["one", "two", "three"]
        assert (await apart.data("stats"))["pending"]["batches"] == 0


async def test_a_delete_clears_every_batch_of_a_phone(apart: Operator) -> None:
    async with apart.daemon() as daemon:
        await two_companies(daemon)
        answer = await asyncio.to_thread(_delete, daemon)
    assert (answer["success"], answer["phone"], answer["removed"]) == (True, PHONE, 3)
    assert [message["message"] for message in answer["messages"]] == ["one", "two", "three"]


def _delete(daemon: Daemon) -> dict[str, Any]:
    request = urllib.request.Request(f"{daemon.url}/webhook/whatsapp/batched/{PHONE}", method="DELETE")
    return send(request)


@pytest.mark.parametrize("line", [["flush"], ["discard"], ["inspect"]])
async def test_empty_result_names_the_next_step(apart: Operator, line: list[str]) -> None:
    done = await apart.run(*line, PHONE)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{PHONE} has no pending messages" in done.stderr
    assert f"next: `rfctl stats` lists what is pending, `rfctl tail {PHONE} --since 10m`" in done.stderr


async def _tried(connection: Connection) -> bool:
    return int(await connection.call("HLEN", "rfctl:sink:crm:tries")) == 1


async def test_a_sink_that_fails_is_warned_of_with_its_last_error_and_what_to_do(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver(lambda _: Answer(500, body=f"no{WIPE}".encode())) as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url, "3600000"))
        async with operator.daemon() as daemon:
            assert not any("crm fails" in line for line in warnings(await operator.data("stats")))
            await say(daemon, "x")
            await until(lambda: _tried(connection))
            seen = (await operator.run("stats")).stdout
            data = await operator.data("stats")
            [sink] = data["sinks"]
    warned = [line for line in warnings(data) if line.startswith("sink crm fails")]
    assert len(warned) == 1, data["findings"]
    for wanted in (
        "1 phone waits for a retry", "answered 500: no", "next retry in 59 min",
        "rfctl resume crm", "rfctl pause crm",
    ):  # fmt: skip
        assert wanted in warned[0]
    assert "answered 500: no\\x1b[2J" in seen
    assert WIPE not in seen
    assert "answered 500" in sink["last_error"]
    assert sink["last_error_at"] == sink["failing_since"] is not None


async def test_inspect_shows_what_of_a_phone_waits_for_which_sink_and_why(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver(lambda _: 500) as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url, "3600000"))
        async with operator.daemon() as daemon:
            await say(daemon, "x")
            await until(lambda: _tried(connection))
            shown = await operator.run("inspect", PHONE)
            data = await operator.data("inspect", PHONE)
            nobody = await operator.run("inspect", "79990000000")
    assert (shown.returncode, nobody.returncode) == (0, 3)
    assert all(wanted in shown.stdout for wanted in ("crm", "answered 500", "59 min"))
    assert (data["size"], data["batches"], data["due"]) == (0, [], None)
    [held] = data["deliveries"]
    assert (held["sink"], held["messages"], held["attempts"]) == ("crm", 1, 1)
    assert "answered 500" in held["last_error"]
    assert 3_500_000 < held["next_retry_in_ms"] <= 3_600_000


async def test_a_paused_sink_shows_no_next_try(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver([410]) as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url, "60000"))
        async with operator.daemon() as daemon:
            await say(daemon, "x")
            await until(lambda: connection.call("EXISTS", "rfctl:paused"))
            await until(lambda: _tried(connection))
            seen = (await operator.run("stats")).stdout
            shown = (await operator.run("inspect", PHONE)).stdout
            warned = warnings(await operator.data("stats"))
    [row] = [line for line in seen.splitlines() if line.startswith("crm ")]
    assert "paused: answered 410" in row
    assert "next retry" not in row
    assert "paused" in shown
    assert any(line.startswith("sink crm fails: answered 410") for line in warned)
    assert any(line.startswith("sink crm is paused: ") for line in warned)
    assert not any("next retry" in line for line in warned)


async def test_removed_sink_is_a_finding_with_both_fixes(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver(lambda _: 500) as receiver:
        before = Operator(tmp_path, server.url, **crm(receiver.url, "3600000"))
        async with before.daemon() as daemon:
            await say(daemon, "x")
            await until(lambda: _tried(connection))
    await until(lambda: _unserved(connection))
    after = Operator(tmp_path, server.url)
    [line] = [warning for warning in warnings(await after.data("stats")) if "rfctl:crm" in warning]
    counts = not (await connection.read_server_info()).version.startswith(
        "6."
    )  # before Redis 7 nobody knows how many
    assert ("1 message is delivered by nobody" if counts else "messages are delivered by nobody") in line
    assert "not trimmed behind" in line
    assert "add [sinks.crm] again" in line
    await _run_the_way_out(connection, line)
    assert not any("crm" in warning for warning in warnings(await after.data("stats")))
    left = [key.decode() for key in await connection.call("KEYS", "*crm*")]
    assert left == []
    assert await connection.call("XINFO", "GROUPS", "rfctl:out") == []


async def _unserved(connection: Connection) -> bool:
    return not await connection.call("EXISTS", "rfctl:sink:crm:lease")


async def _run_the_way_out(connection: Connection, line: str) -> None:
    commands = [part.split() for part in line.rstrip(")").split("redis-cli ")[1:]]
    assert [command[0] for command in commands] == ["XGROUP", "DEL", "HDEL"]
    for command in commands:
        await connection.call(*(word.rstrip(";") for word in command))


async def test_sink_of_another_daemon_is_not_to_be_deleted(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with (
        HttpReceiver() as receiver,
        Operator(tmp_path, server.url, **crm(receiver.url)).daemon() as daemon,
    ):
        await say(daemon, "x")
        await until(lambda: bool(receiver.taken))
        warned = warnings(await Operator(tmp_path, server.url).data("stats"))
    [line] = [warning for warning in warned if "crm" in warning]
    assert "a daemon with other settings delivers to it" in line
    assert "XGROUP" not in line


async def test_unread_worker_group_is_a_finding(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    await connection.call("XGROUP", "CREATE", "rfctl:out", "bots", "0", "MKSTREAM")
    operator = Operator(tmp_path, server.url)
    assert not any("bots" in line for line in warnings(await operator.data("stats")))
    await connection.call("XADD", "rfctl:out", "*", "phone", "a", "text", "x")
    [line] = [warning for warning in warnings(await operator.data("stats")) if "bots" in warning]
    assert "nobody reads" in line
    assert "XGROUP DESTROY rfctl:out bots" in line
    await connection.call("XREADGROUP", "GROUP", "bots", "worker", "STREAMS", "rfctl:out", ">")
    data = await operator.data("stats")
    assert not any("bots" in warning for warning in warnings(data))
    assert data["output"]["groups"][0]["idle_ms"] < 300_000


async def test_quarantine_is_retried_and_dropped_as_a_whole(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url, RFCTL_SOURCES__TG__TYPE="telegram")
    fields = ("source", "tg", "type", "telegram", "why", "new", "body")
    await connection.calls([("XADD", COMMON.quarantine, "*", *fields, f'{{"n": {n}}}') for n in range(30)])
    for name, value in (("slowlog-log-slower-than", 0), ("slowlog-max-len", 10_000)):
        await connection.call("CONFIG", "SET", name, value)
    read = await operator.data("quarantine", "retry", "--all")
    assert len(read) == 30
    dropped = await operator.run("quarantine", "drop", "--all", "--yes", "-o", "jsonl")
    assert [entry["body"]["n"] for entry in json.loads(dropped.stdout)["dropped"]] == list(range(30))
    assert await _most_read_at_once(connection) == 1
    assert (await operator.run("quarantine", "drop", "--all", "--yes")).returncode == 3


async def _most_read_at_once(connection: Connection) -> int:
    """How many entries of the quarantine one command asked for."""
    logged = [entry[3] for entry in await connection.call("SLOWLOG", "GET", -1)]
    asked = [line for line in logged if line[0] in (b"XRANGE", b"XREVRANGE") and b"COUNT" in line]
    assert asked
    return max(int(line[5]) for line in asked)
