"""What an operator sees and destroys: every place of a person, each message before it is gone, as the daemon would merge."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rfctl.cli.context import Invocation
from rfctl.cli.discard import _discard_all
from rfctl.cli.flush import _hand_over_all
from rfctl.cli.steps import Steps
from rfctl.errors import RedisUnreachableError
from rfctl.model.closed_sets import Order
from rfctl.model.message import Message, Unparsed
from rfctl.store import DaemonRecord
from rfctl.store.batches import Batches
from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, crm, say
from tests.support.batching import Rig, make_rig
from tests.support.keys import COMMON
from tests.support.processes import RFCTL, environment, run
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

NOWHERE = "http://127.0.0.1:1/"


@pytest.fixture
async def rig(connection: Connection) -> Rig:
    return make_rig(connection, quiet_ms=600_000, max_wait_ms=3_600_000)


async def write(rig: Rig, *texts: str, phone: str = PHONE, sent_ms: int | None = None) -> None:
    for place, text in enumerate(texts):
        at = None if sent_ms is None else sent_ms - place
        await rig.add([Message(phone=phone, text=text, id=f"{phone} {text}", channel="generic", sent_ms=at)])


@contextlib.asynccontextmanager
async def living(rig: Rig, separator: str, order: Order = "arrival") -> AsyncIterator[None]:
    """A daemon with these settings shows that it is alive."""
    record = DaemonRecord(
        id=f"d{separator}",
        host="prod",
        pid=7,
        version="1",
        role="all",
        separator=separator,
        order=order,
        output="rfctl:out",
    )
    await rig.store.daemons.write(record, age_ms=0)
    yield
    await rig.store.daemons.remove(record.id)


async def test_message_behind_a_paused_sink_is_shown_until_it_is_delivered(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver() as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url))
        await operator.run("pause", "crm", "--why", "it moves")  # a turn that has begun would still deliver
        async with operator.daemon() as daemon:
            await say(daemon, "where is it?")
            await until(lambda: connection.call("XLEN", "rfctl:out"))
            shown = await operator.run("inspect", PHONE)
            assert (shown.returncode, "the sink is paused: it moves" in shown.stdout) == (0, True), (
                shown.stderr
            )
            [delivery] = (await operator.data("inspect", PHONE))["deliveries"]
            assert (delivery["sink"], delivery["messages"], delivery["paused"]) == ("crm", 1, True)
            assert (await operator.run("inspect", "79990000000")).returncode == 3
            await operator.run("resume", "crm")
            await until(lambda: bool(receiver.taken))
            await until(lambda: _is_nowhere(operator))


async def _is_nowhere(operator: Operator) -> bool:
    return (await operator.run("inspect", PHONE)).returncode == 3


async def test_overdue_batch_is_said_to_be_overdue(
    server: RedisServer, connection: Connection, rig: Rig, tmp_path: Path
) -> None:
    await write(rig, "x")
    await connection.call("ZADD", "rfctl:due", await rig.store.now_ms() - 9900, PHONE)
    for command in (["inspect", PHONE], ["stats"]):
        shown = (await Operator(tmp_path, server.url).run(*command)).stdout
        assert " s overdue" in shown
        assert not any(wrong in shown for wrong in ("in -", "waited -", "overdue -"))


async def test_flush_joins_texts_as_the_daemon_does(server: RedisServer, rig: Rig, tmp_path: Path) -> None:
    operator = Operator(tmp_path, server.url, RFCTL_BATCHING__SEPARATOR="shell")
    for line in (["flush", PHONE], ["flush", "--all", "--yes"]):
        await write(rig, f"later {line}", f"earlier {line}", sent_ms=1_758_000_000_000)
        async with living(rig, "\n", "sent"):
            done = await operator.run(*line)
        assert (done.returncode, done.stderr) == (0, "")
        assert (await rig.collect())[-1].text == f"earlier {line}\nlater {line}"
    await write(rig, "a", "b")
    alone = await operator.run("flush", PHONE)
    assert "no daemon is alive: the texts are joined by these settings, with 'shell'" in alone.stderr
    assert (await rig.collect())[-1].text == "ashellb"
    await write(rig, "c", "d")
    async with living(rig, "1"), living(rig, "2"):
        assert "the daemons have different settings" in (await operator.run("flush", PHONE)).stderr


async def test_quarantine_retry_joins_texts_as_the_daemon_does(
    server: RedisServer, rig: Rig, tmp_path: Path
) -> None:
    mapped = {"RFCTL_SOURCES__SHOP__TYPE": "generic", "RFCTL_BATCHING__MAX_SIZE": "2"}
    mapped["RFCTL_SOURCES__SHOP__MAP"] = '{"each":"all","phone":"who","text":"says","id":"id"}'
    body = b'{"all":[{"who":"79001","says":"a","id":"1"},{"who":"79001","says":"b","id":"2"}]}'
    await rig.store.quarantine.add("shop", "generic", [Unparsed(body, "why")])
    async with living(rig, " | "):
        done = await Operator(tmp_path, server.url, **mapped).run("quarantine", "retry", "--all")
    assert done.returncode == 0, done.stderr
    [merged] = await rig.collect()
    assert merged.text == "a | b"


async def test_discard_all_prints_each_message_and_asks_with_their_number(
    server: RedisServer, rig: Rig, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url)
    for place in range(150):
        await write(rig, f"text {place}", phone=f"p{place}")
    refused = await operator.run("discard", "--all")
    assert (refused.returncode, "throw away 150 pending batches" in refused.stderr) == (2, True)
    assert await rig.store.pending_keys.count() == 150
    done = await operator.run("discard", "--all", "--yes", "-o", "jsonl")
    *messages, end = map(json.loads, done.stdout.splitlines())
    assert {item["message"]["message"] for item in messages} == {f"text {place}" for place in range(150)}
    assert {(item["phone"], item["batch_key"]) for item in messages} == {
        (f"p{i}", f"p{i}") for i in range(150)
    }
    assert end == {"batches": 150, "done": "discarded"}
    assert await rig.store.pending_keys.count() == 0
    await write(rig, "one\x1b[2J", phone="p")
    shown = await operator.run("discard", "--all", "--yes")
    assert "  p  p one\\x1b[2J  one\\x1b[2J\n1 batch discarded\n" in shown.stdout
    await write(rig, "two", phone="p")
    whole = await operator.data("discard", "--all", "--yes")
    assert ([item["message"]["message"] for item in whole["discarded"]], whole["batches"]) == (["two"], 1)


DESTROYERS = [["discard", "--all", "--yes"], ["discard", PHONE], ["dead", "drop", "--all", "--yes"], ["quarantine", "drop", "--all", "--yes"]]  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a file on a full disk")
@pytest.mark.parametrize("output", ["table", "json", "jsonl"])
@pytest.mark.parametrize("line", DESTROYERS)
async def test_what_cannot_be_printed_is_not_destroyed(
    server: RedisServer, connection: Connection, rig: Rig, tmp_path: Path, line: list[str], output: str
) -> None:
    await write(rig, "x")
    await rig.store.quarantine.add("tg", "telegram", [Unparsed(b"{}", "why")])
    letter = ("sink", "crm", "id", "7-7", "tries", "[]", "phone", PHONE, "text", "x")
    await connection.call("XADD", "rfctl:dead", "*", *letter)
    variables = environment(tmp_path, RFCTL_REDIS__URL=server.url)
    with Path("/dev/full").open("w") as full:
        command = [RFCTL, *line, "-o", output]
        done = await asyncio.to_thread(run, command, variables, stdout=full)
    assert (done.returncode, "No space left on device" in done.stderr) == (73, True), done.stderr
    assert await rig.store.pending_keys.count() == 1
    assert await rig.store.dead_letters.count() == 1
    assert await rig.store.quarantine.count() == 1


async def test_discard_all_that_fails_in_the_middle_says_how_far_it_came_and_goes_on_when_run_again(
    server: RedisServer, rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in range(5):
        await write(rig, "words", phone=f"p{place}")
    discard_batch, calls = Batches.discard, 0

    async def fail_at_the_third(batches: Batches, batch_key: str) -> list[bytes]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RedisUnreachableError("Redis is away")
        return await discard_batch(batches, batch_key)

    monkeypatch.setattr(Batches, "discard", fail_at_the_third)
    with pytest.raises(RedisUnreachableError) as failure:
        await _discard_all(Invocation(redis=server.url), yes=True)
    assert failure.value.fact == "Redis is away (before that: 2 batches discarded)"
    assert "run it again" in failure.value.next
    assert capsys.readouterr().out.count("words\n") == 3  # also the batch that is left
    assert await rig.store.pending_keys.count() == 3
    assert await _discard_all(Invocation(redis=server.url), yes=True) == 0
    assert capsys.readouterr().out.endswith("3 batches discarded\n")


async def test_batch_that_cannot_be_read_is_named_and_left_and_holds_up_no_other(
    server: RedisServer, rig: Rig, tmp_path: Path
) -> None:
    for place in range(3):
        await write(rig, "words", phone=f"p{place}")
    await rig.connection.call("ZADD", "rfctl:due", 1, "taken")
    await rig.connection.call("SET", "rapid-fire:taken", "no list")
    done = await Operator(tmp_path, server.url).run("discard", "--all", "--yes")
    assert (done.returncode, "3 batches discarded" in done.stdout) == (1, True)
    assert "taken is left as it is" in done.stderr
    assert await rig.connection.call("GET", "rapid-fire:taken") == b"no list"


READERS = [
    ["stats"], ["inspect", PHONE], ["dead", "list"], ["dead", "show", "7-7"], ["quarantine", "list"],
    ["discard", "--all"], ["flush", "--all"], ["doctor", "--report"],
]  # fmt: skip


async def test_commands_that_only_show_write_nothing(
    server: RedisServer, connection: Connection, rig: Rig, tmp_path: Path
) -> None:
    await write(rig, "x")
    await rig.store.quarantine.add("tg", "telegram", [Unparsed(b"{}", "why")])
    letter = ("sink", "crm", "id", "7-7", "tries", "[]", "phone", PHONE, "text", "x")
    await connection.call("XADD", "rfctl:dead", "*", *letter)
    old = DaemonRecord(id="old", host="h", pid=1, version="1", role="all", beat_ms=1)
    await connection.call("HSET", COMMON.daemons, "old", json.dumps({"id": "old", "host": "h", "pid": 1, "version": "1", "role": old.role, "beat_ms": 1}))  # fmt: skip
    operator = Operator(tmp_path, server.url, **crm(NOWHERE))
    before = await changes(connection)
    for line in READERS:
        assert (await operator.run(*line)).returncode in (0, 1, 2), line
    assert await changes(connection) == before


async def changes(connection: Connection) -> int:
    """How many keys Redis counts as changed since its last snapshot."""
    info = (await connection.call("INFO", "persistence")).decode()
    return int(info.partition("rdb_changes_since_last_save:")[2].split()[0])


@pytest.mark.parametrize("via", ["webhook", "redis"])
async def test_simulation_works_with_a_prefix_and_batches_by_company(
    server: RedisServer, connection: Connection, tmp_path: Path, via: str
) -> None:
    operator = Operator(
        tmp_path, server.url, RFCTL_REDIS__PREFIX="shop:", RFCTL_BATCHING__SPLIT_BY='["company"]'
    )
    async with operator.daemon():
        report = await operator.data("simulate", "--count", "2", "--interval", "0", "--via", via)
    assert (report["ok"], report["received"], report["batches"]) == (True, 2, 1), report
    keys = {key.decode() for key in await connection.call("KEYS", "*")}
    assert {key for key in keys if not key.startswith("shop:")} == set()


async def test_flush_hands_over_what_is_due_late_behind_what_comes_meanwhile(
    rig: Rig, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(rig, "waits long", phone="late")
    await rig.connection.call("ZADD", "rfctl:due", 9_999_999_999_999, "late")
    drain = Batches.drain
    rounds = 0

    async def drain_beside_traffic(batches: Batches, reason: Any, *, limit: int = 100) -> Any:
        nonlocal rounds
        rounds += 1
        assert rounds < 20, "it goes on as long as messages come in"
        await write(rig, f"new {rounds}", phone=f"n{rounds}a")
        await write(rig, f"new {rounds}", phone=f"n{rounds}b")
        return await drain(batches, reason, limit=1)

    monkeypatch.setattr(Batches, "drain", drain_beside_traffic)
    steps = Steps("batch", "handed over")
    await _hand_over_all(Invocation(), rig.store, 1, steps)
    assert "waits long" in [merged.text for merged in await rig.collect()]
