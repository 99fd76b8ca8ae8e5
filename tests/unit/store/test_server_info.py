"""Whether a Redis takes writes, by its INFO and settings alone."""

from __future__ import annotations

import pytest

from rfctl.store.server_info import ServerInfo, find_write_refusals
from rfctl.text import mask_url

FINE = {
    "role": "master", "maxmemory": "0", "maxmemory_human": "0B", "maxmemory_policy": "noeviction",
    "used_memory": "1000", "used_memory_human": "1000B", "mem_not_counted_for_evict": "0",
    "aof_enabled": "1", "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok",
}  # fmt: skip
REPLICA = {"role": "slave", "master_host": "10.0.0.1", "master_port": "6379", "slave_read_only": "1"}
SAVES = {"save": "3600 1", "stop-writes-on-bgsave-error": "yes", "min-replicas-to-write": "0"}


def causes(settings: dict[str, str] = SAVES, /, **info: str) -> list[tuple[str, str]]:
    return [(refusal.code, refusal.why) for refusal in find_write_refusals(FINE | info, settings)]


def test_healthy_redis_refuses_nothing() -> None:
    assert causes() == []
    assert causes(maxmemory="1000") == []
    assert find_write_refusals({}, {}) == []


def test_a_full_memory_is_named_with_its_size() -> None:
    full = {"maxmemory": "900", "maxmemory_human": "900B"}
    assert causes(**full) == [("OOM", "its memory is full: 1000B used, maxmemory is 900B")]
    assert [refusal.next for refusal in find_write_refusals(FINE | full, SAVES)] == [
        "look at `redis-cli info memory`, and raise maxmemory"
    ]


def test_uncounted_memory_does_not_fill_redis() -> None:
    assert causes(maxmemory="900", mem_not_counted_for_evict="100") == []


def test_evicting_redis_is_not_full() -> None:
    assert causes(maxmemory="900", maxmemory_policy="allkeys-lru") == []
    assert causes(maxmemory="900", maxmemory_policy="volatile-lru") != []


def test_a_replica_names_its_master_and_whether_it_has_lost_it() -> None:
    assert causes(**REPLICA, master_link_status="up") == [("READONLY", "it is a replica of 10.0.0.1:6379")]
    lost = "it is a replica of 10.0.0.1:6379, which it has lost"
    assert causes(**REPLICA, master_link_status="down") == [("READONLY", lost)]
    assert causes(**(REPLICA | {"slave_read_only": "0"})) == []


def test_a_failed_save_counts_only_while_it_stops_writes() -> None:
    failed = {"rdb_last_bgsave_status": "err"}
    assert causes(**failed) == [("MISCONF", "its last save to disk (RDB) failed")]
    assert causes(SAVES | {"save": ""}, **failed) == []
    assert causes(SAVES | {"stop-writes-on-bgsave-error": "no"}, **failed) == []
    assert causes({}, **failed) != [], "a Redis that does not tell its settings has the usual ones"


def test_a_failed_write_of_the_aof_stops_writes_while_there_is_one() -> None:
    assert causes(aof_last_write_status="err") == [("MISCONF", "its last write to the AOF failed")]
    assert causes(aof_last_write_status="err", aof_enabled="0") == []


@pytest.mark.parametrize(("good", "missing"), [("1", True), ("2", False)])
def test_too_few_replicas_are_counted(good: str, missing: bool) -> None:
    reasons = causes(SAVES | {"min-replicas-to-write": "2"}, min_slaves_good_slaves=good)
    assert bool(reasons) is missing
    assert all(
        reason == ("NOREPLICAS", "1 of the 2 replicas that it must have are there") for reason in reasons
    )


@pytest.mark.parametrize(
    ("url", "place", "line"),
    [
        ("redis://127.0.0.1:6379/2", "127.0.0.1:6379/2", "redis://127.0.0.1:6379/2"),
        ("redis://127.0.0.1", "127.0.0.1/2", "redis://127.0.0.1 db 2"),
        ("redis://h:1?db=2", "h:1/2", "redis://h:1?db=2"),
        ("redis://h:1?db=21", "h:1/2", "redis://h:1?db=21 db 2"),
        ("redis://:geheim@h:1/2", "h:1/2", "redis://:•••@h:1/2"),
        ("redis://default:geheim@h:1/2", "h:1/2", "redis://default:•••@h:1/2"),
        ("redis://bot:geheim@h:1/2", "bot@h:1/2", "redis://bot:•••@h:1/2"),
        ("redis://odd%20name:geheim@h:1/2", "h:1/2", "redis://•••@h:1/2"),
        (
            "rediss://[::1]:1/2?ssl_ca_certs=/a.pem",
            "rediss://[::1]:1/2",
            "rediss://[::1]:1/2?ssl_ca_certs=/a.pem",
        ),
        ("unix:///run/store.sock?db=2", "/run/store.sock db 2", "unix:///run/store.sock?db=2"),
        (
            "unix://default:geheim@/run/store.sock?db=2",
            "/run/store.sock db 2",
            "unix://default:•••@/run/store.sock?db=2",
        ),
        ("unix:///run/store.sock", "/run/store.sock db 2", "unix:///run/store.sock db 2"),
    ],
)
def test_address_is_said_once_and_without_an_empty_user(url: str, place: str, line: str) -> None:
    server = ServerInfo(mask_url(url), 2, "run", "Redis", "7.0.0", "noeviction", True, "the test")
    assert server.place == place
    assert server.line() == f"{line} (Redis 7.0.0, run run)"
