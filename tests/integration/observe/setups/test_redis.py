"""A Redis that refuses, may lose, or forgets something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rfctl.store.keys import Keyspace
from rfctl.store.rights import build_rights
from tests.integration.observe.setups.site import Site
from tests.support.servers import KINDS, ServerMaker
from tests.support.stepped_clock import SteppedServer, compile_shim
from tests.support.users import make_user

AHEAD_MS = 3_700_000


def set_one(name: str, wrong: str, right: str) -> Callable[[Site], Callable[[], Any]]:
    def break_it(site: Site) -> Callable[[], Any]:
        site.run("CONFIG", "SET", name, wrong)
        return lambda: site.run("CONFIG", "SET", name, right)

    return break_it


def make_replica(site: Site) -> Callable[[], Any]:
    site.run("REPLICAOF", "127.0.0.1", 1)
    return lambda: site.run("REPLICAOF", "NO", "ONE")


SET_UPS = {
    "full": (set_one("maxmemory", "1", "0"), "writes_refused", "its memory is full"),
    "replica": (make_replica, "writes_refused", "it is a replica of 127.0.0.1:1"),
    "evicts": (set_one("maxmemory-policy", "allkeys-lru", "noeviction"), "eviction_enabled", "allkeys-lru"),
    "evicts in part": (set_one("maxmemory-policy", "volatile-lru", "noeviction"), "eviction_partial", "volatile-lru"),
    "append-only file off": (set_one("appendonly", "no", "yes"), "persistence_disabled", "CONFIG SET appendonly yes"),
    "no fsync": (set_one("appendfsync", "no", "everysec"), "fsync_disabled", "CONFIG SET appendfsync everysec"),
    "nearly full": (set_one("maxmemory", "2400000", "0"), "memory_low", "raise maxmemory"),
}  # fmt: skip


@pytest.mark.parametrize("name", SET_UPS)
async def test_setting_of_redis_is_named(site: Site, name: str) -> None:
    break_it, code, words = SET_UPS[name]
    await site.start()
    await site.wait_until_clean()
    if name == "nearly full":
        used = site.client().info("memory")["used_memory"]
        site.run("CONFIG", "SET", "maxmemory", used + 100_000)
        mend: Callable[[], Any] = lambda: site.run("CONFIG", "SET", "maxmemory", 0)  # noqa: E731
    else:
        mend = break_it(site)
    await site.wait_for_first(code, words)
    mend()
    await site.wait_until_clean()


RIGHTS = build_rights(Keyspace(), 0)


@pytest.mark.parametrize(
    ("right", "code"), [("memory|usage", "right_missing"), ("xinfo|groups", "daemon_unready")]
)
async def test_missing_right_is_named_and_its_line_mends_it(
    site: Site, own_server: ServerMaker, right: str, code: str
) -> None:
    await start_as_user(site, own_server)
    site.run("ACL", "SETUSER", "rfctl", f"-{right}")
    line = await site.wait_for_first(code, f"ACL SETUSER rfctl +{right}")
    site.run(*line.fix.partition(" (")[0].split(" "))
    await site.wait_until_clean()


async def start_as_user(site: Site, own_server: ServerMaker) -> None:
    site.server = own_server()
    site.shell = site.configure(url=make_user(site.server, RIGHTS))
    await site.start()
    await site.wait_until_clean()


async def test_user_that_may_run_no_script_is_named(site: Site, own_server: ServerMaker) -> None:
    await start_as_user(site, own_server)
    site.run("ACL", "SETUSER", "rfctl", "-evalsha")
    await site.wait_for_first("daemon_unready", "evalsha", "rfctl export acl")
    make_user(site.server, RIGHTS)
    await site.wait_until_clean()


async def test_emptied_redis_is_named_and_its_counter_can_be_deleted(site: Site) -> None:
    await site.start()
    await site.wait_until_clean()
    site.run("FLUSHALL")
    line = await site.wait_for_first("redis_emptied")
    site.follow(line.fix.replace("find out who; then ", ""))
    await site.wait_until_clean()


async def test_clock_of_redis_that_is_off_by_an_hour_is_named(site: Site, tmp_path: Path) -> None:
    server = SteppedServer(KINDS[0], compile_shim(tmp_path))
    try:
        site.server = server
        server.start()
        site.shell = site.configure()
        await server.step(AHEAD_MS)
        daemon = await site.start()
        await site.wait_for_first("clock_differs", "1 h ", "ahead of this host's", "timedatectl")
        await server.step(-AHEAD_MS)
        await site.wait_until_clean()
        await site.stop(daemon)
    finally:
        server.stop()
