"""When a daemon says that it is ready: while a message would really come through, and somebody works on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from redis import Redis

from rfctl.daemon.daemon import Daemon
from rfctl.errors import ClusterNodeError, KeyTakenError, RfctlError, RightsMissingError
from rfctl.observe import logging as logs
from rfctl.sources.generic.node_form import BATCHED
from rfctl.store.keys import Keyspace
from rfctl.store.rights import build_rights
from tests.conftest import configure, running
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer, ServerMaker
from tests.support.users import make_user
from tests.support.waiting import until

RIGHTS = build_rights(Keyspace(), 0)
STRANGER = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture(autouse=True)
def watch_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.daemon.watch.ROUND_S", 0.1)
    monkeypatch.setattr("rfctl.daemon.watch._LOOK_S", 0.2)


@contextlib.asynccontextmanager
async def asking(daemon: Daemon) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http:
        yield http


async def says(http: httpx.AsyncClient, reason: str) -> bool:
    """Whether the answer has this reason, "" for ready."""
    answer = await http.get("/readyz")
    assert answer.status_code == (503 if "reason" in answer.json() else 200)
    return bool(answer.json().get("reason", "") == reason)


async def finds(http: httpx.AsyncClient, code: str, *, there: bool = True) -> bool:
    findings = (await http.get("/readyz")).json().get("findings", [])
    return (code in {finding["code"] for finding in findings}) is there


def send(client: Redis, *command: str | int) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


def fill(client: Redis) -> Callable[[], Any]:
    client.config_set("maxmemory", 1)
    return lambda: client.config_set("maxmemory", 0)


def make_replica(client: Redis) -> Callable[[], Any]:
    send(client, "REPLICAOF", "127.0.0.1", 1)
    return lambda: send(client, "REPLICAOF", "NO", "ONE")


def take_key(client: Redis) -> Callable[[], Any]:
    client.delete("rfctl:out")
    client.set("rfctl:out", "x")
    return lambda: client.delete("rfctl:out")


def deny(*rules: str) -> Callable[[Redis], Callable[[], Any]]:
    def take_away(client: Redis) -> Callable[[], Any]:
        send(client, "ACL", "SETUSER", "rfctl", *rules)
        given_back = RIGHTS.grant("rfctl", password="password").split(" ")
        return lambda: send(client, *given_back)

    return take_away


BROKEN = {
    "full": (fill, "full", "maxmemory"),
    "replica": (make_replica, "read-only", "master"),
    "key of another kind": (take_key, "wrong-type", "rfctl:out"),
    "EVALSHA": (deny("-evalsha"), "rights", "evalsha"),
    "a command in a script": (deny("-xack"), "rights", "ACL SETUSER rfctl +xack"),
    "the keys of batches": (deny("resetkeys", "~rfctl:*", "~last-msg:*"), "rights", "~rapid-fire:*"),
}


def list_changes(lines: Sequence[MutableMapping[str, Any]]) -> list[str]:
    """Return the reasons of the log, "" where readiness came back. It goes by the watch's rounds, a question does not."""
    return [
        line.get("reason", "") for line in lines if line["event"] in ("readiness_lost", "readiness_gained")
    ]


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_link_is_named_and_its_mending_noticed(
    own_server: ServerMaker, tmp_path: Path, name: str
) -> None:
    server = own_server()
    break_link, reason, word = BROKEN[name]
    url = make_user(server, RIGHTS)
    async with running(configure(url, tmp_path)) as daemon, asking(daemon) as http:
        logs.configure(level="debug", format="json", mask=True)
        with structlog.testing.capture_logs() as lines, server.client() as client:
            await until(partial(says, http, ""))
            mend = break_link(client)
            await until(partial(says, http, reason))
            facts = (await http.get("/readyz")).json()
            assert word in facts["problem"] + facts["next"]
            await until(lambda: list_changes(lines)[-1:] == [reason])
            mend()
            await until(lambda: list_changes(lines)[-1:] == [""])
            await until(partial(says, http, ""))
    assert list_changes(lines).count(reason) == 1


