"""Findings about the Redis server and about daemons, by the facts alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rfctl.observe.daemons import find_missing_roles, find_settings_differences
from rfctl.observe.server import find_emptying, find_missing_rights, find_server_faults, find_torn_file
from rfctl.store import DaemonRecord
from rfctl.store.probe import MissingRight
from rfctl.store.rights import USEFUL, list_useful
from rfctl.store.server_info import ServerInfo, build_server_info

HERE = ServerInfo("redis://h", 0, "run-2", "Redis", "7.0.15", "noeviction", True, "the test")


def codes(server: ServerInfo, **more: Any) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in find_server_faults(server, **more)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"eviction": "allkeys-lfu"}, [("eviction_enabled", "error")]),
        ({"eviction": "volatile-lru"}, [("eviction_partial", "warning")]),
        ({"eviction": "?"}, [("redis_unseen", "warning")]),
        ({"aof": False}, [("persistence_disabled", "warning")]),
        ({"aof": None}, []),
    ],
)
def test_settings_of_redis_by_which_messages_can_be_lost(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert codes(replace(HERE, **changes)) == expected


def test_eviction_that_an_operator_has_agreed_to_is_no_finding() -> None:
    assert codes(replace(HERE, eviction="allkeys-lru"), allow_eviction=True) == []


@pytest.mark.parametrize(
    ("product", "version", "aof", "last_run", "is_torn"),
    [
        ("Redis", "7.0.15", True, "run-1", True),
        ("Redis", "8.2.0", True, "run-1", True),
        ("Valkey", "8.1.0", True, "run-1", True),
        ("Valkey", "9.1.2", True, "run-1", False),
        ("Redis", "7.0.15", True, "run-2", False),
        ("Redis", "7.0.15", True, "", False),
        ("Redis", "7.0.15", False, "run-1", False),
    ],
)
def test_torn_file_is_suspected_after_a_restart_of_a_server_that_replays_it(
    product: str, version: str, *, aof: bool, last_run: str, is_torn: bool
) -> None:
    server = replace(HERE, product=product, version=version, aof=aof)
    assert bool(list(find_torn_file(server, last_run))) is is_torn


def test_replica_and_cluster_node_are_read_from_info() -> None:
    info = {"role": "slave", "master_host": "h", "master_port": "1", "cluster_enabled": "1"}
    server = build_server_info(info, where="", db=0, set_by="")
    assert (server.master, server.is_cluster_node, server.eviction, server.aof) == ("h:1", True, "?", None)


def test_missing_right_says_what_is_not_seen_and_how_to_get_it() -> None:
    missing = [
        MissingRight("command INFO", ("+info",), is_useful_only=True, command="INFO"),
        MissingRight("command XADD", ("+xadd",), command="XADD"),
    ]
    [finding] = find_missing_rights(missing, "chat")
    assert (finding.code, finding.subject, finding.fix) == ("right_missing", "INFO", "ACL SETUSER chat +info")
    assert USEFUL["INFO"] in finding.fact


def test_every_useful_right_says_what_it_is_good_for() -> None:
    assert set(list_useful()) <= set(USEFUL)


def test_emptied_redis_is_found_by_its_counter() -> None:
    assert list(find_emptying({}, "rfctl:totals")) == []
    [finding] = find_emptying({"emptied": 2}, "staging-rfctl:totals")
    assert "redis-cli HDEL staging-rfctl:totals emptied" in finding.fix


def daemon(id_: str = "a", **parts: Any) -> DaemonRecord:
    base: dict[str, Any] = {"host": "h", "pid": 1, "version": "0", "role": "all", "output": "rfctl:out"}
    return DaemonRecord(id=id_, **(base | parts))


@pytest.mark.parametrize(
    ("alive", "missing"),
    [
        ([daemon(sinks={"crm": "http"})], []),
        ([daemon()], ["sink_unserved"]),
        ([daemon(output="")], []),
        ([daemon(role="webhook", sinks={"crm": "http"})], ["processor_missing", "sink_unserved"]),
        ([daemon(role="processor"), daemon(role="forwarder", sinks={"crm": "http"})], []),
        ([daemon(sinks={"crm": "http"}, beat_ms=20_000, turned_ms=1)], ["processor_missing"]),
        ([], ["processor_missing", "sink_unserved"]),
    ],
)
def test_work_that_no_living_daemon_does_is_found(alive: list[DaemonRecord], missing: list[str]) -> None:
    assert [finding.code for finding in find_missing_roles(alive, ["crm"])] == missing


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({}, None),
        ({"order": "sent"}, "settings_conflict"),
        ({"output": "other"}, "settings_conflict"),
        ({"split_by": ("account",)}, "settings_conflict"),
        ({"separator": "|"}, "settings_differ"),
        ({"quiet_ms": 1}, "settings_differ"),
        ({"sinks": {"crm": "list"}}, "settings_differ"),
        ({"order": "sent", "output": ""}, None),
    ],
)
def test_daemons_with_different_settings_are_found(parts: dict[str, Any], code: str | None) -> None:
    listed = [finding.code for finding in find_settings_differences([daemon(), daemon("b", **parts)])]
    assert listed == ([] if code is None else [code])
