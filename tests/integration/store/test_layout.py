"""Data of layout 1 is taken along to layout 2, whatever happens meanwhile, on a real server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rfctl.errors import OtherLayoutError, RedisCannotNowError, RedisUnreachableError
from rfctl.model.message import Message
from rfctl.model.slots import shard_tags
from rfctl.store import DaemonRecord, Keyspace, Store, replies
from rfctl.store.batch_keys import dedupe_key
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.keys import COMMON
from tests.support.servers import RedisServer, patient_address

PHONES = [f"7900{number:07d}" for number in range(40)]


class FailingConnection(Connection):
    """A connection that is cut at its n-th call."""

    calls_left = 0

    def _count(self) -> None:
        if self.calls_left <= 0:
            raise RedisUnreachableError("cut")
        self.calls_left -= 1

    async def call(self, *command: bytes | str | float, is_optional: bool = False) -> Any:
        self._count()
        return await super().call(*command, is_optional=is_optional)

    async def run(self, *args: Any) -> Any:
        self._count()
        return await super().run(*args)


def message(phone: str, text: str = "x", **more: Any) -> Message:
    return Message(phone=phone, text=text, id=text, channel="generic", **more)


async def write_layout_1(connection: Connection, shards: int, **rules: Any) -> Rig:
    """Write batches, merged messages and ids as an rfctl of layout 1 had them."""
    rig = make_rig(connection, shards, **rules)
    await rig.add([message(phone, "gone") for phone in PHONES])
    await rig.drain()
    await rig.add([message(phone, chat="family" if place % 2 else "") for place, phone in enumerate(PHONES)])
    for shard in rig.shards:
        await connection.call("DEL", shard.phones, shard.ids)
        for key in replies.texts(await connection.call("KEYS", f"{shard.ids}:*")):
            await connection.call("DEL", key)
    parked = {tag: f"p{number}" for number, tag in enumerate(shard_tags(shards))}
    for tags in (parked, {f"p{number}": str(number) for number in range(shards)}):
        for old, new in tags.items():
            for name in replies.texts(await connection.call("KEYS", f"*{{{old}}}*")):
                await connection.call("RENAME", name, name.replace(f"{{{old}}}", f"{{{new}}}"))
    await connection.call("SET", COMMON.layout, shards)
    return rig


async def check(rig: Rig, store: Store) -> None:
    """Everything is where layout 2 looks for it, once."""
    for place, phone in enumerate(PHONES):
        [batch_key] = await store.batches.find_batches(phone)
        batch = await store.batches.peek(batch_key)
        assert batch is not None
        assert [(item.text, item.chat) for item in batch.messages] == [("x", "family" if place % 2 else "")]
        assert batch.due_ms is not None
    assert sorted(merged.phone for merged in await rig.collect()) == sorted(PHONES)
    await rig.drain()
    assert len(await rig.collect()) == 2 * len(PHONES)


@pytest.mark.parametrize("shards", [0, 4, 10])
async def test_data_of_layout_1_is_taken_along_at_the_first_start(
    connection: Connection, shards: int
) -> None:
    rig = await write_layout_1(connection, shards)
    store = Store(connection, Keyspace(shards))
    with pytest.raises(OtherLayoutError, match="layout 1"):
        await store.check_layout()
    await store.claim_layout()
    await store.claim_layout()
    assert await connection.call("GET", COMMON.layout) == f"{shards}/2".encode()
    await check(rig, store)


@pytest.mark.parametrize("shards", [0, 4])
async def test_move_that_is_cut_off_anywhere_goes_on_at_the_next_start(
    server: RedisServer, connection: Connection, shards: int
) -> None:
    failing = FailingConnection.open(patient_address(server.url))
    assert isinstance(failing, FailingConnection)
    position, is_cut = 0, True
    while is_cut:
        await connection.call("FLUSHALL")
        rig = await write_layout_1(connection, shards)
        failing.calls_left = position
        try:
            await Store(failing, Keyspace(shards)).claim_layout()
            is_cut = False
        except RedisUnreachableError:
            assert await connection.call("GET", COMMON.layout) != str(shards).encode() or position < 8
        store = Store(connection, Keyspace(shards))
        await store.claim_layout()
        await check(rig, store)
        position += 1 if position < 12 else 7
    await failing.close()
    assert position > 8, "no call was cut off"


async def test_key_that_a_slower_daemon_would_move_back_stays(connection: Connection) -> None:
    rig = await write_layout_1(connection, 4)
    store = Store(connection, Keyspace(4))
    await store.claim_layout()
    with pytest.raises(Exception, match="the layout is not 4/1a any more"):
        await connection.run("move_key", rig.shards[0], [COMMON.layout, "rfctl:a", "rfctl:b"], ["4/1a"])
    await check(rig, store)


async def test_living_older_daemon_refuses_the_move_in_words(connection: Connection) -> None:
    rig = await write_layout_1(connection, 0)
    now = await rig.store.now_ms()
    older = DaemonRecord(id="old", host="h", pid=7, version="0.1.0", role="all", beat_ms=now)
    fields: dict[str, Any] = msgspec.to_builtins(older)
    del fields["layout"]
    await connection.call("HSET", COMMON.daemons, "old", msgspec.json.encode(fields))
    store = Store(connection, Keyspace())
    with pytest.raises(RedisCannotNowError, match=r"an older rfctl still runs .* h \(pid 7, version 0.1.0\)"):
        await store.claim_layout()
    assert await connection.call("GET", COMMON.layout) == b"0"
    await connection.call("HDEL", COMMON.daemons, "old")
    await store.claim_layout()
    await check(rig, store)


async def test_other_number_of_shards_is_refused_before_anything_moves(connection: Connection) -> None:
    rig = await write_layout_1(connection, 4)
    with pytest.raises(OtherLayoutError, match=r"laid out for redis.shards = 4, not 0"):
        await Store(connection, Keyspace(0)).claim_layout()
    store = Store(connection, Keyspace(4))
    await store.claim_layout()
    await check(rig, store)


@pytest.mark.parametrize("shards", [0, 4])
async def test_id_that_layout_1_has_seen_is_not_taken_again(connection: Connection, shards: int) -> None:
    rig = await write_layout_1(connection, shards)
    phone = PHONES[0]
    number = rig.store._keyspace.index_of(phone)
    bucket = await rig.store.now_ms() // 86_400_000
    sets = f"rfctl:{{{number}}}:seen:86400:{bucket}" if shards else f"rfctl:seen:86400:{bucket}"
    await connection.call("SADD", sets, dedupe_key(phone, "generic", "", "", "seen"))
    await rig.store.claim_layout()
    assert [added.added for added in await rig.add([message(phone, "seen"), message(phone, "new")])] == [
        False,
        True,
    ]


@pytest.mark.parametrize("stored", ["4/3", "0/9"])
async def test_layout_of_a_later_version_is_refused(connection: Connection, stored: str) -> None:
    await connection.call("SET", COMMON.layout, stored)
    with pytest.raises(OtherLayoutError, match="has layout"):
        await Store(connection, Keyspace(int(stored[0]))).claim_layout()


async def test_other_output_stream_is_refused(connection: Connection) -> None:
    """What waits for another attempt at a sink is found by its place in the stream that was there first."""
    await Store(connection, Keyspace(0, "merged")).claim_layout()
    other = Store(connection, Keyspace(0, "elsewhere"))
    for check in (other.claim_layout, other.check_layout):
        with pytest.raises(OtherLayoutError, match="in merged, not in elsewhere") as refused:
            await check()
        assert refused.value.next.startswith("set output.stream to merged")
    await Store(connection, Keyspace(0, "merged")).claim_layout()
