"""What an operator does about sinks, the dead and the quarantine, with the installed command and a real daemon."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.support.keys import COMMON
from tests.support.processes import RFCTL, Daemon, Process, environment, rfctl
from tests.support.receivers import Answer, HttpReceiver
from tests.support.servers import RedisServer, patient_address
from tests.support.waiting import PATIENCE_S, until

WIPE = "\x1b[2J"
"""What a stranger sends to wipe an operator's screen."""


class Operator:
    """Runs commands with the settings of one daemon."""

    def __init__(self, tmp_path: Path, url: str, **variables: str) -> None:
        self.tmp_path = tmp_path
        self.variables = {"RFCTL_REDIS__URL": url, "RFCTL_BATCHING__QUIET_MS": "100", **variables}

    async def run(self, *line: str, **variables: str) -> CompletedProcess[str]:
        settings: dict[str, Any] = self.variables | variables
        return await asyncio.to_thread(rfctl, self.tmp_path, *line, **settings)

    async def data(self, *line: str, **variables: str) -> Any:
        done = await self.run(*line, "-o", "json", **variables)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Daemon]:
        started = await asyncio.to_thread(Daemon, self.tmp_path, **self.variables)
        try:
            yield started
        finally:
            await asyncio.to_thread(started.end)


def crm(url: str, retry_delays_ms: str = "20") -> dict[str, str]:
    return {
        "RFCTL_SINKS__CRM__TYPE": "http",
        "RFCTL_SINKS__CRM__URL": url,
        "RFCTL_SINKS__CRM__ALLOW_PRIVATE": "true",
        "RFCTL_SINKS__CRM__RETRY_DELAYS_MS": retry_delays_ms,
    }


TELEGRAM = {"RFCTL_SOURCES__TG__TYPE": "telegram"}


async def say(daemon: Daemon, text: str, phone: str = PHONE) -> None:
    await asyncio.to_thread(daemon.post, {"from": phone, "message": text, "companyId": 7})


async def test_a_dead_message_is_listed_shown_and_sent_again_under_its_id(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver([Answer(500, body=b"no\x1b[31m")] * 2) as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url))
        async with operator.daemon() as daemon:
            assert (await operator.run("dead", "list")).returncode == 3
            await say(daemon, f"Привет [bold]{WIPE}")
            await until(lambda: _length(connection, "rfctl:dead", 1))
            listed = await operator.run("dead", "list")
            assert (listed.returncode, "\x1b" in listed.stdout) == (0, False), listed.stderr
            for wanted in ("crm", PHONE, "answered 500: no\\x1b[31m", "Привет [bold]\\x1b[2J"):
                assert wanted in listed.stdout
            [letter] = await operator.data("dead", "list")
            [lines] = (await operator.run("dead", "list", "-o", "jsonl")).stdout.splitlines()
            assert json.loads(lines) == letter
            shown = await operator.run("dead", "show", letter["message_id"])
            assert shown.stdout == (await operator.run("dead", "show", letter["delivery_id"])).stdout
            assert shown.stdout.count("answered 500") == 2
            assert "\x1b" not in shown.stdout
            assert "1 message that a sink did not take" in (await operator.run("stats")).stdout
            again = await operator.run("dead", "retry", letter["id"])
            assert (again.returncode, "sent again" in again.stdout) == (0, True), again.stderr
            await until(lambda: bool(receiver.taken))
            assert receiver.taken[0]["headers"]["webhook-id"] == letter["delivery_id"]
            assert (await operator.run("dead", "retry", letter["id"])).returncode == 3


