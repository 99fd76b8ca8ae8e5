"""No call holds Redis for long, however much comes at once or is due at once, on a real server."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.model.message import Message
from rfctl.observe.snapshot import take_snapshot
from rfctl.store import ConfiguredSink, replies
from rfctl.store.connection import Arguments, Connection, Keys
from rfctl.store.keys import ShardKeys
from rfctl.store.packed import unpack
from tests.support.batching import make_rig
from tests.support.clock import VirtualClock
from tests.support.servers import RedisServer, patient_address

MOST_MESSAGES, MOST_BYTES = 64, 300_000


class MeasuringConnection(Connection):
    """A connection that notes how many messages, and how many bytes, each call of `add` has."""

    calls_of_add: list[tuple[int, int]]

    async def run(self, verb: str, shard: ShardKeys, keys: Keys, args: Arguments) -> Any:
        if verb == "add":
            words = unpack(args)
            size = sum(len(word) for word in words if isinstance(word, bytes))
            self.calls_of_add.append(((len(words) - 8) // 5, size))
        return await super().run(verb, shard, keys, args)


def message(number: int, text: str, phone: str = "79001234567") -> Message:
    return Message(phone=phone, text=text, id=str(number), channel="generic")


@pytest.mark.parametrize("shards", [0, 4])
@pytest.mark.parametrize(("count", "text_bytes"), [(1, 1_000_000), (65, 10), (1000, 10), (40, 60_000)])
async def test_request_with_many_messages_is_stored_in_short_calls(
    server: RedisServer, connection: Connection, shards: int, count: int, text_bytes: int
) -> None:
    measuring = MeasuringConnection.open(patient_address(server.url))
    assert isinstance(measuring, MeasuringConnection)
    measuring.calls_of_add = []
    rig = make_rig(measuring, shards, max_size=10_000)
    try:
        results = await rig.add([message(number, "x" * text_bytes) for number in range(count)])
    finally:
        await measuring.close()
    assert [result.size for result in results] == list(range(1, count + 1))
    assert sum(messages for messages, _ in measuring.calls_of_add) == count
    for messages, size in measuring.calls_of_add:
        assert messages <= MOST_MESSAGES
        assert messages == 1 or size <= MOST_BYTES


async def test_repeat_in_a_later_call_of_one_request_is_a_repeat(connection: Connection) -> None:
    rig = make_rig(connection, max_size=10_000)
    results = await rig.add([message(number % 100, "x") for number in range(200)])
    assert [result.added for result in results] == [True] * 100 + [False] * 100


async def test_hand_over_of_large_batches_takes_few_a_call(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, max_size=100)
    for person in range(5):
        await rig.add([message(number, "x" * 60_000, f"7900000000{person}") for number in range(10)])
    await clock.advance(60_000)
    counts, more = [], True
    while more:
        handed_over = await rig.hand_over()
        counts.append(handed_over.batches)
        more = handed_over.more
    assert counts == [1] * 5
    assert len(await rig.collect()) == 5


async def test_snapshot_reads_no_message(connection: Connection) -> None:
    """A daemon takes one every minute: it must not hold what waits there, however large."""
    rig = make_rig(connection, max_size=2)
    await rig.add([message(0, "x" * 1_000_000), message(1, "x" * 1_000_000)])
    await rig.add([message(2, "x" * 1_000_000, "79000000000")])
    for sinks in (
        [],
        [ConfiguredSink("crm", "http", "rfctl:crm"), ConfiguredSink("other", "http", "rfctl:other")],
    ):
        before = await read_bytes_out(connection)
        snapshot = await take_snapshot(rig.store, sinks)
        await rig.store.pending_counts(limit=10)
        assert await read_bytes_out(connection) - before < 200_000
        assert (snapshot.pending.batches, snapshot.pending.out_length) == (1, 1)
        assert [status.oldest_ms is not None for status in snapshot.sinks] == [True] * len(sinks)
        await rig.store.output.ensure_groups(["rfctl:crm"])
    assert snapshot.unread is None


async def read_bytes_out(connection: Connection) -> int:
    """Return how many bytes the server has sent to its clients."""
    lines = replies.text(await connection.call("INFO", "stats")).splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("total_net_output_bytes:"))
