"""Fills a Redis with pending batches, and reads what has left it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rfctl.batching import Batcher, BatchingRules, Policy, Timers
from rfctl.model.message import Message
from rfctl.model.stored import Merged
from rfctl.store import BatchOptions, Keyspace, Store
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.servers import RedisServer

FILL_BATCHES = """
local first, count, size, bytes, due_in, apart = unpack(ARGV)
local t = redis.call('TIME'); local now = t[1] * 1000
local at = string.format('%.0f', now)
local item = '{"message":"' .. string.rep('x', bytes) .. '","companyId":null,"channel":"generic","messageId":"'
local tail = '","type":"text","metadata":{},"timestamp":1,"receivedAt":' .. at .. ',"waitMs":5000}'
for i = first, first + count - 1 do
  local name = string.format('7%010d', i)
  for place = 1, size do redis.call('RPUSH', 'rapid-fire:' .. name, item .. place .. tail) end
  redis.call('ZADD', 'rfctl:due', string.format('%.0f', now + due_in + i * apart), name)
end
redis.call('HINCRBY', 'rfctl:totals', 'messages_in', count * size)
"""
PROBE_PAUSE_S = 0.005
PATIENT_MS = 120_000


async def fill(
    connection: Connection,
    count: int,
    size: int,
    text_bytes: int,
    due_in_ms: int = 86_400_000,
    apart_ms: int = 1,
) -> None:
    """Write pending batches of `size` messages of so many bytes, due one after another."""
    page = max(1, 10_000_000 // (size * text_bytes))
    for first in range(0, count, page):
        numbers = (first, min(page, count - first), size, text_bytes, due_in_ms, apart_ms)
        await connection.call("EVAL", FILL_BATCHES, 0, *numbers)


@dataclass(frozen=True, slots=True)
class Desk:
    """A store of our own beside a daemon, and a batcher on it."""

    connection: Connection
    store: Store
    batcher: Batcher


@asynccontextmanager
async def open_desk(server: RedisServer, timers: Timers) -> AsyncIterator[Desk]:
    """Give a desk on a Redis, whose messages wait so long."""
    connection = Connection.open(RedisAddress(server.url, "bench", timeout_ms=PATIENT_MS))
    store = Store(connection, Keyspace(), BatchOptions())
    try:
        await store.claim_layout()
        yield Desk(connection, store, Batcher(store, BatchingRules(Policy(timers, ()))))
    finally:
        await connection.close()


def build_message(phone: str, number: int, text: str = "запишите меня") -> Message:
    """Return a message of a phone, whose id has this number."""
    return Message(phone=phone, text=text, id=f"m{number}", channel="generic", company=962302)


async def add_probes(desk: Desk, seconds: float, start: int = 0) -> int:
    """Add a batch of a message every 5 ms for so long. Returns how many.

    Their phones begin with 79, and have a number from `start` on.
    """
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number = start + count
        await desk.batcher.add([build_message(f"79{number:09d}", number)])
        count += 1
        await asyncio.sleep(PROBE_PAUSE_S)
    return count


async def read_merged(desk: Desk, after: str = "0-0") -> list[Merged]:
    """Return all merged messages behind an entry of the output stream."""
    [shard] = desk.store.shards
    return [merged async for merged in desk.store.output.read_on(shard, after)]


async def wait_until_gone(desk: Desk, within_s: float, allowed: int = 0) -> None:
    """Wait until no more than so many batches are pending. Raises TimeoutError."""
    [shard] = desk.store.shards
    async with asyncio.timeout(within_s):
        while int(await desk.connection.call("ZCARD", shard.due)) > allowed:
            await asyncio.sleep(0.05)


def find_percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values is; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0


def describe_lateness(late_ms: Sequence[float]) -> dict[str, float]:
    """Return the columns of lateness, ms."""
    return {
        "late p50 ms": find_percentile(late_ms, 0.5),
        "late p99 ms": find_percentile(late_ms, 0.99),
        "late p99.9 ms": find_percentile(late_ms, 0.999),
        "worst ms": max(late_ms, default=0),
    }
