"""How long `rfctl stats` takes over a million pending batches: python -m bench stats-million

Fills a server of its own (loopback, its own folder) with a million one-message batches, runs the installed
command five times, and prints the seconds.
"""

from __future__ import annotations

import statistics
import subprocess
import time

import redis

from tests.support.processes import RFCTL
from tests.support.servers import RedisServer

BATCHES = 1_000_000
FILL = """
local t = redis.call('TIME'); local now = t[1] * 1000
for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  local name = string.format('7%010d', i)
  redis.call('RPUSH', 'rapid-fire:' .. name, '{"message":"x","companyId":null,"channel":"generic","messageId":"' .. i ..
    '","type":"text","metadata":{},"timestamp":1,"receivedAt":' .. string.format('%.0f', now) .. ',"waitMs":5000}')
  redis.call('ZADD', 'rfctl:due', string.format('%.0f', now + 86400000 + i), name)
end
redis.call('HINCRBY', 'rfctl:totals', 'messages_in', ARGV[2])
"""


def main() -> None:
    server = RedisServer("embedded", appendonly="no").start()
    try:
        client = redis.Redis(port=server.port)
        for start in range(0, BATCHES, 50_000):
            client.eval(FILL, 0, str(start), "50000")
        took = []
        for _ in range(5):
            began = time.perf_counter()
            done = subprocess.run(
                [RFCTL, "stats", "--redis", server.url], capture_output=True, text=True, check=True
            )
            took.append(time.perf_counter() - began)
        assert f"{BATCHES} batches, {BATCHES} messages" in done.stdout
        print(
            f"stats over {BATCHES} batches: median {statistics.median(took):.2f} s, worst {max(took):.2f} s"
        )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
