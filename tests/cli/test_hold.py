"""A person takes over, by command and by HTTP, with the installed command and a real daemon."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, say
from tests.support.batching import make_rig
from tests.support.processes import Daemon
from tests.support.servers import RedisServer
from tests.support.waiting import until


@pytest.fixture
def operator(server: RedisServer, tmp_path: Path) -> Operator:
    return Operator(tmp_path, server.url, RFCTL_HTTP__ADMIN_TOKEN="t", RFCTL_BATCHING__QUIET_MS="20")


async def call(daemon: Daemon, method: str, query: str = "", token: str = "t") -> tuple[int, Any]:
    """Return the status and the JSON of an answer at /admin/hold/PHONE."""
    request = urllib.request.Request(
        f"{daemon.url}/admin/hold/{PHONE}{query}", method=method, headers={"Authorization": f"Bearer {token}"}
    )

    def ask() -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as problem:
            return problem.code, json.load(problem)

    return await asyncio.to_thread(ask)


async def test_person_is_held_seen_and_released(operator: Operator, connection: Connection) -> None:
    rig = make_rig(connection)
    async with operator.daemon() as daemon:
        answer = await operator.data("hold", "+7 900 123-45-67", "--for", "2h", "--note", "we talk")
        assert [hold["by"] for hold in answer["held"]] == ["operator"]
        for text in ("a", "b"):
            await say(daemon, text)
        await say(daemon, "theirs", "79990000000")
        await until(rig.collect)
        [held] = (await operator.data("held"))["held"]
        assert (held["phone"], held["size"], held["note"]) == (PHONE, 2, "we talk")
        seen = await operator.data("inspect", PHONE)
        assert seen["batches"][0]["held_until"] == held["until"]
        assert "taken over" in seen["why"]
        assert (await operator.data("stats"))["held"]["count"] == 1
        assert "1 held" in (await operator.run("stats")).stdout
        flushed = await operator.run("flush", PHONE)
        assert (flushed.returncode, f"rfctl release {PHONE}" in flushed.stderr) == (1, True)
        everybody = await operator.run("flush", "--all", "--yes")
        assert (everybody.returncode, everybody.stdout) == (0, "0 batches handed over\n")
        assert "held, and left as they are: 1 batch; rfctl held lists" in everybody.stderr
        released = await operator.data("release", PHONE)
        assert released["count"] == 2
        assert (await operator.run("release", PHONE)).returncode == 3
    assert [merged.text for merged in await rig.collect()] == ["theirs", "a b"]


async def test_desk_holds_and_releases_over_http(operator: Operator, connection: Connection) -> None:
    rig = make_rig(connection)
    async with operator.daemon() as daemon:
        for method in ("POST", "DELETE"):
            assert (await call(daemon, method, token="wrong"))[0] == 401
        status, answer = await call(daemon, "POST", "?for=2h&note=desk")
        assert (status, answer["success"], answer["held"][0]["size"]) == (200, True, 0)
        assert (await call(daemon, "POST", "?for=soon"))[0] == 400
        await say(daemon, "a")
        assert (await call(daemon, "DELETE", "?discard=perhaps"))[0] == 400
        status, answer = await call(daemon, "DELETE", "?discard=true")
        assert (status, answer["count"], answer["done"]) == (200, 1, "discarded")
        assert (await call(daemon, "DELETE"))[0] == 404
        await say(daemon, "b")
        await until(rig.collect)
    assert [merged.text for merged in await rig.collect()] == ["b"]


async def test_daemon_that_starts_hands_over_what_was_held_meanwhile(
    operator: Operator, connection: Connection
) -> None:
    rig = make_rig(connection, quiet_ms=20)
    await rig.store.holds.hold(PHONE, PHONE, for_ms=3_600_000, by="operator")
    async with operator.daemon() as daemon:
        await say(daemon, "a")
    assert not await rig.collect(), "a daemon that stops hands over nothing that is held"
    await rig.store.holds.hold(PHONE, PHONE, for_ms=1000, by="operator")
    async with operator.daemon():
        await until(rig.collect)
    [merged] = await rig.collect()
    assert (merged.text, merged.reason) == ("a", "released")


async def test_hold_is_forgotten_with_its_person(operator: Operator, connection: Connection) -> None:
    rig = make_rig(connection)
    await rig.store.holds.hold(PHONE, PHONE, for_ms=60_000, by="operator")
    assert (await operator.run("forget", PHONE, "--yes")).returncode == 0
    assert await connection.call("EXISTS", "rfctl:held", "rfctl:held:notes") == 0


async def test_batches_kept_apart_need_a_name(operator: Operator) -> None:
    split = {"RFCTL_BATCHING__SPLIT_BY": "account"}
    done = await operator.run("hold", PHONE, **split)
    assert (done.returncode, "--account" in done.stderr) == (3, True)
    answer = await operator.data("hold", PHONE, "--account", "shop", **split)
    assert answer["held"][0]["batch_key"].startswith("&")
    assert (await operator.run("release", PHONE, **split)).returncode == 0
    assert (await operator.run("hold", PHONE, "--for", "soon")).returncode == 2


async def test_person_who_is_held_is_found_without_a_message(operator: Operator) -> None:
    assert (await operator.run("inspect", PHONE)).returncode == 3
    await operator.data("hold", PHONE, "--for", "2h", "--note", "we talk")
    await operator.data("hold", PHONE, "--chat", "group", "--for", "3h")
    seen = await operator.data("find", PHONE)
    assert [(hold["by"], hold["note"], hold["size"]) for hold in seen["held"]] == [
        ("operator", "we talk", 0),
        ("operator", "", 0),
    ]
    for command, status in (("inspect", 3), ("find", 0)):
        done = await operator.run(command, PHONE)
        shown = done.stdout
        assert done.returncode == status, "nothing is still to come, but much is known"
        for part in (seen["held"][0]["until"], "by operator: we talk", f"rfctl release {PHONE}"):
            assert part in shown, (command, part)
    first, _ = seen["timeline"]
    assert (first["event"], first["next"]) == ("held", f"rfctl release {PHONE}")
    assert first["until"] == seen["held"][0]["until"]
    as_json = json.loads((await operator.run("inspect", PHONE, "-o", "json")).stdout)
    assert as_json["held"] == seen["held"]
    in_group = await operator.data("find", PHONE, "--chat", "group")
    assert [hold["note"] for hold in in_group["held"]] == [""]
    assert (await operator.run("find", PHONE, "--chat", "another")).returncode == 3
    await operator.data("release", PHONE)
    assert (await operator.run("find", PHONE)).returncode == 3


async def test_what_is_thrown_away_at_a_release_is_shown_once_more(
    operator: Operator, connection: Connection
) -> None:
    """By the command, as text and as JSON, and over HTTP: nobody else has it any more."""

    async def take_over(daemon: Daemon, *texts: str) -> None:
        await operator.data("hold", PHONE)
        for text in texts:
            await say(daemon, text)

    async with operator.daemon() as daemon:
        await take_over(daemon, "a", "b")
        shown = (await operator.run("release", PHONE, "--discard")).stdout
        assert [line.split()[-1] for line in shown.splitlines()[1:3]] == ["a", "b"]
        assert shown.endswith("is released: 2 messages discarded\n")
        await take_over(daemon, "c")
        answer = await operator.data("release", PHONE, "--discard")
        assert [item["message"] for item in answer["discarded"]] == ["c"]
        assert (answer["done"], answer["count"], answer["batches"][0]["count"]) == ("discarded", 1, 1)
        await take_over(daemon, "d")
        status, answer = await call(daemon, "DELETE", "?discard=true")
        assert (status, [item["message"] for item in answer["messages"]]) == (200, ["d"])
        await operator.data("hold", PHONE)
        assert (await operator.data("release", PHONE, "--discard"))["discarded"] == []
    assert await connection.call("XLEN", "rfctl:out") == 0
