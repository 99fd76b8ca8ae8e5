"""Which group of workers an operator is warned of."""

from __future__ import annotations

import pytest

from rfctl.observe import findings
from rfctl.observe.snapshot import Snapshot
from rfctl.store import ConsumerGroup, PendingSummary
from rfctl.store.server_info import ServerInfo

HERE = ServerInfo("redis://127.0.0.1:1/0", 0, "r", "Redis", "7.0.0", "noeviction", True, "the test")


def about(*groups: ConsumerGroup, entries: int = 3) -> list[str]:
    pending = PendingSummary(0, 0, 0, 0, None, None, {}, entries, groups=list(groups))
    look = Snapshot(
        server=HERE, write_refusals=[], daemons=[], pending=pending, sinks=[], orphaned=[], dead=0, quarantine=0
    )  # fmt: skip
    return [finding.line() for finding in findings(look) if finding.subject]


@pytest.mark.parametrize(
    ("lag", "pending", "idle_ms", "is_warned"),
    [
        (3, 0, None, True),
        (0, 0, None, False),
        (None, 0, None, True),
        (3, 0, 299_000, False),
        (3, 0, 301_000, True),
        (0, 2, 301_000, True),
        (0, 0, 86_400_000, False),
        (None, 0, 86_400_000, False),
    ],
)
def test_workers_are_silent_when_something_is_left_and_nobody_asks(
    lag: int | None, pending: int, idle_ms: int | None, is_warned: bool
) -> None:
    assert bool(about(ConsumerGroup("rfctl:out", "bots", lag, pending, idle_ms))) == is_warned


def test_a_group_that_is_silent_on_several_shards_is_said_once_with_all_that_is_left() -> None:
    groups = [ConsumerGroup(f"rfctl:{{{shard}}}:out", "bots", 2, 1, 400_000) for shard in range(3)]
    [line] = about(*groups)
    assert "9 messages are left" in line
    assert "on each of 3 shards, in redis://127.0.0.1:1/0: redis-cli XGROUP DESTROY" in line


def test_a_name_that_a_shell_would_act_on_is_quoted() -> None:
    [line] = about(ConsumerGroup("rfctl:out", "b; rm x", 1, 0, None))
    assert "XGROUP DESTROY rfctl:out 'b; rm x'" in line
