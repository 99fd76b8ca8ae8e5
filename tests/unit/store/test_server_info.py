"""Whether a Redis takes writes, told from its INFO alone: nothing is written to find it out."""

from __future__ import annotations

import pytest

from rfctl.store.server_info import write_refusals

FINE = {
    "role": "master", "maxmemory": "0", "maxmemory_human": "0B", "maxmemory_policy": "noeviction",
    "used_memory": "1000", "used_memory_human": "1000B", "mem_not_counted_for_evict": "0",
    "aof_enabled": "1", "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok",
}  # fmt: skip
REPLICA = {"role": "slave", "master_host": "10.0.0.1", "master_port": "6379", "slave_read_only": "1"}
SAVES = {"save": "3600 1", "stop-writes-on-bgsave-error": "yes", "min-replicas-to-write": "0"}


def found(rules: dict[str, str] = SAVES, /, **info: str) -> list[tuple[str, str]]:
    return [(one.code, one.why) for one in write_refusals(FINE | info, rules)]


def test_a_redis_that_is_well_refuses_nothing():
    assert found() == []
    assert found(maxmemory="1000") == []
    assert write_refusals({}, {}) == []


def test_a_full_memory_is_named_with_its_size():
    full = {"maxmemory": "900", "maxmemory_human": "900B"}
    assert found(**full) == [("OOM", "its memory is full: 1000B used, maxmemory is 900B")]
    assert [one.next for one in write_refusals(FINE | full, SAVES)] == [
        "look at `redis-cli info memory`, and raise maxmemory"
    ]


def test_what_redis_does_not_count_does_not_fill_it():
    assert found(maxmemory="900", mem_not_counted_for_evict="100") == []


def test_a_redis_that_makes_room_by_deleting_is_not_full():
    assert found(maxmemory="900", maxmemory_policy="allkeys-lru") == []
    assert found(maxmemory="900", maxmemory_policy="volatile-lru") != []


def test_a_replica_names_its_master_and_whether_it_has_lost_it():
    assert found(**REPLICA, master_link_status="up") == [("READONLY", "it is a replica of 10.0.0.1:6379")]
    lost = "it is a replica of 10.0.0.1:6379, which it has lost"
    assert found(**REPLICA, master_link_status="down") == [("READONLY", lost)]
    assert found(**(REPLICA | {"slave_read_only": "0"})) == []


def test_a_failed_save_counts_only_while_it_stops_writes():
    failed = {"rdb_last_bgsave_status": "err"}
    assert found(**failed) == [("MISCONF", "its last save to disk (RDB) failed")]
    assert found(SAVES | {"save": ""}, **failed) == []
    assert found(SAVES | {"stop-writes-on-bgsave-error": "no"}, **failed) == []
    assert found({}, **failed) != [], "a Redis that does not tell its settings has the usual ones"


def test_a_failed_write_of_the_aof_stops_writes_while_there_is_one():
    assert found(aof_last_write_status="err") == [("MISCONF", "its last write to the AOF failed")]
    assert found(aof_last_write_status="err", aof_enabled="0") == []


@pytest.mark.parametrize(("good", "refused"), [("1", True), ("2", False)])
def test_too_few_replicas_are_counted(good: str, refused: bool):
    said = found(SAVES | {"min-replicas-to-write": "2"}, min_slaves_good_slaves=good)
    assert bool(said) is refused
    assert all(one == ("NOREPLICAS", "1 of the 2 replicas that it must have are there") for one in said)