async def test_dead_messages_are_dropped_only_after_a_yes_and_printed(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url, **crm("http://127.0.0.1:1/"))
    ids = [await _die(connection, "crm", text) for text in ("one", "two", f"three{WIPE}")]
    await _die(connection, "gone", "four")
    assert (await operator.run("dead", "drop")).returncode == 2
    assert (await operator.run("dead", "drop", ids[0], "--all", "--yes")).returncode == 2
    assert (await operator.run("dead", "drop", "--all")).returncode == 2
    assert (await operator.run("dead", "drop", "*")).returncode == 2
    missing = await operator.run("dead", "drop", ids[0], "1-1")
    assert (missing.returncode, "1-1" in missing.stderr) == (3, True)
    assert (
        await connection.call("XLEN", "rfctl:dead") == 4
    )  # nothing was dropped beside the one that is not there
    dropped = await operator.run("dead", "drop", ids[0])
    assert ("one" in dropped.stdout, "two" in dropped.stdout) == (True, False)
    left = await operator.run("dead", "retry", "--all", "--yes", "-o", "json")
    assert left.returncode == 1
    assert "there is no sink gone" in left.stderr
    assert [letter["text"] for letter in json.loads(left.stdout)["sent_again"]] == ["two", f"three{WIPE}"]
    assert [entry["sink"] for entry in await operator.data("dead", "list")] == ["gone"]
    rest = await operator.data("dead", "drop", "--all", "--sink", "gone", "--yes")
    assert [entry["merged"]["text"] for entry in rest["dropped"]] == ["four"]
    assert await connection.call("XLEN", "rfctl:dead") == 0


async def test_ids_of_dead_letters_are_completed_newest_first(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    ids = [await _die(connection, "crm", text) for text in ("one", "two")]
    words = "rfctl dead retry "
    completing: dict[str, Any] = {"_RFCTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    done = await asyncio.to_thread(rfctl, tmp_path, RFCTL_REDIS__URL=server.url, **completing)
    assert (done.stdout.split(), done.stderr) == (ids[::-1], "")


async def _die(connection: Connection, sink: str, text: str) -> str:
    fields = ("sink", sink, "id", "7-7", "tries", '[{"at_ms":1,"error":"no"}]', "phone", PHONE, "text", text)
    return str((await connection.call("XADD", "rfctl:dead", "*", *fields)).decode())


async def _length(connection: Connection, stream: str, wanted: int) -> bool:
    return int(await connection.call("XLEN", stream)) == wanted


async def test_a_paused_sink_stands_still_is_named_in_stats_and_goes_on_at_once(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver() as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url, "60000"))
        unknown = await operator.run("pause", "crn")
        assert (unknown.returncode, "did you mean crm?" in unknown.stderr) == (3, True)
        assert "was not paused" in (await operator.run("resume", "crm")).stdout
        paused = await operator.data("pause", "crm", "--why", f"it moves{WIPE}")
        assert (paused["changed"], paused["why"]) == (True, f"it moves{WIPE}")
        twice = await operator.run("pause", "crm")
        assert (twice.returncode, "was paused already: it moves" in twice.stdout) == (0, True)
        async with operator.daemon() as daemon:
            await until(lambda: _served(connection))
            await say(daemon, "kept")
            await until(lambda: _merged(connection, 1))
            seen = await operator.run("stats")
            assert "sink crm is paused: it moves\\x1b[2J; " in seen.stdout
            assert "nobody delivers" not in seen.stdout
            assert receiver.seen == []
            assert "crm goes on" in (await operator.run("resume", "crm")).stdout
            await until(lambda: bool(receiver.taken))
            assert receiver.taken[0]["body"]["message"] == "kept"


async def _served(connection: Connection) -> bool:
    return bool(await connection.call("EXISTS", "rfctl:sink:crm:lease"))


async def _merged(connection: Connection, wanted: int) -> bool:
    return int(await connection.call("HGET", "rfctl:totals", "merged") or 0) == wanted


async def test_resume_retries_waiting_messages_at_once(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver([503]) as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url, "3600000"))
        async with operator.daemon() as daemon:
            await say(daemon, "later")
            await until(lambda: _held(connection, 1))
            [sink] = (await operator.data("stats"))["sinks"]
            assert (sink["phones_waiting"], sink["messages_waiting"], sink["failures"]) == (1, 1, 1)
            assert 3_500_000 < sink["next_retry_in_ms"] <= 3_600_000
            assert sink["oldest_age_ms"] >= 0
            await operator.run("pause", "crm")
            assert (await operator.data("resume", "crm"))["phones_retried_now"] == 1
            await until(lambda: _held(connection, 0))
            [sink] = (await operator.data("stats"))["sinks"]
            assert (sink["delivered"], sink["unacknowledged"]) == (1, 0)
            assert not sink["lag"]  # before Redis 7 nobody knows it
            assert sink["leased_by"] == [(await operator.data("stats"))["daemons"][0]["id"]]


