"""Sinks that fill a queue in our Redis work with the rights that `rfctl export acl` prints for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfctl.assembly.rights import build_all_rights
from tests.conftest import configure
from tests.integration.sinks.test_queues import TASKS, TEMPLATE, TYPES, build, delivery
from tests.support.servers import RedisServer
from tests.support.users import list_denials, make_user


def settings(type_: str) -> dict[str, str]:
    task = {} if type_ == "bullmq" else {"sinks__bot__task": TASKS[type_]}
    return {"sinks__bot__type": type_, "sinks__bot__queue": TEMPLATE, **task}


@pytest.mark.parametrize("type_", TYPES)
async def test_queue_is_filled_with_these_rights(server: RedisServer, tmp_path: Path, type_: str) -> None:
    rights = build_all_rights(configure(server.url, tmp_path, **settings(type_)).settings)
    more = " +client|setinfo" if server.read_version() >= (7, 2) else ""
    url = make_user(server, rights, more=more)
    with server.client() as client:
        client.execute_command("ACL", "LOG", "RESET")
    sink = build(type_, url)
    await sink.open()
    for number in (0, 1, 1):
        await sink.deliver(delivery(number))
    await sink.close()
    assert list_denials(server) == []


async def test_bullmq_needs_no_right_to_read_the_time(server: RedisServer, tmp_path: Path) -> None:
    rights = build_all_rights(configure(server.url, tmp_path, **settings("bullmq")).settings)
    sink = build("bullmq", make_user(server, rights, "-time"))
    await sink.open()
    await sink.deliver(delivery(0))
    await sink.close()


def test_queue_in_another_redis_needs_no_right_in_ours(tmp_path: Path) -> None:
    ours = configure("redis://h:1/0", tmp_path).settings
    elsewhere = settings("celery") | {"sinks__bot__url": "redis://other:1/0"}
    theirs = configure("redis://h:1/0", tmp_path, **elsewhere).settings
    assert build_all_rights(theirs) == build_all_rights(ours)
    here = configure("redis://h:1/0", tmp_path, **settings("celery")).settings
    line = build_all_rights(here).grant("rfctl")
    assert "~_kombu*" in line
    assert "~company-*-messages*" in line
    assert "+multi" in line