async def test_server_that_goes_away_and_comes_back_is_noticed(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    configuration = configure(server.url, tmp_path, redis__timeout_ms=300, redis__connect_timeout_ms=300)
    async with running(configuration) as daemon, asking(daemon) as http:
        await until(partial(says, http, ""))
        server.kill()
        await until(partial(says, http, "redis-away"))
        server.start()
        await until(partial(says, http, ""))


async def test_webhook_is_ready_once_somebody_processes(server: RedisServer, tmp_path: Path) -> None:
    webhook = configure(server.url, tmp_path, daemon__role="webhook")
    async with running(webhook) as daemon, asking(daemon) as http:
        await until(partial(says, http, "no-processor"))
        async with running(configure(server.url, tmp_path, daemon__role="processor")):
            await until(partial(says, http, ""))
        await until(partial(says, http, "no-processor"))


async def test_webhook_is_ready_once_somebody_forwards_to_each_sink(
    server: RedisServer, tmp_path: Path
) -> None:
    async with HttpReceiver() as receiver:
        sink = {
            "sinks__crm__type": "http",
            "sinks__crm__url": receiver.url,
            "sinks__crm__allow_private": True,
        }
        configurations = [
            configure(server.url, tmp_path, daemon__role=role, **sink)
            for role in ("webhook", "processor", "forwarder")
        ]
        webhook, processor, forwarder = configurations
        async with running(webhook) as daemon, asking(daemon) as http, running(processor):
            await until(partial(says, http, "no-forwarder"))
            async with running(forwarder):
                await until(partial(says, http, ""))


async def test_strangers_get_one_word_and_no_fact(server: RedisServer, tmp_path: Path) -> None:
    configuration = configure(server.url, tmp_path, http__admin_token="hush")
    async with running(configuration) as daemon, asking(daemon) as http:
        await until(partial(says, http, ""))
        assert (await http.get("/readyz", headers=STRANGER)).json() == {"status": "ready"}
        bearer = {**STRANGER, "Authorization": "Bearer hush"}
        assert "redis" in (await http.get("/readyz", headers=bearer)).json()
        assert "redis" in (await http.get("/readyz")).json()
        with server.client() as client:
            mend = fill(client)
            await until(partial(says, http, "full"))
            answer = await http.get("/readyz", headers=STRANGER)
            mend()
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "reason": "full"})