async def _held(connection: Connection, wanted: int) -> bool:
    return int(await connection.call("ZCARD", "rfctl:sink:crm:retry")) == wanted


async def test_stats_shows_unserved_sinks_dead_letters_and_quarantine(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url, **crm("http://127.0.0.1:1/"))
    await _quarantine(connection, "tg", b"{}")
    await _die(connection, "crm", "x")
    await connection.call("HSET", "rfctl:totals", "skipped:status", 4, "quarantined", 9)
    seen = (await operator.run("stats")).stdout
    for wanted in (
        "sink crm: nobody delivers", "rfctl dead list", "rfctl quarantine list", "1 now, 9 in all", "status 4", "nobody",
    ):  # fmt: skip
        assert wanted in seen, seen
    data = await operator.data("stats")
    assert (data["dead"], data["quarantine"], data["sinks"][0]["unserved_shards"]) == (1, 1, 1)
    assert [finding["code"] for finding in data["findings"]] == [
        "processor_missing", "sink_unserved", "dead_letters", "quarantined_requests",
    ]  # fmt: skip
    assert set(data["findings"][0]) == {"code", "severity", "subject", "fact", "fix", "set_by"}


async def test_stats_shows_batch_key_and_chat_only_for_batches_with_them(
    server: RedisServer, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url, RFCTL_BATCHING__QUIET_MS="60000", **TELEGRAM)
    async with operator.daemon() as daemon:
        await asyncio.to_thread(_post, daemon, "tg", _payload("text.json"))
        plain = (await operator.run("stats")).stdout
        assert "messages  due in" in plain
        assert not any(word in plain for word in ("  chat", "  batch key"))
        await asyncio.to_thread(_post, daemon, "tg", _payload("group.json"))
        [group] = [batch for batch in (await operator.data("stats"))["batches"] if batch["chat"]]
        shown = (await operator.run("stats")).stdout
        assert group["chat"] in shown
        assert group["batch_key"] in shown
        assert group["batch_key"].startswith("&")
        inspected = await operator.data("inspect", group["batch_key"])
        assert inspected["size"] == group["size"] == 1


def _payload(name: str) -> bytes:
    return (Path(__file__).parents[1] / "payloads" / "telegram" / name).read_bytes()


def _post(daemon: Daemon, source: str, body: bytes) -> None:
    import urllib.request

    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{daemon.url}/webhook/{source}", body, kind)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 200


async def _quarantine(connection: Connection, source: str, body: bytes) -> str:
    entry_id = await connection.call(
        "XADD",
        COMMON.quarantine,
        "*",
        "source",
        source,
        "type",
        "telegram",
        "why",
        "a later form",
        "body",
        body,
    )
    return str(entry_id.decode())


async def test_a_quarantined_request_is_read_again_stored_and_gone(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url, RFCTL_BATCHING__QUIET_MS="60000", **TELEGRAM)
    assert (await operator.run("quarantine", "list")).returncode == 3
    good = await _quarantine(connection, "tg", _payload("text.json"))
    bad = await _quarantine(connection, "tg", b'not JSON \x9b\xff "\x1b[2J"')
    lost = await _quarantine(connection, "old", _payload("photo.json"))
    listed = await operator.run("quarantine", "list")
    assert all(item in listed.stdout for item in (good, bad, lost, "a later form"))
    assert '"text": "Hello 👋"' in (await operator.run("quarantine", "show", good)).stdout
    assert (await operator.data("quarantine", "show", good))["body"]["update_id"] == 901
    shown = (await operator.run("quarantine", "show", bad)).stdout
    assert "\\x9b\\xff" in shown
    assert "\x1b" not in shown
    done = await operator.run("quarantine", "retry", "--all")
    assert done.returncode == 1
    assert "1 message" in done.stdout
    assert "there is no source old in the settings any more" in done.stdout
    assert "not JSON" in done.stdout
    assert [entry["id"] for entry in await operator.data("quarantine", "list")] == [bad, lost]
    assert (await operator.data("stats"))["pending"]["messages"] == 1
    dropped = await operator.run("quarantine", "drop", bad)
    assert (dropped.returncode, "\\x1b[2J" in dropped.stdout) == (0, True)
    assert (await operator.run("quarantine", "drop", "--all")).returncode == 2
    assert len((await operator.data("quarantine", "drop", "--all", "--yes"))["dropped"]) == 1
    assert (await operator.run("quarantine", "retry", good)).returncode == 3


