"""A dead letter of a group of workers, sent again by the installed command."""

from __future__ import annotations

from pathlib import Path

from rfctl.store.connection import Connection
from rfctl.worker import GiveUpError, MergedMessage
from tests.cli.test_sink_commands import Operator
from tests.support.servers import RedisServer
from tests.support.waiting import until
from tests.support.worker_groups import Handler, OutputStream, working

NOBODY = "group bot: it has no worker; what is sent again waits until one is started"


async def test_letter_of_a_group_goes_to_its_workers_and_a_note_says_that_there_are_none(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    has_failed = False

    def give_up_once(message: MergedMessage) -> None:
        nonlocal has_failed
        if not has_failed:
            has_failed = True
            raise GiveUpError("no such person")

    operator, out, handler = Operator(tmp_path, server.url), OutputStream(server), Handler(give_up_once)
    out.add("7900", "a")
    async with working(server.url, handler):
        await until(lambda: connection.call("XLEN", "rfctl:dead"))
        [letter] = await operator.data("dead", "list", "--sink", "group:bot")
        assert (letter["sink"], letter["last_error"]) == ("group:bot", "GiveUpError: no such person")
        sent = await operator.run("dead", "retry", letter["id"])
        assert (sent.returncode, "group bot:" in sent.stderr) == (0, False), sent.stderr
        await handler.wait_for(2)
        await until(lambda: _is_done(connection))
    has_failed = False
    out.add("7900", "b")
    async with working(server.url, handler):
        await until(lambda: connection.call("XLEN", "rfctl:dead"))
    again = await operator.run("dead", "retry", "--all", "--sink", "group:bot", "--yes")
    assert again.returncode == 0
    assert NOBODY in again.stderr
    assert "7900" in again.stdout
    shown = await operator.data("inspect", "7900")
    assert [(item["group"], item["state"], item["again"]) for item in shown["unread"]] == [
        ("bot", "unread", True)
    ]
    async with working(server.url, handler):
        await handler.wait_for(4)
    assert handler.lines[2:] == ["7900 b 1", "7900 b 1"]


async def _is_done(connection: Connection) -> bool:
    return not await connection.call("XLEN", "rfctl:worker:bot:again")


async def test_letter_stays_where_the_group_s_stream_may_not_be_written(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    OutputStream(server)
    fields = ("sink", "group:bot", "id", "1-1", "tries", "[]", "phone", "7900", "text", "a")
    await connection.call("XADD", "rfctl:dead", "*", *fields)
    rules = ("on", ">p", "+@all", "~rfctl:[!w]*", "&*")
    await connection.call("ACL", "SETUSER", "narrow", "reset", *rules)
    try:
        operator = Operator(tmp_path, server.url.replace("//", "//narrow:p@"))
        refused = await operator.run("dead", "retry", "--all", "--yes")
        assert refused.returncode != 0
        assert "rfctl export acl" in refused.stderr, refused.stderr
        assert await connection.call("XLEN", "rfctl:dead") == 1
        assert not await connection.call("EXISTS", "rfctl:worker:bot:again")
    finally:
        await connection.call("ACL", "DELUSER", "narrow")
