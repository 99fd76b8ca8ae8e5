"""A daemon takes along what rfctl 0.1.0 has left in Redis: recorded data of that version, on a real server.

tests/payloads/layout-1 has every key that 0.1.0 left when it was killed, as DUMP of Redis 7.0 gives it. One person's
batch was pending, and one with a company. Three persons' messages had been handed over: p2's were delivered everywhere,
p3's two waited for a retry of `crm`, and p4's was a dead letter of `dying`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import redis

from rfctl.store import DaemonRecord
from tests.support.processes import Daemon, rfctl
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

RECORDED = Path(__file__).parents[2] / "payloads" / "layout-1"
DAY_MS = 86_400_000
SETTINGS = """
redis.url = "{url}"
redis.shards = {shards}
batching.max_size = 2
[sinks.crm]
type = "http"
url = "{crm}"
secrets = ["whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"]
allow_private = true
[sinks.dying]
type = "http"
url = "{dying}"
secrets = ["whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"]
allow_private = true
[sinks.inbox]
type = "list"
key = "inbox"
"""
TO_CRM = {("p1", "one pending"): 1, ("p3", "a b"): 1, ("p3", "c d"): 1, ("p5", "with company"): 1}
TO_DYING = {("p1", "one pending"): 1, ("p4", "a b"): 1, ("p5", "with company"): 1}


def restore(server: RedisServer, shards: int) -> None:
    """Write what was recorded, with the ids seen as of today: they would be forgotten otherwise."""
    dumps = json.loads((RECORDED / f"shards-{shards}.json").read_text())
    with redis.Redis.from_url(server.url) as client:
        bucket = int(client.time()[0]) * 1000 // DAY_MS
        for key, dump in dumps.items():
            head, is_seen, _ = key.partition(":seen:86400:")
            name = f"{head}:seen:86400:{bucket}" if is_seen else key
            client.restore(name, 0, base64.b64decode(dump))


@pytest.fixture(params=[0, 4])
def shards(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def recorded(server: RedisServer, shards: int) -> RedisServer:
    if server.read_version() < (7, 0):
        pytest.skip("the data was recorded on Redis 7.0, and an older server does not read it")
    restore(server, shards)
    return server


@contextlib.asynccontextmanager
async def start(settings: Path) -> AsyncIterator[Daemon]:
    """Run a daemon of this version, while the event loop goes on."""
    environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    daemon = await asyncio.to_thread(Daemon, settings.parent, "--config", str(settings), **environment)
    try:
        yield daemon
    finally:
        await asyncio.to_thread(daemon.end)


def count_taken(receiver: HttpReceiver) -> Counter[tuple[str, str]]:
    return Counter((taken["body"]["from"], taken["body"]["message"]) for taken in receiver.taken)


async def test_all_that_the_version_before_left_arrives_once(
    recorded: RedisServer, shards: int, tmp_path: Path
) -> None:
    async with HttpReceiver() as crm, HttpReceiver() as dying:
        settings = tmp_path / "config.toml"
        settings.write_text(SETTINGS.format(url=recorded.url, shards=shards, crm=crm.url, dying=dying.url))
        settings.chmod(0o600)
        async with start(settings) as daemon:
            await until(lambda: count_taken(crm).total() >= len(TO_CRM) and count_taken(dying).total() >= 2)
            again = await asyncio.to_thread(daemon.post, {"from": "p2", "message": "a", "messageId": "p2-1"})
            assert (again["addedCount"], again["duplicates"]) == (0, 1)
            retried = await asyncio.to_thread(
                rfctl, tmp_path, "dead", "retry", "--all", "--yes", "--config", str(settings)
            )
            assert retried.returncode == 0, retried.stderr
            await until(lambda: count_taken(dying).total() >= len(TO_DYING))
            new = await asyncio.to_thread(daemon.post, {"from": "p2", "message": "new", "messageId": "p2-9"})
            assert new["addedCount"] == 1
    for receiver, expected in ((crm, TO_CRM), (dying, TO_DYING)):
        assert {
            key: count for key, count in count_taken(receiver).items() if key != ("p2", "new")
        } == expected
    with recorded.client() as client:
        assert client.get("rfctl:shards") == f"{shards}/2"


async def test_daemon_beside_a_living_older_one_waits_and_says_so(
    recorded: RedisServer, shards: int, tmp_path: Path
) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text(f'redis.url = "{recorded.url}"\nredis.shards = {shards}\n')
    with recorded.client() as client:
        now = int(client.time()[0]) * 1000
        older = DaemonRecord(id="old", host="h", pid=7, version="0.1.0", role="all", beat_ms=now + 3_600_000)
        fields = msgspec.to_builtins(older)
        del fields["layout"]
        client.hset("rfctl:daemons", "old", json.dumps(fields))
        async with start(settings) as daemon:
            waiting = await asyncio.to_thread(daemon.wait_for_event, "redis_unavailable")
            assert "an older rfctl still runs" in waiting["problem"]
            assert "h (pid 7, version 0.1.0)" in waiting["problem"]
            assert client.get("rfctl:shards") == str(shards)
            lost = await asyncio.to_thread(daemon.wait_for_event, "readiness_lost")
            assert lost["reason"] == "layout", "an operator looks for an error of Redis otherwise"
            client.hdel("rfctl:daemons", "old")
            await asyncio.to_thread(daemon.wait_for_event, "readiness_gained")
        assert client.get("rfctl:shards") == f"{shards}/2"
