"""The rights that rfctl asks for: all that it uses and no more, each noticed and named when it is missing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rfctl.errors import RightsMissingError
from rfctl.store.connection import Connection
from rfctl.store.consumer_groups import read_consumer_groups
from rfctl.store.keys import Keyspace
from rfctl.store.probe import MissingRight, check_needed, find_missing_rights
from rfctl.store.rights import CALLS, Rights, build_rights, grant_command, list_needed, list_useful
from rfctl.store.scripts import ScriptLibrary, list_verbs
from rfctl.store.survey import Survey
from tests.support.servers import RedisServer, patient_address
from tests.support.users import find_calls, list_denials, make_user

RIGHTS = build_rights(Keyspace(), 0, ["bot:{company}"])


@asynccontextmanager
async def connecting(url: str) -> AsyncIterator[Connection]:
    connection = Connection.open(patient_address(url))
    try:
        yield connection
    finally:
        await connection.close()


async def find_missing(server: RedisServer, *changes: str, rights: Rights = RIGHTS) -> list[MissingRight]:
    async with connecting(make_user(server, rights, *changes)) as connection:
        return await find_missing_rights(connection, rights)


def read_commands(server: RedisServer) -> set[str]:
    with server.client() as client:
        return {str(name).upper() for name in client.execute_command("COMMAND LIST")}


def test_list_of_calls_is_that_of_the_sources(server: RedisServer) -> None:
    in_sources = dict(find_calls(read_commands(server)))
    sent_by_redis_py = {"SUBSCRIBE"}
    listed = {command: in_sources.get(command, "nowhere") for command in CALLS - sent_by_redis_py}
    assert in_sources == listed, "rights.CALLS, or a call that it does not list"


async def test_user_with_exactly_these_rights_lacks_none(server: RedisServer) -> None:
    assert await find_missing(server) == []


@pytest.mark.parametrize(
    "rights", [RIGHTS, build_rights(Keyspace(4, "out", "staging-"), 3, ["a[b]:{phone}"])]
)
async def test_each_key_that_is_denied_is_named_with_its_pattern(server: RedisServer, rights: Rights) -> None:
    assert await find_missing(server, rights=rights) == []
    for key in rights.keys:
        others = [f"~{other.pattern}" for other in rights.keys if other != key]
        [missing] = await find_missing(server, "resetkeys", *others, rights=rights)
        assert missing.grants == (f"~{key.pattern}",)
        assert not missing.is_useful_only


@pytest.mark.parametrize("command", RIGHTS.commands)
async def test_each_command_that_is_denied_is_named(server: RedisServer, command: str) -> None:
    if command in ("EVALSHA", "SCRIPT LOAD"):
        with server.client() as client:
            client.script_flush()
        with pytest.raises(RightsMissingError, match=r"NOPERM.*(evalsha|script)"):
            await find_missing(server, "-" + grant_command(command)[1:])
        return
    missing = await find_missing(server, "-" + grant_command(command)[1:])
    assert [(right.command, right.is_useful_only) for right in missing] == [
        (command, command not in RIGHTS.needed)
    ]
    assert grant_command(command) in missing[0].grants


async def test_a_denied_channel_is_named(server: RedisServer) -> None:
    missing = await find_missing(server, "resetchannels")
    assert {right.command for right in missing} == {"PUBLISH", "SUBSCRIBE"}
    assert all("&rfctl:events:*" in right.grants for right in missing)


@pytest.mark.parametrize("command", ["HSET", "XACK", "XINFO GROUPS", "XREADGROUP"])
async def test_older_server_is_asked_by_running_each_command(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    async def cannot_tell(connection: Connection, verb: str, args: Any) -> Any:
        return await connection.call("EVAL", "return redis.error_reply('NOCHECK x')", 0)

    monkeypatch.setattr(Connection, "ask_script", cannot_tell)
    url = make_user(server, RIGHTS, "-" + grant_command(command)[1:], "+eval")
    async with connecting(url) as connection:
        missing = await find_missing_rights(connection, RIGHTS)
    assert [right.command for right in missing] == [command]
    with server.client() as client:
        assert client.keys() == []


async def test_what_is_missing_is_said_with_the_line_that_mends_it(server: RedisServer) -> None:
    missing = await find_missing(server, "-hset", "-zadd", "resetkeys", "~rfctl:*", "~last-msg:*", "~bot:*")
    with pytest.raises(RightsMissingError) as problem:
        check_needed(missing, "redis://h", "rfctl", "the test")
    assert problem.value.exit_status == 77
    assert problem.value.fact == (
        "Redis at redis://h does not allow us: command HSET, command ZADD, keys rapid-fire:* "
        "(rapid-fire:rfctl-probe is denied)"
    )
    assert problem.value.next.startswith("ACL SETUSER rfctl +hset +zadd ~rapid-fire:* (")


async def test_line_that_is_said_mends_it(server: RedisServer) -> None:
    url = make_user(server, RIGHTS, "-hset", "-xinfo", "resetkeys", "~rfctl:*", "resetchannels")
    async with connecting(url) as connection:
        missing = await find_missing_rights(connection, RIGHTS)
        assert missing
        with server.client() as client:
            client.execute_command(
                "ACL", "SETUSER", "rfctl", *(rule for right in missing for rule in right.grants)
            )
        assert await find_missing_rights(connection, RIGHTS) == []


@pytest.mark.parametrize(
    ("changes", "call"),
    [
        (("-get",), lambda connection: connection.call("GET", "rfctl:x")),
        (("-hmget",), lambda connection: connection.call("EVAL", "return redis.call('HMGET', KEYS[1], 'a')", 1, "rfctl:x")),
        ((), lambda connection: connection.call("EVAL", "return redis.call('GET', 'other')", 0)),
        ((), lambda connection: connection.call("EVAL", "return redis.call('PUBLISH', 'other', '')", 0)),
        ((), lambda connection: connection.call("GET", "other")),
        ((), lambda connection: connection.call("PUBLISH", "other", "")),
    ],
)  # fmt: skip
async def test_denial_is_called_a_denial_wherever_it_happens(
    server: RedisServer, changes: tuple[str, ...], call: Callable[[Connection], Any]
) -> None:
    async with connecting(make_user(server, RIGHTS, "+eval", *changes)) as connection:
        with pytest.raises(RightsMissingError, match="NOPERM"):
            await call(connection)


def test_every_command_of_a_script_is_a_literal() -> None:
    """A computed name would be in no list."""
    for verb in list_verbs():
        text = re.sub("--.*", "", ScriptLibrary().script(verb).text)
        calls = text.count("redis.call") + text.count("redis.pcall")
        literal = text.count("redis.call('") + text.count("redis.pcall('")
        assert calls == literal, verb


def test_a_command_is_needed_or_useful_and_not_both() -> None:
    assert set(list_needed()).isdisjoint(list_useful())
    assert {"XADD", "HSET", "EVALSHA"} <= set(list_needed())
    assert {"INFO", "CONFIG GET", "MEMORY USAGE", "BGREWRITEAOF"} <= set(list_useful())


async def test_asking_leaves_no_denial_behind(server: RedisServer) -> None:
    with server.client() as client:
        client.execute_command("ACL", "LOG", "RESET")
    await find_missing(server, "-hset", "-bgrewriteaof", "resetchannels", "resetkeys", "~rfctl:*")
    assert list_denials(server) == []


@pytest.mark.parametrize("shards", [0, 3])
async def test_user_with_these_rights_sees_all_that_workers_keep(server: RedisServer, shards: int) -> None:
    keyspace = Keyspace(shards)
    shard = keyspace.all()[-1]
    keys = shard.worker("bot")
    with server.client() as client:
        for stream in (shard.out, keys.again):
            client.xgroup_create(stream, "bot", "0", mkstream=True)
            for _ in range(2):
                client.xadd(stream, {"phone": "7900"})
            client.xreadgroup("bot", "c", {stream: ">"}, count=1)
        client.hset(keys.failures, "1-0", "[]")
        client.xadd(shard.worker("gone").again, {"phone": "7900"})
        client.execute_command("ACL", "LOG", "RESET")
    rights = build_rights(keyspace, 0)
    async with connecting(make_user(server, rights)) as connection:
        [group] = await read_consumer_groups(connection, shard)
        survey = Survey(connection, keyspace)
        entries = await survey.read_worker_entries([group])
        stray = await survey.find_stray_keys([], [])
    assert (group.pending, group.again, group.again_pending, group.failed) == (1, 1, 1, 1)
    assert [entry.stream for entry in entries] == [shard.out, keys.again]
    assert [(left.name, left.again) for left in stray.groups] == [("gone", 1)]
    assert list_denials(server) == []
