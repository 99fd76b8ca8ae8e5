"""Lists that nobody hands over are shown, watched and taken in, with the installed command and a real daemon."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, crm
from tests.support.batching import make_rig
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

KEY = f"rapid-fire:{PHONE}"
OTHER = "rapid-fire:79990000001"


def old(text: str) -> str:
    return json.dumps({"message": text, "companyId": 962302, "metadata": {}, "timestamp": 1_700_000_000_000})


async def leave(connection: Connection, key: str, *texts: str, expires_ms: int = 600_000) -> None:
    await connection.call("RPUSH", key, *map(old, texts))
    await connection.call("PEXPIRE", key, expires_ms)


async def test_lists_of_the_service_before_are_shown_taken_in_and_delivered(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver() as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url))
        async with operator.daemon():
            await leave(connection, KEY, "Привет,", "\x1b[2Jзапишите")
            await leave(connection, OTHER, "hi")
            shown = await operator.run("adopt", "--dry-run", "--watch", "0")
            assert (shown.returncode, shown.stderr) == (0, "")
            assert "2 lists would be taken in" in shown.stdout
            assert "2023-11-14T22:13:20.000Z" in shown.stdout
            assert await connection.call("PTTL", KEY) > 0
            refused = await operator.run("adopt", PHONE, "--watch", "0")
            assert refused.returncode == 2
            assert "not asked: this would take in 1 list with 2 messages, due now" in refused.stderr
            done = await operator.run("adopt", PHONE, "--watch", "0", "--yes")
            assert (done.returncode, done.stderr) == (0, "")
            assert f"{KEY}: taken in, due now" in done.stdout
            await until(lambda: bool(receiver.taken))
            assert receiver.taken[0]["body"]["message"] == "Привет, \x1b[2Jзапишите"
            assert await connection.call("LLEN", OTHER) == 1
            rest = await operator.data("adopt", "--watch", "0", "--yes")
            assert [(item["key"], item["outcome"]) for item in rest["lists"]] == [(OTHER, "adopted")]
            await until(lambda: len(receiver.taken) == 2)
            again = await operator.run("adopt", "--watch", "0", "--yes")
            assert (again.returncode, again.stdout) == (0, "there is no list that nobody hands over\n")
            assert (await operator.run("adopt", PHONE, "--watch", "0")).returncode == 3


async def test_second_writer_is_warned_of(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    """The service before still runs: it adds to a list, renews the expiry of another and takes a third."""
    grows, renewed, taken, still = (f"rapid-fire:7999000000{number}" for number in range(4))
    for key in (grows, renewed, taken, still):
        await leave(connection, key, "hi")

    async def write() -> None:
        while True:
            await connection.call("RPUSH", grows, old("more"))
            await connection.call("PEXPIRE", renewed, 900_000)
            await connection.call("DEL", taken)
            await asyncio.sleep(0.05)

    operator = Operator(tmp_path, server.url)
    # The first look is over once the command has asked for the four lists.
    writer: asyncio.Task[None] | None = None

    async def begin_when_looked_at() -> bool:
        stats = (await connection.call("INFO", "commandstats")).decode()
        return "cmdstat_lindex" in stats

    await connection.call("CONFIG", "RESETSTAT")
    command = asyncio.create_task(operator.run("adopt", "--watch", "5", "--yes", "-o", "json"))
    await until(begin_when_looked_at)
    writer = asyncio.create_task(write())
    done = await command
    writer.cancel()
    lists = {item["key"]: item for item in json.loads(done.stdout)["lists"]}
    assert {key: item["changed"] for key, item in lists.items()} == {
        grows: "grew", renewed: "expiry changed", taken: "vanished", still: None
    }  # fmt: skip
    assert "another program still writes: 3 lists changed while watched" in done.stderr
    assert "no daemon is alive that hands them over" in done.stderr
    assert lists[taken]["outcome"] == "gone"
    assert {lists[key]["outcome"] for key in (grows, renewed, still)} == {"adopted"}


async def test_list_that_tells_no_person_is_left_until_the_person_is_named(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url)
    await leave(connection, "somewhere", "hi")
    left = await operator.run("adopt", "--watch", "0", "--yes")
    assert (left.returncode, "name the person with --as" in left.stdout) == (1, True)
    assert (await operator.run("adopt", "--as", PHONE)).returncode == 2
    done = await operator.run("adopt", "somewhere", "--as", "+7 900 123-45-67", "--watch", "0", "--yes")
    assert done.returncode == 0, done.stderr
    rig = make_rig(connection)
    assert await rig.batches.find_batches(PHONE) == [PHONE]
    assert (await rig.hand_over()).batches == 1
    assert [(merged.phone, merged.text) for merged in await rig.collect()] == [(PHONE, "hi")]
