"""How many messages a second one daemon takes in over HTTP, and how late batches leave meanwhile: python -m bench ingest

One daemon process on a server of its own (AOF always), 64 keep-alive connections on loopback that send one message
a request for ten seconds. The clients share the machine's cores with the daemon: ratios hold, absolutes do not.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from rfctl.sources.generic.node_form import BATCHED
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.processes import Daemon
from tests.support.servers import RedisServer

SECONDS = 10
CONNECTIONS = 64


async def client(host: str, port: int, number: int, until: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    count = 0
    while time.monotonic() < until:
        body = json.dumps(
            {"from": f"7{number:04d}{count % 50:04d}", "message": "hello", "messageId": str(count)}
        ).encode()
        head = f"POST {BATCHED} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


async def measure(url: str, redis_url: str) -> None:
    parts = urlsplit(url)
    began = time.monotonic()
    counts = await asyncio.gather(
        *(client(str(parts.hostname), int(parts.port or 0), n, began + SECONDS) for n in range(CONNECTIONS))
    )
    await asyncio.sleep(1.5)
    connection = Connection.open(RedisAddress(redis_url, "bench", timeout_ms=60_000))
    batches = make_rig(connection)
    merged = [entry async for entry in batches.store.output.read_on(batches.shards[0], "0-0")]
    assert sum(batch.count for batch in merged) == sum(counts), "a message was lost"
    late = sorted(batch.late_ms for batch in merged if batch.reason == "quiet")
    print(
        f"{sum(counts) / SECONDS:.0f} messages/s over {CONNECTIONS} connections, {sum(counts)} in and out, 0 lost"
    )
    print(
        f"{len(late)} quiet batches, late p50 {late[len(late) // 2]} ms, p99 {late[len(late) * 99 // 100]} ms, worst {late[-1]} ms"
    )
    await connection.close()


def main() -> None:
    server = RedisServer("embedded").start()
    daemon = Daemon(Path(tempfile.mkdtemp()), RFCTL_REDIS__URL=server.url, RFCTL_BATCHING__QUIET_MS="500")
    try:
        asyncio.run(measure(daemon.url, server.url))
    finally:
        daemon.end()
        server.stop()


if __name__ == "__main__":
    main()