async def test_daemon_on_a_replica_waits_and_is_not_ready(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    async with running(configure(server.url, tmp_path)):
        pass  # it is laid out: nothing would have to be written at the next start
    with server.client() as client:
        mend = make_replica(client)
        async with running(configure(server.url, tmp_path)) as daemon, asking(daemon) as http:
            await until(partial(says, http, "read-only"))
            assert (await http.post(BATCHED, json={"from": "7", "message": "x"})).status_code == 503
            mend()
            await until(partial(says, http, ""))
            assert (await http.post(BATCHED, json={"from": "7", "message": "x"})).status_code == 200


async def refuse(url: str, tmp_path: Path, kind: type[RfctlError], **settings: Any) -> RfctlError:
    with pytest.raises(kind) as problem:
        async with running(configure(url, tmp_path, **settings)):
            pass
    return problem.value


async def test_cluster_node_is_refused_before_anything_is_written(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server("--cluster-enabled", "yes")
    problem = await refuse(server.url, tmp_path, ClusterNodeError)
    assert problem.exit_status == 78
    assert "cluster" in problem.fact
    assert "cluster_enabled" in problem.next
    with server.client() as client:
        assert send(client, "DBSIZE") == 0


async def test_user_without_a_right_is_refused_before_anything_is_written(
    server: RedisServer, tmp_path: Path
) -> None:
    problem = await refuse(make_user(server, RIGHTS, "-hincrby"), tmp_path, RightsMissingError)
    assert problem.exit_status == 77
    assert "command HINCRBY" in problem.fact
    assert problem.next.startswith("ACL SETUSER rfctl +hincrby")
    with server.client() as client:
        assert client.keys() == []


@pytest.mark.parametrize(
    "key", ["rfctl:out", "rfctl:due", "rfctl:totals", "rfctl:daemons", "rfctl:sink:crm:retry"]
)
async def test_key_of_another_kind_is_named_at_the_start(
    server: RedisServer, tmp_path: Path, key: str
) -> None:
    with server.client() as client:
        client.set(key, "x")
        sink = {
            "sinks__crm__type": "http",
            "sinks__crm__url": "http://127.0.0.1:1/",
            "sinks__crm__allow_private": True,
        }
        problem = await refuse(server.url, tmp_path, KeyTakenError, **sink)
        assert client.keys() == [key]
    assert problem.exit_status == 78
    assert problem.fact.startswith(f"{key} at ")


async def test_redis_that_tells_nothing_of_itself_is_used_and_that_is_said(
    server: RedisServer, tmp_path: Path
) -> None:
    url = make_user(server, RIGHTS, "-info", "-config")
    async with running(configure(url, tmp_path)) as daemon, asking(daemon) as http:
        await until(partial(says, http, ""))
        await until(partial(finds, http, "redis_unseen"))
        await until(partial(finds, http, "right_missing"))


@pytest.mark.parametrize(
    ("policy", "code"), [("allkeys-lru", "eviction_enabled"), ("volatile-lru", "eviction_partial")]
)
async def test_eviction_that_is_turned_on_later_is_found_and_logged_once(
    own_server: ServerMaker, tmp_path: Path, policy: str, code: str
) -> None:
    server = own_server()
    async with running(configure(server.url, tmp_path)) as daemon, asking(daemon) as http:
        logs.configure(level="debug", format="json", mask=True)
        with structlog.testing.capture_logs() as lines, server.client() as client:
            await until(partial(says, http, ""))
            client.config_set("maxmemory-policy", policy)
            await until(partial(finds, http, code))
            await until(partial(says, http, "evicting" if code == "eviction_enabled" else ""))
            client.config_set("maxmemory-policy", "noeviction")
            await until(partial(finds, http, code, there=False))
            await until(partial(says, http, ""))
            await until(lambda: [line for line in lines if line["event"] == "finding_cleared"])
    events = [line["event"] for line in lines if line.get("code") == code]
    assert events == ["finding_raised", "finding_cleared"]


async def test_redis_that_evicts_what_expires_is_used(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server("--maxmemory-policy", "volatile-ttl")
    async with running(configure(server.url, tmp_path)) as daemon, asking(daemon) as http:
        await until(partial(says, http, ""))


async def test_append_only_file_that_is_turned_off_is_found(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    with server.client() as client:
        async with running(configure(server.url, tmp_path)) as daemon, asking(daemon) as http:
            await until(partial(says, http, ""))
            assert await finds(http, "persistence_disabled", there=False)
            client.config_set("appendonly", "no")
            await until(partial(finds, http, "persistence_disabled"))


async def test_emptied_redis_is_laid_out_again_and_that_is_said(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    with server.client() as client:
        async with running(configure(server.url, tmp_path)) as daemon, asking(daemon) as http:
            await until(partial(says, http, ""))
            client.flushall()
            await until(partial(finds, http, "redis_emptied"))
            await until(partial(says, http, ""))
            assert client.get("rfctl:shards") == "0/2"
            assert client.hget("rfctl:totals", "emptied") == "1"


async def test_stream_that_nobody_reads_is_found_with_its_size(server: RedisServer, tmp_path: Path) -> None:
    configuration = configure(server.url, tmp_path, batching__quiet_ms=10)
    async with running(configuration) as daemon, asking(daemon) as http:
        assert (await http.post(BATCHED, json={"from": "7", "message": "x"})).status_code == 200
        await until(partial(finds, http, "stream_unread"))
        findings = (await http.get("/readyz")).json()["findings"]
        [fact] = [finding["fact"] for finding in findings if finding["code"] == "stream_unread"]
        assert "1 merged message, the oldest " in fact
        assert " B; " in fact or " kB; " in fact


async def test_canary_leaves_nothing_behind(server: RedisServer, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path)) as daemon, asking(daemon) as http:
        await until(partial(says, http, ""))
    with server.client() as client:
        assert [key for key in client.scan_iter() if "canary" in key and client.ttl(key) < 0] == []
        assert client.xlen("rfctl:out") == 0
        assert client.hgetall("rfctl:totals") == {}