async def test_unparsed_part_stays_in_quarantine_and_the_rest_is_stored(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    mapped = {
        "RFCTL_SOURCES__SHOP__TYPE": "generic",
        "RFCTL_SOURCES__SHOP__MAP": '{"each":"all","phone":"who","text":"says","id":"id"}',
    }
    operator = Operator(tmp_path, server.url, RFCTL_BATCHING__QUIET_MS="60000", **mapped)
    body = b'{"all":[{"who":"79001","says":"one","id":"1"},{"says":"nobody","id":"2"}]}'
    whole = await _quarantine(connection, "shop", body)
    [first] = await operator.data("quarantine", "retry", whole)
    assert (first["stored"], bool(first["problem"])) == (1, True)
    [rest] = await operator.data("quarantine", "list")
    assert rest["id"] != whole
    kept = (await operator.data("quarantine", "show", rest["id"]))["body"]
    assert kept["all"] == [{"says": "nobody", "id": "2"}]
    [again] = await operator.data("quarantine", "retry", rest["id"])
    assert (again["stored"], bool(again["problem"])) == (0, True)
    assert [entry["id"] for entry in await operator.data("quarantine", "list")] == [rest["id"]]
    assert (await operator.data("stats"))["pending"]["messages"] == 1


async def test_resend_sends_a_message_again_to_one_or_all_sinks_under_its_id(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    copy = {"RFCTL_SINKS__COPY__TYPE": "list", "RFCTL_SINKS__COPY__KEY": "copies"}
    async with HttpReceiver() as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url), **copy)
        async with operator.daemon() as daemon:
            await say(daemon, "once more")
            await until(lambda: len(receiver.taken) == 1)
            await until(lambda: _copies(connection, 1))
            delivery_id = receiver.taken[0]["headers"]["webhook-id"]
            item = await operator.run("resend", delivery_id, "--sink", "crm")
            assert (item.returncode, "the id stays the same" in item.stdout) == (0, True), item.stderr
            await until(lambda: len(receiver.taken) == 2)
            message_id = item.stdout.split()[0]
            assert (await operator.data("resend", message_id))["sinks"] == ["copy", "crm"]
            await until(lambda: len(receiver.taken) == 3)
            await until(lambda: _copies(connection, 2))
            assert {got["headers"]["webhook-id"] for got in receiver.taken} == {delivery_id}
            unknown = await operator.run("resend", "1-1")
            assert (unknown.returncode, "rfctl tail --since" in unknown.stderr) == (3, True)
            assert (await operator.run("resend", "x")).returncode == 2
            assert (await operator.run("resend", message_id, "--sink", "cmr")).returncode == 3


async def _copies(connection: Connection, wanted: int) -> bool:
    return int(await connection.call("LLEN", "copies")) == wanted


async def test_resend_finds_among_the_dead_what_was_trimmed_and_takes_it_from_there(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver() as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url))
        for _ in range(2):
            await _die(connection, "crm", "from the dead")
        async with operator.daemon():
            assert (await operator.run("resend", "7-7")).returncode == 0
            await until(lambda: len(receiver.taken) == 1)
        assert receiver.taken[0]["body"]["message"] == "from the dead"
        assert await connection.call("XLEN", "rfctl:dead") == 0


