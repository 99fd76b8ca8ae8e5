"""What an id costs in Redis, and how long Redis is busy when a window of ids ends: python -m bench ids [COUNT …]

Ids come through the script `add` of rfctl, on Debian's redis-server (or RFCTL_BENCH_SERVER=embedded), by a clock that
this program moves. Bytes are the growth of used_memory by the ids alone, divided by their number: everything else that
`add` wrote is deleted before it is read. Times are those of the server itself, from LATENCY HISTOGRAM and SLOWLOG. It
ends by itself; a million ids a shape take some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time

from bench.server_times import read_times, read_version, reset_times, start_server
from rfctl import __version__
from rfctl.model.message import Message
from rfctl.store import Addition, BatchOptions, Keyspace, Terms, begin_digest, end_digest, replies
from rfctl.store.address import RedisAddress
from rfctl.store.batches import Batches
from rfctl.store.connection import Connection
from tests.support.clock import VirtualClock

COUNTS = (100_000, 1_000_000)
SLICES = 10
SHAPES = {
    "even": [1] * SLICES,
    "burst first": [91, *[1] * (SLICES - 1)],
    "burst last": [*[1] * (SLICES - 1), 91],
}
"""Traffic of one window: how many of the ids come in each slice of it, as shares."""
WINDOW_S = 86_400
A_CALL = 50
BAR_BYTES = 25
[SHARD] = Keyspace().all()
TERMS = Terms(WINDOW_S, 5000, 10**9, 60_000)


async def add_ids(batches: Batches, first: int, count: int, a_call: int = A_CALL) -> None:
    """Add messages with these ids, in calls of a few messages, and delete what is pending again."""
    message = Message(phone="7", text="x", id="x", channel="generic")
    for start in range(first, first + count, a_call):
        page = range(start, min(start + a_call, first + count))
        additions = [
            Addition(message, "7", end_digest(begin_digest(str(number)), "generic"), TERMS) for number in page
        ]
        added = await batches.add(additions)
        assert all(result.added for result in added), "an id was taken for another"


async def delete_all_but_ids(connection: Connection) -> None:
    """Delete what the script wrote besides the ids."""
    others = [SHARD.due, SHARD.out, SHARD.totals, SHARD.batch_prefix + "7", SHARD.last_prefix + "7"]
    await connection.call("DEL", *others)


async def read_used_bytes(connection: Connection) -> int:
    """Return the bytes that Redis has allocated; buffers of clients are freed by then."""
    lines = replies.text(await connection.call("INFO", "memory")).splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("used_memory:"))


async def end_window(connection: Connection, clock: VirtualClock, batches: Batches, first: int) -> int:
    """Let the window of everything end, and go on with little traffic until nothing of it is left.

    Returns how many calls that took.
    """
    await clock.advance(WINDOW_S * 500 + 1)
    await add_ids(batches, first, 1)
    before = set(replies.texts(await connection.call("KEYS", f"{SHARD.ids}:*")))
    await clock.advance(WINDOW_S * 1000 + 1)
    calls = 1
    while True:
        await add_ids(batches, first + calls, 500, 1)
        calls += 500
        if len(before & set(replies.texts(await connection.call("KEYS", f"{SHARD.ids}:*")))) <= 1:
            return calls


async def measure(shape: str, count: int) -> float:
    """Print the line of a shape; returns the bytes an id."""
    server = start_server()
    ordinary = Connection.open(RedisAddress(server.url, "bench"))
    clock = await VirtualClock.start(ordinary)
    connection = clock.open(RedisAddress(server.url, "bench"))
    batches = Batches(connection, Keyspace(), BatchOptions())
    try:
        await add_ids(batches, 10**12, 1)
        await delete_all_but_ids(connection)
        empty, began, first = await read_used_bytes(connection), time.monotonic(), 0
        await reset_times(connection)
        for share in SHAPES[shape]:
            part = count * share // sum(SHAPES[shape])
            await add_ids(batches, first, part)
            await connection.call("DEL", SHARD.batch_prefix + "7")
            first += part
            await clock.advance(WINDOW_S * 1000 // (SLICES + 2))
        adding = await read_times(connection)
        await delete_all_but_ids(connection)
        bytes_an_id = (await read_used_bytes(connection) - empty) / first
        await reset_times(connection)
        await end_window(connection, clock, batches, 10**9)
        ending = await read_times(connection)
        await delete_all_but_ids(connection)
        left = (await read_used_bytes(connection) - empty) / 1e6
        took = time.monotonic() - began
        print(
            f"{first:>8} {shape:12} {bytes_an_id:6.1f} B an id, {left:.1f} MB left behind the window, {took:.0f} s"
        )
        print(f"{'':22}adding: {adding}\n{'':22}ending: {ending}", flush=True)
        return bytes_an_id
    finally:
        await connection.close()
        await ordinary.close()
        server.stop()


def main() -> int:
    """Measure every shape with so many ids. Returns 1 if an id costs more than the bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", nargs="*", type=int)
    counts = parser.parse_args().count or COUNTS
    server = start_server()
    try:
        version = read_version(server)
    finally:
        server.stop()
    print(
        f"rfctl {__version__}, Python {platform.python_version()}, {version}; the bar is {BAR_BYTES} B an id"
    )
    costs = [asyncio.run(measure(shape, count)) for count in counts for shape in SHAPES]
    return int(max(costs) > BAR_BYTES)


if __name__ == "__main__":
    sys.exit(main())
