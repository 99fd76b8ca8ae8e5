"""Which Redis may be used, by the facts alone: no replica, no node of a cluster, none that evicts, none with other daemons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rfctl.daemon.preflight import check_eviction, check_peers, check_role
from rfctl.errors import (
    ClusterNodeError,
    EvictingRedisError,
    RedisCannotNowError,
    SettingsConflictError,
)
from rfctl.model.closed_sets import Order
from rfctl.store import DaemonRecord, ServerInfo

HERE = ServerInfo("redis://h", 0, "run", "Valkey", "9.1.0", "noeviction", True, "the test")


def daemon(name: str, *, order: Order = "arrival", is_rolling_out: bool = False) -> DaemonRecord:
    return DaemonRecord(
        id=name,
        host="h",
        pid=7,
        version="1",
        role="all",
        order=order,
        output="rfctl:out",
        is_rolling_out=is_rolling_out,
    )


def test_master_alone_is_used() -> None:
    check_role(HERE)
    with pytest.raises(RedisCannotNowError, match="replica of m:6379") as problem:
        check_role(replace(HERE, master="m:6379"))
    assert problem.value.code == "READONLY"
    with pytest.raises(ClusterNodeError):
        check_role(replace(HERE, is_cluster_node=True))


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "?"])
@pytest.mark.parametrize("allowed", [False, True])
def test_redis_that_keeps_messages_is_used(policy: str, allowed: bool) -> None:
    check_eviction(replace(HERE, eviction=policy), allowed=allowed)


def test_redis_that_evicts_messages_is_used_only_when_that_is_allowed() -> None:
    evicting = replace(HERE, eviction="allkeys-lru")
    check_eviction(evicting, allowed=True)
    with pytest.raises(EvictingRedisError, match="allkeys-lru"):
        check_eviction(evicting, allowed=False)


def test_daemon_goes_with_itself_and_with_those_of_its_settings() -> None:
    check_peers(daemon("a"), [])
    check_peers(daemon("a"), [daemon("a", order="sent"), daemon("b")])


@pytest.mark.parametrize(("own", "other"), [(True, False), (False, True), (True, True)])
def test_rollout_on_either_side_suspends_the_check(own: bool, other: bool) -> None:
    alive = [daemon("b", order="sent", is_rolling_out=other)]
    check_peers(daemon("a", is_rolling_out=own), alive)


def test_living_daemon_with_other_settings_is_a_conflict() -> None:
    alive = [daemon("b"), daemon("c", order="sent")]
    with pytest.raises(SettingsConflictError, match=r"batching\.order is arrival here and sent there"):
        check_peers(daemon("a"), alive)