async def test_ids_are_found_with_and_without_their_shard(own_server: Any, tmp_path: Path) -> None:
    server = own_server()
    connection = Connection.open(patient_address(server.url))
    async with HttpReceiver() as receiver:
        operator = Operator(tmp_path, server.url, RFCTL_REDIS__SHARDS="3", **crm(receiver.url))
        async with operator.daemon() as daemon:
            await say(daemon, "sharded")
            await until(lambda: len(receiver.taken) == 1)
            delivery_id = receiver.taken[0]["headers"]["webhook-id"]
            outside = (await operator.data("resend", delivery_id))["id"]
            assert outside.count("-") == 2
            for written in (outside, outside.rpartition("-")[0]):
                assert (await operator.data("resend", written))["id"] == outside
            await until(lambda: len(receiver.taken) >= 2)
            for shard in ("{0}:", "{1}:"):
                await connection.call(
                    "XADD", f"rfctl:{shard}out", "9999999999999-0", "phone", "p", "text", "x"
                )
            several = await operator.run("resend", "9999999999999-0")
            assert (several.returncode, "9999999999999-0-1" in several.stderr) == (2, True)
    await connection.close()


async def test_tail_forwards_merged_messages_and_reports_the_answers(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with HttpReceiver([200, Answer(418, body=b"tea\x1b[2J")]) as receiver:
        operator = Operator(tmp_path, server.url)
        async with operator.daemon() as daemon:
            await say(daemon, "before")
            await until(lambda: _merged(connection, 1))
            line = [RFCTL, "tail", PHONE, "--since", "10m", "--forward-to", receiver.url]
            with Process(line, environment(tmp_path, **operator.variables)) as tail:
                await asyncio.to_thread(tail.stderr.wait_for, lambda text: "following" in text)
                await asyncio.to_thread(tail.stderr.wait_for, lambda text: "accepted (2xx)" in text)
                await until(lambda: _followed(connection))
                await say(daemon, "of somebody else", "79990000000")
                await say(daemon, "live")
                await asyncio.to_thread(
                    tail.stderr.wait_for, lambda text: "answered 418: tea\\x1b[2J" in text
                )
                assert await asyncio.to_thread(tail.end, signal.SIGINT) == 0
        assert [got["body"]["message"] for got in receiver.seen] == ["before", "live"]
        assert "webhook-signature" not in receiver.seen[0]["headers"]
        assert await connection.call("XINFO", "GROUPS", "rfctl:out") == []


async def _followed(connection: Connection) -> bool:
    return int((await connection.call("PUBSUB", "NUMSUB", "rfctl:events:0"))[1]) == 1


@pytest.mark.parametrize("url", ["ftp://host/", "http://", "nonsense"])
async def test_tail_rejects_a_wrong_forward_url(server: RedisServer, tmp_path: Path, url: str) -> None:
    refused = await Operator(tmp_path, server.url).run("tail", "--forward-to", url)
    assert (refused.returncode, "--forward-to: it must be http" in refused.stderr) == (2, True), (
        refused.stderr
    )


async def test_config_check_finds_every_source_and_sink_that_cannot_be_set_up_at_once(tmp_path: Path) -> None:
    wrong = {
        "RFCTL_SOURCES__SHOP__TYPE": "generic",
        "RFCTL_SOURCES__SHOP__MAP": '{"text":"says..no"}',
        "RFCTL_SINKS__COPY__TYPE": "list",
        "RFCTL_SINKS__COPY__KEY": "rfctl:out",
        "RFCTL_SINKS__CRM__TYPE": "http",
        "RFCTL_SINKS__CRM__URL": "ftp://nowhere",
    }
    operator = Operator(tmp_path, "embedded", **wrong)
    done = await operator.run("config", "check")
    assert done.returncode == 78
    for wanted in ("sources.shop.map", "sinks.copy.key", "sinks.crm.url"):
        assert wanted in done.stderr, done.stderr
    right = await Operator(tmp_path, "embedded", **crm("http://127.0.0.1:1/"), **TELEGRAM).run(
        "config", "check"
    )
    assert right.returncode == 0, right.stderr
