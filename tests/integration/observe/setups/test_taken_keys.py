"""Keys of rfctl that another program has written: each is named, with a cure that takes it away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rfctl.store.keys import Keyspace
from rfctl.store.taken_keys import list_all_key_types
from tests.integration.observe.setups.site import Site
from tests.support.processes import rfctl

PHONE = "79001234567"
CODES = {"key_taken", "record_key_taken"}
KEYS = list_all_key_types(Keyspace().all()[0], ["bot"])


def take(site: Site, key: str) -> None:
    """Put a value of another kind there, as another program would."""
    site.run("DEL", key)
    site.run(*(("RPUSH", key, "x") if KEYS[key] == "string" else ("SET", key, "x")))


async def test_each_key_of_another_kind_is_named_and_its_cure_takes_it_away(site: Site) -> None:
    site.shell = site.configure(sinks__bot__type="list", sinks__bot__key="bot")
    assert {"rfctl:due", "rfctl:out", "rfctl:totals", "rfctl:ids", "rfctl:paused", "rfctl:log"} < set(KEYS)
    for key in KEYS:
        take(site, key)
        lines = [line for line in (await site.diagnose()).lines if line.code in CODES]
        assert [line.subject for line in lines] == [key]
        assert f"{key} holds a {'list' if KEYS[key] == 'string' else 'string'}" in lines[0].fact
        site.follow(lines[0].fix)
        assert site.run("EXISTS", key, f"{key}.taken") == 1
        site.run("DEL", f"{key}.taken")
        assert CODES.isdisjoint(line.code for line in (await site.diagnose()).lines)


async def test_index_of_another_kind_is_the_first_line(site: Site) -> None:
    await site.start()
    await site.wait_until_clean()
    take(site, "rfctl:due")
    line = await site.wait_for_first("key_taken", "rfctl:due holds a string, and rfctl keeps a zset there")
    assert line.state == "fail"
    site.follow(line.fix)
    await site.wait_until_clean()


async def test_delivery_log_of_another_kind_is_a_warning_and_stops_nothing(site: Site) -> None:
    site.shell = site.configure(sinks__bot__type="list", sinks__bot__key="bot", batching__quiet_ms=50)
    daemon = await site.start()
    await site.wait_until_clean()
    take(site, "rfctl:log")
    line = await site.wait_for_first("record_key_taken", "rfctl:log holds a string")
    assert line.state == "warn"
    assert await site.post(daemon, PHONE) == 200
    for command in (["find", PHONE], ["tail", "--since", "1h"]):
        failed = await run(site, *command)
        assert failed.returncode != 0
        assert "rfctl:log holds a string, and rfctl keeps a stream there" in failed.stderr
        assert "RENAME rfctl:log rfctl:log.taken" in failed.stderr
        assert "Traceback" not in failed.stderr
    site.follow(line.fix)
    await site.wait_until_clean()
    assert (await run(site, "find", PHONE)).returncode == 0


async def run(site: Site, *line: str) -> Any:
    variables: dict[str, Any] = {"RFCTL_REDIS__URL": site.server.url}
    return await asyncio.to_thread(rfctl, site.folder, *line, **variables)


@pytest.mark.parametrize("command", [["stats"], ["find", PHONE], ["inspect", PHONE], ["dead", "list"]])
async def test_command_that_fails_for_a_key_names_it(site: Site, command: list[str]) -> None:
    for key in ("rfctl:due", "rfctl:dead", "rfctl:phones"):
        take(site, key)
    failed = await run(site, *command)
    assert failed.returncode == 78
    assert "rfctl:due holds a string, and rfctl keeps a zset there" in failed.stderr
    assert "Traceback" not in failed.stderr
