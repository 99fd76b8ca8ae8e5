"""A Redis that is there and cannot serve a call now: every cause has its own next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis.exceptions as rx
from redis._parsers.base import BaseParser

from rfctl.errors import TEMPORARY, OverloadedError, RedisCannotNowError
from rfctl.ingest.group_commit import Bounds, GroupCommit
from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store.address import RedisAddress
from rfctl.store.reply_errors import CANNOT_NOW, explain_failure

ADDRESS = RedisAddress("redis://127.0.0.1:1/0", "the test")
ANSWERS = {
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY": "READONLY You can't write against a read only replica.",
    "MISCONF": "MISCONF Errors writing to the AOF file: No space left on device",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED": "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
}
LEADS_TO = {
    "LOADING": "wait", "OOM": "redis-cli info memory", "READONLY": "point redis.url at its master",
    "MISCONF": "disk", "BUSY": "redis-cli script kill", "NOREPLICAS": "start its replicas",
    "MASTERDOWN": "master", "CLUSTERDOWN": "redis-cli cluster info", "TRYAGAIN": "cluster",
    "UNBLOCKED": "redis-cli info replication",
}  # fmt: skip


@pytest.mark.parametrize("read", [BaseParser.parse_error, rx.ResponseError])
@pytest.mark.parametrize("code", ANSWERS)
def test_each_cause_has_the_next_step_that_fits_it(code: str, read: Callable[[str], Exception]) -> None:
    """As redis-py reads the answer, which takes the first word out of some, and as it is."""
    named = explain_failure(read(ANSWERS[code]), ADDRESS)
    assert isinstance(named, RedisCannotNowError)
    assert named.exit_status == TEMPORARY
    assert LEADS_TO[code] in named.next


def test_every_cause_of_refused_writes_is_listed() -> None:
    assert set(CANNOT_NOW) == set(ANSWERS) == set(LEADS_TO)


async def test_an_overloaded_daemon_says_what_to_look_at() -> None:
    async def store(_: Any) -> list[Added]:
        raise AssertionError

    with pytest.raises(OverloadedError) as problem:
        await GroupCommit(store, Bounds(pending=0)).add(
            [Message(phone="a", text="x", id="1", channel="generic")]
        )
    assert "rfctl stats" in problem.value.next
