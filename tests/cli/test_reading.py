"""Commands that only read work for a user of Redis who may not write, and try no write."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from rfctl.model.message import Message
from rfctl.sinks.contract import DeliveryError
from rfctl.store import Keyspace
from rfctl.store.connection import Connection
from rfctl.store.rights import build_rights
from tests.support.batching import make_rig
from tests.support.keys import COMMON, SHARD
from tests.support.processes import rfctl
from tests.support.servers import RedisServer, patient_address
from tests.support.users import list_denials, make_user
from tests.support.waiting import PATIENCE_S

READING = [
    ["stats"], ["-o", "json", "stats"], ["inspect", "7"], ["dead", "list"], ["quarantine", "list"],
    ["config", "show"], ["config", "check"], ["config", "explain", "redis.url"], ["export", "acl"],
]  # fmt: skip


@pytest.fixture
async def reader(server: RedisServer) -> str:
    """The URL of a user who may do what rfctl may, but for all that writes; something is pending, delivered and dead."""
    connection = Connection.open(patient_address(server.url))
    rig = make_rig(connection)
    await rig.store.claim_layout()
    await rig.add([Message(phone="7", text="x", id="1", channel="generic")])
    await rig.drain("flush")
    queue = rig.store.deliveries("crm")
    await queue.open()
    await queue.lease("d", 60_000)
    [entry] = await queue.read_new(10, 1, "d") or []
    await queue.dead_letter(entry, str(DeliveryError("no")))
    await rig.add([Message(phone="7", text="y", id="2", channel="generic")])
    parts = ("source", "generic", "type", "generic", "why", "no", "body", "{}")
    await connection.call("XADD", COMMON.quarantine, "*", *parts)
    await connection.close()
    return make_user(server, build_rights(Keyspace(), 0), "-@write")


@pytest.mark.parametrize("line", READING, ids=lambda line: " ".join(line))
def test_reading_command_tries_no_write(
    server: RedisServer, tmp_path: Path, reader: str, line: list[str]
) -> None:
    before = read_all(server)
    with server.client() as client:
        client.execute_command("ACL", "LOG", "RESET")
    result = rfctl(
        tmp_path,
        *line,
        RFCTL_REDIS__URL=reader,
        RFCTL_SINKS__CRM__TYPE="http",
        RFCTL_SINKS__CRM__URL="https://example.com/",
    )
    assert (result.returncode, drop_notes(result.stderr)) == (0, "")
    assert [what for what in list_denials(server) if not what.startswith("client")] == []
    assert read_all(server) == before


@pytest.mark.parametrize("line", READING[:5], ids=lambda line: " ".join(line))
def test_reading_command_leaves_a_jump_of_the_clock_to_others(
    server: RedisServer, tmp_path: Path, reader: str, line: list[str]
) -> None:
    with server.client() as client:
        seconds, _ = client.time()
        client.hset(SHARD.clock, "seen", (int(seconds) + 3600) * 1000)
    test_reading_command_tries_no_write(server, tmp_path, reader, line)


def read_all(server: RedisServer) -> dict[str, bytes]:
    with redis.Redis.from_url(server.url, socket_timeout=PATIENCE_S) as client:
        return {key.decode(): client.dump(key) for key in client.scan_iter()}


def drop_notes(text: str) -> str:
    """Return standard error without what `quarantine list` says of the next step."""
    return "".join(line for line in text.splitlines(keepends=True) if "rfctl source try SOURCE" not in line)
