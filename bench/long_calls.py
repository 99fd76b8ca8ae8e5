"""Whether any call of rfctl holds Redis for long, over much data: python -m bench long-calls [SCENARIO …]

Each scenario fills a server of its own (Debian's redis-server, or RFCTL_BENCH_SERVER=embedded), and then does what rfctl
does. The times are the server's own. A call over 5 ms is named with its script. Another scenario is another function in
SCENARIOS.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bench.filling import PATIENT_MS, build_message, fill
from bench.server_times import read_times, read_version, reset_times, start_server
from rfctl import __version__
from rfctl.batching import Batcher, BatchingRules, Policy, Timers
from rfctl.observe import findings
from rfctl.observe.snapshot import take_snapshot
from rfctl.store import BatchOptions, Keyspace, Store, replies
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from rfctl.store.sweep import Sweep

Scenario = Callable[[Store, Connection], Coroutine[Any, Any, str]]
A_DAY, A_REQUEST = Timers(86_400_000, 1_000, 86_400_000), 100
FILL_STREAM = """
for i = 1, ARGV[1] do
  redis.call('XADD', 'rfctl:out', '*', 'phone', '79001234567', 'company', '', 'text', string.rep('x', 100), 'count', 2,
    'reason', 'quiet', 'first_ms', 1, 'last_ms', 2, 'late_ms', 0, 'channel', 'generic', 'messages', string.rep('y', 300))
end
"""


async def trim_by_age(store: Store, connection: Connection) -> str:
    """Trim 600,000 entries that are too old."""
    return await _trim(store, connection, retention_s=0, retention_entries=10**9)


async def trim_by_number(store: Store, connection: Connection) -> str:
    """Trim 600,000 entries that are too many."""
    return await _trim(store, connection, retention_s=86_400, retention_entries=0)


async def _trim(store: Store, connection: Connection, *, retention_s: int, retention_entries: int) -> str:
    for _ in range(60):
        await connection.call("EVAL", FILL_STREAM, 0, 10_000)
    await connection.call("XGROUP", "CREATE", store.shards[0].out, "bot", "$")
    await asyncio.sleep(0.01)
    await reset_times(connection)
    return f"{await store.output.trim(retention_s=retention_s, retention_entries=retention_entries)} entries"


async def discard_pages(store: Store, connection: Connection) -> str:
    """Count 100,000 batches, and go through all of their keys; discard 2,000 of them."""
    await fill(connection, 100_000, 2, 100)
    await reset_times(connection)
    keys = [batch_key async for batch_key in store.pending_keys.iterate()]
    for batch_key in keys[:2000]:
        assert len(await store.batches.discard(batch_key)) == 2
    return f"{await store.pending_keys.count()} batches left"


async def sweep(store: Store, connection: Connection) -> str:
    """Sweep 100,000 lists, of which 1,000 are in no index."""
    await fill(connection, 100_000, 2, 100)
    for number in range(1000):
        await connection.call("ZREM", store.shards[0].due, f"7{number:010d}")
    await reset_times(connection)
    report = await Sweep(connection, Keyspace(), pause_s=0).run("bench")
    assert report is not None
    return f"{report.put_back} put back"


async def show_stats(store: Store, connection: Connection) -> str:
    """Take ten snapshots and ten lines of the log over 100,000 pending batches of two small messages."""
    await fill(connection, 100_000, 2, 100)
    return await _show_stats(store, connection)


async def show_stats_of_large(store: Store, connection: Connection) -> str:
    """Do the same over 10,000 pending messages of 64 kB."""
    await fill(connection, 10_000, 1, 65_536)
    return await _show_stats(store, connection)


async def _show_stats(store: Store, connection: Connection) -> str:
    await reset_times(connection)
    for _ in range(10):
        snapshot = await take_snapshot(store, [])
        findings(snapshot)
        await store.pending_counts(limit=10)
    return f"{snapshot.pending.batches} batches"


def hand_over_batches_of(size: int) -> Scenario:
    """Return a scenario that hands over 100,000 batches of so many small messages."""

    async def hand_over(store: Store, connection: Connection) -> str:
        await fill(connection, 100_000, size, 100, due_in_ms=-(10**6))
        return await _hand_over(store, connection)

    return hand_over


async def hand_over_large(store: Store, connection: Connection) -> str:
    """Hand over 1,000 batches of ten messages of 64 kB, the longest text that is taken by default."""
    await fill(connection, 1_000, 10, 65_536, due_in_ms=-(10**6))
    return await _hand_over(store, connection)


async def _hand_over(store: Store, connection: Connection) -> str:
    await reset_times(connection)
    batches, is_left = 0, True
    while is_left:
        result = await store.batches.hand_over(longest_ms=600_000)
        batches, is_left = batches + result.batches, result.more
    return f"{batches} batches"


def add_messages(count: int, text_chars: int) -> Scenario:
    """Return a scenario that stores so many messages of so many letters, as many at once as one request has."""

    async def add(store: Store, connection: Connection) -> str:
        batcher = Batcher(store, BatchingRules(Policy(A_DAY, ())))
        await reset_times(connection)
        for first in range(0, count, A_REQUEST):
            numbers = range(first, first + A_REQUEST)
            await batcher.add([build_message(f"7{n % 10_000:010d}", n, "ж" * text_chars) for n in numbers])
        return f"{count} messages"

    return add


async def find_person(store: Store, connection: Connection) -> str:
    """Find and read one person's batches among 100,000, a hundred times."""
    await fill(connection, 100_000, 2, 100)
    await reset_times(connection)
    for number in range(100):
        [batch_key] = await store.batches.find_batches(f"7{number:010d}")
        assert await store.batches.peek(batch_key)
    return "100 persons"


SCENARIOS: dict[str, Scenario] = {
    "trim-age": trim_by_age,
    "trim-number": trim_by_number,
    "discard": discard_pages,
    "sweep": sweep,
    "stats": show_stats,
    "stats-large": show_stats_of_large,
    **{f"hand-over-{size}": hand_over_batches_of(size) for size in (1, 3, 9, 19)},
    "hand-over-large": hand_over_large,
    "add": add_messages(100_000, 20),
    "add-large": add_messages(2_000, 32_768),
    "find": find_person,
}


async def measure(name: str) -> bool:
    """Run a scenario and print its line; returns whether no call took over 5 ms."""
    server = start_server()
    connection = Connection.open(RedisAddress(server.url, "bench", timeout_ms=PATIENT_MS))
    try:
        store = Store(connection, Keyspace(), BatchOptions())
        await store.claim_layout()
        outcome = await SCENARIOS[name](store, connection)
        times = await read_times(connection)
        used = (
            replies.text(await connection.call("INFO", "memory"))
            .partition("used_memory_human:")[2]
            .split()[0]
        )
        print(f"{name:16} {times}; {outcome}, {used}", flush=True)
        return not times.slow
    finally:
        await connection.close()
        server.stop()


def main() -> int:
    """Measure the scenarios of the command line, by default all. Returns 1 if a call took over 5 ms."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS])
    names = parser.parse_args().scenario or list(SCENARIOS)
    server = start_server()
    print(f"rfctl {__version__}, Python {platform.python_version()}, {read_version(server)}")
    server.stop()
    are_short = [asyncio.run(measure(name)) for name in names]
    return int(not all(are_short))


if __name__ == "__main__":
    sys.exit(main())
