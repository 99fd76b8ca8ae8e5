"""The delivery log on a real server: read by phone, sink and time, trimmed by age and bytes, forgotten by phone."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.store import LoggedDelivery, ShardKeys
from rfctl.store.connection import Connection
from rfctl.store.delivery_log import encode_delivery
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock

ANNA, BORIS = "79000000001", "79000000002"


@pytest.fixture(params=[0, 4])
def rig(request: Any, timed: Connection) -> Rig:
    return make_rig(timed, request.param)


def outcome(phone: str, number: int, sink: str = "crm", **more: Any) -> LoggedDelivery:
    return LoggedDelivery(0, phone, sink, f"{number}-0", "delivered", **more)


async def write(rig: Rig, *deliveries: LoggedDelivery) -> None:
    """Write them a second apart, each on the shard of its phone."""
    for second, delivery in enumerate(deliveries, 1):
        shard = shard_of(rig, delivery.phone)
        fields = encode_delivery(delivery)
        await rig.connection.call("XADD", shard.log, f"{second * 1000}-*", *fields)


def shard_of(rig: Rig, phone: str) -> ShardKeys:
    return rig.shards[0 if phone == ANNA else -1]


async def read(rig: Rig, **choice: Any) -> list[tuple[int, str, str]]:
    log = rig.store.delivery_log
    return [(item.at_ms, item.phone, item.sink) async for item in log.iterate(**choice)]


async def test_outcomes_are_read_newest_first_by_phone_sink_and_time(rig: Rig) -> None:
    assert await read(rig) == []
    written = [outcome(ANNA, 1), outcome(BORIS, 2), outcome(ANNA, 3, "bot"), outcome(BORIS, 4, "bot")]
    await write(rig, *written)
    everything = [(4000, BORIS, "bot"), (3000, ANNA, "bot"), (2000, BORIS, "crm"), (1000, ANNA, "crm")]
    assert await read(rig) == everything
    assert await read(rig, phone=ANNA) == [everything[1], everything[3]]
    assert await read(rig, sink="crm") == everything[2:]
    assert await read(rig, since_ms=3000) == everything[:2]
    assert await read(rig, phone=BORIS, sink="bot", since_ms=4001) == []
    assert await rig.store.delivery_log.count() == 4


async def test_outcome_comes_back_as_it_was_written(rig: Rig) -> None:
    shard = shard_of(rig, BORIS)
    written = LoggedDelivery(0, BORIS, "crm", "7-1", "dead", attempts=12, took_ms=8)
    await rig.store.delivery_log.write(shard, written)
    [logged] = [item async for item in rig.store.delivery_log.iterate()]
    message_id = f"7-1-{shard.number}" if shard.number else "7-1"
    assert logged == LoggedDelivery(logged.at_ms, BORIS, "crm", message_id, "dead", 12, 8)
    await rig.connection.call("XADD", shard.log, "*", "odd", "x")
    odd, _ = [item async for item in rig.store.delivery_log.iterate()]
    assert (odd.phone, odd.attempts, odd.took_ms) == ("", 1, None)


async def test_long_log_is_read_whole_in_short_calls(timed: Connection) -> None:
    rig = make_rig(timed)
    key = rig.shards[0].log
    await timed.calls(
        [
            ("XADD", key, f"{number}-1", *encode_delivery(outcome(BORIS if number % 5 else ANNA, number)))
            for number in range(1, 2501)
        ]
    )
    assert [at_ms for at_ms, _, _ in await read(rig, phone=ANNA)] == list(range(2500, 0, -5))
    assert len(await read(rig)) == 2500


async def test_forgotten_phone_is_in_the_log_no_more(rig: Rig) -> None:
    await write(rig, outcome(ANNA, 1), outcome(BORIS, 2), outcome(ANNA, 3))
    assert await rig.store.delivery_log.forget(ANNA) == 2
    assert await read(rig) == [(2000, BORIS, "crm")]
    assert await rig.store.delivery_log.forget(ANNA) == 0


async def fill(connection: Connection, key: str, count: int, at_ms: int) -> None:
    fields = encode_delivery(outcome(ANNA, 1758000000000))
    await connection.calls([("XADD", key, f"{at_ms}-{place}", *fields) for place in range(1, count + 1)])


async def test_log_is_trimmed_by_age(rig: Rig, clock: VirtualClock) -> None:
    log, key, now = rig.store.delivery_log, rig.shards[-1].log, await rig.store.now_ms()
    await fill(rig.connection, key, 1000, now - 10_000)
    await fill(rig.connection, key, 300, now)
    assert await log.trim(retention_s=20, max_bytes=10**9) == 0
    assert await log.trim(retention_s=5, max_bytes=10**9) >= 900
    assert 300 <= await log.count() <= 400
    await clock.advance(20_000)
    await log.trim(retention_s=5, max_bytes=10**9)
    assert await log.count() <= 100


async def test_log_is_trimmed_by_bytes(rig: Rig) -> None:
    log, key, now = rig.store.delivery_log, rig.shards[-1].log, await rig.store.now_ms()
    await fill(rig.connection, key, 5000, now)
    before = int(await rig.connection.call("MEMORY", "USAGE", key))
    share = len(rig.shards)
    await log.trim(retention_s=10**6, max_bytes=share * before // 2)
    assert 2300 <= await log.count() <= 2700
    after = int(await rig.connection.call("MEMORY", "USAGE", key))
    assert after < 0.6 * before
    await log.trim(retention_s=10**6, max_bytes=0)
    assert await log.count() <= 100
