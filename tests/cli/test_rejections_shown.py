"""`rfctl stats` shows why requests were rejected, and when the last was."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.processes import rfctl
from tests.support.servers import RedisServer


def test_stats_shows_each_reason_with_its_count_and_time_newest_first(
    server: RedisServer, tmp_path: Path
) -> None:
    with server.client() as redis:
        now_ms = int(redis.time()[0]) * 1000
        redis.hset("rfctl:totals", mapping={"rejected:no-path": 3, "rejected:signature:salon": 7})
        redis.hset("rfctl:last", mapping={"rejected:signature:salon": now_ms - 9_030_000})
    shown = rfctl(tmp_path, "stats", RFCTL_REDIS__URL=server.url).stdout
    assert "signature:salon 7 (2 h 3" in shown
    assert "no-path 3" in shown
    read = rfctl(tmp_path, "stats", "-o", "json", RFCTL_REDIS__URL=server.url)
    rejected = json.loads(read.stdout)["rejected"]
    assert [(row["reason"], row["source"], row["count"]) for row in rejected] == [
        ("signature", "salon", 7),
        ("no-path", None, 3),
    ]
    assert rejected[0]["last"].endswith("Z")
    assert rejected[1]["last"] is None
